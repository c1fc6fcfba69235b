"""Read back what was synthesized, and tell what makes it invalid."""

from __future__ import annotations

import array
import math
import sys
import wave

from gpu_doctor.model.bench import Audio

RATE = 24_000
"""The rate in Hz at which XTTS speaks (its `output_sample_rate`)."""

_FULL = 32767
# What 16 bit cannot tell from silence: three steps, -81 dB of full scale.
_SILENT = 1e-4
_SHORTEST = 0.25
# A few samples at full scale are a loud vowel; one in a hundred is heard.
_CLIPPED = 0.01


def read_audio(path: str, not_finite: int = 0) -> Audio:
    """Describe a WAV file; raise OSError, EOFError or wave.Error where it is none.

    `not_finite` is how many samples were NaN or infinite before they were written.
    """
    with wave.open(path, "rb") as file:
        rate, channels, width = file.getframerate(), file.getnchannels(), file.getsampwidth()
        data = file.readframes(file.getnframes())
    samples = array.array("h", data[: len(data) // 2 * 2]) if width == 2 else array.array("h")
    if sys.byteorder == "big":
        samples.byteswap()
    count = max(1, len(samples))
    audio = Audio(
        path=path,
        rate=rate,
        channels=channels,
        bits=8 * width,
        seconds=len(data) / max(1, rate * channels * width),
        peak=max((abs(value) for value in samples), default=0) / _FULL,
        rms=math.sqrt(sum(value * value for value in samples) / count) / _FULL,
        clipped=sum(abs(value) >= _FULL for value in samples) / count,
        not_finite=not_finite,
    )
    return _judged(audio)


def _judged(audio: Audio) -> Audio:
    from dataclasses import replace

    problems = []
    if audio.rate != RATE:
        problems.append(f"its rate is {audio.rate} Hz, not {RATE}")
    if audio.channels != 1:
        problems.append(f"it has {audio.channels} channels, not one")
    if audio.bits != 16:
        problems.append(f"it has {audio.bits} bits a sample, not 16")
    if audio.not_finite:
        problems.append(f"{audio.not_finite} samples are NaN or infinite")
    if audio.seconds < _SHORTEST:
        problems.append(f"it lasts {audio.seconds:.2f} s")
    elif audio.bits == 16 and audio.rms < _SILENT:
        problems.append("it is silent")
    if audio.clipped > _CLIPPED:
        problems.append(f"{audio.clipped:.0%} of it is clipped")
    return replace(audio, problems=tuple(problems))
