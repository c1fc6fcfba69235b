"""The forms that CI services and collectors read."""
