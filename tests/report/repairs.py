"""Invented repairs of Ada's environment, for the tests of what `fix` shows."""

from __future__ import annotations

from dataclasses import replace

from gpu_doctor.model.case import Case
from gpu_doctor.model.finding import CheckRun, Finding
from gpu_doctor.model.plan import HeldBack, Plan, Treatment
from gpu_doctor.model.remedy import (
    ClearExecutableStack,
    EditPins,
    InstallPackages,
    ListInRecord,
    MakeLink,
    Remedy,
    RemoveFile,
    RemovePackages,
    RestoreFile,
    RunByHand,
    SetVariable,
    Step,
)
from gpu_doctor.model.repair import Healing, Outcome
from tests import kit
from tests.report.patients import CLASH, CUDNN, HOME, LOADER, PYTHON, RULES, SITE, UV, environment

LIBS, INFO = f"{SITE}/ctranslate2.libs", f"{SITE}/ctranslate2-4.6.1.dist-info"

LINKS = Remedy(
    "Place links beside the loader.",
    "safe",
    tuple(MakeLink(f"{LIBS}/libcudnn_{p}.so.9", f"../nvidia/cudnn/lib/libcudnn_{p}.so.9") for p in ("cnn", "ops")),
    "a reinstall of ctranslate2 takes them away.",
)
UPGRADE = Remedy(
    "Install ctranslate2 4.6.3 or newer.",
    "ask",
    (InstallPackages(UV, PYTHON, ("ctranslate2>=4.6.3",)),),
    "52 MB are downloaded",
)
LOADED = replace(CUDNN, remedy=LINKS, durable=UPGRADE, seats=(LOADER, "ctranslate2"))
RECORD = ListInRecord(f"{INFO}/RECORD", ("ctranslate2.libs/libcudnn_cnn.so.9", "ctranslate2.libs/libcudnn_ops.so.9"))

OLD = Finding(
    "driver-too-old",
    "error",
    "driver 520.61",
    "The driver is older than CUDA 12 needs.",
    (),
    Remedy(
        "Install driver 525 or newer.", "manual", (RunByHand("sudo apt install nvidia-driver-580", "it needs root"),)
    ),
)
SILENT = Finding("kernel-image-missing", "error", "torch on sm_120", "torch has no code for this GPU.", ())

# A step of every other kind.
ODD: tuple[Step, ...] = (
    RemoveFile(f"{LIBS}/libcudnn_adv.so.8", "a link that leads to nowhere.so"),
    RestoreFile(LOADER, f"{LOADER}.bak"),
    ClearExecutableStack(f"{LIBS}/libctranslate2-a7a60d30.so.4.6.1"),
    MakeLink(f"{LIBS}/libcudnn.so", "libcudnn-74a4c495.so.9.1.0"),
    ListInRecord(f"{INFO}/RECORD", ("ctranslate2.libs/libcudnn.so",), ("ctranslate2.libs/libcudnn_adv.so.8",)),
    EditPins(f"{HOME}/src/pyproject.toml", ("torch==2.8.0", "ctranslate2==4.6.3")),
    RemovePackages(UV, PYTHON, ("onnxruntime",)),
    SetVariable("LD_LIBRARY_PATH", None),
)
MUCH = replace(CLASH, remedy=Remedy("Do very much", "ask", ODD))


def case(*findings: Finding, **changes: object) -> Case:
    runs = (
        CheckRun(rule.id, "failed", "", tuple(f for f in findings if f.rule == rule.id))
        if any(f.rule == rule.id for f in findings)
        else CheckRun(rule.id, "passed")
        for rule in RULES
    )
    rules = tuple(replace(rule, probes=("cudnn",)) if rule.id == LOADED.rule else rule for rule in RULES)
    return Case(environment(**changes), tuple(runs), rules)


TREATMENT = Treatment(LOADED, LINKS, (*LINKS.steps, RECORD), UPGRADE)
PLAN = Plan(
    (TREATMENT, Treatment(MUCH, MUCH.remedy, ODD)),  # type: ignore[arg-type]
    (
        HeldBack(OLD, OLD.remedy, "this is for a person to do"),
        HeldBack(SILENT, None, "no remedy is known that the files alone tell"),
    ),
)
SICK = case(LOADED, MUCH, OLD, SILENT)

PROVED = (
    kit.probe(
        "cudnn",
        "ctranslate2",
        "answered",
        kit.trial("cudnnGetVersion", version="91002"),
        kit.trial("cudnnCreate", code="0"),
        after=("ctranslate2",),
    ),
    kit.probe("cudnn", "torch", "answered", kit.trial("cudnnGetVersion", version="91002")),
    kit.probe("cudnn", "ctranslate2", "skipped", reason="no GPU visible"),
)


def healed() -> Healing:
    """One that is proven, one that is undone, and what remains."""
    after = case(MUCH, OLD, SILENT, probes=PROVED)
    outcomes = (
        Outcome(PLAN.treatments[0], True),
        Outcome(PLAN.treatments[1], False, "the finding is still there afterwards"),
    )
    return Healing(SICK, PLAN, after, outcomes, "20261120-101112-ab12", True, (OLD, SILENT))
