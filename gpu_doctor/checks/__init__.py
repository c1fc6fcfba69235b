"""Rules: one file judges one illness from an inventory and the facts."""
