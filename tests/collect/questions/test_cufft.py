"""Whether cuFFT's experiments are asked for, in which order, and what they say of a GPU that is ill in a known way."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpu_doctor.collect.questions.cufft import cufft_questions
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Probe
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.probe.together import Asking, Question
from tests.checks.judge import judge, only
from tests.kit import SITE, dist, gpu, inventory, lib, probe, trial
from tests.simulated.cufft_faults import FAULTS, INTERNAL, question

FACTS = Facts.load()
TORCH = dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128", requires=("nvidia-cufft-cu12==11.3.3.83",))
AMPERE = gpu("NVIDIA GeForce RTX 3080", (8, 6))
WELL = probe("torch-gpu", "GPU 0", "answered", trial("stft"), trial("istft"), trial("fft fp64"))
ILL = probe("torch-gpu", "GPU 0", "answered", trial("stft", "failed", f"RuntimeError: {INTERNAL}"), trial("istft"))
EXPERIMENTS = 11


def seen(*probes: Probe, **changes: Any) -> Inventory:
    return inventory(TORCH, probes=probes, **{"gpus": (AMPERE,), **changes})


def asked(seen: Inventory, thorough: bool = False) -> tuple[Question, ...]:
    return cufft_questions(seen, FACTS, thorough)


# --- What is asked ----------------------------------------------------------------------------------------------------


def test_a_gpu_whose_transforms_work_is_left_alone() -> None:
    assert asked(seen(WELL)) == ()


@pytest.mark.parametrize("name", ["stft", "istft", "fft fp64"])
@pytest.mark.parametrize("outcome", ["failed", "wrong", "died"])
def test_a_transform_that_went_wrong_is_worth_every_experiment(name: str, outcome: Any) -> None:
    questions = asked(seen(probe("torch-gpu", "GPU 0", "answered", trial(name, outcome))))
    assert len(questions) == EXPERIMENTS
    assert {q.kind for q in questions} == {"cufft"}
    assert all(q.needs == ("import torch",) and not q.skip for q in questions)


def test_another_trial_that_failed_is_not() -> None:
    assert asked(seen(probe("torch-gpu", "GPU 0", "answered", trial("linalg svd", "failed")))) == ()


def test_thorough_asks_one_gpu_that_is_well_and_provokes_an_error() -> None:
    second = replace(WELL, subject="GPU 1")
    subjects = [q.subject for q in asked(seen(WELL, second, gpus=(AMPERE, AMPERE)), thorough=True)]
    assert len(subjects) == EXPERIMENTS + 1
    assert "GPU 0: sticky error" in subjects
    assert not any(subject.startswith("GPU 1") for subject in subjects)


def test_experiments_on_one_gpu_follow_one_another() -> None:
    questions = asked(seen(ILL, replace(ILL, subject="GPU 1"), gpus=(AMPERE, AMPERE)))
    assert {q.subject.partition(":")[0]: q.uses for q in questions} == {"GPU 0": ("GPU 0",), "GPU 1": ("GPU 1",)}
    devices = {q.argument["device"] for q in questions if isinstance(q.argument, dict)}
    assert devices == {"cuda:0", "cuda:1"}


def test_each_can_be_seen_again_by_hand() -> None:
    for item in asked(seen(ILL), thorough=True):
        code = item.again.partition(" -c ")[2]
        assert "import torch; d =" in code
        compile(code.strip("'").replace("'\"'\"'", "'"), item.subject, "exec")


def test_the_cufft_that_belongs_to_torch_is_named() -> None:
    own = lib("nvidia/cufft/lib/libcufft.so.11", "nvidia-cufft-cu12")
    other = lib("nvidia/cufft/lib/libcufftw.so.11", "nvidia-cufft-cu12")
    argument: Any = asked(seen(ILL, libraries=(own, other)))[0].argument
    assert argument["path"] == f"{SITE}/nvidia/cufft/lib/libcufft.so.11"
    assert argument["version"] == "11.3.3.83"


def test_since_2_11_the_facts_know_what_torch_pins() -> None:
    torch = dist("torch", "2.12.0", cuda="13.0", built="2.12.0+cu130", requires=("cuda-toolkit[cufft]==13.0.2",))
    argument: Any = cufft_questions(inventory(torch, probes=(ILL,)), FACTS, False)[0].argument
    assert (argument["path"], argument["version"]) == (None, "12.0.0.61")


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize(
    "reason", ["no GPU visible", "the hardware is assumed, not this machine's", "import torch failed"]
)
def test_without_a_gpu_it_is_said_once(reason: str, thorough: bool) -> None:
    (only_one,) = asked(seen(probe("torch-gpu", "GPU 0", "skipped", reason=reason), gpus=()), thorough)
    assert (only_one.name.strip(), only_one.skip) == ("cufft", reason)


def test_without_torch_nothing_is_asked() -> None:
    assert cufft_questions(inventory(probes=()), FACTS, True) == ()


def test_where_nobody_was_asked_nobody_is() -> None:
    assert cufft_questions(inventory(TORCH), FACTS, True) == ()


# --- What a known fault is called -------------------------------------------------------------------------------------


def triage(folder: Path, fault: str, first: Probe, thorough: bool = False) -> Inventory:
    """Make every experiment on a GPU with this fault, in real children."""
    script = question(folder, fault)
    before = seen(first)
    with Asking(sys.executable, {}, workers=4, options=("-I", "-S")) as asking:
        # They share no GPU here, so none has to wait for another.
        asking.add(replace(q, script=script, needs=(), spoiled_by=()) for q in asked(before, thorough))
        probes = asking.results(lambda _words: None)
    assert {p.reason for p in probes if p.ending != "answered"} == set()
    return replace(before, probes=(first, *probes))


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_each_fault_is_named(tmp_path: Path, fault: str) -> None:
    finding = only(judge("cufft-failure", triage(tmp_path, fault, ILL)))
    assert finding.subject == f"GPU 0: {FAULTS[fault]}"
    assert finding.remedy is not None


@pytest.mark.parametrize(("fault", "name"), [("half", "half precision"), ("input", "input")])
def test_what_is_ill_besides_is_named(tmp_path: Path, fault: str, name: str) -> None:
    finding = only(judge("cufft-failure", triage(tmp_path, fault, WELL, thorough=True)))
    assert (finding.severity, finding.subject) == ("warning", f"GPU 0: {name}")


def test_a_healthy_gpu_passes_every_experiment(tmp_path: Path) -> None:
    after = triage(tmp_path, "nothing", WELL, thorough=True)
    assert judge("cufft-failure", after).status == "passed"
    assert not isinstance(after.probes, Unknown)
    trials = {(p.subject, t.name): t for p in after.probes if p.kind == "cufft" for t in p.trials}
    assert {t.outcome for t in trials.values()} <= {"passed", "skipped"}
    assert trials["GPU 0: batch zero", "rfft"].value("ended") == "cuFFT error: CUFFT_INVALID_SIZE"
    assert trials["GPU 0: nearly full memory", "memory nearly full"].value("while it is held") == INTERNAL
    assert "device-side assert" in (
        trials["GPU 0: sticky error", "a transform after a failed kernel"].value("ended") or ""
    )
    assert "powers of two" in (trials["GPU 0: half precision, other size", "half"].value("ended") or "")
