"""What is synthesized is read back by the standard library alone, and each way to be no speech is named."""

from __future__ import annotations

import array
import math
import wave
from collections.abc import Sequence
from pathlib import Path

import pytest

from gpu_doctor.bench.audio import RATE, read_audio


def wav(path: Path, samples: Sequence[int], rate: int = RATE, channels: int = 1, width: int = 2) -> str:
    with wave.open(str(path), "wb") as file:
        file.setframerate(rate)
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.writeframes(array.array("h", samples).tobytes())
    return str(path)


def tone(seconds: float = 1.0, height: int = 8000) -> list[int]:
    return [int(height * math.sin(at / 20)) for at in range(int(RATE * seconds))]


def test_speech_is_described_and_has_no_problem(tmp_path: Path) -> None:
    audio = read_audio(wav(tmp_path / "a.wav", tone()))
    assert (audio.rate, audio.channels, audio.bits, audio.seconds) == (24_000, 1, 16, 1.0)
    assert audio.peak == pytest.approx(8000 / 32767, rel=1e-3)
    assert audio.rms == pytest.approx(8000 / 32767 / math.sqrt(2), rel=1e-2)
    assert (audio.clipped, audio.not_finite, audio.problems) == (0.0, 0, ())


@pytest.mark.parametrize(
    ("samples", "how", "problem"),
    [
        (tone(), {"rate": 22_050}, "its rate is 22050 Hz, not 24000"),
        (tone(), {"channels": 2}, "it has 2 channels, not one"),
        (tone(), {"width": 1}, "it has 8 bits a sample, not 16"),
        (tone(0.1), {}, "it lasts 0.10 s"),
        ([], {}, "it lasts 0.00 s"),
        ([0] * RATE, {}, "it is silent"),
        ([1, -1, 2, -2] * RATE, {}, "it is silent"),
        ([32767, -32768] * RATE, {}, "100% of it is clipped"),
    ],
)
def test_what_is_no_speech_is_named(tmp_path: Path, samples: list[int], how: dict[str, int], problem: str) -> None:
    assert problem in read_audio(wav(tmp_path / "a.wav", samples, **how)).problems


def test_a_few_samples_at_full_scale_are_a_loud_vowel(tmp_path: Path) -> None:
    audio = read_audio(wav(tmp_path / "a.wav", [*tone(), *[32767] * 100]))
    assert audio.clipped > 0
    assert audio.problems == ()


def test_what_was_not_finite_is_said_though_the_file_cannot_hold_it(tmp_path: Path) -> None:
    audio = read_audio(wav(tmp_path / "a.wav", tone()), not_finite=7)
    assert audio.problems == ("7 samples are NaN or infinite",)


def test_what_is_no_wav_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFFnothing")
    with pytest.raises((EOFError, wave.Error)):
        read_audio(str(tmp_path / "a.wav"))
    with pytest.raises(FileNotFoundError):
        read_audio(str(tmp_path / "b.wav"))
