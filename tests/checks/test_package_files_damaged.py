"""package-files-damaged: files that are not as RECORD says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest

from gpu_doctor.model.inventory import Damage, Inventory, StrayLink
from gpu_doctor.model.remedy import InstallPackages, MakeLink, Remedy, RestoreFile
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import commands, evidence, judge, judge_all, only
from tests.kit import PREFIX, SITE, dist, inventory, lib, resolution

CUDNN = dist("nvidia-cudnn-cu12", "9.10.2.21")
OPS = "nvidia/cudnn/lib/libcudnn_ops.so.9"


def damage(
    path: str, problem: Literal["missing", "truncated", "altered"] = "truncated", owner: str = CUDNN.name
) -> Damage:
    return Damage(f"{SITE}/{path}", owner, problem, "129 bytes", "64 bytes")


def test_a_truncated_library() -> None:
    finding = only(judge("package-files-damaged", inventory(CUDNN, damages=(damage(OPS),))))
    assert (finding.severity, finding.subject) == ("error", "nvidia-cudnn-cu12")
    assert "1 truncated" in finding.message
    assert "libcudnn_ops.so.9" in finding.message
    assert evidence(finding)["truncated"] == "expected 129 bytes, found 64 bytes"
    assert finding.seats == ("nvidia-cudnn-cu12", f"{SITE}/{OPS}")
    assert commands(finding) == [
        "uv pip install --python /opt/app/venv/bin/python --reinstall --no-deps nvidia-cudnn-cu12==9.10.2.21"
    ]


def test_the_rest_of_a_long_list_is_counted() -> None:
    rest = Damage(f"{CUDNN.metadata}/RECORD", CUDNN.name, "truncated", "its other files", "98 more not as recorded", 98)
    finding = only(judge("package-files-damaged", inventory(CUDNN, damages=(damage(OPS), rest))))
    assert finding.message.startswith("99 files of nvidia-cudnn-cu12 9.10.2.21 are not as installed (99 truncated)")


def test_a_missing_module() -> None:
    gone = damage("torch/nn/functional.py", "missing", "torch")
    assert only(judge("package-files-damaged", inventory(dist("torch", "2.8.0"), damages=(gone,)))).severity == "error"


@pytest.mark.parametrize("problem", ["altered", "truncated"])
def test_a_module_that_somebody_edited_is_a_warning(problem: Literal["truncated", "altered"]) -> None:
    edited = damage("transformers/modeling_utils.py", problem, "transformers")
    sick = inventory(dist("transformers", "4.56.0"), damages=(edited,))
    assert only(judge("package-files-damaged", sick)).severity == "warning"


def test_an_altered_library_is_a_warning() -> None:
    """patchelf --clear-execstack and hand-made links are deliberate as often as not."""
    assert (
        only(judge("package-files-damaged", inventory(CUDNN, damages=(damage(OPS, "altered"),)))).severity == "warning"
    )


@pytest.mark.parametrize("path", ["torch/README.txt", "torch/include/x.h", "torch/nn/tests/x.py", "torch/test/y.py"])
def test_what_no_program_loads_is_a_note(path: str) -> None:
    gone = damage(path, "missing", "torch")
    assert only(judge("package-files-damaged", inventory(dist("torch", "2.8.0"), damages=(gone,)))).severity == "note"


def test_the_worst_file_decides_and_is_named() -> None:
    damages = (
        damage("nvidia/cudnn/LICENSE", "altered"),
        damage("nvidia/cudnn/x.py", "altered"),
        damage(OPS, "missing"),
    )
    finding = only(judge("package-files-damaged", inventory(CUDNN, damages=damages)))
    assert finding.severity == "error"
    assert "3 files" in finding.message
    assert "libcudnn_ops.so.9" in finding.message
    assert finding.evidence[0].where == f"{SITE}/{OPS}"


def test_many_files_are_counted() -> None:
    damages = tuple(damage(f"nvidia/cudnn/lib/libcudnn_{n}.so.9", "missing") for n in range(60))
    finding = only(judge("package-files-damaged", inventory(CUDNN, damages=damages)))
    assert len(finding.evidence) == 5
    assert "56 more" in evidence(finding)["and"]


def test_each_package_is_its_own_finding() -> None:
    torch = dist("torch", "2.8.0")
    damages = (damage(OPS), damage("torch/lib/libtorch.so", "missing", "torch"))
    found = judge("package-files-damaged", inventory(CUDNN, torch, damages=damages)).findings
    assert [f.subject for f in found] == ["nvidia-cudnn-cu12", "torch"]


def test_a_tagged_build_is_written_again_from_its_own_index() -> None:
    gone = damage("torch/lib/libtorch.so", "missing", "torch")
    tagged = inventory(dist("torch", "2.8.0+cu126", cuda="12.6"), damages=(gone,))
    assert commands(only(judge("package-files-damaged", tagged))) == [
        "uv pip install --python /opt/app/venv/bin/python --reinstall --no-deps --torch-backend=cu126 torch==2.8.0+cu126"
    ]


def test_an_unknown_version_leaves_the_finding_and_no_command() -> None:
    sick = inventory(replace(CUDNN, version=Unknown("no METADATA")), damages=(damage(OPS),))
    assert only(judge("package-files-damaged", sick)).remedy is None


def test_whole_files_are_healthy() -> None:
    assert judge("package-files-damaged", inventory(CUDNN)).status == "passed"


def test_damage_outside_the_gpu_stack_is_not_ours() -> None:
    other = damage("flask/app.py", "missing", "flask")
    assert judge("package-files-damaged", inventory(CUDNN, dist("flask", "3.0"), damages=(other,))).status == "passed"


def test_conda_keeps_no_record_to_compare_with() -> None:
    conda = dist("torch", "2.8.0", record=False, installer="conda")
    run = judge("package-files-damaged", inventory(conda))
    assert (run.status, run.applies) == ("skipped", True)
    beside = judge("package-files-damaged", inventory(conda, CUDNN))
    assert (beside.status, beside.note) == ("passed", "torch has no RECORD of its files")


def test_an_editable_install_has_its_files_elsewhere() -> None:
    editable = dist("vllm", "0.10.0", record=False, editable=True)
    run = judge("package-files-damaged", inventory(editable, CUDNN))
    assert (run.status, run.note) == ("passed", "")


def test_without_a_gpu_stack_there_is_nothing_to_judge() -> None:
    run = judge("package-files-damaged", inventory(dist("flask", "3.0")))
    assert (run.status, run.applies) == ("skipped", False)


def test_a_library_too_broken_to_load_is_the_cause_not_the_consequence() -> None:
    """cuDNN's loader finds its part and gives up on it: the file is what is ill, not the search."""
    loader = "nvidia/cudnn/lib/libcudnn.so.9"
    unusable = resolution(
        loader, CUDNN.name, "libcudnn_ops.so.9", found=None, rule=f"not found: {SITE}/{OPS} is unusable: cut short"
    )
    case = judge_all(inventory(CUDNN, damages=(damage(OPS),), resolutions=(unusable,)))
    assert [(f.rule, f.consequence_of) for f in case.findings] == [("package-files-damaged", None)]


def test_a_remedy_that_did_not_heal_is_no_second_illness() -> None:
    """The widely copied link in place of CTranslate2's bundled loader."""
    package, loader = dist("ctranslate2", "4.6.1"), "ctranslate2.libs/libcudnn-74a4c495.so.9.1.0"
    missing = resolution(loader, "ctranslate2", "libcudnn_graph.so.9", found=None)
    case = judge_all(
        inventory(package, CUDNN, damages=(damage(loader, "altered", "ctranslate2"),), resolutions=(missing,))
    )
    primary = case.findings[0]
    assert primary.rule == "cudnn-unreachable"
    assert [f.rule for f in case.consequences(primary)] == ["package-files-damaged"]


CT2 = dist("ctranslate2", "4.6.1")
LOADER = "ctranslate2.libs/libcudnn-74a4c495.so.9.1.0"
HOME = lib("nvidia/cudnn/lib/libcudnn.so.9", CUDNN.name)
AS_LINK = replace(lib(LOADER, "ctranslate2"), real=HOME.path)
PART = resolution(LOADER, "ctranslate2", "libcudnn_graph.so.9", found="ctranslate2.libs/libcudnn_graph.so.9")
REINSTALLED = InstallPackages(("uv", "pip"), f"{PREFIX}/bin/python", ("ctranslate2==4.6.1",), reinstall=True)
OPS_LINK = StrayLink(f"{SITE}/ctranslate2.libs/libcudnn_ops.so.9", "../nvidia/cudnn/lib/libcudnn_ops.so.9", exists=True)


def completed(original: str | None = None, **changes: Any) -> Inventory:
    """The widely copied link in place of the loader, with links to the parts beside it."""
    replaced = replace(damage(LOADER, "altered", "ctranslate2"), original=original)
    values = {"libraries": (AS_LINK, HOME), "resolutions": (PART,), "damages": (replaced,), **changes}
    return inventory(CT2, CUDNN, **values)


def test_a_loader_replaced_by_a_link_that_finds_its_parts_is_a_note() -> None:
    finding = only(judge("package-files-damaged", completed()))
    remedy = Remedy("Write the files of ctranslate2 4.6.1 again.", "ask", (REINSTALLED,))
    assert (finding.severity, finding.remedy) == ("note", remedy)
    bak = f"{SITE}/{LOADER}.bak"
    restored = only(judge("package-files-damaged", completed(bak))).remedy
    steps = (RestoreFile(f"{SITE}/{LOADER}", bak),)
    assert restored == Remedy("Move back what was renamed to make room.", "safe", steps)


@pytest.mark.parametrize(
    "changes",
    [
        {"resolutions": (PART, resolution(LOADER, "ctranslate2", "libcudnn_ops.so.9", found=None))},
        {"resolutions": ()},
        {"libraries": (AS_LINK,)},
        {"libraries": (AS_LINK, replace(HOME, package=None))},
        {"libraries": (lib(LOADER, "ctranslate2"), HOME)},
    ],
    ids=["a part is missing", "nobody asked", "elsewhere", "a stranger", "no link"],
)
def test_any_other_change_of_it_is_a_warning(changes: dict[str, Any]) -> None:
    assert only(judge("package-files-damaged", completed(**changes))).severity == "warning"


def test_a_library_that_was_renamed_is_moved_back_whatever_mere_notes_remain() -> None:
    lost = replace(damage(OPS, "missing"), original=f"{SITE}/{OPS}.bak")
    text = damage("nvidia/cudnn/LICENSE", "missing")
    finding = only(judge("package-files-damaged", inventory(CUDNN, damages=(lost, text))))
    steps = (RestoreFile(f"{SITE}/{OPS}", f"{SITE}/{OPS}.bak"),)
    assert finding.remedy == Remedy("Move back what was renamed to make room.", "safe", steps)
    another = damage("nvidia/cudnn/lib/libcudnn_adv.so.9", "missing")
    both = only(judge("package-files-damaged", inventory(CUDNN, damages=(lost, another)))).remedy
    assert both is not None
    assert both.safety == "ask"


def test_a_reinstall_places_the_repairs_links_again() -> None:
    finding = only(judge("package-files-damaged", completed(links=(OPS_LINK,))))
    link = MakeLink(OPS_LINK.path, OPS_LINK.points_to)
    assert finding.remedy == Remedy("Write the files of ctranslate2 4.6.1 again.", "ask", (REINSTALLED, link))
