"""torchcodec-abi-mismatch: what torchcodec's import says, and what the tables say where it was not tried."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Probe
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import commands, evidence, judge, judge_all, only
from tests.kit import PREFIX, SITE, dist, host, interpreter, inventory, probe, trial

TORCH_28 = dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128")
ABORT = "was killed by SIGABRT (Aborted)"
BAD_ALLOC = "terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc"
COULD_NOT = "RuntimeError: Could not load libtorchcodec. Likely causes: 1. FFmpeg is not properly installed …"
NO_FFMPEG = "\n".join(f"OSError: libavutil.so.{n}: cannot open shared object file" for n in (60, 59, 58, 57, 56))
INSTALL = f"uv pip install --python {PREFIX}/bin/python"


def codec(version: str, *probes: Probe, torch: Any = TORCH_28, others: tuple[Any, ...] = (), **rest: Any) -> Inventory:
    seen = probes or Unknown("only files were read")
    return inventory(torch, dist("torchcodec", version), *others, probes=seen, **rest)


def could_not(loader: str, reason: str = COULD_NOT, **changes: Any) -> Probe:
    said = trial("loader", "failed", loader)
    return probe("import", "torchcodec", "raised", said, reason=reason, **changes)


def aborted(**changes: Any) -> Probe:
    return probe("import", "torchcodec", "crashed", reason=ABORT, log=BAD_ALLOC, **changes)


# --- Another torch ----------------------------------------------------------------------------------------------------


def test_bad_alloc_at_import_is_another_torch_and_not_memory() -> None:
    finding = only(judge("torchcodec-abi-mismatch", codec("0.9.1", aborted())))
    assert (finding.severity, finding.subject) == ("error", "torchcodec")
    assert "built for another torch than torch 2.8.0+cu128" in finding.message
    assert "not about memory" in finding.message
    assert evidence(finding)["torchcodec 0.9.1 belongs to"] == "torch ==2.9.*"
    assert commands(finding) == [f"{INSTALL} torchcodec==0.7.0"]


def test_a_symbol_that_torch_lacks_weighs_more_than_every_ffmpeg_that_is_not_there() -> None:
    lacks = f"{NO_FFMPEG}\nOSError: {SITE}/torchcodec/libtorchcodec_core5.so: undefined symbol: _ZN3c1013MessageLogger"
    finding = only(judge("torchcodec-abi-mismatch", codec("0.10.0", could_not(lacks))))
    assert finding.severity == "error"
    assert "built for another torch" in finding.message


def test_where_nothing_is_said_the_tables_decide() -> None:
    """torch 2.12 hides the loader's words behind its own."""
    torch = dist("torch", "2.12.0", cuda="13.0", built="2.12.0+cu130")
    finding = only(
        judge("torchcodec-abi-mismatch", codec("0.7.0", could_not("Could not load this library"), torch=torch))
    )
    assert "built for another torch" in finding.message
    assert commands(finding) == [f"{INSTALL} torchcodec==0.17.0"]


def test_a_mismatch_that_is_not_in_the_tables_is_proven_all_the_same() -> None:
    finding = only(judge("torchcodec-abi-mismatch", codec("0.7.0", aborted())))
    assert finding.severity == "error"
    assert "torchcodec 0.7.0 belongs to" not in evidence(finding)


def test_from_files_alone_a_mismatch_is_inferred() -> None:
    finding = only(judge("torchcodec-abi-mismatch", codec("0.9.1")))
    assert finding.severity == "warning"
    assert "torchcodec 0.9.1 is built for torch ==2.9.*; torch 2.8.0+cu128 is installed" in finding.message


def test_what_other_packages_ask_for_is_kept() -> None:
    asking = dist("pyannote-audio", "4.0.3", requires=("torchcodec<0.7",))
    finding = only(judge("torchcodec-abi-mismatch", codec("0.9.1", aborted(), others=(asking,))))
    assert commands(finding) == [f"{INSTALL} torchcodec==0.6.0"]


def test_a_wheel_for_cuda_13_does_not_serve_a_torch_for_cuda_12() -> None:
    torch = dist("torch", "2.12.0+cu126", cuda="12.6", built="2.12.0+cu126")
    said = could_not(
        "OSError: libnvrtc.so.13: cannot open shared object file", "OSError: x", loading="libtorchcodec_image.so"
    )
    finding = only(judge("torchcodec-abi-mismatch", codec("0.17.0", said, torch=torch)))
    assert finding.severity == "error"
    assert "does not find libnvrtc.so.13" in finding.message
    assert commands(finding) == [f"{INSTALL} torchcodec==0.13.0"]


# --- FFmpeg -----------------------------------------------------------------------------------------------------------


def test_no_ffmpeg_is_told_from_another_torch() -> None:
    finding = only(judge("torchcodec-abi-mismatch", codec("0.7.0", could_not(NO_FFMPEG))))
    assert (finding.severity, finding.remedy and finding.remedy.safety) == ("warning", "manual")
    assert "finds no FFmpeg libraries" in finding.message
    assert commands(finding) == ["sudo apt-get install ffmpeg"]


def test_in_conda_ffmpeg_comes_from_conda() -> None:
    seen = codec("0.7.0", could_not(NO_FFMPEG), interpreter=interpreter(manager="conda"))
    assert commands(only(judge("torchcodec-abi-mismatch", seen))) == [
        "conda install --yes --prefix /opt/app/venv -c conda-forge 'ffmpeg<8'"
    ]


def test_ffmpegs_line_is_that_of_the_distribution() -> None:
    fedora = codec("0.7.0", could_not(NO_FFMPEG), host=host(distribution="rocky rhel centos fedora"))
    assert commands(only(judge("torchcodec-abi-mismatch", fedora))) == ["sudo dnf install ffmpeg-free"]


def test_who_fails_with_it_makes_it_an_error() -> None:
    pyannote = probe("import", "pyannote-audio", "raised", reason=COULD_NOT)
    seen = codec("0.7.0", could_not(NO_FFMPEG), pyannote, others=(dist("pyannote-audio", "3.4.0"),))
    assert only(judge("torchcodec-abi-mismatch", seen)).severity == "error"


def test_no_ffmpeg_and_another_torch_are_both_said() -> None:
    finding = only(judge("torchcodec-abi-mismatch", codec("0.9.1", could_not(NO_FFMPEG))))
    assert "would still belong to another torch, ==2.9.*" in finding.message
    assert commands(finding) == [f"{INSTALL} torchcodec==0.7.0", "sudo apt-get install ffmpeg"]


# --- Healthy, somebody else's illness, and what cannot be known -------------------------------------------------------


@pytest.mark.parametrize("version", ["0.6.0", "0.7.0"])
def test_the_release_of_the_installed_torch_passes(version: str) -> None:
    assert judge("torchcodec-abi-mismatch", codec(version)).status == "passed"


def test_an_import_that_answers_clears_what_the_tables_say() -> None:
    """torchcodec 0.5 was built for torch 2.7 and loads under 2.8."""
    assert judge("torchcodec-abi-mismatch", codec("0.5", probe("import", "torchcodec"))).status == "passed"


def test_a_torch_that_fails_is_not_torchcodecs_illness() -> None:
    words = "ImportError: libcusparse.so.12: undefined symbol: __nvJitLinkCreate_12_8"
    failed = probe("import", "torchcodec", "raised", reason=words)
    assert judge("torchcodec-abi-mismatch", codec("0.7.0", failed)).status == "passed"


def test_an_import_that_was_not_tried_leaves_the_tables() -> None:
    skipped = probe("import", "torchcodec", "skipped", reason="import torch was killed by SIGSEGV")
    assert only(judge("torchcodec-abi-mismatch", codec("0.9.1", skipped))).severity == "warning"


def test_a_release_after_the_facts_is_not_judged_by_them() -> None:
    run = judge("torchcodec-abi-mismatch", codec("9.0"))
    assert run.status == "passed"
    assert "newer than the facts" in run.note


def test_without_torchcodec_there_is_nothing_to_judge() -> None:
    assert judge("torchcodec-abi-mismatch", inventory(TORCH_28)).applies is False


def test_it_is_one_alarm() -> None:
    alarms = [f.rule for f in judge_all(codec("0.9.1", aborted())).findings if f.consequence_of is None]
    assert alarms == ["torchcodec-abi-mismatch"]
