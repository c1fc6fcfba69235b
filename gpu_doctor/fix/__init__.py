"""Repair that is planned, journaled, proven and undoable."""
