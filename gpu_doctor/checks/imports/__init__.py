"""Why an import fails, and what heals it."""
