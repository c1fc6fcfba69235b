"""Real environments, really sick, healed by `gpu-doctor fix`: proven by what did not work, and undone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.labs.copies import ask, python, uv
from tests.labs.healed import CALL_CUDNN, Patient

pytestmark = pytest.mark.lab

Lab = Callable[[str], Path]

PROVIDERS = "import onnxruntime; print(onnxruntime.get_available_providers())"


@pytest.fixture
def patient(lab: Lab, tmp_path: Path) -> Callable[[str], Patient]:
    return lambda name: Patient(lab(name), tmp_path)


@pytest.mark.parametrize("name", ["ort-clash", "ort-gpu-last", "gutted-onnxruntime"])
def test_one_onnxruntime_in_its_folder_whichever_was_written_last(patient: Callable[[str], Patient], name: str) -> None:
    sick = patient(name)
    sick.healed_for_good("ort-packages-clash")
    assert "CUDAExecutionProvider" in ask(sick.prefix, PROVIDERS).stdout
    listed = uv("pip", "list", "--python", python(sick.prefix), "--format", "json").stdout
    assert [item["name"] for item in json.loads(listed) if item["name"].startswith("onnxruntime")] == [
        "onnxruntime-gpu"
    ]
    sick.undone()


def test_torchs_own_nvjitlink_is_put_back(patient: Callable[[str], Patient]) -> None:
    sick = patient("nvjitlink")
    assert "__nvJitLink" in ask(sick.prefix, "import torch").stderr
    sick.healed_for_good("torch")
    assert ask(sick.prefix, "import torch").returncode == 0
    assert uv("pip", "check", "--python", python(sick.prefix)).returncode == 0
    sick.undone()


def test_of_two_cudnns_in_one_place_the_wanted_one_stays(patient: Callable[[str], Patient]) -> None:
    sick = patient("cudnn-overwritten")
    sick.healed_for_good("cudnn")
    assert ask(sick.prefix, CALL_CUDNN).stdout.strip() == "91002"
    sick.undone()


def test_half_a_library_is_written_again(patient: Callable[[str], Patient]) -> None:
    sick = patient("truncated")
    sick.healed_for_good("cudnn")
    assert ask(sick.prefix, CALL_CUDNN).stdout.strip() == "91002"
    sick.undone()


def test_a_folder_in_front_of_torchs_libraries_is_taken_out_at_activation(
    patient: Callable[[str], Patient], tmp_path: Path
) -> None:
    sick = patient("shadowed-cudnn")
    shadow = {"LD_LIBRARY_PATH": f"{sick.prefix}/older/nvidia/cudnn/lib"}
    said = sick.fix("library-path-shadows", variables=shadow)
    assert said["status"] == "healed", said
    assert sick.fix("library-path-shadows", variables=shadow)["status"] == "nothing to do"
    sick.undone()
