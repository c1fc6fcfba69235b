"""The question which GPUs a framework sees, put to stand-ins of each."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from gpu_doctor.model.probes import Probe
from gpu_doctor.probe.together import Asking, Question

TORCH = """
import warnings
__version__ = "2.8.0"
class version: cuda = {cuda!r}
class cuda:
    is_available = staticmethod(lambda: {count} > 0 or bool(warnings.warn("CUDA initialization: why")))
    device_count = staticmethod(lambda: {count})
    get_device_name = staticmethod(lambda number: "GPU number %d" % number)
    @staticmethod
    def init():
        raise RuntimeError("No CUDA GPUs are available")
"""
JAX = """
class Device:
    def __init__(self, platform): self.platform = platform
    def __str__(self): return self.platform + ":0"
def devices(kind=None):
    if kind == "gpu":
        raise RuntimeError("Unknown backend gpu")
    return [Device({platform!r})]
"""
TENSORFLOW = """
class config:
    @staticmethod
    def list_physical_devices(kind):
        assert kind == "GPU"
        print("Cannot dlopen some GPU libraries")
        return []
class test:
    is_built_with_cuda = staticmethod(lambda: True)
"""
CUPY = """
class runtime:
    @staticmethod
    def getDeviceCount():
        raise RuntimeError("cudaErrorNoDevice")
class cuda:
    runtime = runtime
"""
CTRANSLATE2 = """
def get_cuda_device_count(): return {count}
def get_supported_compute_types(device): return {{"float32"}}
"""


def looked(folder: Path, module: str, code: str) -> Probe:
    (folder / f"{module}.py").write_text(code)
    environ = {**os.environ, "PYTHONPATH": str(folder)}
    with Asking(sys.executable, environ, workers=1, options=("-B",)) as asking:
        asking.add((Question("devices", module, "devices.py", {"module": module}, 60),))
        (probe,) = asking.results(lambda _words: None)
    assert probe.ending == "answered", probe.reason
    return probe


def ends(probe: Probe) -> dict[str, tuple[str, str]]:
    return {trial.name: (trial.outcome, trial.detail) for trial in probe.trials}


def test_torch_names_its_gpus(tmp_path: Path) -> None:
    probe = looked(tmp_path, "torch", TORCH.format(cuda="12.8", count=2))
    assert ends(probe) == {"devices": ("passed", "")}
    assert probe.trials[0].value("names") == "GPU number 0, GPU number 1"
    assert (probe.value("version"), probe.value("built for cuda")) == ("2.8.0", "12.8")


def test_a_torch_that_sees_none_is_asked_for_the_reason(tmp_path: Path) -> None:
    probe = looked(tmp_path, "torch", TORCH.format(cuda=None, count=0))
    assert ends(probe) == {
        "devices": ("wrong", "no GPU"),
        "reason": ("failed", "RuntimeError: No CUDA GPUs are available"),
    }
    assert probe.value("built for cuda") == "no"
    assert "CUDA initialization: why" in probe.log


def test_jax_on_the_cpu_is_asked_for_the_reason(tmp_path: Path) -> None:
    assert ends(looked(tmp_path, "jax", JAX.format(platform="cpu")))["reason"] == (
        "failed",
        "RuntimeError: Unknown backend gpu",
    )


def test_jax_on_a_gpu(tmp_path: Path) -> None:
    assert looked(tmp_path, "jax", JAX.format(platform="gpu")).trials[0].value("names") == "gpu:0"


def test_tensorflow_says_why_in_its_log(tmp_path: Path) -> None:
    probe = looked(tmp_path, "tensorflow", TENSORFLOW)
    assert ends(probe) == {"devices": ("wrong", "no GPU")}
    assert "Cannot dlopen" in probe.log
    assert probe.value("built for cuda") == "yes"


def test_cupy_raises_where_it_sees_none(tmp_path: Path) -> None:
    assert ends(looked(tmp_path, "cupy", CUPY)) == {"devices": ("failed", "RuntimeError: cudaErrorNoDevice")}


@pytest.mark.parametrize(("count", "outcome"), [(0, "wrong"), (1, "passed")])
def test_ctranslate2_counts(tmp_path: Path, count: int, outcome: str) -> None:
    assert ends(looked(tmp_path, "ctranslate2", CTRANSLATE2.format(count=count)))["devices"][0] == outcome
