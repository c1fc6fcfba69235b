"""The doctor names what is wrong with each sick lab, in one primary finding, and raises no error on its healthy twin."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from gpu_doctor import between, doctor
from gpu_doctor.model import plain
from gpu_doctor.model.case import Case
from gpu_doctor.model.hardware import Variable
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.report import redact
from gpu_doctor.report.redact import Private
from tests.labs.recipes import HEALTHY, RECIPES, SICK

pytestmark = pytest.mark.lab

Lab = Callable[[str], Path]

# Lab → the rule of the primary finding, and a pattern that its words or evidence contain.
NAMED = {
    "whisperx-cudnn": ("cudnn-unreachable", r"libcudnn_(graph|ops)"),
    "whisperx-ort": ("ort-packages-clash", r"onnxruntime-gpu"),
    "ort-clash": ("ort-packages-clash", r"CUDA provider .* is lost"),
    "gutted-onnxruntime": ("ort-packages-clash", r"lost \d+ of its files"),
    "folk-fixed": ("cudnn-unreachable", r"its folder is not searched"),
    "torch26-5090": ("kernel-image-missing", r"sm_120"),
    "torch212-t4": ("kernel-image-missing", r"libtorch_cuda_linalg\.so"),
    "torch-driver525": ("driver-too-old", r"525\.60\.13"),
    "cuda13-ct2": ("cuda-majors-mixed", r"libcublas\.so\.12"),
    "nvjitlink": ("package-version-conflict", r"nvidia-nvjitlink-cu12==12\.8\.93"),
    "shadowed-cudnn": ("library-path-shadows", r"libcudnn_graph\.so\.9"),
    "cudnn-overwritten": ("packages-overwrite", r"nvidia-cudnn-cu12 and nvidia-cudnn-cu13"),
    "truncated": ("package-files-damaged", r"libcudnn_ops\.so\.9"),
}


def examined(lab: Lab, name: str, *, static: bool = False) -> Case:
    recipe, prefix = RECIPES[name], lab(name)
    given = list(recipe.arguments)
    gpus = [given[i + 1] for i, word in enumerate(given) if word == "--gpu"]
    drivers = [given[i + 1] for i, word in enumerate(given) if word == "--driver"]
    seen = looked_at(prefix, tuple(sorted(recipe.environment(prefix).items())), static)
    return doctor.judge([doctor.assume(seen, gpus, next(iter(drivers), None))]).cases[0]


@cache  # a lab stays as it is, a look at it takes up to half a minute, and several are judged for several GPUs
def looked_at(prefix: Path, variables: tuple[tuple[str, str], ...], static: bool) -> Inventory:
    inherited = {k: v for k, v in os.environ.items() if k not in ("LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONPATH")}
    environ = {**inherited, **dict(variables)}
    target = doctor.choose(str(prefix / "bin/python"), None, environ, str(prefix))
    return doctor.take_inventory(target, environ, doctor.Asking(static=static))


def words(case: Case, rule: str) -> str:
    findings = [f for f in case.findings if f.rule == rule and f.severity in ("error", "warning")]
    return "\n".join([f.message for f in findings] + [f"{e.what} {e.value}" for f in findings for e in f.evidence])


def test_every_sick_lab_is_expected_here() -> None:
    assert set(NAMED) == set(SICK)


@pytest.mark.parametrize("name", sorted(NAMED))
def test_illness_is_named(lab: Lab, name: str) -> None:
    case, (rule, pattern) = examined(lab, name), NAMED[name]
    assert re.search(pattern, words(case, rule)), [(f.rule, f.severity, f.message) for f in case.findings]
    assert [run for run in case.runs if run.status == "crashed"] == []


# Labs with more illnesses of their own: a second one that the first does not explain.
FURTHER = {
    "whisperx-cudnn": ["ort-packages-clash"],
    "whisperx-ort": ["cudnn-unreachable"],
}


@pytest.mark.parametrize("name", sorted(NAMED))
def test_one_illness_is_one_error(lab: Lab, name: str) -> None:
    errors = [f.rule for f in examined(lab, name).findings if f.severity == "error"]
    assert sorted(errors) == sorted([NAMED[name][0], *FURTHER.get(name, [])])


# Its files are right, which is what it is a twin for; a session shows that its CUDA libraries are not installed.
FILES_ALONE = {"ort-gpu-alone"}


@pytest.mark.parametrize("name", sorted(HEALTHY))
def test_healthy_twin_raises_no_error(lab: Lab, name: str) -> None:
    case = examined(lab, name, static=name in FILES_ALONE)
    assert [(f.rule, f.message) for f in case.findings if f.severity == "error"] == []
    assert case.verdict == "healthy"


TOKEN = "hf_planted0123456789abcdefghijklmnopqr"


def said(inventory: Inventory, told: Callable[[str], str]) -> list[object]:
    """Return what every rule says of an inventory, its words as they are told to strangers."""
    (case,) = doctor.judge([inventory]).cases
    return [
        (run.rule, run.status, sorted((f.rule, f.severity, told(f.subject), told(f.message)) for f in run.findings))
        for run in case.runs
    ]


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_snapshot_is_judged_like_the_environment_and_names_nobody(lab: Lab, name: str) -> None:
    recipe, prefix = RECIPES[name], lab(name)
    seen = looked_at(prefix, tuple(sorted(recipe.environment(prefix).items())), name in FILES_ALONE)
    known = Private.of({"HF_TOKEN": TOKEN}, "adalovelace", "gpu01.example.org", str(prefix.parent))
    planted = Variable("LD_LIBRARY_PATH", f"/srv/adalovelace/lib:/mnt/gpu01.example.org:{prefix}/{TOKEN}")
    host = replace(seen.host, variables=(*seen.host.variables, planted))
    document = between.document(replace(seen, host=host), lambda value: redact.plain(value, known))
    assert [word for word in (TOKEN, "adalovelace", "gpu01", str(prefix.parent)) if word in document] == []
    clean = between.document(seen, lambda value: redact.plain(value, known))
    assert said(plain.loads(clean), str) == said(seen, lambda words: redact.text(words, known))
