"""Load the rules, run them, relate causes and consequences."""
