"""What a repair costs beside the look at the same environment."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.measured import Row, run
from tests.labs.build import build
from tests.labs.copies import copy, python

LAB = "ct2-4.6.1-cudnn-9.10.2.21"


def repair(rounds: int) -> list[Row]:
    """Compare `fix cudnn --yes`, which installs nothing here, with `check`, one after the other."""
    doctor = [sys.executable, "-m", "gpu_doctor"]
    pairs = []
    with tempfile.TemporaryDirectory() as folder:
        place = ("--python", python(copy(build(LAB), Path(folder))))
        for number in range(rounds + 1):
            look = run([*doctor, "check", *place])
            healed = run([*doctor, "fix", "cudnn", "--yes", *place])
            subprocess.run([*doctor, "undo", "--yes", *place], check=True, capture_output=True)
            if (look.code, healed.code) != (1, 0):
                sys.exit(f"check ended with {look.code}, fix with {healed.code}")
            if number:
                pairs.append((healed.seconds, look.seconds))
    times = statistics.median(healed / look for healed, look in pairs)
    medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
    figure = f"{medians[0]:.1f} s : {medians[1]:.1f} s = **{times:.1f}**"
    return [Row("`fix cudnn --yes` without an install : `check`", figure, "≤ 3", times <= 3)]
