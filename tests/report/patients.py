"""Reports of invented patients, one of each kind, for the tests of the reporters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpu_doctor.checks.shared import live
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

ASKED = (kit.probe("import", "torch", seconds=4.1), kit.probe("import", "ctranslate2", seconds=0.4))
CRASH = kit.probe(
    "import",
    "torch",
    "crashed",
    reason="was killed by SIGSEGV (Segmentation fault)",
    loading=f"{SITE}/torch/_C.cpython-311-x86_64-linux-gnu.so",
    stack=(f"{SITE}/torch/__init__.py:416 in <module>",),
    log="loading libraries\nterminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc",
    again=f"{PYTHON} -c 'import torch'",
    seconds=1.2,
)
SPOILED = "import torch was killed by SIGSEGV (Segmentation fault)"
NO_GPU_HERE = "no GPU visible"
UNSTARTED = "/home/ada/venv/bin/python cannot be started: Exec format error"


def environment(*distributions: Any, **changes: Any) -> Inventory:
    """Ada's environment, with her user site beside it."""
    interpreter = kit.interpreter(
        prefix=VENV,
        executable=PYTHON,
        search_path=(PathEntry(SITE, "site-packages", f"{VENV}/pyvenv.cfg"),),
    )
    return kit.inventory(*distributions, **{"interpreter": interpreter, "probes": ASKED, **changes})


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


def healthy(**changes: Any) -> Report:
    return report(passed(*(rule.id for rule in RULES)), environment(**changes))


def undetermined() -> Report:
    return report(
        [CheckRun(rule.id, "skipped", "no package here uses a GPU") for rule in RULES], environment(probes=())
    )


def dead() -> Report:
    """A torch that dies when it is imported, on a machine without GPU."""
    finding = Finding(
        "cudnn-unreachable", "error", "torch", "torch 2.8.0 dies when it is imported.", live.testimony(CRASH)
    )
    runs = (CheckRun("cudnn-unreachable", "failed", findings=(finding,)), *not_judged("kernel-image-missing", SPOILED))
    spoiled = kit.probe("cudnn", "torch", "skipped", reason=SPOILED)
    return report(runs, environment(gpus=(), driver=None, probes=(CRASH, spoiled)))


def without_gpu() -> Report:
    """A healthy environment on a machine that has no GPU."""
    skipped = [kit.probe("torch-gpu", f"cuda:{n}", "skipped", reason=NO_GPU_HERE) for n in range(2)]
    probes = (
        *ASKED,
        kit.probe("cudnn", "torch", seconds=0.8),
        kit.probe("cuda-init", "", "skipped", reason=NO_GPU_HERE),
        *skipped,
    )
    runs = (*passed("driver-too-old", "cudnn-unreachable"), *not_judged("kernel-image-missing", NO_GPU_HERE))
    return report(runs, environment(gpus=(), driver=None, probes=probes))


def unstarted() -> Report:
    """An environment whose interpreter does not start."""
    probes = (
        kit.probe("import", "torch", "unrunnable", reason=UNSTARTED),
        kit.probe("cudnn", "torch", "skipped", reason=f"import torch {UNSTARTED}"),
    )
    return report(
        (*passed("driver-too-old"), *not_judged("kernel-image-missing", UNSTARTED)), environment(probes=probes)
    )


def not_judged(rule: str, why: str) -> tuple[CheckRun, ...]:
    return (CheckRun(rule, "skipped", why),)


def crashed() -> Report:
    return report((CheckRun("driver-too-old", "crashed", "KeyError: 'sm_90'"), *passed("cudnn-unreachable")))


def by_hand(command: str) -> Report:
    """A finding whose remedy is this command."""
    finding = Finding(
        "driver-too-old", "error", "driver", "Old.", (), Remedy("Update", "manual", (RunByHand(command, ""),))
    )
    return report([CheckRun("driver-too-old", "failed", findings=(finding,))])
