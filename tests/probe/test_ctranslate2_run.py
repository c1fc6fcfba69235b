"""The CTranslate2 question, put to a stand-in with results of our choice: what each of them says.

That a real CTranslate2 answers it is shown by tests/labs/test_live_imports.py.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from gpu_doctor.model.probes import Probe
from gpu_doctor.probe.together import Asking, Question

NUMPY = """
class Anything:
    def __getattr__(self, name): return Anything()
    def __call__(self, *arguments, **named): return self
    def __mul__(self, other): return self
    def __iter__(self): return iter(())
def __getattr__(name): return Anything()
class array:
    def __init__(self, values): self.ravel = lambda: values
"""
CTRANSLATE2 = """
import os
from types import SimpleNamespace
import numpy
__version__ = "4.6.1"
specs = StorageView = numpy.Anything()
case = os.environ["CASE"]
RIGHT = [-1.0, -2.0, -3.0, -4.0, -5.0, -6.0, -7.0]
def get_cuda_device_count(): return 0 if case == "no gpu" else 1
def get_supported_compute_types(device, index):
    if case == "driver": raise RuntimeError("CUDA driver version is insufficient")
    return {"float32", "float16"} if device == "cuda" else {"float32", "int8"}
class Generator:
    def __init__(self, path, device, device_index, compute_type): self.on = device, compute_type
    def score_batch(self, batch):
        found = list(RIGHT)
        if self.on[0] == "cuda" and case == "off": found[2] = -3.5
        if self.on[0] == "cuda" and case == "nan": found[2] = float("nan")
        if self.on == ("cuda", "float16") and case == "half": found[2] = -3.01
        if case == "short": found = found[:3]
        return [SimpleNamespace(log_probs=found)]
class Whisper:
    def __init__(self, path, device, device_index, compute_type): self.on = device
    def encode(self, features, to_cpu):
        if case == "abort" and self.on == "cuda": os.abort()
        return [0.0] * 2048 if case == "zeros" else [float(n) for n in range(2048)]
models = SimpleNamespace(Whisper=Whisper)
"""


def run(folder: Path, case: str, device: str = "cuda") -> Probe:
    for name, text in (("numpy", NUMPY), ("ctranslate2", CTRANSLATE2)):
        (folder / f"{name}.py").write_text(text)
    environ = {**os.environ, "PYTHONPATH": str(folder), "CASE": case}
    argument = {"device": device, "index": 0}
    with Asking(sys.executable, environ, workers=1, options=("-B",)) as asking:
        asking.add((Question("ctranslate2", "GPU 0", "ctranslate2_run.py", argument, 60),))
        (probe,) = asking.results(lambda _words: None)
    return probe


def outcomes(probe: Probe, *outcomes: str) -> dict[str, str]:
    """Return the details of the experiments that ended so, by name."""
    return {trial.name: trial.detail for trial in probe.trials if trial.outcome in outcomes}


def test_a_gpu_that_agrees_with_the_cpu(tmp_path: Path) -> None:
    probe = run(tmp_path, "well")
    assert (probe.ending, probe.value("version"), probe.value("devices")) == ("answered", "4.6.1", "1")
    assert list(outcomes(probe, "passed")) == [
        *("device count", "compute types", "model", "run cpu float32", "run cuda float32", "run cuda float16"),
        "convolution cuda float32",
    ]
    assert outcomes(probe, "wrong", "failed", "died") == {}
    compared = probe.trial("run cuda float32")
    assert compared is not None
    assert compared.value("relative error") == "0.0e+00"


def test_a_type_that_the_device_has_not_is_skipped(tmp_path: Path) -> None:
    assert outcomes(run(tmp_path, "well"), "skipped")["run cuda bfloat16"] == "not supported here"


def test_the_cpu_is_not_compared_with_itself(tmp_path: Path) -> None:
    names = outcomes(run(tmp_path, "well", "cpu"), "passed")
    assert [name for name in names if name.startswith("run ")] == ["run cpu float32", "run cpu int8"]


def test_another_result_is_wrong_in_every_format(tmp_path: Path) -> None:
    wrong = outcomes(run(tmp_path, "off"), "wrong")
    assert set(wrong) == {"run cuda float32", "run cuda float16"}
    assert wrong["run cuda float32"] == "differs from the CPU by 7.1e-02, more than 2e-03"


def test_half_precision_may_differ_a_little(tmp_path: Path) -> None:
    assert outcomes(run(tmp_path, "half"), "wrong") == {}


def test_what_is_not_a_number_is_wrong(tmp_path: Path) -> None:
    assert outcomes(run(tmp_path, "nan"), "wrong")["run cuda float32"] == "not a number, or infinite, among the values"


def test_nothing_is_compared_with_a_cpu_that_is_wrong_itself(tmp_path: Path) -> None:
    probe = run(tmp_path, "short")
    assert outcomes(probe, "wrong") == {"run cpu float32": "3 values instead of 7"}
    assert probe.trial("run cuda float32") is None


def test_equal_values_everywhere_are_no_result(tmp_path: Path) -> None:
    assert outcomes(run(tmp_path, "zeros"), "wrong") == {"convolution cuda float32": "all values are 0.0"}


def test_no_gpu_counted_ends_the_experiments(tmp_path: Path) -> None:
    probe = run(tmp_path, "no gpu")
    assert outcomes(probe, "wrong") == {"device count": "ctranslate2 counts no GPU"}
    assert len(probe.trials) == 1


def test_an_error_of_the_driver_is_kept_in_its_words(tmp_path: Path) -> None:
    failed = outcomes(run(tmp_path, "driver"), "failed")
    assert failed == {"compute types": "RuntimeError: CUDA driver version is insufficient"}


def test_a_death_in_the_convolution_leaves_what_was_known_before(tmp_path: Path) -> None:
    """What a cuDNN loader without its parts does."""
    probe = run(tmp_path, "abort")
    assert probe.ending == "crashed"
    assert set(outcomes(probe, "died")) == {"convolution cuda float32"}
    assert "run cuda float16" in outcomes(probe, "passed")
