"""library-links-stale: links that lead nowhere, or rename what they lead to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_doctor.model.inventory import Damage, Inventory, StrayLink
from gpu_doctor.model.libraries import Library
from gpu_doctor.model.remedy import Remedy, RemoveFile
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import evidence, judge, judge_all, only
from tests.kit import SITE, dist, elf, inventory, lib, resolution

CUDNN = dist("nvidia-cudnn-cu12", "9.10.2.21")
FOLDER = "nvidia/cudnn/lib"
HOME = lib(f"{FOLDER}/libcudnn.so.9", CUDNN.name)


def link(name: str, points_to: str, *, exists: bool = True) -> StrayLink:
    return StrayLink(f"{SITE}/{FOLDER}/{name}", points_to, exists)


def as_library(made: StrayLink, real: str, soname: str | None) -> Library:
    return replace(lib(made.path, None), real=f"{SITE}/{FOLDER}/{real}", elf=elf(soname))


def here(*links: StrayLink, libraries: tuple[Library, ...] = ()) -> Inventory:
    return inventory(CUDNN, dist("flask", "3.0"), links=links, libraries=(HOME, *libraries))


def removal(made: StrayLink, why: str) -> RemoveFile:
    return RemoveFile(made.path, f"a link that {why}")


def test_links_that_lead_nowhere_are_one_finding_for_each_folder() -> None:
    links = (link("libcudnn_adv.so.8", "gone.so.8", exists=False), link("libcudnn_ops.so.8", "../x.so", exists=False))
    finding = only(judge("library-links-stale", here(*links)))
    assert (finding.severity, finding.subject) == ("warning", FOLDER)
    said = "leads to gone.so.8, which does not exist"
    assert finding.message == f"libcudnn_adv.so.8 beside the libraries of {FOLDER} {said} (and 1 more)."
    assert evidence(finding)["libcudnn_adv.so.8"] == f"a link to gone.so.8: {said}"
    assert finding.seats == tuple(item.path for item in links)
    steps = (removal(links[0], said), removal(links[1], "leads to ../x.so, which does not exist"))
    assert finding.remedy == Remedy("Take these links away.", "safe", steps)


@pytest.mark.parametrize(
    ("name", "real", "soname"),
    [
        ("libcudnn.so.8", "libcudnn.so.9", "libcudnn.so.9"),
        ("libcublas.so.11", "libcublas.so.12", "libcublas.so.12"),
        ("libcudnn_ops_infer.so.8", "libcudnn_ops.so.9", "libcudnn_ops.so.9"),
        ("libcudnn.so.8", "libcudnn.so.9.1.0", None),
    ],
)
def test_another_number_is_no_other_version(name: str, real: str, soname: str | None) -> None:
    made = link(name, real)
    finding = only(judge("library-links-stale", here(made, libraries=(as_library(made, real, soname),))))
    why = f"gives {soname or real} another name"
    assert finding.message == f"{name} beside the libraries of {FOLDER} {why}."
    assert finding.remedy == Remedy("Take these links away.", "safe", (removal(made, why),))


@pytest.mark.parametrize(
    ("name", "real", "soname"),
    [
        ("libcudnn_ops.so.9", "libcudnn_ops.so.9", "libcudnn_ops.so.9"),
        ("libcudnn.so", "libcudnn.so.9", "libcudnn.so.9"),
        ("libcudnn_ops.so.9.1.0", "libcudnn_ops.so.9", "libcudnn_ops.so.9"),
        ("libnvrtc.so.11.8", "libnvrtc.so.11.8.89", "libnvrtc.so.11.2"),
        ("libcublas.so.12", "libcublas-0a1b2c3d.so.12.8.4", None),
        ("libblas.so.3", "libopenblas.so.0", "libopenblas.so.0"),
    ],
)
def test_links_as_repairs_and_installers_make_them_are_healthy(name: str, real: str, soname: str | None) -> None:
    made = link(name, real)
    assert judge("library-links-stale", here(made, libraries=(as_library(made, real, soname),))).status == "passed"


def test_what_is_found_by_such_a_link_alone_is_not_taken_away() -> None:
    made = link("libcudnn.so.8", "libcudnn.so.9")
    asks = resolution("ctranslate2.libs/a.so", "ctranslate2", "libcudnn.so.8", found=made.path)
    sick = replace(here(made, libraries=(as_library(made, "libcudnn.so.9", "libcudnn.so.9"),)), resolutions=(asks,))
    finding = only(judge("library-links-stale", sick))
    assert finding.remedy == Remedy("Install what brings libcudnn.so.8, then take the links away.", "manual")
    assert evidence(finding)["found by this link alone"] == "libcudnn.so.8"


def test_a_target_that_does_not_say_its_version_is_not_judged() -> None:
    made = link("libcudnn.so.8", "cudnn.so")
    unread = replace(as_library(made, "cudnn.so", None), elf=Unknown("not an ELF file"))
    run = judge("library-links-stale", here(made, libraries=(unread,)))
    assert (run.status, run.note) == ("passed", f"{made.path}: its target does not say its version")


def test_links_beside_other_packages_are_not_ours() -> None:
    foreign = StrayLink(f"{SITE}/flask.libs/liba.so.1", "gone", exists=False)
    assert judge("library-links-stale", here(foreign, libraries=(lib("flask.libs/b.so", "flask"),))).status == "passed"


def test_without_links_all_is_well_and_without_a_gpu_stack_there_is_nothing_to_judge() -> None:
    assert judge("library-links-stale", here()).status == "passed"
    run = judge("library-links-stale", inventory(dist("flask", "3.0")))
    assert (run.status, run.applies) == ("skipped", False)


def test_what_cudnns_own_rule_sweeps_is_no_second_illness() -> None:
    loader = "ctranslate2.libs/libcudnn-74a4c495.so.9.1.0"
    stray = StrayLink(f"{SITE}/ctranslate2.libs/libcudnn_ops_infer.so.8", "gone", exists=False)
    ops = lib(f"{FOLDER}/libcudnn_ops.so.9", CUDNN.name)
    asks = resolution(loader, "ctranslate2", "libcudnn_ops.so.9", found=None)
    case = judge_all(
        inventory(
            *(dist("ctranslate2", "4.6.1"), CUDNN),
            libraries=(lib(loader, "ctranslate2"), ops),
            links=(stray,),
            resolutions=(asks,),
        )
    )
    (primary,) = [finding for finding in case.findings if finding.consequence_of is None]
    assert primary.rule == "cudnn-unreachable"
    assert [finding.rule for finding in case.consequences(primary)] == ["library-links-stale"]


def test_a_recorded_file_that_is_a_link_to_nothing_is_damage_and_not_a_stray_link() -> None:
    lost = Damage(HOME.path, CUDNN.name, "missing", "a file", "symlink to gone, which does not exist")
    case = judge_all(inventory(CUDNN, damages=(lost,), libraries=(HOME,)))
    assert [finding.rule for finding in case.findings] == ["package-files-damaged"]
