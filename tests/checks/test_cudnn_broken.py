"""cudnn-broken: a cuDNN that is found and does not work."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_doctor.model.hardware import DriverLibrary, Variable
from gpu_doctor.model.inventory import Damage, Inventory, Overlap
from gpu_doctor.model.probes import Probe
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import commands, evidence, judge, judge_all, only
from tests.kit import SITE, dist, host, inventory, lib, probe, resolution, trial

CUDNN = dist("nvidia-cudnn-cu12", "9.10.2.21")
TORCH = dist("torch", "2.8.0", cuda="12.8", requires=("nvidia-cudnn-cu12==9.10.2.21",))
LOADER, OPS = "nvidia/cudnn/lib/libcudnn.so.9", "nvidia/cudnn/lib/libcudnn_ops.so.9"
FILES = (lib(LOADER, CUDNN.name), lib(OPS, CUDNN.name))
FOUND = resolution(LOADER, "torch", "libcudnn_ops.so.9", found=OPS, after=("torch",))
SUBJECT = "torch: libcudnn.so.9"
UNSUPPORTED = "RuntimeError: cuDNN version incompatibility: PyTorch was compiled against (9, 8, 0) but found (9, 1, 0)"
MISMATCH = "cudnnOpsVersionCheck returned 1002: CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH"
NO_DRIVER = "OSError: libcuda.so.1: cannot open shared object file: No such file or directory"
NO_NAME = (
    "Could not load library libcudnn_cnn_infer.so.8. Error: libcuda.so: cannot open shared object file: No such file"
)
SYMBOL = f"OSError: {SITE}/{OPS}: undefined symbol: _ZN5cudnn5graph, version libcudnn_graph.so.9"


def died(call: str = "cudnnOpsVersionCheck", reason: str = "was killed by SIGBUS (Bus error)", **changes: Any) -> Probe:
    trials = (trial("cudnnGetVersion"), trial(call, "died", reason))
    return probe("cudnn", SUBJECT, "crashed", *trials, **{"reason": reason, "after": ("torch",), **changes})


def sick(*probes: Probe, **changes: Any) -> Inventory:
    return inventory(TORCH, CUDNN, **{"libraries": FILES, "resolutions": (FOUND,), "probes": probes, **changes})


def test_a_part_that_ends_the_process() -> None:
    finding = only(judge("cudnn-broken", sick(died())))
    assert (finding.severity, finding.subject) == ("error", SUBJECT)
    assert finding.message == (
        "The libcudnn.so.9 of nvidia-cudnn-cu12, which torch 2.8.0 uses, is found and does not work: "
        "cudnnOpsVersionCheck ends the process."
    )
    assert "SIGBUS" in finding.evidence[0].value
    assert commands(finding) == [
        "uv pip install --python /opt/app/venv/bin/python --reinstall --no-deps nvidia-cudnn-cu12==9.10.2.21"
    ]


def test_why_a_part_is_refused_is_learnt_part_by_part() -> None:
    """The loader says "Unable to load any of {libcudnn_ops.so.9}" of a part that is there, of another release."""
    parts = probe(
        "cudnn", f"{SUBJECT}, part by part", "answered", trial("libcudnn_ops.so.9", "failed", SYMBOL), trial("graph")
    )
    finding = only(judge("cudnn-broken", sick(died(reason="was killed by SIGABRT (Aborted)"), parts)))
    assert finding.message.endswith("cudnnOpsVersionCheck ends the process: libcudnn_ops.so.9 does not load.")
    assert SYMBOL in evidence(finding).values()


@pytest.mark.parametrize(
    ("name", "outcome", "words"),
    [("cudnnOpsVersionCheck", "wrong", MISMATCH), ("torch.backends.cudnn.version", "failed", UNSUPPORTED)],
)
def test_a_call_that_is_answered_with_an_error(name: str, outcome: Any, words: str) -> None:
    answered = probe("cudnn", SUBJECT, "answered", trial("cudnnGetVersion"), trial(name, outcome, words))
    finding = only(judge("cudnn-broken", sick(answered)))
    assert finding.message.endswith(f"does not work: {name} fails.")
    assert finding.evidence[0].value == words


def test_a_loader_that_nobody_is_known_to_use_belongs_to_its_package() -> None:
    alone = died(after=())
    named = Probe("cudnn", f"{CUDNN.name}: libcudnn.so.9", alone.ending, alone.reason, alone.trials)
    message = only(judge("cudnn-broken", sick(named, resolutions=()))).message
    assert message.startswith("The libcudnn.so.9 of nvidia-cudnn-cu12 9.10.2.21 is found")


def test_several_import_orders_are_one_illness() -> None:
    finding = only(judge("cudnn-broken", sick(died(), died(after=("torch", "ctranslate2")))))
    assert "cudnnOpsVersionCheck of libcudnn.so.9, after import torch" in finding.evidence[0].what


@pytest.mark.parametrize(
    "healthy",
    [
        probe("cudnn", SUBJECT, "answered", trial("cudnnGetVersion")),
        probe("cudnn", SUBJECT, "raised", reason="ImportError: the context itself"),
        probe(
            "cudnn", SUBJECT, "timed out", trial("cudnnGetVersion", "died", "did not answer"), reason="did not answer"
        ),
        died(reason="was killed by SIGKILL (Killed)"),
        died(reason="was stopped because it held 4.0 GiB of memory"),
        probe("cudnn", SUBJECT, "answered", trial("libcudnn_engines_runtime_compiled.so.9", "failed", NO_DRIVER)),
        died("cudnnCnnInferVersionCheck", log=NO_NAME),
    ],
    ids=[
        "all passed",
        "the import failed",
        "timed out",
        "killed from outside",
        "too much memory",
        "no driver",
        "no driver, cuDNN 8",
    ],
)
def test_what_proves_nothing_is_no_finding(healthy: Probe) -> None:
    assert judge("cudnn-broken", sick(healthy)).findings == ()


@pytest.mark.parametrize(
    ("folder", "wsl", "line"),
    [
        ("/usr/lib/wsl/lib", True, "export LD_LIBRARY_PATH=/usr/lib/wsl/lib"),
        ("/usr/lib/x86_64-linux-gnu", False, "sudo ln -s libcuda.so.1 /usr/lib/x86_64-linux-gnu/libcuda.so"),
    ],
)
def test_cudnn_8_asks_for_the_driver_by_a_name_that_it_need_not_have(folder: str, wsl: bool, line: str) -> None:
    path = f"{folder}/libcuda.so.1"
    library = DriverLibrary(path, path, "580.95.05", "wsl" if wsl else "driver", "ld.so.cache")
    here = host(libcuda=library, wsl=wsl)
    finding = only(judge("cudnn-broken", sick(died("cudnnCnnInferVersionCheck", log=NO_NAME), host=here)))
    assert finding.severity == "error"
    assert commands(finding) == [line]


def test_parts_that_are_nowhere_are_another_rules() -> None:
    lost = resolution(LOADER, "torch", "libcudnn_ops.so.9", found=None, after=("torch",))
    case = judge_all(sick(died(reason="was killed by SIGABRT (Aborted)"), resolutions=(lost,)))
    assert [f.rule for f in case.findings] == ["cudnn-unreachable"]


@pytest.mark.parametrize(
    ("cause", "changes"),
    [
        ("package-files-damaged", {"damages": (Damage(f"{SITE}/{OPS}", CUDNN.name, "truncated", "9 bytes", "4"),)}),
        (
            "packages-overwrite",
            {"overlaps": (Overlap((CUDNN.name, "nvidia-cudnn-cu13"), 8, (), ((CUDNN.name, 8),), "nvidia-cudnn-cu13"),)},
        ),
        (
            "library-path-shadows",
            {
                "host": host(variables=(Variable("LD_LIBRARY_PATH", "/opt/old"),)),
                "resolutions": (
                    resolution(
                        LOADER, "torch", "libcudnn_ops.so.9", found="/opt/old/libcudnn_ops.so.9", rule="LD_LIBRARY_PATH"
                    ),
                ),
            },
        ),
    ],
)
def test_it_is_the_consequence_of_what_the_files_show(cause: str, changes: dict[str, Any]) -> None:
    case = judge_all(sick(died(), **changes))
    (primary,) = [f for f in case.findings if f.severity != "note"]
    assert primary.rule == cause
    assert [f.rule for f in case.consequences(primary)] == ["cudnn-broken"]


def test_a_machine_without_a_gpu_and_without_cuda_packages_does_not_call_it() -> None:
    bundled = dist("ctranslate2", "4.6.1")
    loader = lib("ctranslate2.libs/libcudnn-74a4c495.so.9.1.0", "ctranslate2")
    subject = "ctranslate2: libcudnn-74a4c495.so.9.1.0"
    asked = probe("cudnn", subject, "answered", trial("cudnnOpsVersionCheck", "wrong", MISMATCH))
    here = inventory(bundled, libraries=(loader,), probes=(asked,), gpus=(), driver=None)
    assert only(judge("cudnn-broken", here)).severity == "note"


def test_from_files_alone_it_cannot_be_known() -> None:
    run = judge("cudnn-broken", sick(probes=Unknown("only files were read")))
    assert (run.status, run.applies, run.note) == ("skipped", True, "only files were read")


def test_without_cudnn_there_is_nothing_to_judge() -> None:
    run = judge("cudnn-broken", inventory(dist("numpy", "2.2.6"), probes=()))
    assert (run.status, run.applies) == ("skipped", False)
