"""Turn a target into what was observed of it; the only caller of the readers and of the probes."""
