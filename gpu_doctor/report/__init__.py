"""Turn a report into text; decide nothing."""
