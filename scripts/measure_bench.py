"""What `bench` itself costs: the same calls as a workload and in a bare script."""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
from dataclasses import asdict
from pathlib import Path

from gpu_doctor.model.bench import BenchWish
from gpu_doctor.probe.ask import SCRIPTS, ask
from scripts.measured import Row
from tests.labs.build import build

WORKED = """
import json, time, torch
torch.manual_seed(0)
sound = torch.randn(8, 16000 * 30)
window = torch.hann_window(1024)
def run():
    for _ in range(4):
        spectrum = torch.stft(sound, 1024, 256, window=window, return_complex=True)
        torch.istft(spectrum, 1024, 256, window=window)
"""
BARE = f"""{WORKED}
run()
seconds = []
for _ in range(10):
    begin = time.perf_counter()
    run()
    seconds.append(time.perf_counter() - begin)
print(json.dumps(seconds))
"""
HARNESSED = f"""{WORKED}
import runpy
def answer(argument, notes):
    work = runpy.run_path({str(SCRIPTS / "_workload.py")!r})["Work"](argument, notes)
    work.load(lambda: None)
    work.repeat(run)
    return work.finish()
"""


def harness(rounds: int) -> list[Row]:
    """Compare what a workload says it took with the same calls in a bare script, one after the other."""
    python = str(build("torch-2.8") / "bin/python")
    argument = {"gpu": None, **asdict(BenchWish("stft", "cpu", repeat=10))}
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "workload.py")
        script.write_text(HARNESSED)
        for _ in range(rounds):
            bare = subprocess.run([python, "-c", BARE], capture_output=True, text=True, check=True).stdout
            ours = ask(str(script), python, argument=argument, deadline=300)
            ratios.append(statistics.median(ours.value["runs"]) / statistics.median(json.loads(bare)))
    cost = statistics.median(ratios) - 1
    figure = f"{cost:+.1%} ({min(ratios) - 1:+.1%} to {max(ratios) - 1:+.1%} in {rounds} pairs)"
    return [Row("time inside a workload of `bench` : the same calls in a bare script", figure, "≤ 2 %", cost <= 0.02)]
