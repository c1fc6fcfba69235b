"""Decide what to ask the live interpreter: one module for each kind of question."""
