"""What is in a shared library: its needs, its symbols, its GPU code."""
