"""The Fourier transforms of speech models, there and back, on clips of half a minute; Python 3.8, torch only.

No question of its own: `bench_torch.py` runs this file. cuFFT keeps a plan of each shape; `forget` drops them, so that
every round of `reload` plans anew.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

DTYPE = "float32"
_SECONDS = 30
_CLIPS = (1, 8)
# Hz, size, hop and window: those of XTTS's conditioning, of Whisper, and of vocoders such as HiFi-GAN.
_TRANSFORMS = {
    "xtts": (22050, 2048, 256, 1024),
    "whisper": (16000, 400, 160, 400),
    "vocoder": (22050, 1024, 256, 1024),
}
# float32 keeps 24 bits; a transform and its inverse lose two or three of them, a wrong one all.
_BEARABLE = 1e-4


def add_cases(meter: Any) -> str:
    """Add each transform of one clip and of several, and say what is run."""
    for name, (_, size, hop, _) in _TRANSFORMS.items():
        for clips in _CLIPS:
            case = meter.add(f"stft+istft {name} {size}/{hop} ×{clips}", "x real time", "", float(clips * _SECONDS))
            case.make, case.check = _there_and_back(meter, clips, name)
    meter.work.answer["audio_seconds"] = float(_SECONDS * sum(_CLIPS) * len(_TRANSFORMS))
    return f"stft and istft of {' and '.join(map(str, _CLIPS))} clips of {_SECONDS} s, as {', '.join(_TRANSFORMS)} do"


def make_batch(meter: Any, size: int) -> Callable[[], Any]:
    """Return what transforms so many clips as XTTS does."""
    return _there_and_back(meter, size, "xtts")[0]()


def forget(meter: Any) -> None:
    """Drop cuFFT's plans."""
    if meter.on_gpu:
        meter.torch.backends.cuda.cufft_plan_cache.clear()


def _there_and_back(meter: Any, clips: int, name: str) -> tuple[Callable[[], Callable[[], Any]], Callable[[], Any]]:
    """Return what makes the transform, and what checks the sound that came back last."""
    torch = meter.torch
    rate, size, hop, length = _TRANSFORMS[name]
    last = {}  # type: dict[str, Any]

    def make() -> Callable[[], Any]:
        sound = last["sound"] = torch.randn(clips, rate * _SECONDS, device=meter.device)
        window = torch.hann_window(length, device=meter.device)
        options = {"n_fft": size, "hop_length": hop, "win_length": length, "window": window}

        def run() -> Any:
            spectrum = torch.stft(sound, return_complex=True, **options)
            last["back"] = torch.istft(spectrum, length=sound.shape[-1], **options)
            return last["back"]

        return run

    def check() -> None:
        sound, back = last["sound"], last["back"]
        if back.shape != sound.shape:
            raise meter.work.notes.Wrong(f"{tuple(back.shape)} comes back instead of {tuple(sound.shape)}")
        error = float((back - sound).abs().max() / sound.abs().max())
        if not error <= _BEARABLE:  # NaN is not either
            raise meter.work.notes.Wrong(f"what comes back differs by {error:.1e}, at most {_BEARABLE:.0e} is rounding")

    return make, check
