#!/usr/bin/env python3
"""Measure what the doctor promises about time and memory, and print it as Markdown.

Run it with a Python that has the project and its dev group, such as `.cache/test-env/bin/python scripts/benchmark.py`.
It builds two labs (7 GB, or links to what uv has cached). Comparisons are paired: one run of ours, one of the other,
again and again; the median of the ratios counts. `--only NAME` measures one thing.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.measure_bench import harness
from scripts.measure_fix import repair
from scripts.measured import Row, Run, middle, paired, ratio, run
from tests.labs.build import build, site_packages
from tests.simulated.packages import POISONS, environment

MEBIBYTE = 2**20


def doctor() -> str:
    return str(Path(sys.executable).with_name("gpu-doctor"))


def check_command(prefix: Path) -> list[str]:
    python = str(prefix / "bin/python")
    judged = ["--gpu", "sm_89", "--driver", "580.95.05", "--format", "json"]
    return [doctor(), "check", "--static", "--python", python, *judged]


def size(prefix: Path) -> int:
    """Return the bytes of all files of an environment."""
    return sum(path.stat().st_size for path in prefix.rglob("*") if path.is_file() and not path.is_symlink())


def static_check(rounds: int) -> list[Row]:
    prefix = build("speed")
    ours, other = paired(check_command(prefix), [str(prefix / "bin/python"), "-c", "import torch"], rounds, codes=(1,))
    share, peak = ratio(ours, other), max(run.peak_bytes for run in ours) / MEBIBYTE
    timing = f"{middle(ours):.2f} s : {middle(other):.2f} s = **{share:.2f}**"
    volume = f"{size(prefix) / 1e9:.1f} GB"
    return [
        Row(f"`check --static` of {volume} : `import torch` there, warm", timing, "≤ 0.25", share <= 0.25),
        Row("peak memory of that check", f"**{peak:.0f} MiB**", "≤ 150 MB", peak * MEBIBYTE <= 150e6),
    ]


def preflight(rounds: int) -> list[Row]:
    prefix = build("speed")
    command = [doctor(), "preflight", "--static", "--python", str(prefix / "bin/python"), "--require", "kernels:sm_89"]
    taken = middle([run(command) for _ in range(rounds + 1)][1:])
    what = f"`preflight --static --require kernels:sm_89` of {size(prefix) / 1e9:.1f} GB, warm"
    return [Row(what, f"**{taken:.2f} s**", "≤ 0.5 s", taken <= 0.5)]


def evict(folder: Path) -> None:
    """Ask the kernel to forget the contents of every file below a folder; it keeps what a running program maps."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def cold_check(rounds: int) -> list[Row]:
    prefix = build("speed")
    os.sync()
    kept: dict[str, list[Run]] = {"check": [], "import": []}
    for _ in range(rounds):
        for name, command in (
            ("check", check_command(prefix)),
            ("import", [str(prefix / "bin/python"), "-c", "import torch"]),
        ):
            evict(prefix)
            evict(Path(sys.prefix))
            kept[name].append(run(command))
    ours, other = kept["check"], kept["import"]
    read = [statistics.median(run.read_bytes for run in runs) / MEBIBYTE for runs in (ours, other)]
    figure = (
        f"{middle(ours):.2f} s, {read[0]:.0f} MiB read : {middle(other):.2f} s, {read[1]:.0f} MiB read"
        f" = **{ratio(ours, other):.2f}**"
    )
    return [Row("the same two, cold (files evicted from the page cache)", figure, "stated", None)]


def answer(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def gpu_code(rounds: int) -> list[Row]:
    library = str(next(site_packages(build("speed")).glob("torch/lib/libtorch_cuda.so")))
    reference = [str(next(build("tools").rglob("bin/cuobjdump"))), "--list-elf", library]
    archs = [doctor(), "archs", library, "--format", "json"]
    other, ours = paired(reference, archs, rounds)
    expected = set(re.findall(r"\.(sm_\d+[af]?)\.", answer(reference)))
    found = {name for row in json.loads(answer(archs))["libraries"] for name in row["sass"]}
    times, same = ratio(other, ours), expected == found
    figure = f"{middle(other):.2f} s : {middle(ours):.2f} s = **{times:.0f}**"
    agreement = f"{'the same' if same else 'DIFFERENT'}: {' '.join(sorted(found))}"
    memory = (
        f"{max(r.peak_bytes for r in other) / MEBIBYTE:.0f} MiB : {max(r.peak_bytes for r in ours) / MEBIBYTE:.0f} MiB"
    )
    return [
        Row("`cuobjdump --list-elf libtorch_cuda.so` : `archs` of it", figure, "≥ 15", times >= 15),
        Row("architectures in both answers", agreement, "the same", same),
        Row("peak memory of both", memory, "stated", None),
    ]


def live_check(rounds: int) -> list[Row]:
    """Time the questions to one environment together, against the slowest of them and against all on two cores.

    Both come from the same run: whoever shares the machine slows the whole and its parts alike.
    """
    command = [doctor(), "inventory", "--python", str(build("speed") / "bin/python"), "--format", "json"]
    answer(command)
    shares, figures = [], []
    for _ in range(rounds):
        begin = time.perf_counter()
        probes = json.loads(answer(command))["probes"]
        wall = time.perf_counter() - begin
        seconds = [probe["seconds"] for probe in probes]
        bound = max(max(seconds), sum(seconds) / 2)
        shares.append(wall / bound)
        figures.append((wall, max(seconds), sum(seconds) / 2, sum(s > 0 for s in seconds)))
    wall, slowest, half, count = sorted(figures)[len(figures) // 2]
    share = statistics.median(shares)
    figure = f"{wall:.1f} s : max({slowest:.1f} s, {half:.1f} s) = **{share:.2f}**"
    what = f"full live look at it, {count:.0f} questions : max(the slowest, the sum on two cores)"
    return [Row(what, figure, "≤ 1.3", share <= 1.3)]


def poisoned(rounds: int) -> list[Row]:
    """Time the report on patients that never answer: how long after the deadline it comes."""
    deadline = 5.0
    with tempfile.TemporaryDirectory() as folder:
        waits = {}
        for name in ("hang", "spin", "stop", "deaf", "flood-forever", "memory-bomb", "segv", "fork-setsid"):
            python = environment(Path(folder) / name).torch(POISONS[name].code).python
            command = [doctor(), "check", "--python", python, "--probe-timeout", str(deadline), "--format", "json"]
            waits[name] = max(run(command).seconds for _ in range(rounds))
    worst = max(waits, key=waits.__getitem__)
    late = max(0.0, waits[worst] - deadline)
    return [Row(f"a poisoned torch, the latest report (`{worst}`)", f"deadline + **{late:.1f} s**", "≤ 5 s", late <= 5)]


def audit_hook(rounds: int) -> list[Row]:
    """Time an import in a child that notes what is loaded against a bare one."""
    runner = Path(__file__).resolve().parents[1] / "gpu_doctor/probe/scripts/_runner.py"
    definitions = f"exec(open({str(runner)!r}).read().rpartition('main()')[0])"
    watch = "channel = os.memfd_create('c'); os.ftruncate(channel, 1 << 24); Notes(channel).watch_loading()"
    python = str(build("speed") / "bin/python")
    watched, bare = paired(
        [python, "-c", f"{definitions}; {watch}; import torch"], [python, "-c", f"{definitions}; import torch"], rounds
    )
    share = ratio(watched, bare) - 1
    figure = f"{middle(watched):.2f} s : {middle(bare):.2f} s = **{share:+.1%}**"
    return [Row("`import torch` with each loaded library noted : without", figure, "≤ +5 %", share <= 0.05)]


def version(rounds: int) -> list[Row]:
    ours, other = paired([doctor(), "--version"], [sys.executable, "-c", "pass"], 4 * rounds)
    share = ratio(ours, other)
    figure = f"{middle(ours) * 1000:.0f} ms : {middle(other) * 1000:.0f} ms = **{share:.1f}**"
    return [Row("`gpu-doctor --version` : `python -c pass`", figure, "≤ 6", share <= 6)]


def machine() -> str:
    """Describe this machine in one line."""
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}, {os.cpu_count()} cores of "
        f"{processor[1] if processor else platform.machine()}, {memory:.0f} GiB memory, "
        f"{platform.system()} {platform.release()}, CPython {platform.python_version()}"
    )


MEASUREMENTS: dict[str, Callable[[int], list[Row]]] = {
    "version": version,
    "static-check": static_check,
    "preflight": preflight,
    "cold-check": cold_check,
    "gpu-code": gpu_code,
    "live-check": live_check,
    "poisoned": poisoned,
    "audit-hook": audit_hook,
    "fix": repair,
    "harness": harness,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=MEASUREMENTS, action="append")
    options = parser.parse_args()
    print(f"{machine()}; medians of {options.rounds} paired runs.\n")
    print("| what | measured | goal | holds |\n|---|---|---|---|")
    for name in options.only or MEASUREMENTS:
        for row in MEASUREMENTS[name](options.rounds):
            print(
                f"| {row.what} | {row.figure} | {row.goal} | {'' if row.holds is None else '✔' if row.holds else '✘'} |"
            )


if __name__ == "__main__":
    main()
