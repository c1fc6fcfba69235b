"""packages-overwrite: two packages, one path, different content."""

from __future__ import annotations

import pytest

from gpu_doctor.model.inventory import Overlap
from gpu_doctor.model.remedy import InstallPackages, Remedy, RemovePackages
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import commands, evidence, judge, only
from tests.kit import PREFIX, SITE, dist, inventory

CU12 = dist("nvidia-cudnn-cu12", "9.10.2.21")
CU13 = dist("nvidia-cudnn-cu13", "9.12.0.46")
BOTH = ("nvidia-cudnn-cu12", "nvidia-cudnn-cu13")
SAMPLE = (f"{SITE}/nvidia/cudnn/lib/libcudnn.so.9",)
TORCH = dist("torch", "2.8.0", cuda="12.8", requires=("nvidia-cudnn-cu12==9.10.2.21",))


def overlap(winner: str | Unknown | None, *altered: tuple[str, int], owners: tuple[str, ...] = BOTH) -> Overlap:
    return Overlap(owners, 8, SAMPLE, altered, winner)


CU13_LAST = overlap("nvidia-cudnn-cu13", ("nvidia-cudnn-cu12", 8))


def test_two_cudnns_in_one_folder() -> None:
    finding = only(judge("packages-overwrite", inventory(CU12, CU13, overlaps=(CU13_LAST,))))
    assert (finding.severity, finding.subject, finding.seats) == ("error", " and ".join(BOTH), BOTH)
    assert "nvidia-cudnn-cu13's files lie there" in finding.message
    assert evidence(finding)["shared paths"] == "8"
    assert evidence(finding)["not as nvidia-cudnn-cu12's RECORD says"] == "8 files"


def test_what_the_others_ask_for_is_kept() -> None:
    finding = only(judge("packages-overwrite", inventory(CU13, CU12, TORCH, overlaps=(CU13_LAST,))))
    assert commands(finding) == [
        "uv pip uninstall --python /opt/app/venv/bin/python nvidia-cudnn-cu12 nvidia-cudnn-cu13",
        "uv pip install --python /opt/app/venv/bin/python nvidia-cudnn-cu12==9.10.2.21",
    ]


def test_it_comes_in_the_version_that_is_asked_for_whichever_was_there() -> None:
    older = dist("nvidia-cudnn-cu12", "9.8.0.87")
    remedy = only(judge("packages-overwrite", inventory(CU13, older, TORCH, overlaps=(CU13_LAST,)))).remedy
    uv = (("uv", "pip"), f"{PREFIX}/bin/python")
    assert remedy == Remedy(
        "Remove nvidia-cudnn-cu12 and nvidia-cudnn-cu13, then install nvidia-cudnn-cu12 alone.",
        "ask",
        (RemovePackages(*uv, BOTH), InstallPackages(*uv, ("nvidia-cudnn-cu12==9.10.2.21",))),
    )


def test_parts_of_two_versions_are_a_mixture() -> None:
    mixed = overlap(None, ("nvidia-cudnn-cu12", 5), ("nvidia-cudnn-cu13", 3))
    finding = only(judge("packages-overwrite", inventory(CU12, CU13, overlaps=(mixed,))))
    assert finding.severity == "error"
    assert "mixture" in finding.message


def test_an_unknown_version_leaves_the_finding_and_no_command() -> None:
    sick = inventory(dist(BOTH[0], Unknown("no METADATA")), CU13, TORCH, overlaps=(CU13_LAST,))
    finding = only(judge("packages-overwrite", sick))
    assert finding.remedy is None


@pytest.mark.parametrize(
    "overlaps",
    [(), (overlap("nvidia-cudnn-cu12", owners=BOTH),), (overlap("a", ("b", 3), owners=("a", "b")),)],
    ids=["nothing shared", "shared and equal", "not of the GPU stack"],
)
def test_healthy(overlaps: tuple[Overlap, ...]) -> None:
    assert judge("packages-overwrite", inventory(CU12, CU13, overlaps=overlaps)).status == "passed"


def test_onnxruntimes_are_judged_by_their_own_rule() -> None:
    ort = overlap("onnxruntime", ("onnxruntime-gpu", 3), owners=("onnxruntime", "onnxruntime-gpu"))
    packages = (dist("onnxruntime", "1.20.1"), dist("onnxruntime-gpu", "1.20.2"))
    assert judge("packages-overwrite", inventory(*packages, overlaps=(ort,))).status == "passed"


def test_what_could_not_be_compared_is_said() -> None:
    run = judge("packages-overwrite", inventory(CU12, CU13, overlaps=(overlap(Unknown("too large to hash")),)))
    assert (run.status, run.findings) == ("passed", ())
    assert run.note == "nvidia-cudnn-cu12 and nvidia-cudnn-cu13: too large to hash"


def test_without_any_record_nothing_is_known() -> None:
    conda = dist("torch", "2.8.0", record=False, installer="conda")
    run = judge("packages-overwrite", inventory(conda))
    assert (run.status, run.applies) == ("skipped", True)


def test_without_a_gpu_stack_there_is_nothing_to_judge() -> None:
    run = judge("packages-overwrite", inventory(dist("flask", "3.0")))
    assert (run.status, run.applies) == ("skipped", False)
