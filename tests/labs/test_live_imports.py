"""Imports and CTranslate2's models in real environments, without a GPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gpu_doctor.checks.engine.registry import load_rules
from gpu_doctor.checks.engine.run import run_rules
from gpu_doctor.collect.inventory import take_inventory
from gpu_doctor.collect.questions.ctranslate2 import ctranslate2_questions
from gpu_doctor.collect.wish import Wish
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.case import Case
from gpu_doctor.model.probes import Probe
from gpu_doctor.model.target import Target
from tests.checks.judge import commands, evidence

pytestmark = pytest.mark.lab

Lab = Callable[[str], Path]

FACTS = Facts.load()
# What is found by files alone, or needs a GPU, is judged elsewhere.
RULES = {
    *("torch-import-fails", "package-import-fails", "torchcodec-abi-mismatch"),
    *("package-version-conflict", "library-path-shadows", "package-files-damaged"),
}


def case(prefix: Path, *kinds: str) -> Case:
    target = Target(None, str(prefix), "--prefix")
    wish = Wish(frozenset(kinds or ("import",)), deadline=300.0)  # type: ignore[arg-type]
    inventory = take_inventory(target, {"PATH": "/usr/bin:/bin"}, FACTS, lambda _: None, wish)
    rules = [item for item in load_rules() if item.rule.id in RULES]
    return Case(inventory, run_rules(rules, inventory, FACTS), tuple(item.rule for item in rules))


def probes(judged: Case, kind: str) -> dict[str, Probe]:
    assert isinstance(judged.inventory.probes, tuple)
    return {probe.subject: probe for probe in judged.inventory.probes if probe.kind == kind}


def test_another_nvjitlink_is_one_illness_with_torchs_import_under_it(lab: Lab) -> None:
    judged = case(lab("nvjitlink"))
    (primary,) = [f for f in judged.findings if f.consequence_of is None]
    assert primary.rule == "package-version-conflict"
    assert "torch-import-fails" in {f.rule for f in judged.consequences(primary)}
    assert {f.consequence_of for f in judged.findings if f is not primary} == {primary.fingerprint}
    failed = next(f for f in judged.findings if f.rule == "torch-import-fails")
    assert "undefined symbol: __nvJitLinkCreate_12_8" in failed.message


def test_a_healthy_torch_imports_and_says_which_libraries_it_took(lab: Lab) -> None:
    judged = case(lab("ok-4090"))
    assert judged.findings == ()
    mapped = probes(judged, "import")["torch"].trial("mapped libraries")
    assert mapped is not None
    cudnn = next(m.value for m in mapped.measured if m.value.endswith("/libcudnn.so.9"))
    assert "/site-packages/nvidia/cudnn/lib/" in cudnn


def test_a_torchcodec_for_cuda_13_does_not_load_under_a_torch_for_cuda_12(lab: Lab) -> None:
    (finding,) = case(lab("torchcodec-for-cuda-13")).findings
    assert (finding.rule, finding.severity) == ("torchcodec-abi-mismatch", "error")
    assert "does not find libnvrtc.so.13" in finding.message
    assert evidence(finding)["torchcodec 0.17.0 belongs to"] == "torch >=2.11"
    assert commands(finding)[0].endswith("torchcodec==0.7.0")


def test_a_torchcodec_that_fits_lacks_ffmpeg_at_most(lab: Lab) -> None:
    findings = case(lab("torchcodec-that-fits")).findings
    assert [f.message for f in findings if "finds no FFmpeg" not in f.message] == []
    assert {f.severity for f in findings} <= {"warning"}


@pytest.mark.parametrize("name", ["speed", "cuda12-ct2", "cuda13-ct2"])
def test_ctranslate2_computes_alike_in_every_format_of_the_cpu(lab: Lab, name: str) -> None:
    found = probes(case(lab(name), "import", "ctranslate2"), "ctranslate2")
    cpu = found["CPU"]
    assert cpu.ending == "answered", cpu.log
    assert {t.outcome for t in cpu.trials} == {"passed", "skipped"}
    passed = {t.name for t in cpu.trials if t.outcome == "passed"}
    assert {"device count", "compute types", "run cpu float32", "run cpu int8", "convolution cpu float32"} <= passed
    rounded = cpu.trial("run cpu int8")
    assert rounded is not None
    assert 0 < float(rounded.value("relative error") or 0) < 0.06


def test_the_shell_line_of_the_question_is_true(lab: Lab) -> None:
    """What is said to be seen again by hand runs as it stands."""
    import subprocess

    judged = case(lab("speed"))
    (cpu, _gpu) = ctranslate2_questions(judged.inventory, FACTS, False)[:2]
    done = subprocess.run(cpu.again, shell=True, capture_output=True, text=True, timeout=300)
    assert (done.returncode, "float32" in done.stdout) == (0, True)
