"""Rules: every module here is one rule, named by its id with underscores; `engine` loads and runs them."""
