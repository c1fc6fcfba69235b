"""What was measured, and what of it can be judged."""
