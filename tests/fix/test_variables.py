"""Which variables heal without a change of any file."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_doctor.fix.variables import needed
from gpu_doctor.model.case import Case
from gpu_doctor.model.finding import CheckRun, Finding, Rule, Severity
from gpu_doctor.model.hardware import Variable
from gpu_doctor.model.remedy import (
    InstallPackages,
    ListInRecord,
    MakeLink,
    Remedy,
    RemoveFile,
    RestoreFile,
    SetVariable,
    Step,
)
from tests.kit import PREFIX, SITE, host, inventory

NAME = "LD_LIBRARY_PATH"
LIBS = f"{SITE}/ctranslate2.libs"
CUDNN = f"{SITE}/nvidia/cudnn/lib"
CUBLAS = f"{SITE}/nvidia/cublas/lib"
OLD = "/usr/local/cuda-11/lib64"
STAGES = ("host", "packages", "libraries")
RULES = tuple(Rule(stage, stage, "error", stage) for stage in STAGES)  # type: ignore[arg-type]


def link(package: str, *names: str) -> tuple[MakeLink, ...]:
    return tuple(MakeLink(f"{LIBS}/{name}", f"../nvidia/{package}/lib/{name}") for name in names)


def ill(stage: str, *steps: Step, severity: Severity = "error", safety: Any = "safe", **more: Any) -> Finding:
    subject = more.pop("subject", "it")
    return Finding(stage, severity, subject, "It is ill.", (), Remedy("Heal.", safety, steps), **more)


def case(*findings: Finding, **variables: str) -> Case:
    seen = inventory(host=host(variables=tuple(Variable(n, v) for n, v in variables.items())))
    runs = tuple(CheckRun(stage, "failed", "", tuple(f for f in findings if f.rule == stage)) for stage in STAGES)
    return Case(seen, runs, RULES)


def step(*folders: str, name: str = NAME) -> tuple[SetVariable, ...]:
    return (SetVariable(name, ":".join(folders) or None),)


LINKS = ill("libraries", *link("cudnn", "libcudnn_ops.so.9", "libcudnn_adv.so.9"), *link("cublas", "libcublas.so.12"))


def test_the_folders_that_links_would_point_into_are_named_once_in_front() -> None:
    assert needed(case(LINKS)) == step(CUDNN, CUBLAS)
    assert needed(case(LINKS, LD_LIBRARY_PATH="/opt/x::/opt/y/")) == step(CUDNN, CUBLAS, "/opt/x", "/opt/y/")


def test_what_only_keeps_links_in_order_is_not_missed() -> None:
    order = (RemoveFile(f"{LIBS}/old", "x"), RestoreFile(f"{LIBS}/a", f"{LIBS}/a.bak"), ListInRecord(f"{SITE}/RECORD"))
    assert needed(case(ill("libraries", *order, *link("cudnn", "libcudnn_ops.so.9")))) == step(CUDNN)
    assert needed(case(ill("libraries", *order))) == ()


def test_variables_of_remedies_are_taken_over() -> None:
    finding = ill("packages", SetVariable(NAME, f"{CUBLAS}:/opt/x"), SetVariable("NVIDIA_TF32_OVERRIDE", None))
    seen = case(finding, LINKS, LD_LIBRARY_PATH="/opt/x", NVIDIA_TF32_OVERRIDE="1")
    assert needed(seen) == (*step(CUBLAS, CUDNN, "/opt/x"), SetVariable("NVIDIA_TF32_OVERRIDE", None))


def test_every_folder_that_shadows_goes() -> None:
    findings = [
        ill("host", SetVariable(NAME, "/opt/x:/bad/2"), subject="1", severity="warning"),
        ill("host", SetVariable(NAME, "/bad/1:/opt/x"), subject="2"),
    ]
    assert needed(case(*findings, LD_LIBRARY_PATH="/bad/1/:/opt/x:/bad/2")) == step("/opt/x")
    assert needed(case(ill("host", *step()), LD_LIBRARY_PATH="/bad")) == step()
    assert needed(case(ill("host", *step()), LINKS, LD_LIBRARY_PATH="/bad")) == step(CUDNN, CUBLAS)


def test_the_worst_finding_decides_where_two_contradict_each_other() -> None:
    away = ill("host", *step("/opt/x"), severity="warning")
    assert needed(case(away, LINKS, LD_LIBRARY_PATH=f"/opt/x:{CUDNN}")) == step(CUDNN, CUBLAS, "/opt/x")
    away = ill("host", *step("/opt/x"))
    assert needed(case(away, LINKS, LD_LIBRARY_PATH=f"/opt/x:{CUDNN}")) == step(CUBLAS, "/opt/x")
    findings = (ill("host", SetVariable("A", "1"), severity="warning"), ill("packages", SetVariable("A", "2")))
    assert needed(case(*findings)) == (SetVariable("A", "2"),)


def test_the_real_value_counts_where_it_is_given() -> None:
    """The inventory keeps the beginning of long values only, and hides secrets in them."""
    seen = case(ill("host", *step("/opt/x", "/cu"), subject="1"), LINKS, LD_LIBRARY_PATH=f"{OLD}:/opt/x:/cu")
    environ = {NAME: f"{OLD}:/opt/x:/cut/off"}
    assert needed(seen, environ) == step(CUDNN, CUBLAS, "/opt/x", "/cut/off")
    assert needed(seen, {}) == step(CUDNN, CUBLAS)


def test_what_is_so_already_is_not_said() -> None:
    assert needed(case()) == ()
    assert needed(case(LINKS, LD_LIBRARY_PATH=f"{CUDNN}:{CUBLAS}:/opt/x")) == ()
    assert needed(case(ill("host", SetVariable("A", "1"))), {"A": "1"}) == ()
    assert needed(case(ill("host", SetVariable("A", None))), {}) == ()


@pytest.mark.parametrize(
    "finding",
    [
        ill("libraries", *link("cudnn", "libcudnn_ops.so.9"), severity="note"),
        ill("libraries", *link("cudnn", "libcudnn_ops.so.9"), consequence_of="0" * 16),
        ill("libraries", SetVariable("CUDA_LAUNCH_BLOCKING", "1"), safety="manual"),
        ill("libraries", SetVariable("CUDA_VISIBLE_DEVICES", None), safety="ask", severity="warning"),
        ill("libraries", InstallPackages(("uv", "pip"), "python", ("torch",)), *link("cudnn", "libcudnn_ops.so.9")),
        ill("libraries", MakeLink(f"{LIBS}/libcuda.so", "../../libcuda.so.1")),
        ill("libraries"),
    ],
)
def test_what_variables_cannot_heal_or_a_person_decides_is_left(finding: Finding) -> None:
    assert needed(case(finding), {"CUDA_VISIBLE_DEVICES": ""}) == ()


def test_an_error_is_healed_though_a_repair_would_ask() -> None:
    finding = ill("libraries", SetVariable("CUDA_VISIBLE_DEVICES", None), safety="ask")
    assert needed(case(finding), {"CUDA_VISIBLE_DEVICES": "9"}) == (SetVariable("CUDA_VISIBLE_DEVICES", None),)


def test_the_durable_remedy_counts_where_the_other_changes_packages() -> None:
    durable = Remedy("Link.", "safe", link("cudnn", "libcudnn_ops.so.9"))
    finding = ill("libraries", InstallPackages(("uv", "pip"), "python", ("a",)), safety="ask", durable=durable)
    assert needed(case(finding)) == step(CUDNN)


def test_an_environment_elsewhere_is_named_as_it_is() -> None:
    assert needed(case(LINKS))[0].value == f"{PREFIX}/lib/python3.11/site-packages/nvidia/cudnn/lib:{CUBLAS}"
