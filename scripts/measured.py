"""What a measurement of `benchmark.py` returns, and what ran for it."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """Hold one finished process: seconds, peak memory and bytes read from disk (all of its children's too)."""

    seconds: float
    peak_bytes: int
    read_bytes: int
    code: int


@dataclass(frozen=True)
class Row:
    """Hold one line of the table."""

    what: str
    figure: str
    goal: str
    holds: bool | None


# A switched-off bytecode cache would make every start compile, ours and the other's.
NOT_INHERITED = {"VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE"}


def run(command: list[str]) -> Run:
    environment = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    begin = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    return Run(seconds, usage.ru_maxrss * 1024, usage.ru_inblock * 512, child.returncode)


def paired(ours: list[str], other: list[str], rounds: int, codes: Iterable[int] = (0,)) -> tuple[list[Run], list[Run]]:
    """Run both once to warm up, then alternate; stop with a message where one fails."""
    results: tuple[list[Run], list[Run]] = ([], [])
    for number in range(rounds + 1):
        for command, kept in zip((ours, other), results, strict=True):
            done = run(command)
            if done.code not in {*codes, 0}:
                sys.exit(f"exit {done.code}: {' '.join(command)}")
            if number:
                kept.append(done)
    return results


def middle(runs: list[Run]) -> float:
    return statistics.median(run.seconds for run in runs)


def ratio(ours: list[Run], other: list[Run]) -> float:
    return statistics.median(a.seconds / b.seconds for a, b in zip(ours, other, strict=True))
