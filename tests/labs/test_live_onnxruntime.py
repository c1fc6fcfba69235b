"""Real ONNX Runtime packages on a machine without GPU: what their sessions prove, what they clear."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gpu_doctor import doctor
from gpu_doctor.model.case import Case
from gpu_doctor.model.finding import Finding
from gpu_doctor.model.probes import Probe
from tests.labs.recipes import RECIPES

pytestmark = pytest.mark.lab

Lab = Callable[[str], Path]
RULES = ("ort-provider-unloadable", "ort-packages-clash", "silent-cpu-fallback")


@pytest.fixture(scope="module")
def examined(lab: Lab) -> Callable[..., Case]:
    """Examine a lab live, without the hardware that its recipe assumes, once for each set of variables."""
    seen: dict[tuple[str, tuple[tuple[str, str], ...]], Case] = {}

    def examine(name: str, **variables: str) -> Case:
        key = name, tuple(variables.items())
        if key not in seen:
            prefix = lab(name)
            unwanted = ("LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONPATH", "CUDA_VISIBLE_DEVICES")
            environ = {k: v for k, v in os.environ.items() if k not in unwanted}
            environ.update(RECIPES[name].environment(prefix))
            environ.update(variables)
            target = doctor.choose(str(prefix / "bin/python"), None, environ, str(prefix))
            seen[key] = doctor.examine(target, environ, select=RULES).cases[0]
        if seen[key].inventory.gpus != ():
            pytest.skip("this machine has a GPU, or may have one")
        return seen[key]

    return examine


def finding(case: Case, rule: str) -> Finding:
    (found,) = [item for item in case.findings if item.rule == rule]
    return found


def sessions(case: Case, provider: str = "CUDAExecutionProvider") -> dict[tuple[str, ...], Probe]:
    assert isinstance(case.inventory.probes, tuple)
    return {p.after: p for p in case.inventory.probes if (p.kind, p.subject) == ("ort-session", provider)}


def said(found: Finding) -> str:
    return "\n".join(f"{row.what}: {row.value}" for row in found.evidence)


@pytest.mark.parametrize("name", ["ort-gpu-alone", "gpu-code", "healthy-whisper", "ort-clash"])
def test_the_cpu_session_of_every_release_computes(examined: Callable[..., Case], name: str) -> None:
    (probe,) = sessions(examined(name), "CPUExecutionProvider").values()
    assert [trial.outcome for trial in probe.trials] == ["passed"] * 5
    assert [trial.name for trial in probe.trials][-2:] == ["run", "convolution"]


def test_a_provider_alone_lacks_every_library_and_that_is_proven(examined: Callable[..., Case]) -> None:
    found = finding(examined("ort-gpu-alone"), "ort-provider-unloadable")
    assert found.severity == "error"
    assert "which are not installed" in found.message
    assert "its library does not load: libcublasLt.so.12: cannot open shared object file" in said(found)


def test_torch_first_is_not_enough_for_an_old_release(examined: Callable[..., Case]) -> None:
    found = finding(examined("gpu-code"), "ort-provider-unloadable")
    assert found.severity == "error"
    assert "after import torch: its library does not load: libcudnn_adv.so.9" in said(found)


def test_the_remedy_clears_it(examined: Callable[..., Case]) -> None:
    found = finding(examined("gpu-code"), "ort-provider-unloadable")
    assert found.remedy is not None
    (step,) = found.remedy.steps
    healed = examined("gpu-code", LD_LIBRARY_PATH=getattr(step, "value", ""))
    (left,) = healed.findings
    assert (left.severity, "where it sees no GPU" in left.message) == ("warning", True)
    # Releases before 1.23 crash once ld.so has found everything and no GPU is there; every name was found.
    assert isinstance(healed.inventory.probes, tuple)
    names = [p for p in healed.inventory.probes if p.kind == "library"]
    assert {trial.outcome for probe in names for trial in probe.trials} == {"passed", "skipped"}
    assert [probe.ending for probe in sessions(healed).values()] == ["crashed", "crashed"]


def test_a_release_that_crashes_without_a_gpu_found_its_libraries(examined: Callable[..., Case]) -> None:
    """onnxruntime-gpu 1.22.0 does not fall back to the CPU: its CUDA library crashes as it starts."""
    case = examined("healthy-whisper")
    assert {after: probe.ending for after, probe in sessions(case).items()} == {
        (): "answered",
        ("torch",): "crashed",
        ("onnxruntime.preload_dlls()",): "crashed",
    }
    found = finding(case, "ort-provider-unloadable")
    assert (found.severity, "where it sees no GPU" in found.message) == ("warning", True)


def test_a_package_that_was_written_over_does_not_list_cuda(examined: Callable[..., Case]) -> None:
    found = finding(examined("ort-clash"), "ort-packages-clash")
    assert found.severity == "error"
    assert "providers that it lists: AzureExecutionProvider, CPUExecutionProvider" in said(found)


def test_a_gutted_package_is_asked_and_nothing_else_is_said_of_it(examined: Callable[..., Case]) -> None:
    case = examined("gutted-onnxruntime")
    assert [(f.rule, f.severity) for f in case.findings if f.severity == "error"] == [("ort-packages-clash", "error")]


def test_without_a_gpu_no_fallback_is_claimed(examined: Callable[..., Case]) -> None:
    (run,) = [run for run in examined("gpu-code").runs if run.rule == "silent-cpu-fallback"]
    assert (run.status, run.note) == ("skipped", "no GPU visible")


def test_the_line_that_repeats_a_session_runs(examined: Callable[..., Case]) -> None:
    probe = sessions(examined("ort-gpu-alone"))[()]
    run = subprocess.run(shlex.split(probe.again), capture_output=True, text=True, check=False, timeout=120)
    assert run.stdout.strip() == "['CPUExecutionProvider']", run.stderr
    assert "libcublasLt.so.12: cannot open shared object file" in run.stderr
