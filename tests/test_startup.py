"""`from gpu_doctor import advise`: cheap, without any framework, and never a reason not to start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import gpu_doctor
from gpu_doctor import doctor, startup
from gpu_doctor.model.target import Target
from tests.advice.kit import CT2, TORCH, advised

ROOT = Path(__file__).resolve().parents[1]
FRAMEWORKS = ("torch", "ctranslate2", "onnxruntime", "pynvml", "typer")


def program(source: str, **environ: str) -> str:
    """Run a program that has gpu-doctor on its path; return what it prints."""
    command = [sys.executable, "-c", source]
    ended = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environ}, capture_output=True, text=True, timeout=120, check=True
    )
    assert ended.stderr == ""
    return ended.stdout


def test_an_application_without_a_gpu_gets_the_cpu_and_a_reason() -> None:
    source = (
        "import sys; from gpu_doctor import advise\n"
        "advice = advise('whisper')\n"
        "print(advice.device, advice.dtype, bool(advice.why), advice.kwargs('whisper'))\n"
        f"print([name for name in {FRAMEWORKS!r} if name in sys.modules])\n"
    )
    first, loaded = program(source, CUDA_VISIBLE_DEVICES="").splitlines()
    assert first == "cpu int8 True {'device': 'cpu', 'device_index': 0, 'compute_type': 'int8'}"
    assert loaded == "[]"


def test_the_package_itself_imports_nothing_of_it() -> None:
    source = "import sys, gpu_doctor\nprint([name for name in sys.modules if name.startswith('gpu_doctor.')])"
    assert program(source) == "[]\n"


def test_other_names_are_not_there() -> None:
    assert gpu_doctor.advise is startup.advise
    with pytest.raises(AttributeError, match="has no attribute 'advice_for'"):
        gpu_doctor.advice_for  # type: ignore[attr-defined]  # noqa: B018


def test_the_running_interpreter_is_judged_for_the_gpu_that_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def advise_for(target: Target, environ: Any, **options: Any) -> Any:
        asked.append((target.python, target.gpus, options))
        return None, advised(TORCH, CT2)

    monkeypatch.setattr(doctor, "advise_for", advise_for)
    assert startup.advise("diffusers", gpu="RTX 4090").device == "cuda:0"
    assert asked == [(sys.executable, ("RTX 4090",), {"framework": "torch"})]


@pytest.mark.parametrize("trouble", [OSError("disk"), RecursionError("deep"), MemoryError(), KeyError("x")])
def test_whatever_fails_ends_in_an_advice_for_the_cpu(monkeypatch: pytest.MonkeyPatch, trouble: Exception) -> None:
    def advise_for(*_: Any, **__: Any) -> Any:
        raise trouble

    monkeypatch.setattr(doctor, "advise_for", advise_for)
    advice = startup.advise("whisper")
    assert (advice.device, advice.dtype) == ("cpu", "int8")
    assert advice.why.startswith(f"the doctor failed: {type(trouble).__name__}")
    assert advice.kwargs("onnx") == {"providers": ["CPUExecutionProvider"]}
    assert advice.batch_size("tiny") == 1


def test_an_unknown_gpu_ends_in_an_advice_too() -> None:
    advice = startup.advise(gpu="Voodoo 2")
    assert advice.device == "cpu"
    assert "Voodoo 2" in advice.why


def test_a_misspelt_framework_is_the_programs_own_mistake() -> None:
    with pytest.raises(ValueError, match="no advice for 'torhc': one of torch"):
        startup.advise("torhc")
