"""What is installed, who owns each file, and which files are not as they were installed."""
