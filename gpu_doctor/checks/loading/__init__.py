"""Which libraries a process finds, by the files and as seen in real processes."""
