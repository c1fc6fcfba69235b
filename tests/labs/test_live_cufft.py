"""cuFFT's experiments with real torch: all pass on a healthy device, and a known fault gets its name.

The CPU stands in for the GPU. Its torch computes real numbers; what a healthy cuFFT refuses, and what an ill one does
besides, is put around it by tests/simulated/cufft_faults.py.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpu_doctor import doctor
from gpu_doctor.collect.questions.cufft import cufft_questions
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Probe
from gpu_doctor.probe.compiled import share_compiled
from gpu_doctor.probe.together import Asking
from tests.checks.judge import judge, only
from tests.kit import dist, gpu, inventory, probe, trial
from tests.labs.build import site_packages
from tests.simulated.cufft_faults import FAULTS, INTERNAL, question

pytestmark = pytest.mark.lab

Lab = Callable[[str], Path]

TORCH = dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128", requires=("nvidia-cufft-cu12==11.3.3.83",))
AMPERE = gpu("NVIDIA GeForce RTX 3080", (8, 6))
WELL = probe("torch-gpu", "GPU 0", "answered", trial("stft"), trial("istft"), trial("fft fp64"))
ILL = probe("torch-gpu", "GPU 0", "answered", trial("stft", "failed", f"RuntimeError: {INTERNAL}"))
DECIDING = ("fresh process", "float32 against float64", "many plans", "after loading and freeing", "nearly full memory")


def made(
    prefix: Path,
    origin: Probe,
    names: Sequence[str] = (),
    *,
    script: str = "cufft.py",
    device: str = "cpu",
    **more: Any,
) -> Inventory:
    """Make these experiments (or all that thorough asks) with the torch of a lab."""
    before = inventory(TORCH, gpus=(AMPERE,), probes=(origin,))
    environ = {**os.environ, **more.pop("environ", {})}
    questions = [q for q in cufft_questions(before, Facts.load(), True) if not names or q.subject[7:] in names]
    with (
        share_compiled(compile_anew=True) as compiled,
        Asking(
            str(prefix / "bin/python"),
            {**environ, **compiled.environ},
            workers=2,
            options=compiled.options,
            deadline=300.0,
        ) as asking,
    ):
        for item in questions:
            argument = {**item.argument, "device": device, **more}  # type: ignore[dict-item]
            # The CPU serves two at a time.
            asking.add((replace(item, argument=argument, script=script, needs=(), spoiled_by=(), uses=()),))
        probes = asking.results(lambda _words: None)
    assert {p.reason for p in probes if p.ending != "answered"} == set()
    return replace(before, probes=(origin, *probes))


def outcomes(after: Inventory) -> dict[str, set[str]]:
    assert isinstance(after.probes, tuple)
    return {p.subject[7:]: {t.outcome for t in p.trials} for p in after.probes if p.kind == "cufft"}


@pytest.mark.parametrize(("name", "version"), [("torch-2.8", "11.3.3.83"), ("torch212-t4", "12.0.0.61")])
def test_every_experiment_passes_on_a_cpu(lab: Lab, name: str, version: str) -> None:
    after = made(lab(name), WELL, version=version)
    assert judge("cufft-failure", after).status == "passed"
    seen = outcomes(after)
    assert seen.pop("sticky error") == {"skipped"}
    assert seen.pop("half precision, power of two") <= {"passed", "skipped"}
    assert seen.pop("half precision, other size") <= {"passed", "skipped"}
    assert seen.pop("library mapped") == {"passed"}
    assert set().union(*seen.values()) == {"passed"}


# Half a minute each; every fault is tried on a torch of our own in tests/collect/questions/test_cufft.py.
@pytest.mark.parametrize("fault", ["always", "many plans", "memory was full", "state"])
def test_a_known_fault_is_named(lab: Lab, tmp_path: Path, fault: str) -> None:
    script = question(tmp_path, fault, real=True)
    after = made(lab("torch-2.8"), ILL, DECIDING, script=script, device="cuda:0", version=None)
    assert only(judge("cufft-failure", after)).subject == f"GPU 0: {FAULTS[fault]}"


def test_a_library_in_front_of_torchs_own_is_seen(lab: Lab, tmp_path: Path) -> None:
    prefix = lab("torch-2.8")
    own = site_packages(prefix) / "nvidia/cufft/lib/libcufft.so.11"
    other = tmp_path / "libcufft.so.11"
    shutil.copy(own, other)
    after = made(prefix, WELL, ("library mapped",), path=str(own), environ={"LD_PRELOAD": str(other)})
    finding = only(judge("cufft-failure", after))
    assert (finding.severity, finding.subject) == ("warning", "GPU 0: other library")
    assert str(other) in finding.message
    healthy = made(prefix, WELL, ("library mapped",), path=str(own))
    assert judge("cufft-failure", healthy).findings == ()


def test_another_version_than_torch_was_built_with_is_seen(lab: Lab) -> None:
    after = made(lab("torch-2.8"), WELL, ("library mapped",), version="11.2.1.3")
    assert "cuFFT 11.3.3 is mapped, torch was built with 11.2.1.3" in only(judge("cufft-failure", after)).message


@pytest.mark.parametrize(("name", "cufft"), [("torch-2.8", "11.3.3.83"), ("torch212-t4", "12.0.0.61")])
def test_the_question_names_the_cufft_of_a_real_environment(lab: Lab, name: str, cufft: str) -> None:
    prefix = lab(name)
    target = doctor.choose(str(prefix / "bin/python"), None, dict(os.environ), str(prefix), [], None)
    # A rule of files alone: nothing of the lab is run.
    seen = doctor.examine(target, dict(os.environ), select=["library-path-shadows"]).cases[0].inventory
    ready = replace(seen, gpus=(AMPERE,), target=replace(seen.target, gpus=()), probes=(ILL,))
    argument: Any = cufft_questions(ready, Facts.load(), False)[0].argument
    assert argument["version"] == cufft
    assert Path(argument["path"]).is_file()
