"""Hold the rules of this site, one module each."""
