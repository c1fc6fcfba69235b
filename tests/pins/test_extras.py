"""The extras in pyproject.toml: every release that they allow, together, is one stack for CUDA 12."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import tomlkit
from packaging.requirements import Requirement
from packaging.version import Version

from gpu_doctor.facts.tables import Facts
from gpu_doctor.facts.torch import TorchBuild

ROOT = Path(__file__).resolve().parents[2]
FACTS = Facts.load()
PROJECT = tomlkit.parse((ROOT / "pyproject.toml").read_text(encoding="utf-8")).unwrap()["project"]
EXTRAS = {name: [Requirement(text) for text in texts] for name, texts in PROJECT["optional-dependencies"].items()}
PYTHONS = [Version(f"3.{minor}") for minor in range(10, 15)]
CUDA = 12


def bounds(name: str) -> Requirement:
    """What the extras ask of a package: the same wherever they name it."""
    found = {str(need) for needs in EXTRAS.values() for need in needs if need.name == name}
    assert len(found) == 1, found
    return Requirement(found.pop())


def torches() -> list[TorchBuild]:
    """The builds that a plain install brings."""
    return [b for b in FACTS.torch_builds() if b.default and bounds("torch").specifier.contains(b.release)]


def within(pythons: tuple[Version, Version], python: Version) -> bool:
    return pythons[0] <= python <= pythons[1]


def test_nothing_but_these_packages_is_asked_for() -> None:
    assert {name: [need.name for need in needs] for name, needs in EXTRAS.items()} == {
        "torch": ["torch", "torchvision", "torchaudio"],
        "onnx": ["onnxruntime-gpu"],
        "whisper": ["faster-whisper", "ctranslate2"],
        "xtts": ["coqui-tts", "six", "torch", "torchaudio", "torchcodec", "transformers"],
    }


def test_every_torch_is_for_this_cuda_and_every_python() -> None:
    assert torches()
    for build in torches():
        assert build.cuda is not None
        assert build.cuda.major == CUDA
        assert all(build.has_wheel_for(python) for python in PYTHONS)
        (cudnn,) = [pin for pin in build.pins if pin.startswith("nvidia-cudnn-")]
        assert cudnn.startswith(f"nvidia-cudnn-cu{CUDA}==9.")


@pytest.mark.parametrize("name", ["torchvision", "torchaudio"])
def test_every_companion_belongs_to_every_torch(name: str) -> None:
    known = {getattr(c, name) for b in FACTS.torch_builds() if (c := FACTS.torch_companions(b.release))}
    allowed = {version for version in known if bounds(name).specifier.contains(version)}
    assert {allowed == {getattr(FACTS.torch_companions(build.release), name)} for build in torches()} == {True}


def test_every_torchcodec_fits_every_torch() -> None:
    for build in torches():
        fitting = {fact.version for fact in FACTS.torchcodecs_for(build.release, CUDA)}
        every = [fact for version in FACTS._torchcodec if (fact := FACTS.torchcodec(version))]
        allowed = [fact for fact in every if bounds("torchcodec").specifier.contains(fact.version)]
        assert {fact.version for fact in allowed} <= fitting
        assert all(any(within(fact.pythons, python) for fact in allowed) for python in PYTHONS)


def test_every_ctranslate2_is_for_this_cuda_without_a_cudnn_of_its_own_and_imports_torch() -> None:
    allowed = [row for row in FACTS.ctranslate2_releases() if bounds("ctranslate2").specifier.contains(row.version)]
    assert {(row.cuda_major, row.cudnn, row.bundled_cudnn) for row in allowed} == {(CUDA, None, None)}
    assert max(row.version for row in allowed) < Version("4.8.2")
    assert all(any(within(row.pythons, python) for row in allowed) for python in PYTHONS)


def test_every_onnxruntime_is_for_this_cuda_and_cudnn() -> None:
    rows = FACTS.onnxruntime_releases()
    allowed = [row for row in rows if bounds("onnxruntime-gpu").specifier.contains(row.version)]
    assert {(row.cuda_major, row.cudnn_major) for row in allowed} == {(CUDA, 9)}
    assert all(any(within(row.pythons, python) for row in allowed) for python in PYTHONS)


@pytest.mark.parametrize("name", ["faster-whisper", "coqui-tts", "transformers"])
def test_every_speech_package_agrees_with_all_that_the_others_allow(name: str) -> None:
    allowed = [row for row in FACTS.audio_releases(name) if bounds(name).specifier.contains(row.version)]
    assert all(any(row.has_wheel_for(python) for row in allowed) for python in PYTHONS)
    others = {
        "torch": {build.release for build in torches()},
        "torchaudio": {c.torchaudio for b in torches() if (c := FACTS.torch_companions(b.release))},
        "ctranslate2": {row.version for row in FACTS.ctranslate2_releases()},
        "transformers": {row.version for row in FACTS.audio_releases("transformers")},
    }
    for row in allowed:
        for need in row.requires:
            wanted = [v for v in others.get(need.name, ()) if bounds(need.name).specifier.contains(v)]
            assert all(need.specifier.contains(version) for version in wanted), f"{name} {row.version} asks for {need}"


def test_coqui_has_the_torchcodec_that_it_asks_for_since_torch_2_9() -> None:
    assert all(build.release >= Version("2.9") for build in torches())
    assert bounds("torchcodec").specifier.contains("0.10.0")
    assert not bounds("torchcodec").specifier.contains("0.7.0")


@pytest.mark.lab
def test_uv_resolves_all_extras_together() -> None:
    extras = [word for name in EXTRAS for word in ("--extra", name)]
    where = ("--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28")
    command = (str(Path(sys.executable).parent / "uv"), "pip", "compile", "pyproject.toml", *extras, *where)
    options = ("--quiet", "--no-header", "--no-annotate")
    run = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert run.returncode == 0, run.stderr
    found = dict(re.findall(r"^([a-z0-9.-]+)==(\S+)$", run.stdout, re.MULTILINE))
    (build,) = [b for b in torches() if b.release == Version(found["torch"])]
    assert {pin for pin in build.pins if pin.startswith("nvidia-") and "==" in pin} <= {
        f"{name}=={version}" for name, version in found.items()
    }
    generations = {FACTS.cuda_generation(name) for name in found if name.startswith("nvidia-") and "-cu" in name}
    assert generations == {CUDA}
    assert all(bounds(need.name).specifier.contains(found[need.name]) for needs in EXTRAS.values() for need in needs)
