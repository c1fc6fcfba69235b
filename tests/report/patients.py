"""Reports of invented patients, one of each kind, for the tests of the reporters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpu_doctor.model.case import Case, Report
from gpu_doctor.model.finding import CheckRun, Evidence, Finding, Rule
from gpu_doctor.model.inventory import Inventory, PathEntry
from gpu_doctor.model.remedy import InstallPackages, Remedy, RemovePackages, RunByHand, SetVariable
from tests import kit

HOME = "/home/ada"
VENV = f"{HOME}/venv"
SITE = f"{VENV}/lib/python3.11/site-packages"
PYTHON = f"{VENV}/bin/python"
UV = ("uv", "pip")

RULES = (
    Rule("driver-too-old", "The driver is too old", "error", "host"),
    Rule("ort-packages-clash", "Two builds of ONNX Runtime overwrite each other", "error", "packages"),
    Rule("cudnn-unreachable", "A package cannot open its cuDNN", "error", "libraries"),
    Rule("library-path-shadows", "LD_LIBRARY_PATH shadows a library", "warning", "libraries"),
    Rule("kernel-image-missing", "A library has no code for the GPU", "error", "gpu-code"),
)

LOADER = f"{SITE}/ctranslate2.libs/libcudnn-74a4c495.so.9.1.0"

CUDNN = Finding(
    "cudnn-unreachable",
    "error",
    "ctranslate2 4.6.1",
    "ctranslate2 4.6.1 brings its own cuDNN loader, and none of the parts that this loader opens lies where it looks: "
    "the first convolution ends the process.",
    (
        Evidence("libcudnn_graph.so.9.1.0 as libcudnn-74a4c495.so.9.1.0 opens it", "not found in 4 folders", LOADER),
        Evidence("cuDNN beside it", "9.10.2.21", f"{SITE}/nvidia_cudnn_cu12-9.10.2.21.dist-info"),
    ),
    Remedy("Install ctranslate2 4.6.3 or newer", "ask", (InstallPackages(UV, PYTHON, ("ctranslate2>=4.6.3",)),)),
)
SHADOW = Finding(
    "library-path-shadows",
    "warning",
    "LD_LIBRARY_PATH",
    "LD_LIBRARY_PATH puts cuDNN 9.1 before the environment's 9.10.",
    (),
    Remedy("Unset it", "safe", (SetVariable("LD_LIBRARY_PATH", None),)),
    consequence_of=CUDNN.fingerprint,
)
CLASH = Finding(
    "ort-packages-clash",
    "warning",
    "onnxruntime, onnxruntime-gpu",
    "Both write into onnxruntime/; the CPU build was written last and wins.",
    (Evidence("libonnxruntime.so", "as onnxruntime 1.20.1 wrote it", f"{SITE}/onnxruntime/capi/libonnxruntime.so"),),
    Remedy(
        "Keep the GPU build alone",
        "ask",
        (
            RemovePackages(UV, PYTHON, ("onnxruntime",)),
            InstallPackages(UV, PYTHON, ("onnxruntime-gpu==1.20.2",), reinstall=True),
        ),
    ),
)
NO_GPU = "no GPU known: give --gpu"


def environment(*distributions: Any, **changes: Any) -> Inventory:
    """Ada's environment, with her user site beside it."""
    interpreter = kit.interpreter(
        prefix=VENV,
        executable=PYTHON,
        search_path=(PathEntry(SITE, "site-packages", f"{VENV}/pyvenv.cfg"),),
    )
    return kit.inventory(*distributions, **{"interpreter": interpreter, **changes})


def report(runs: Sequence[CheckRun], inventory: Inventory | None = None) -> Report:
    return Report((Case(inventory or environment(), tuple(runs), RULES),), "0.1.0", "2026-11-20")


def passed(*rules: str) -> tuple[CheckRun, ...]:
    return tuple(CheckRun(rule, "passed") for rule in rules)


def sick(**changes: Any) -> Report:
    """A cause, its consequence, a further warning, a rule that passed and one that could not judge."""
    runs = (
        *passed("driver-too-old"),
        CheckRun("ort-packages-clash", "failed", findings=(CLASH,)),
        CheckRun("cudnn-unreachable", "failed", findings=(CUDNN,)),
        CheckRun("library-path-shadows", "failed", findings=(SHADOW,)),
        CheckRun("kernel-image-missing", "skipped", NO_GPU),
    )
    return report(runs, environment(**changes))


def healthy() -> Report:
    return report(passed(*(rule.id for rule in RULES)))


def undetermined() -> Report:
    return report([CheckRun(rule.id, "skipped", "no package here uses a GPU") for rule in RULES])


def crashed() -> Report:
    return report((CheckRun("driver-too-old", "crashed", "KeyError: 'sm_90'"), *passed("cudnn-unreachable")))


def by_hand(command: str) -> Report:
    """A finding whose remedy is this command."""
    finding = Finding(
        "driver-too-old", "error", "driver", "Old.", (), Remedy("Update", "manual", (RunByHand(command, ""),))
    )
    return report([CheckRun("driver-too-old", "failed", findings=(finding,))])
