"""The nouns: frozen values that travel along the path; no I/O."""
