"""Which builds are installed, what is at odds between them, and which would fit."""
