"""Read, make and prepare sound for Whisper: 16 kHz, in windows of 30 s; Python 3.8 and numpy.

No question of its own: `bench_whisper.py` runs this file and takes functions from it.
"""

from __future__ import annotations

import importlib
import wave

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

RATE = 16000
WINDOW = 30 * RATE
# Whisper's own figures: https://github.com/openai/whisper/blob/main/whisper/audio.py
_TRANSFORM, _HOP = 400, 160


def read_sound(path: str, read_wav: Callable[[str], tuple[list[float], int]], library: Any) -> Any:
    """Return a file's samples at 16 kHz; `library` is faster-whisper, which reads what is not PCM, or None.

    Raise ValueError where there is nothing to hear, or nothing here that reads this format; OSError where the file
    cannot be read.
    """
    try:
        samples, rate = read_wav(path)
    except (wave.Error, EOFError) as error:
        if library is None:
            raise ValueError(
                f"{path} is no PCM file, and what reads others, faster-whisper, is not installed"
            ) from error
        decoded = library.decode_audio(path, sampling_rate=RATE)
    else:
        decoded = _resampled(samples, rate)
    if not len(decoded):
        raise ValueError(f"{path} holds no sound")
    return decoded


def _resampled(samples: list[float], rate: int) -> Any:
    """Return the samples at 16 kHz: as many of the lowest frequencies as both rates have."""
    numpy = importlib.import_module("numpy")
    given = numpy.asarray(samples, dtype="float32")
    if rate == RATE or not samples:
        return given
    size = max(1, round(len(given) * RATE / rate))
    spectrum = numpy.fft.rfft(given)[: size // 2 + 1]
    return (numpy.fft.irfft(spectrum, size) * (size / len(given))).astype("float32")


def speech_like(seed: int) -> Any:
    """Return 30 s that have what speech has: a gliding voice, formants, four syllables a second, pauses, noise."""
    numpy = importlib.import_module("numpy")
    generator = numpy.random.default_rng(seed)
    time = numpy.arange(WINDOW) / RATE
    syllables = numpy.clip(numpy.sin(2 * numpy.pi * 4 * time), 0, None)
    pitch = 120 + 20 * numpy.sin(2 * numpy.pi * 0.4 * time)
    phase = 2 * numpy.pi * numpy.cumsum(pitch) / RATE
    voice = numpy.zeros(WINDOW)
    for harmonic in range(1, 26):
        near = sum(numpy.exp(-(((harmonic * 120 - formant) / 150) ** 2)) for formant in (500, 1500, 2500))
        voice += (0.05 + near) * numpy.sin(harmonic * phase)
    breath = generator.standard_normal(WINDOW) * numpy.roll(syllables, RATE // 8)
    speaking = (time % 3) < 2.6
    sound = speaking * (syllables * voice + 0.1 * breath)
    return (0.5 * sound / numpy.abs(sound).max()).astype("float32")


def windows(samples: Any) -> Iterator[Any]:
    """Yield 30 s after 30 s, the last one filled with silence."""
    numpy = importlib.import_module("numpy")
    for at in range(0, len(samples), WINDOW):
        part = samples[at : at + WINDOW]
        yield numpy.pad(part, (0, WINDOW - len(part)))


def log_mel(window: Any, bands: int) -> Any:
    """Return what Whisper sees of 30 s: (bands, 3000), the logarithm of the energy in each of Slaney's mel bands."""
    numpy = importlib.import_module("numpy")
    padded = numpy.pad(window, _TRANSFORM // 2, mode="reflect")
    frames = numpy.lib.stride_tricks.as_strided(
        padded, (WINDOW // _HOP, _TRANSFORM), (_HOP * padded.strides[0], padded.strides[0])
    )
    hann = numpy.hanning(_TRANSFORM + 1)[:-1].astype("float32")
    energy = numpy.abs(numpy.fft.rfft(frames * hann)) ** 2
    seen = numpy.log10(numpy.maximum(_mel_bands(numpy, bands) @ energy.T, 1e-10))
    return ((numpy.maximum(seen, seen.max() - 8) + 4) / 4).astype("float32")


def _mel_bands(numpy: Any, bands: int) -> Any:
    """Return triangles over the frequencies, of equal area: linear in hertz up to 1 kHz (mel 15), logarithmic above."""
    frequencies = numpy.linspace(0, RATE / 2, _TRANSFORM // 2 + 1)
    highest = 15 + 27 * numpy.log(RATE / 2 / 1000) / numpy.log(6.4)
    mels = numpy.linspace(0, highest, bands + 2)
    edges = numpy.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))
    low, middle, high = (edges[at : at + bands, None] for at in range(3))
    rising, falling = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
    return numpy.maximum(0, numpy.minimum(rising, falling)) * 2 / (high - low)
