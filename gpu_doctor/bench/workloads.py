"""What each workload needs in the target, which question it is, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_doctor.model.bench import Workload
from gpu_doctor.model.inventory import Inventory


@dataclass(frozen=True, slots=True)
class Recipe:
    """Describe a workload: the script that runs it, and the distributions that it needs.

    Of the names in one tuple of `needs` any will do; the first is what to install. `sounds` tells that it writes a
    WAV, `deadline` is in seconds and generous, because a CPU may be a hundred times slower than a GPU.
    """

    script: str
    needs: tuple[tuple[str, ...], ...]
    deadline: float = 900.0
    sounds: bool = False


_TORCH = ("torch",)
RECIPES: dict[Workload, Recipe] = {
    "xtts": Recipe("bench_xtts.py", (("coqui-tts", "tts"), _TORCH, ("torchaudio",)), 3600.0, sounds=True),
    "whisper": Recipe("bench_whisper.py", (("faster-whisper", "ctranslate2"),), 3600.0),
    "onnx": Recipe("bench_onnx.py", (("onnxruntime-gpu", "onnxruntime"),)),
    "stft": Recipe("bench_torch.py", (_TORCH,)),
    "matmul": Recipe("bench_torch.py", (_TORCH,)),
    "conv": Recipe("bench_torch.py", (_TORCH,)),
    "attention": Recipe("bench_torch.py", (_TORCH,)),
    "copy": Recipe("bench_torch.py", (_TORCH,)),
    "diffusion": Recipe("bench_diffusion.py", (("diffusers",), _TORCH), 3600.0),
}


def lacking(workload: Workload, inventory: Inventory) -> tuple[str, ...]:
    """Return the distributions to install before the workload can run."""
    needs = RECIPES[workload].needs
    return tuple(names[0] for names in needs if not any(inventory.distribution(name) for name in names))
