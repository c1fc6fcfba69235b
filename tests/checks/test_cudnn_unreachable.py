"""cudnn-unreachable: a loader that does not find its parts."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from gpu_doctor.checks.shared import live
from gpu_doctor.model.inventory import Damage, Inventory, StrayLink
from gpu_doctor.model.libraries import Resolution, Tried
from gpu_doctor.model.probes import Probe
from gpu_doctor.model.remedy import InstallPackages, MakeLink, Remedy, RemoveFile, RestoreFile
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import commands, evidence, judge, judge_all, only
from tests.kit import PREFIX, SITE, dist, gpu, inventory, lib, probe, resolution, trial

CT2 = dist("ctranslate2", "4.6.1")
CUDNN = dist("nvidia-cudnn-cu12", "9.10.2.21")
LOADER = "ctranslate2.libs/libcudnn-74a4c495.so.9.1.0"
PARTS = ("graph", "ops", "cnn", "adv")
# The graph part opens these beside itself; the loader never asks for them.
FURTHER_PARTS = ("heuristic", "engines_precompiled", "engines_runtime_compiled")
OLD_LOADER = "ctranslate2.libs/libcudnn-463fd6d5.so.8.9.7"
BUNDLED = lib(LOADER, "ctranslate2")
LIBRARIES = (BUNDLED, *(lib(f"nvidia/cudnn/lib/libcudnn_{part}.so.9", CUDNN.name) for part in PARTS + FURTHER_PARTS))


def part(name: str, found: str | None = None, after: tuple[str, ...] = (), **changes: Any) -> Resolution:
    names = tuple(f"libcudnn_{name}.so.{version}" for version in ("9.1.0", "9.1", "9"))
    return resolution(LOADER, "ctranslate2", *names, found=found, after=after, **changes)


def sick(*packages: Any, **changes: Any) -> Inventory:
    values = {"libraries": LIBRARIES, "resolutions": tuple(part(name) for name in PARTS), **changes}
    return inventory(*packages, **values)


def test_ctranslate2s_bundled_loader_finds_no_part() -> None:
    finding = only(judge("cudnn-unreachable", sick(CT2, CUDNN)))
    assert (finding.severity, finding.subject) == ("error", "ctranslate2: libcudnn-74a4c495.so.9.1.0")
    assert "ctranslate2 4.6.1 opens 4 cuDNN parts by name" in finding.message
    assert "aborts" in finding.message
    assert finding.seats == (f"{SITE}/{LOADER}",)
    assert "libcudnn_adv.so.9" in evidence(finding)["likewise"]


LINKS = tuple(
    MakeLink(f"{SITE}/ctranslate2.libs/libcudnn_{name}.so.9", f"../nvidia/cudnn/lib/libcudnn_{name}.so.9")
    for name in sorted(PARTS + FURTHER_PARTS)
)
PRICE = "the next sync or reinstall of ctranslate2 takes the links away"
LINKED = Remedy("Place links to every cuDNN part beside the loader.", "safe", LINKS, PRICE)
SWEPT = "Place links to every cuDNN part beside the loader and take away what other recipes left."


def test_links_to_every_part_are_the_least_and_the_upgrade_lasts() -> None:
    finding = only(judge("cudnn-unreachable", sick(CT2, CUDNN)))
    assert finding.remedy == LINKED
    step = InstallPackages(("uv", "pip"), f"{PREFIX}/bin/python", ("ctranslate2>=4.6.3,<5",))
    assert finding.durable == Remedy(
        "Upgrade ctranslate2 to 4.6.3 or newer, which bundles no cuDNN.",
        "ask",
        (step,),
        "changes ctranslate2 4.6.1 and downloads the new one; a sync to an older pin takes it back",
    )


def test_where_a_pin_forbids_the_upgrade_the_links_are_all_there_is() -> None:
    whisperx = dist("whisperx", "3.4.2", requires=("ctranslate2<4.5.0",))
    finding = only(judge("cudnn-unreachable", sick(CT2, CUDNN, whisperx)))
    assert (finding.remedy, finding.durable) == (LINKED, None)


def stray(path: str, points_to: str, *, exists: bool = True) -> StrayLink:
    return StrayLink(f"{SITE}/{path}", points_to, exists)


def removed(link: StrayLink) -> RemoveFile:
    said = "which no package brought" if link.exists else "which does not exist"
    return RemoveFile(link.path, f"a link to {link.points_to}, {said}")


BESIDE = "ctranslate2.libs"
SOURCE = "nvidia/cudnn/lib"
# What the widely copied recipe leaves: versioned links in both folders, and a chain from the loader.
VERSIONED = stray(f"{SOURCE}/libcudnn_ops.so.9.1.0", "libcudnn_ops.so.9")
BARE = stray(f"{SOURCE}/libcudnn.so", "libcudnn.so.9")
ITS_OWN = stray(f"{BESIDE}/libcudnn_ops.so.9.1.0", "../nvidia/cudnn/lib/libcudnn_ops.so.9.1.0")
DANGLING = stray(f"{BESIDE}/libcudnn_adv_infer.so.8", "../nowhere.so.8", exists=False)
CHAINED = stray(f"{BESIDE}/libcudnn_cnn.so", "libcudnn_cnn.so.9", exists=False)
ROBBED = stray(f"{BESIDE}/libcudnn.so", "../nvidia/cudnn/lib/libcudnn.so")
WRONG = stray(f"{BESIDE}/libcudnn_graph.so.9", "../nvidia/cudnn/lib/libcudnn_ops.so.9")
OTHER = stray(f"{BESIDE}/libcublas.so.12", "../nvidia/cublas/lib/libcublas.so.12", exists=False)


def test_what_other_recipes_left_is_taken_away_and_what_will_lead_somewhere_stays() -> None:
    links = (BARE, CHAINED, DANGLING, ITS_OWN, OTHER, ROBBED, VERSIONED, WRONG)
    finding = only(judge("cudnn-unreachable", sick(CT2, CUDNN, links=links)))
    gone = (BARE, DANGLING, ITS_OWN, ROBBED, VERSIONED)
    assert finding.remedy == Remedy(SWEPT, "safe", (*map(removed, gone), *LINKS), PRICE)
    assert set(finding.seats) == {f"{SITE}/{LOADER}", WRONG.path, CHAINED.path, *(link.path for link in gone)}


def test_a_part_beside_the_loader_that_lacks_further_parts_is_the_loaders_illness() -> None:
    """As after the installation of a cuDNN with more parts than the links name: fewer parts, one subject."""
    link = replace(lib(LINKS[4].path, CT2.name), real=f"{SITE}/{SOURCE}/libcudnn_graph.so.9")
    healed = tuple(part(name, f"{BESIDE}/libcudnn_{name}.so.9") for name in PARTS)
    further = resolution(link.path, CT2.name, "libcudnn_heuristic.so.9", found=None)
    placed = (StrayLink(LINKS[4].path, LINKS[4].points_to, exists=True),)
    here = sick(CT2, CUDNN, libraries=(link, *LIBRARIES), resolutions=(*healed, further), links=placed)
    finding = only(judge("cudnn-unreachable", here))
    assert finding.fingerprint == only(judge("cudnn-unreachable", sick(CT2, CUDNN))).fingerprint
    assert finding.seats[:2] == (f"{SITE}/{LOADER}", link.path)
    assert finding.remedy == replace(LINKED, steps=(*LINKS[:4], *LINKS[5:]))
    both = only(judge("cudnn-unreachable", replace(here, resolutions=(part("ops"), further))))
    assert both.subject == finding.subject


def test_a_loader_that_is_lost_cannot_be_judged_until_it_is_back() -> None:
    """What it will ask for is not known: a repair that brings it back does no harm by what shows then."""
    name = LOADER.rpartition("/")[2]
    needs = resolution("ctranslate2.libs/libctranslate2.so.4", "ctranslate2", name, found=None, how="needed")
    lost = Damage(f"{SITE}/{LOADER}", "ctranslate2", "missing", "126 bytes", "no such file")
    run = judge("cudnn-unreachable", sick(CT2, resolutions=(needs,), damages=(lost,)))
    assert (run.status, run.applies, run.note) == ("skipped", True, f"{name} is not where its package put it")


def test_links_that_are_right_already_are_not_made_again() -> None:
    right = tuple(StrayLink(link.path, link.points_to, exists=True) for link in LINKS[:3])
    own = tuple(replace(lib(link.path, CT2.name), real=f"{SITE}/x") for link in LINKS[:3])
    here = sick(CT2, CUDNN, links=right, libraries=(*own, *LIBRARIES))
    assert only(judge("cudnn-unreachable", here)).remedy == replace(LINKED, steps=LINKS[3:])


def test_a_copy_beside_the_loader_stays() -> None:
    copy = lib(f"{BESIDE}/libcudnn_adv.so.9", None)
    here = sick(CT2, CUDNN, libraries=(copy, *LIBRARIES))
    assert only(judge("cudnn-unreachable", here)).remedy == replace(LINKED, steps=LINKS[1:])


REPLACED = replace(BUNDLED, real=f"{SITE}/{SOURCE}/libcudnn.so.9")
HOME = lib(f"{SOURCE}/libcudnn.so.9", CUDNN.name)
ALIAS = replace(lib(f"{SOURCE}/libcudnn.so", None), real=HOME.path)
REPLACEMENT = Damage(f"{SITE}/{LOADER}", "ctranslate2", "altered", "126 bytes", "symlink to …")


def folk_fixed(original: str | None) -> Inventory:
    libraries = (REPLACED, HOME, ALIAS, *LIBRARIES[1:])
    damages = (replace(REPLACEMENT, original=original),)
    return sick(CT2, CUDNN, libraries=libraries, damages=damages, links=(BARE, VERSIONED))


def test_the_bundled_loader_comes_back_where_somebody_kept_it() -> None:
    saved = f"{SITE}/{LOADER}.bak"
    finding = only(judge("cudnn-unreachable", folk_fixed(saved)))
    steps = (removed(BARE), removed(VERSIONED), RestoreFile(f"{SITE}/{LOADER}", saved), *LINKS)
    assert finding.remedy == Remedy(SWEPT, "safe", steps, PRICE)


def test_a_link_in_its_place_that_works_with_the_parts_beside_it_stays_with_what_it_leads_through() -> None:
    finding = only(judge("cudnn-unreachable", folk_fixed(None)))
    assert finding.remedy == Remedy(SWEPT, "safe", (removed(VERSIONED), *LINKS), PRICE)


def test_where_the_parts_are_not_installed_either_their_wheel_is_named() -> None:
    whisperx = dist("whisperx", "3.4.2", requires=("ctranslate2<4.5.0",))
    finding = only(judge("cudnn-unreachable", sick(CT2, whisperx, libraries=(BUNDLED,))))
    assert commands(finding) == ["uv pip install --python /opt/app/venv/bin/python nvidia-cudnn-cu12==9.10.2.21"]
    assert finding.durable is None


def test_links_to_parts_that_were_removed_come_right_with_their_wheel() -> None:
    lost = tuple(StrayLink(link.path, link.points_to, exists=False) for link in LINKS)
    case = judge_all(sick(CT2, libraries=(BUNDLED,), links=lost))
    (primary,) = [finding for finding in case.findings if finding.consequence_of is None]
    assert (primary.rule, primary.seats[1:]) == ("cudnn-unreachable", tuple(link.path for link in lost))
    assert commands(primary)[0].endswith(" nvidia-cudnn-cu12==9.10.2.21")
    assert [finding.rule for finding in case.consequences(primary)] == ["library-links-stale"]


def test_the_parts_come_in_the_release_that_others_ask_for_or_that_has_code_for_the_gpu() -> None:
    torch = dist("torch", "2.8.0", cuda="12.8", requires=("nvidia-cudnn-cu12==9.10.2.21",))
    asked = only(judge("cudnn-unreachable", sick(CT2, torch, libraries=(BUNDLED,))))
    assert commands(asked)[0].endswith(" nvidia-cudnn-cu12==9.10.2.21")
    volta = sick(CT2, libraries=(BUNDLED,), gpus=(gpu("Tesla V100", (7, 0)),))
    assert commands(only(judge("cudnn-unreachable", volta)))[0].endswith(" nvidia-cudnn-cu12==9.10.2.21")


def test_the_widely_copied_link_is_named_as_what_does_not_help() -> None:
    link = replace(BUNDLED, real=f"{SITE}/nvidia/cudnn/lib/libcudnn.so.9")
    finding = only(judge("cudnn-unreachable", sick(CT2, CUDNN, libraries=(link, *LIBRARIES[1:]))))
    assert f"to {SITE}/nvidia/cudnn/lib/libcudnn.so.9" in evidence(finding)["is a link"]


def test_an_import_before_it_does_not_heal_it() -> None:
    """The loader is found first by whoever is imported first; the bundled one still looks beside itself."""
    later = tuple(part(name, f"nvidia/cudnn/lib/libcudnn_{name}.so.9", ("torch",)) for name in PARTS)
    finding = only(judge("cudnn-unreachable", sick(CT2, CUDNN, resolutions=(*(part(n) for n in PARTS), *later))))
    assert finding.severity == "error"
    assert "after import torch" in evidence(finding)


def test_what_was_searched_is_shown() -> None:
    tried = (Tried(f"{SITE}/ctranslate2.libs/libcudnn_graph.so.9", "DT_RPATH of libcudnn", "no such file"),)
    finding = only(judge("cudnn-unreachable", sick(CT2, CUDNN, resolutions=(part("graph", tried=tried),))))
    assert evidence(finding)["opens libcudnn_graph.so.9"] == f"not in {SITE}/ctranslate2.libs (DT_RPATH)"
    assert "1 cuDNN part by name" in finding.message


def test_a_library_that_needs_cudnn_itself_cannot_be_loaded() -> None:
    torch = dist("torch", "2.12.0", cuda="13.0", built="2.12.0+cu130")
    needed = resolution("torch/lib/libtorch_cuda.so", "torch", "libcudnn.so.9", found=None, how="needed")
    finding = only(judge("cudnn-unreachable", inventory(torch, resolutions=(needed,))))
    assert finding.severity == "error"
    assert "cannot be loaded" in finding.message
    (line,) = commands(finding)
    assert re.search(r" nvidia-cudnn-cu13==9\.\d+\.\d+\.\d+$", line)


def test_links_beside_the_loader_heal() -> None:
    healed = tuple(part(name, f"ctranslate2.libs/libcudnn_{name}.so.9") for name in PARTS)
    assert judge("cudnn-unreachable", sick(CT2, CUDNN, resolutions=healed)).status == "passed"


def test_a_gpu_makes_it_an_error_where_ctranslate2_is_alone() -> None:
    assert only(judge("cudnn-unreachable", sick(CT2))).severity == "error"


def test_a_cpu_machine_does_not_call_cudnn() -> None:
    """faster-whisper on a server without a GPU, on purpose."""
    assert only(judge("cudnn-unreachable", sick(CT2, gpus=(), driver=None))).severity == "note"


def test_for_an_unknown_machine_it_is_inferred() -> None:
    unknown = sick(CT2, gpus=Unknown("NVML does not answer"), driver=Unknown("none"))
    assert only(judge("cudnn-unreachable", unknown)).severity == "warning"


def test_packages_for_cuda_say_what_is_meant_on_any_machine() -> None:
    assert only(judge("cudnn-unreachable", sick(CT2, CUDNN, gpus=(), driver=None))).severity == "error"


def test_onnxruntimes_provider_is_judged_by_its_own_rule() -> None:
    provider = resolution(
        "onnxruntime/capi/libonnxruntime_providers_cuda.so", "onnxruntime-gpu", "libcudnn.so.9", found=None
    )
    assert (
        judge("cudnn-unreachable", inventory(dist("onnxruntime-gpu", "1.20.2"), resolutions=(provider,))).status
        == "passed"
    )


@pytest.mark.parametrize(
    "resolutions",
    [(), (part("graph", optional=True),), (resolution("x.so", None, "libcudnn.so.9", found=None),)],
    ids=["nobody asks", "an optional wish", "a file that no package owns"],
)
def test_who_does_not_depend_on_cudnn_is_not_judged(resolutions: tuple[Resolution, ...]) -> None:
    run = judge("cudnn-unreachable", sick(CT2, resolutions=resolutions))
    assert (run.status, run.applies) == ("skipped", False)


def test_cudnn_8_comes_with_nothing_else_so_who_pins_ctranslate2_is_upgraded_with_it() -> None:
    old = dist("ctranslate2", "4.4.0")
    whisperx = dist("whisperx", "3.3.1", requires=("ctranslate2<4.5.0",))
    asked = (resolution(OLD_LOADER, "ctranslate2", "libcudnn_ops_infer.so.8", found=None),)
    finding = only(judge("cudnn-unreachable", inventory(old, whisperx, libraries=LIBRARIES, resolutions=asked)))
    assert commands(finding) == ["uv pip install --python /opt/app/venv/bin/python 'ctranslate2>=4.6.3,<5' whisperx"]
    alone = only(judge("cudnn-unreachable", inventory(old, libraries=LIBRARIES, resolutions=asked)))
    assert commands(alone) == ["uv pip install --python /opt/app/venv/bin/python 'ctranslate2>=4.6.3,<5'"]
    assert (finding.durable, alone.durable) == (None, None)


def test_files_that_their_package_lost_are_the_cause() -> None:
    """What uninstalling nvidia-cudnn-cu12 takes from nvidia-cudnn-cu13, which has the same paths."""
    torch = dist("torch", "2.12.0", cuda="13.0")
    path = f"{SITE}/nvidia/cudnn/lib/libcudnn.so.9"
    asked = resolution("torch/lib/libtorch_cuda.so", "torch", "libcudnn.so.9", found=None, how="needed")
    lost = Damage(path, "nvidia-cudnn-cu13", "missing", "a file", "nothing")
    case = judge_all(inventory(torch, dist("nvidia-cudnn-cu13", "9.20.0.48"), resolutions=(asked,), damages=(lost,)))
    assert [f.rule for f in case.findings] == ["package-files-damaged"]


SUBJECT = "ctranslate2: libcudnn-74a4c495.so.9.1.0"
ABORTED = "was killed by SIGABRT (Aborted)"
DEATH = probe(
    *("cudnn", SUBJECT, "crashed", trial("open the loader"), trial("cudnnGetVersion", "died", ABORTED)),
    reason=ABORTED,
    log="Unable to load any of {libcudnn_graph.so.9.1.0, libcudnn_graph.so.9}",
)
LIFE = probe("cudnn", SUBJECT, "answered", trial("open the loader"), trial("cudnnGetVersion"))


def test_a_live_death_is_the_first_evidence_of_the_same_finding() -> None:
    case = judge_all(sick(CT2, CUDNN, probes=(DEATH,)))
    (finding,) = [f for f in case.findings if f.severity == "error"]
    assert finding.rule == "cudnn-unreachable"
    said = live.testimony(DEATH, DEATH.trials[1])
    assert finding.evidence[: len(said)] == said
    assert "not in the loader's folders" in evidence(finding)["opens libcudnn_graph.so.9"]
    assert [f.rule for f in case.findings] == ["cudnn-unreachable"]


def test_what_worked_in_a_live_process_is_no_finding() -> None:
    assert judge("cudnn-unreachable", sick(CT2, CUDNN, probes=(LIFE,))).status == "passed"


@pytest.mark.parametrize(
    "elsewhere",
    [
        replace(LIFE, after=("torch",)),
        replace(LIFE, subject="torch: libcudnn.so.9"),
        replace(LIFE, ending="skipped", trials=()),
        replace(LIFE, ending="crashed", reason="was killed by SIGKILL (Killed)", trials=()),
    ],
    ids=["after another import", "another loader", "skipped", "killed before it began"],
)
def test_an_answer_to_another_question_changes_nothing(elsewhere: Probe) -> None:
    static = only(judge("cudnn-unreachable", sick(CT2, CUDNN)))
    assert only(judge("cudnn-unreachable", sick(CT2, CUDNN, probes=(elsewhere,)))) == static


def test_a_proof_weighs_nothing_where_no_gpu_is_meant() -> None:
    assert only(judge("cudnn-unreachable", sick(CT2, probes=(DEATH,), gpus=(), driver=None))).severity == "note"


def test_links_to_four_parts_leave_the_first_convolution_ill() -> None:
    """The graph part opens further ones beside itself; the loader's own calls all pass."""
    healed = tuple(part(name, f"ctranslate2.libs/libcudnn_{name}.so.9") for name in PARTS)
    graph = "ctranslate2.libs/libcudnn_graph.so.9"
    further = resolution(graph, "ctranslate2", "libcudnn_heuristic.so.9.1.0", "libcudnn_heuristic.so.9", found=None)
    words = "OSError: libcudnn_heuristic.so.9: cannot open shared object file: No such file or directory"
    lacking = replace(LIFE, trials=(*LIFE.trials, trial("libcudnn_heuristic.so.9", "failed", words)))
    finding = only(judge("cudnn-unreachable", sick(CT2, CUDNN, resolutions=(*healed, further), probes=(lacking,))))
    assert finding.evidence[0].value == words
    found = replace(LIFE, trials=(*LIFE.trials, trial("libcudnn_heuristic.so.9", opened=f"/opt/{FURTHER_PARTS[0]}")))
    here = sick(CT2, CUDNN, resolutions=(*healed, further), probes=(found,))
    assert judge("cudnn-unreachable", here).status == "passed"
