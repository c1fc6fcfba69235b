"""What a preflight may require, what must be looked at for it, and whether it is met; pure."""
