"""Advise what this machine should use: an inventory, facts and findings become settings; pure."""
