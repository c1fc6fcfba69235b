"""What GPUs can run, what they did, and what they answered."""
