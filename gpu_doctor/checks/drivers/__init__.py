"""What the driver says of itself, and what is wrong with it."""
