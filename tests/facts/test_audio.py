"""audio.toml: which releases of the speech packages go together."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.version import Version

from gpu_doctor.errors import FactsError
from gpu_doctor.facts.audio import AudioRelease
from gpu_doctor.facts.tables import Facts
from tests.facts.slips import slip

FACTS = Facts.load()


def release(package: str, version: str) -> AudioRelease:
    return next(item for item in FACTS.audio_releases(package) if item.version == Version(version))


def asks(package: str, version: str) -> dict[str, str]:
    return {need.name: str(need.specifier) for need in release(package, version).requires}


@pytest.mark.parametrize(
    ("package", "version", "name", "bounds"),
    [
        ("whisperx", "3.8.6", "torch", "~=2.8.0"),
        ("whisperx", "3.4.3", "ctranslate2", "<4.5.0"),
        ("faster-whisper", "1.2.1", "onnxruntime", "<2,>=1.14"),
        ("pyannote-audio", "4.0.3", "torchcodec", "==0.7.0"),
        ("pyannote-audio", "3.4.0", "torchaudio", "<2.9,>=2.2.0"),
        ("coqui-tts", "0.27.5", "transformers", "<5.1,>=4.57"),
        ("coqui-tts", "0.28.0", "transformers", ">=4.57"),
        ("transformers", "5.23.0", "huggingface-hub", "<3.0,>=1.31.0"),
    ],
)
def test_what_a_release_asks_of_the_others(package: str, version: str, name: str, bounds: str) -> None:
    assert asks(package, version)[name] == bounds


def test_the_pythons_of_a_release() -> None:
    whisperx = release("whisperx", "3.8.6")
    assert [whisperx.has_wheel_for(Version(python)) for python in ("3.9.1", "3.10.0", "3.13.9", "3.14.0rc1")] == [
        False,
        True,
        True,
        False,
    ]


def test_withdrawn_releases_and_other_packages_are_not_there() -> None:
    versions = {str(item.version) for item in FACTS.audio_releases("whisperx")}
    assert versions & {"3.1.1", "3.3.2", "3.7.3", "3.8.2", "3.8.3"} == set()
    assert FACTS.audio_releases("requests") == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"0.7.0", "0.7.1"', '"0.7.1", "0.7.0"', "versions does not fit"),
        ('versions = ["0.10.0"]', 'versions = ["0.9.0"]', "versions are not above those of the row before"),
        ('"pyannote-audio==3.1.1"', '"pyannote-audio==3.1.9"', "no release in this table is pyannote-audio==3.1.9"),
        ('"onnxruntime>=1.14,<2"', '"ctranslate2>=4"', "requires names a package twice"),
        ('versions = ["0.10.0"]', "versions = []", "no versions"),
        ('"huggingface-hub>=0.13"', '"huggingface-hub"', "requires does not fit"),
        ('python = ">=3.8"', "", "python is missing"),
        ('python = ">=3.8"', 'python = ">=3.8"\npythn = "3"', "unknown key pythn"),
    ],
)
def test_a_slip_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(FactsError, match=rf"audio\.toml, .*{message}"):
        Facts.load(slip(tmp_path, "audio", old, new)).audio_releases("whisperx")
