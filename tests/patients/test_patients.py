"""Patients as they were recorded, questions and answers included: judged elsewhere, they have the same illnesses."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_doctor.model import plain
from gpu_doctor.model.case import Case
from gpu_doctor.model.inventory import Inventory
from tests import kit
from tests.checks.judge import judge_all
from tests.patients.record import HERE, LARGEST, TRACES, lines, main

# Each patient's verdict and its primary findings that are errors.
EXPECTED: dict[str, tuple[str, set[str]]] = {
    "whisperx-cudnn": ("sick", {"ort-packages-clash", "cudnn-unreachable"}),
    "nvjitlink": ("sick", {"package-version-conflict"}),
    "cuda13-ct2": ("sick", {"cuda-majors-mixed"}),
    "cudnn-overwritten": ("sick", {"packages-overwrite"}),
    "torch26-5090": ("sick", {"kernel-image-missing"}),
    "torch-segv": ("sick", {"torch-import-fails"}),
    "healthy-whisper": ("healthy", set()),
    "ok-4090": ("healthy", set()),
    "ok-h100": ("healthy", set()),
}


def recorded(name: str) -> Inventory:
    return plain.loads((HERE / f"{name}.json").read_text(encoding="ascii"))


def errors(case: Case) -> set[str]:
    return {finding.rule for finding in case.findings if finding.severity == "error" and not finding.consequence_of}


def test_every_recording_is_expected_to_be_something() -> None:
    assert {path.stem for path in HERE.glob("*.json")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recorded_patient_has_its_illnesses_and_no_other(name: str) -> None:
    case = judge_all(recorded(name))
    assert (case.verdict, errors(case)) == EXPECTED[name]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recorded_patient_was_asked_live_and_names_no_machine(name: str) -> None:
    text = (HERE / f"{name}.json").read_text(encoding="ascii")
    assert isinstance(recorded(name).probes, tuple)
    assert TRACES.search(text) is None
    assert len(text) <= LARGEST
    assert lines(plain.to_plain(recorded(name))) == text


def test_a_recording_that_names_the_machine_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.patients.record.HERE", tmp_path)
    left = kit.probe("import", "torch", "raised", log="/mnt/secret/torch.py: no")
    with pytest.raises(SystemExit, match="/mnt/secret"):
        main("traced", plain.dumps(kit.inventory(probes=(left,))))
    main("clean", plain.dumps(kit.inventory(probes=(kit.probe("import", "torch"),))))
    assert [path.name for path in tmp_path.iterdir()] == ["clean.json"]
