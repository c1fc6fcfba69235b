"""The ONNX benchmark, put to a stand-in for ONNX Runtime: where it says that the graph ran, and what it was worth."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from gpu_doctor.probe.ask import Answer, ask

CUDA, TENSORRT, CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"

# As much of numpy as the benchmark uses; every number stands for all of an array.
NUMPY = """
import numbers
class Array:
    def __init__(self, shape, value=1.0): self.shape, self.value = tuple(shape), value
    def astype(self, kind): return self
    def tobytes(self): return bytes(4)
    def max(self): return self.value
    def __getitem__(self, key): return self
    def __abs__(self): return Array(self.shape, abs(self.value))
    def __sub__(self, other): return Array(self.shape, self.value - other.value)
    def __matmul__(self, other): return self
    def __add__(self, other): return self
    __radd__ = __add__
class RandomState:
    def __init__(self, seed): pass
    def normal(self, mean, scale, shape): return Array(shape)
class random: RandomState = RandomState
def pad(values, width): return values
def einsum(words, kernel, values, optimize): return values
def maximum(values, least): return values
"""
ONNXRUNTIME = """
import json, os
import numpy
WORDS = os.environ["WORDS"].split()
LISTED = [name for name in ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")
          if name[:4] in ("CPUE", *(word[:4] for word in WORDS))]
def get_available_providers(): return LISTED
class SessionOptions: enable_profiling, profile_file_prefix = False, ""
class InferenceSession:
    def __init__(self, model, options, providers):
        self.asked = providers[0] if isinstance(providers[0], str) else providers[0][0]
        if "raises" in WORDS and self.asked[0] == "T": raise RuntimeError("no engine")
        self.options = options
        self.used = self.asked if self.asked in LISTED and "falls" not in WORDS else "CPUExecutionProvider"
    def get_providers(self):
        return [self.used] + ["CPUExecutionProvider"] * (self.used[:3] != "CPU")
    def run(self, outputs, feed):
        return [numpy.Array(feed["images"].shape, float("nan") if "nan" in WORDS else 1.5 if "lies" in WORDS else 1.0)]
    def end_profiling(self):
        path = self.options.profile_file_prefix + ".json"
        used = [self.used] + ["CPUExecutionProvider"] * ("partly" in WORDS)
        events = [{"cat": "Node", "args": {"provider": name}} for name in used]
        with open(path, "w") as file: json.dump([{"cat": "Session"}, *events, {"cat": "Node"}], file)
        return path
"""
WITH_PRELOAD = "\ndef preload_dlls(): WORDS.append('preloaded')\n"


def bench(folder: Path, words: str, device: str = "cuda:0", preload: bool = False, **more: Any) -> Answer:
    (folder / "numpy.py").write_text(NUMPY)
    (folder / "onnxruntime.py").write_text(ONNXRUNTIME + WITH_PRELOAD * preload)
    wish = {"workload": "onnx", "device": device, "repeat": 2, "seed": 0, "gpu": None, "batches": [1], "reload": 0}
    environ = {**os.environ, "PYTHONPATH": str(folder), "WORDS": words}
    return ask(
        "bench_onnx.py", sys.executable, argument={**wish, **more}, deadline=60, environ=environ, options=("-B",)
    )


def only(answer: Answer) -> tuple[str, bool, str]:
    (figure,) = answer.value["figures"]
    return answer.value["ran_on"], figure["value"] > 0, figure["reason"]


def test_the_cpu_runs_the_graph(tmp_path: Path) -> None:
    answer = bench(tmp_path, "", "cpu")
    assert only(answer) == ("cpu", True, "")
    assert len(answer.value["runs"]) == 2
    assert answer.value["figures"][0]["name"] == f"graph {CPU}"


def test_a_gpu_runs_every_node(tmp_path: Path) -> None:
    assert only(bench(tmp_path, CUDA)) == ("cuda:0", True, "")


@pytest.mark.parametrize(
    ("words", "reason"),
    [("", f"this onnxruntime has no {CUDA}"), (f"{CUDA} falls", f"fell back to {CPU}")],
    ids=["not listed", "does not load"],
)
def test_a_fall_back_is_run_and_seen(tmp_path: Path, words: str, reason: str) -> None:
    answer = bench(tmp_path, words)
    assert only(answer) == ("cpu", False, reason)
    assert len(answer.value["runs"]) == 2


def test_one_node_on_the_cpu_is_seen_in_the_profile(tmp_path: Path) -> None:
    assert only(bench(tmp_path, f"{CUDA} partly"))[0] == "cpu"


@pytest.mark.parametrize("words", ["lies", "nan"])
def test_a_wrong_result_is_no_figure(tmp_path: Path, words: str) -> None:
    ran_on, measured, reason = only(bench(tmp_path, f"{CUDA} {words}"))
    assert (ran_on, measured, reason.startswith("wrong result: differs from numpy")) == ("cuda:0", False, True)


def test_tensorrt_has_its_own_figure_or_its_own_reason(tmp_path: Path) -> None:
    def told(words: str) -> list[tuple[str, bool, str]]:
        figures = bench(tmp_path, words).value["figures"]
        return [(figure["name"], figure["value"] > 0, figure["reason"]) for figure in figures]

    first = (f"graph {CUDA}", True, "")
    assert told(f"{CUDA} {TENSORRT}") == [first, (f"graph {TENSORRT}", True, "")]
    assert told(f"{CUDA} {TENSORRT} raises") == [first, (f"graph {TENSORRT}", False, "RuntimeError: no engine")]


def test_preloading_is_part_of_what_was_run(tmp_path: Path) -> None:
    assert "after preload_dlls()" in bench(tmp_path, CUDA, preload=True).value["model"]
    assert "preload" not in bench(tmp_path, CUDA).value["model"]


def test_batches_and_rounds_are_noted(tmp_path: Path) -> None:
    told = bench(tmp_path, "", "cpu", batches=[1, 4], reload=2).value
    assert [batch["size"] for batch in told["batches"]] == [1, 4]
    assert [(one["reason"], one["rss_bytes"] > 0) for one in told["reloads"]] == [("", True)] * 2


def test_a_round_with_a_wrong_result_is_the_last(tmp_path: Path) -> None:
    (only_round,) = bench(tmp_path, "lies", "cpu", reload=3).value["reloads"]
    assert "differs from numpy" in only_round["reason"]
