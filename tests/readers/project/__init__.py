"""What a project writes down about its environment."""
