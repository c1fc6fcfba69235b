"""Which Python, which folders it searches, and who manages it."""
