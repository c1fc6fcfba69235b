"""Diagnose and repair deep-learning GPU environments from outside."""

__version__ = "0.1.0"
