"""Run a generated graph of convolutions and a product in ONNX Runtime; Python 3.8, onnxruntime and its numpy only.

Argument: the wish of `_workload.py`. On a GPU each of NVIDIA's providers that is listed has a session of its own.
Answer: that of `Work`, with {"figures": one for each provider, "ran_on": where the profile says that the nodes ran,
"model": what was run, in words, "dtype"}. A session that fell back to the CPU is run all the same, as it is in a
program that does not look: `ran_on` is then `cpu`, and its figure has the value 0.0 and the reason.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import statistics
import sys
import tempfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CUDA, _TENSORRT, _CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"
# Images at once, channels, side of an image, convolutions.
_ON_GPU, _ON_CPU = (8, 64, 128, 8), (1, 32, 64, 4)
# Relative to the largest value; on a GPU ONNX Runtime computes in TF32, of 10 bits, unless it is told not to.
_BEARABLE = {_CPU: 1e-4, _CUDA: 2e-2, _TENSORRT: 2e-2}
_RUNS = 3


def answer(argument: dict[str, Any], notes: Any) -> dict[str, Any]:
    """Run the graph on each provider that serves the device."""
    work = _beside("_workload.py")["Work"](argument, notes)
    # ONNX Runtime prints why a provider is left out; its words and Python's then stand in the log as they were said.
    with contextlib.redirect_stdout(sys.stderr):
        bench = _Bench(work, _beside("_onnx_graph.py")["Graph"])
        _measure(work, bench, work.load(bench.load))
        if argument["reload"]:
            work.reload(bench.open, bench.prove)
    return dict(work.finish(dtype="float32"))


def _measure(work: Any, bench: _Bench, session: Any) -> None:
    """Run everything that needs one session."""
    work.repeat(lambda: bench.run(session, bench.count))
    work.answer["ran_on"] = bench.ran_on(session)
    bench.judge(session, lambda: statistics.median(work.answer["runs"]))
    for name in bench.further():
        bench.try_further(name)
    if len(work.wish["batches"]) > 1:
        work.sweep(lambda size: bench.run(session, size))


def _beside(name: str) -> dict[str, Any]:
    return runpy.run_path(os.path.join(os.path.dirname(os.path.abspath(__file__)), name))


class _Bench:
    """Open sessions of one graph, run them, and say whether they are right and where they ran."""

    def __init__(self, work: Any, graph: Any) -> None:
        self.work = work
        self.count, self._channels, self._side, self._layers = _ON_GPU if work.on_gpu else _ON_CPU
        self._make_graph = graph
        self._provider = _CUDA if work.on_gpu else _CPU
        self._onnxruntime = None  # type: Any
        self._graph = None  # type: Any
        self._images = {}  # type: dict[int, Any]
        self._expected = None  # type: Any

    def load(self) -> Any:
        """Import and generate what is needed, and open the session of the device's provider."""
        numpy = importlib.import_module("numpy")
        self._onnxruntime = importlib.import_module("onnxruntime")
        words = f"{self._layers} convolutions 3×3 of {self._channels} channels with ReLU and a product, "
        words += f"on {self.count} images of {self._side}×{self._side}"
        if self.work.on_gpu and hasattr(self._onnxruntime, "preload_dlls"):
            self._onnxruntime.preload_dlls()
            words += ", after preload_dlls()"
        self.work.answer["model"] = words
        self.work.versions("onnxruntime", "onnxruntime-gpu", "numpy", "tensorrt")
        self._graph = self._make_graph(numpy, self._channels, self._side, self._layers, int(self.work.wish["seed"]))
        return self.open()

    def open(self, provider: str = "", profile: str = "") -> Any:
        """Open a session as most programs do; `profile` is what its profile's path begins with."""
        options = self._onnxruntime.SessionOptions()
        if profile:
            options.enable_profiling, options.profile_file_prefix = True, profile
        name = provider or self._provider
        asked = name if name == _CPU else (name, {"device_id": str(self.work.index)})
        return self._onnxruntime.InferenceSession(self._graph.model, options, providers=[asked])

    def run(self, session: Any, count: int) -> int:
        """Run so many images and return how many."""
        if count not in self._images:
            self._images = {count: self._graph.images(count)}
        session.run(None, {"images": self._images[count]})
        return count

    def prove(self, session: Any) -> None:
        """Compare one image with what numpy computes; raise where that is something else."""
        image = self._images.setdefault(1, self._graph.images(1))
        if self._expected is None:
            self._expected = self._graph.expected(image), image
        wanted, image = self._expected
        (found,) = session.run(None, {"images": image})
        if found.shape != wanted.shape:
            raise self.work.notes.Wrong(f"the shape is {found.shape} instead of {wanted.shape}")
        error = float(abs(found - wanted).max() / abs(wanted).max())
        allowed = _BEARABLE[session.get_providers()[0]]
        if not error <= allowed:  # NaN is not either
            raise self.work.notes.Wrong(f"differs from numpy by {error:.1e}, at most {allowed:.0e} is rounding")

    def judge(self, session: Any, seconds: Any, provider: str = "") -> None:
        """Note the figure of one provider, or why there is none."""
        name, reason, value = provider or self._provider, "", 0.0
        self.work.stage(f"checking {name}", 0.9)
        try:
            reason = self._fallen(session, name)
            if not reason:
                self.prove(session)
                value = self._graph.operations * self.count / seconds() / 1e12
        except self.work.notes.Wrong as error:
            reason = f"wrong result: {error}"
        except Exception as error:
            reason = self.work.refusal(error)
        self._note(name, value, reason)

    def further(self) -> list[str]:
        """Return the other providers that serve this device."""
        listed = self._onnxruntime.get_available_providers()
        return [_TENSORRT] if self.work.on_gpu and _TENSORRT in listed else []

    def try_further(self, name: str) -> None:
        """Open and run a session of another provider; note its figure."""
        self.work.stage(f"opening {name}", 0.9)
        try:
            session = self.open(name)
            if not self._fallen(session, name):
                self.run(session, self.count)
        except Exception as error:
            self._note(name, 0.0, self.work.refusal(error))
            return
        self.judge(session, lambda: self._median(session), name)

    def ran_on(self, session: Any) -> str:
        """Return the device of all nodes, `cpu` where one of them ran there."""
        if not self.work.on_gpu or self._fallen(session, self._provider):
            return "cpu"
        with tempfile.TemporaryDirectory() as folder:
            profiled = self.open(profile=os.path.join(folder, "profile"))
            self.run(profiled, self.count)
            used = _providers_in(profiled.end_profiling())
        return "cpu" if _CPU in used else str(self.work.device)

    def _fallen(self, session: Any, name: str) -> str:
        """Return how a session came to be without its provider, or nothing."""
        if name in session.get_providers():
            return ""
        if name not in self._onnxruntime.get_available_providers():
            return f"this onnxruntime has no {name}"
        return f"fell back to {', '.join(session.get_providers())}"

    def _median(self, session: Any) -> float:
        return float(statistics.median(self.work.timed(self.run, session, self.count)[1] for _ in range(_RUNS)))

    def _note(self, name: str, value: float, reason: str) -> None:
        figure = {"name": f"graph {name}", "value": value, "unit": "TFLOP/s", "kind": "", "reason": reason}
        self.work.answer.setdefault("figures", []).append(figure)
        self.work.keep()


def _providers_in(path: str) -> set[str]:
    """Return which providers computed nodes, as ONNX Runtime's profile says."""
    with open(path, encoding="utf-8") as file:
        events = json.load(file)
    nodes = (event.get("args", {}) for event in events if event.get("cat") == "Node")
    return {str(node["provider"]) for node in nodes if node.get("provider")}
