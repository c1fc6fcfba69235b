"""What the project above the current folder says about its GPU environment, its words proven."""

from __future__ import annotations

import difflib

from gpu_doctor.errors import UsageError
from gpu_doctor.model.config import Config, Written


def read_settings(cwd: str, path: str | None = None) -> Config:
    """Return what the project wrote down; raise UsageError, with file and line, for what makes no sense."""
    from gpu_doctor.collect.config import read_settings as read
    from gpu_doctor.doctor import all_rules

    config = read(cwd, path)
    named = [*config.select, *(Written(item.rule, item.where) for item in config.ignore)]
    if named:
        known = {item.rule.id for item in all_rules()}
        for word in named:
            if word.text not in known:
                close = difflib.get_close_matches(word.text, known, n=1, cutoff=0.5)
                hint = f"did you mean {close[0]}?" if close else "`gpu-doctor rules` lists them."
                raise UsageError(f"{word.where}: there is no rule {word.text!r}", hint)
    return config
