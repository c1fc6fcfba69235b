"""Measured figures as text, JSON, plots and pages."""
