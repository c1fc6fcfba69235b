"""What a provider needs, name by name: the loader's words for each, and the provider only where it is safe."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from gpu_doctor.model.probes import Probe
from gpu_doctor.probe.together import Asking, Question
from tests.simulated.onnx_models import ONNXRUNTIME


def tried(folder: Path, *needed: str) -> Probe:
    (folder / "onnxruntime.py").write_text(ONNXRUNTIME)
    provider = folder / "libonnxruntime_providers_cuda.so"
    provider.write_bytes(b"no library")
    argument = {"path": str(provider), "needed": needed, "after": [], "preload": False}
    environ = {**os.environ, "PYTHONPATH": str(folder)}
    with Asking(sys.executable, environ, workers=1, options=("-B",)) as asking:
        asking.add((Question("library", "onnxruntime-gpu: x", "ort_provider.py", argument, 60),))
        (probe,) = asking.results(lambda _words: None)
    return probe


def test_each_name_has_its_own_words(tmp_path: Path) -> None:
    probe = tried(tmp_path, "libc.so.6", "libnowhere.so.1", "libnowhere.so.2")
    ends = {trial.name: trial.outcome for trial in probe.trials}
    assert ends == {
        "libc.so.6": "passed", "libnowhere.so.1": "failed", "libnowhere.so.2": "failed",
        "libonnxruntime_providers_cuda.so": "failed",
    }  # fmt: skip
    assert probe.trials[1].detail.startswith("OSError: libnowhere.so.1: cannot open shared object file")


def test_a_provider_that_has_everything_is_left_to_the_session(tmp_path: Path) -> None:
    """Some releases crash where they are opened without ONNX Runtime around them."""
    probe = tried(tmp_path, "libc.so.6")
    assert (probe.ending, [trial.outcome for trial in probe.trials]) == ("answered", ["passed", "skipped"])
