"""What a project's own files say about its environment."""
