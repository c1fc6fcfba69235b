"""Run code, only in children that may die."""
