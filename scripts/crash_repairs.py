"""Kill `gpu-doctor fix` at random times, take back what it left, and see that nothing was lost.

    .cache/test-env/bin/python scripts/crash_repairs.py [--kills N] [--prefer minimal|durable] [--seed N] [--lab NAME]

Half of the kills come at any time of a run, half while it changes the environment or proves the change. After each the
environment must be the old one to the file, once `gpu-doctor undo` has run. Prints where the kills struck.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from gpu_doctor.fix.ground import HOME  # noqa: E402 - found through the path set above
from gpu_doctor.fix.journal import Journal  # noqa: E402
from tests.labs.build import build  # noqa: E402
from tests.labs.copies import clean, copy, gpu_doctor, python, tree  # noqa: E402


def main() -> int:
    options = _options()
    random.seed(options.seed)
    place = Path(tempfile.mkdtemp(dir=Path(build(options.lab)).parent))
    try:
        return _crash(copy(build(options.lab), place), options)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--prefer", choices=("minimal", "durable"), default="minimal")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lab", default="ct2-4.6.1-cudnn-9.10.2.21")
    return parser.parse_args()


def _crash(prefix: Path, options: argparse.Namespace) -> int:
    before, lab_before = tree(prefix), tree(build(options.lab))
    span = _span(prefix, options.prefer)
    struck: Counter[str] = Counter()
    lost = 0
    for number in range(options.kills):
        shutil.rmtree(prefix / HOME, ignore_errors=True)
        struck[_kill(prefix, options.prefer, span, late=number % 2 == 1)] += 1
        run = gpu_doctor("undo", "--python", python(prefix), "--yes")
        if run.returncode or tree(prefix) != before:
            lost += 1
            print(f"kill {number}: undo exit {run.returncode} {run.stderr.strip()}", flush=True)
            break
    untouched = tree(build(options.lab)) == lab_before
    where = ", ".join(f"{count} {phase}" for phase, count in struck.most_common())
    print(f"{sum(struck.values())} kills of `fix cudnn --prefer {options.prefer}` ({where}); lost: {lost}; ", end="")
    print(f"a run takes {span:.1f} s; the lab that shares its files is {'untouched' if untouched else 'CHANGED'}")
    return int(lost > 0 or not untouched)


def _command(prefix: Path, prefer: str) -> list[str]:
    return [sys.executable, "-m", "gpu_doctor", "fix", "cudnn", "--python", python(prefix), "--yes", "--prefer", prefer]


def _span(prefix: Path, prefer: str) -> float:
    began = time.monotonic()
    subprocess.run(_command(prefix, prefer), capture_output=True, env=clean(), check=True)
    span = time.monotonic() - began
    gpu_doctor("undo", "--python", python(prefix), "--yes")
    return span


def _kill(prefix: Path, prefer: str, span: float, *, late: bool) -> str:
    """Start a repair, kill it and all in its group, and return in which phase it was."""
    child = subprocess.Popen(
        _command(prefix, prefer),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=clean(),
        start_new_session=True,
    )
    if late:
        while child.poll() is None and not list(prefix.glob(f"{HOME}/repairs/*")):
            time.sleep(0.002)
        # Deeds take a tenth of a second, the proof the rest.
        time.sleep(random.choice((random.uniform(0, 0.15), random.uniform(0, span / 2))))
    else:
        time.sleep(random.uniform(0, 1.05) * span)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    return _phase(prefix)


def _phase(prefix: Path) -> str:
    journals = list(prefix.glob(f"{HOME}/repairs/*/journal.jsonl"))
    lines = Journal(str(journals[0].parent)).lines() if journals else []
    if not lines:
        return "before anything was done"
    if "end" in lines[-1]:
        return "after the end"
    begun = [line for line in lines if "begin" in line]
    unfinished = len(begun) - sum("done" in line for line in lines)
    if begun and unfinished and "run" in begun[-1]:
        return "while the package manager ran"
    # A repair by links has eight deeds, one by packages a single one.
    complete = begun and ("run" in begun[-1] or len(begun) == 8)
    return "during the proof" if complete and not unfinished else "during the deeds"


if __name__ == "__main__":
    sys.exit(main())
