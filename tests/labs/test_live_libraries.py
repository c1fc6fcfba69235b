"""What the model of ld.so says of real cuDNN and cuBLAS is proven or cleared by really opening them, without a GPU."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gpu_doctor import doctor
from gpu_doctor.model.case import Case
from gpu_doctor.model.finding import Finding
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Probe
from gpu_doctor.probe.ask import ask
from tests.labs.build import site_packages
from tests.labs.recipes import CUDNN, LOADER, PARTS, RECIPES

pytestmark = pytest.mark.lab

Lab = Callable[[str], Path]

RULES = (
    *("cublas-unreachable", "cuda-majors-mixed", "cudnn-broken", "cudnn-unreachable"),
    *("library-path-shadows", "package-files-damaged", "packages-overwrite"),
)
BUNDLED = f"ctranslate2: {LOADER.rpartition('/')[2]}"
OWN = "torch: libcudnn.so.9"
ORDERS = ((), ("ctranslate2",), ("torch", "ctranslate2"), ("ctranslate2", "torch"))


def environment(**variables: str) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if k not in ("LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONPATH")}
    return {**inherited, **variables}


def examined(prefix: Path, **variables: str) -> Case:
    """Judge a lab with its own Python really asked, by the rules about libraries."""
    environ = environment(**variables)
    target = doctor.choose(str(prefix / "bin/python"), None, environ, str(prefix))
    return doctor.examine(target, environ, select=RULES).cases[0]


def asked(inventory: Inventory, subject: str) -> list[Probe]:
    assert isinstance(inventory.probes, tuple)
    return [probe for probe in inventory.probes if probe.subject == subject]


def alarms(case: Case) -> list[Finding]:
    return [finding for finding in case.findings if finding.severity != "note"]


def call(prefix: Path, loader: str, after: tuple[str, ...], **variables: str) -> tuple[str, str, str]:
    """Put the question itself to a lab; return how it ended, what cuDNN says it is, and what was printed last."""
    argument = {"loader": loader, "after": after, "further": [], "torch": False, "alone": False}
    python = str(prefix / "bin/python")
    found = ask(
        "cudnn.py", python, argument=argument, deadline=120.0, environ=environment(**variables), options=("-B",)
    )
    version = str((found.value or {}).get("version", ""))
    return found.ending, version, found.log


@pytest.mark.parametrize("after", ORDERS, ids=" then ".join)
def test_the_bundled_loader_dies_in_every_import_order(lab: Lab, after: tuple[str, ...]) -> None:
    prefix = lab("whisperx-cudnn")
    ending, _, log = call(prefix, str(site_packages(prefix) / LOADER), after)
    assert ending == "crashed"
    assert "Unable to load any of {libcudnn_graph.so.9" in log


@pytest.mark.parametrize("after", ORDERS, ids=" then ".join)
def test_links_beside_it_heal_it_in_every_import_order(lab: Lab, after: tuple[str, ...]) -> None:
    prefix = lab("ct2-links")
    ending, version, log = call(prefix, str(site_packages(prefix) / LOADER), after)
    assert (ending, version) == ("answered", "9.10.2"), log


@pytest.mark.parametrize("after", ORDERS, ids=" then ".join)
def test_the_variable_heals_it_in_every_import_order(lab: Lab, after: tuple[str, ...]) -> None:
    prefix = lab("whisperx-cudnn")
    site = site_packages(prefix)
    ending, version, log = call(prefix, str(site / LOADER), after, LD_LIBRARY_PATH=str(site / CUDNN))
    assert (ending, version) == ("answered", "9.10.2"), log


def test_the_folk_remedy_helps_only_where_torch_was_imported_first(lab: Lab) -> None:
    """ld.so then knows the linked file already, by the path that torch used, beside which the parts do lie."""
    prefix = lab("folk-fixed")
    loader = str(site_packages(prefix) / LOADER)
    endings = {after: call(prefix, loader, after)[0] for after in ORDERS}
    assert endings == {**dict.fromkeys(ORDERS, "crashed"), ("torch", "ctranslate2"): "answered"}


@pytest.mark.parametrize("name", ["whisperx-cudnn", "folk-fixed"])
def test_the_illness_is_proven_in_one_finding(lab: Lab, name: str) -> None:
    case = examined(lab(name))
    (finding,) = alarms(case)
    assert (finding.rule, finding.severity, finding.subject) == ("cudnn-unreachable", "error", BUNDLED)
    first = finding.evidence[0]
    assert first.what == f"asked live: cudnnGetVersion of {BUNDLED.partition(': ')[2]}, after import ctranslate2"
    assert first.value == "killed by SIGABRT (Aborted)"
    assert any("Unable to load any of {libcudnn_graph.so.9" in row.value for row in finding.evidence)
    assert any(row.what.startswith("opens libcudnn_graph.so.9") for row in finding.evidence)


@pytest.mark.parametrize("name", ["ct2-links", "healthy-whisper"])
def test_the_healthy_twins_are_cleared(lab: Lab, name: str) -> None:
    case = examined(lab(name))
    assert [(f.rule, f.message) for f in case.findings if f.severity == "error"] == []
    assert [f.rule for f in case.findings if f.rule.startswith("cudnn")] == []
    loaders = [BUNDLED, OWN] if name == "ct2-links" else [OWN]
    for subject in loaders:
        probes = asked(case.inventory, subject)
        assert [(p.ending, p.value("version")) for p in probes] == [("answered", "9.10.2")] * len(probes)
        assert probes
        assert {trial.outcome for probe in probes for trial in probe.trials} == {"passed"}


def test_the_variable_clears_it(lab: Lab) -> None:
    prefix = lab("whisperx-cudnn")
    case = examined(prefix, LD_LIBRARY_PATH=str(site_packages(prefix) / CUDNN))
    assert [(f.rule, f.message) for f in alarms(case)] == []
    assert [probe.ending for probe in asked(case.inventory, BUNDLED)] == ["answered"]


def test_a_foreign_cudnn_in_front_is_proven_by_torch_itself(lab: Lab) -> None:
    prefix = lab("shadowed-cudnn")
    case = examined(prefix, **RECIPES["shadowed-cudnn"].environment(prefix))
    (primary,) = alarms(case)
    assert (primary.rule, primary.severity) == ("library-path-shadows", "error")
    assert "cuDNN version incompatibility" in primary.evidence[0].value
    assert [f.rule for f in case.consequences(primary)] == ["cudnn-broken"]


def test_half_of_a_part_kills_and_is_explained_by_the_file(lab: Lab) -> None:
    case = examined(lab("truncated"))
    (primary,) = alarms(case)
    assert primary.rule == "package-files-damaged"
    (consequence,) = case.consequences(primary)
    assert consequence.rule == "cudnn-broken"
    assert "libcudnn_ops.so.9 does not load" in consequence.message


def test_a_cudnn_that_was_overwritten_as_a_whole_still_works(lab: Lab) -> None:
    case = examined(lab("cudnn-overwritten"))
    assert [f.rule for f in case.findings] == ["packages-overwrite"]


def test_parts_of_two_releases_are_refused_though_the_loader_says_they_are_not_there(lab: Lab, tmp_path: Path) -> None:
    """Its words are those of an unreachable part; only ld.so itself, asked part by part, gives the reason."""
    prefix, folder = lab("shadowed-cudnn"), tmp_path / "mixed"
    newer, older = site_packages(prefix) / CUDNN, prefix / "older" / CUDNN
    folder.mkdir()
    for name in ("libcudnn.so.9", *(f"libcudnn_{part}.so.9" for part in PARTS)):
        (folder / name).symlink_to((older if name == "libcudnn_cnn.so.9" else newer) / name)
    loader = str(folder / "libcudnn.so.9")
    ending, _, log = call(prefix, loader, ())
    assert ending == "crashed"
    assert "Unable to load any of {libcudnn_cnn.so.9" in log
    argument = {"loader": loader, "after": (), "further": [], "torch": False, "alone": True}
    why = ask("cudnn.py", str(prefix / "bin/python"), argument=argument, deadline=120.0, environ=environment())
    failed = {str(t["trial"]): str(t["detail"]) for t in why.told.trials if t["outcome"] == "failed"}
    assert list(failed) == ["libcudnn_cnn.so.9"]
    assert "undefined symbol" in failed["libcudnn_cnn.so.9"]


def test_a_missing_cublas_is_proven(lab: Lab) -> None:
    case = examined(lab("cuda13-ct2"))
    (primary,) = alarms(case)
    assert primary.rule == "cuda-majors-mixed"
    assert any("libcublas.so.12: cannot open shared object file" in row.value for row in primary.evidence)
    assert [f.rule for f in case.consequences(primary)] == ["cublas-unreachable"]


@pytest.mark.parametrize("name", ["whisperx-cudnn", "cuda13-ct2", "healthy-whisper"])
def test_the_model_and_the_live_process_agree_on_every_name(lab: Lab, name: str) -> None:
    inventory = examined(lab(name)).inventory
    assert isinstance(inventory.probes, tuple)
    tried = {(p.subject, p.after, t.name): t.outcome for p in inventory.probes if p.kind == "library" for t in p.trials}
    modelled = {(r.package, r.after, r.names[-1]): r.found for r in inventory.resolutions if r.how == "dlopen"}
    assert tried
    for key, outcome in tried.items():
        assert outcome == ("passed" if modelled[key] else "failed"), key
