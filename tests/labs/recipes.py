"""Recipes of real environments, as data: what to install, in which order, and what to spoil afterwards.

Every sick recipe has a healthy twin that differs in as little as possible; `tests/labs/test_recipes.py` holds that.
`tests/labs/build.py` follows them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Install:
    """Install requirements with uv; `into` is a folder below the environment that Python does not search."""

    requirements: tuple[str, ...]
    into: str = ""


@dataclass(frozen=True)
class Uninstall:
    """Remove distributions with uv."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Link:
    """Put a symbolic link to `points_to` at a path below site-packages, in the place of what may be there."""

    path: str
    points_to: str


@dataclass(frozen=True)
class Halve:
    """Cut a file below site-packages in half, as a full disk or a broken download does."""

    path: str


Step = Install | Uninstall | Link | Halve


@dataclass(frozen=True)
class Recipe:
    """Describe one environment and how to judge it.

    `what` says in words what is in it, for the comparison in the README. `arguments` are more arguments for
    `gpu-doctor check`; `variables` are set for it, with `{prefix}` for the environment's folder. `twin_of` names the
    sick recipes that this healthy one answers.
    """

    steps: tuple[Step, ...]
    arguments: tuple[str, ...] = ()
    variables: Mapping[str, str] | None = None
    twin_of: tuple[str, ...] = ()
    what: str = ""

    def environment(self, prefix: Path) -> dict[str, str]:
        """Return the environment variables to set when judging the environment built at this prefix."""
        return {name: value.format(prefix=prefix) for name, value in (self.variables or {}).items()}

    def key(self) -> str:
        """Return a folder name that changes with the steps and is shared by recipes with the same steps."""
        return f"{self._slug()}-{hashlib.sha256(repr(self.steps).encode()).hexdigest()[:8]}"

    def _slug(self) -> str:
        first = self.steps[0]
        assert isinstance(first, Install), "a recipe begins with an installation"
        return first.requirements[0].replace("==", "-")


def install(*requirements: str, into: str = "") -> Install:
    return Install(requirements, into)


# The cuDNN loader library that ctranslate2 4.6.1 bundles.
LOADER = "ctranslate2.libs/libcudnn-74a4c495.so.9.1.0"
CUDNN = "nvidia/cudnn/lib"
PARTS = ("graph", "ops", "cnn", "adv", "heuristic", "engines_precompiled", "engines_runtime_compiled")

# The widely copied remedy, which does not heal, and the one that does: every part beside the loader that looks for it.
FOLK_ADVICE = (Link(LOADER, f"../{CUDNN}/libcudnn.so.9"),)
LINKS_TO_EVERY_PART = tuple(
    Link(f"ctranslate2.libs/libcudnn_{part}.so.9", f"../{CUDNN}/libcudnn_{part}.so.9") for part in PARTS
)

TORCH_26 = install("torch==2.6.0")
TORCH_28 = install("torch==2.8.0")
TORCH_212 = install("torch==2.12.0")
CUDNN_9_10 = install("nvidia-cudnn-cu12==9.10.2.21")
WHISPER = install("torch==2.8.0", "ctranslate2==4.6.1", "faster-whisper==1.2.1", "onnxruntime-gpu==1.20.2")
ORT_CPU = install("onnxruntime==1.20.1")
ORT_GPU = install("onnxruntime-gpu==1.20.2")
CURRENT_DRIVER = ("--driver", "580.95.05")

# Two illnesses at once, as whisperX users have it.
WHISPERX = Recipe((WHISPER, ORT_CPU), what="torch 2.8, ctranslate2 4.6.1 with its cuDNN loader, both ONNX Runtimes")

SICK = {
    "whisperx-cudnn": WHISPERX,
    "whisperx-ort": WHISPERX,
    "ort-clash": Recipe((ORT_GPU, ORT_CPU), what="onnxruntime written over onnxruntime-gpu"),
    "gutted-onnxruntime": Recipe(
        (ORT_GPU, ORT_CPU, Uninstall(("onnxruntime",))), what="the same, then onnxruntime removed"
    ),
    "folk-fixed": Recipe(
        (install("torch==2.8.0", "ctranslate2==4.6.1", "numpy==2.2.6"), *FOLK_ADVICE),
        what='torch 2.8, ctranslate2 4.6.1 "healed" by one link to cuDNN',
    ),
    "torch26-5090": Recipe((TORCH_26,), ("--gpu", "RTX 5090", *CURRENT_DRIVER), what="torch 2.6 for an RTX 5090"),
    "torch212-t4": Recipe((TORCH_212,), ("--gpu", "Tesla T4", *CURRENT_DRIVER), what="torch 2.12 for a Tesla T4"),
    "torch-driver525": Recipe(
        (TORCH_212,), ("--gpu", "sm_89", "--driver", "525.60.13"), what="torch 2.12 on driver 525"
    ),
    "cuda13-ct2": Recipe(
        (install("torch==2.12.0", "ctranslate2==4.8.5"),), what="CUDA 13 torch 2.12 beside ctranslate2 4.8.5"
    ),
    "nvjitlink": Recipe(
        (TORCH_28, install("nvidia-nvjitlink-cu12==12.4.127")), what="torch 2.8 with another nvJitLink"
    ),
    "shadowed-cudnn": Recipe(
        (TORCH_28, install("nvidia-cudnn-cu12==9.1.0.70", into="older")),
        variables={"LD_LIBRARY_PATH": "{prefix}/older/nvidia/cudnn/lib"},
        what="an older cuDNN on LD_LIBRARY_PATH",
    ),
    "cudnn-overwritten": Recipe(
        (CUDNN_9_10, install("nvidia-cudnn-cu13==9.12.0.46")), what="cuDNN for CUDA 12 and for CUDA 13"
    ),
    "truncated": Recipe((CUDNN_9_10, Halve(f"{CUDNN}/libcudnn_ops.so.9")), what="half of a cuDNN library"),
}

HEALTHY = {
    "healthy-whisper": Recipe(
        (install("torch==2.8.0", "ctranslate2==4.8.5", "onnxruntime-gpu==1.22.0", "numpy==2.2.6"),),
        ("--gpu", "RTX 4090", *CURRENT_DRIVER),
        twin_of=("whisperx-cudnn", "whisperx-ort"),
    ),
    "ct2-links": Recipe(
        (install("torch==2.8.0", "ctranslate2==4.6.1", "numpy==2.2.6"), *LINKS_TO_EVERY_PART),
        ("--gpu", "RTX 4090", *CURRENT_DRIVER),
        twin_of=("whisperx-cudnn", "folk-fixed"),
    ),
    "ort-gpu-alone": Recipe(
        (ORT_GPU, ORT_CPU, Uninstall(("onnxruntime", "onnxruntime-gpu")), ORT_GPU),
        twin_of=("whisperx-ort", "ort-clash", "gutted-onnxruntime"),
    ),
    "torch28-5090": Recipe((TORCH_28,), ("--gpu", "RTX 5090", *CURRENT_DRIVER), twin_of=("torch26-5090",)),
    "torch28-t4": Recipe((TORCH_28,), ("--gpu", "Tesla T4", *CURRENT_DRIVER), twin_of=("torch212-t4",)),
    "torch28-driver525": Recipe(
        (TORCH_28,), ("--gpu", "sm_89", "--driver", "525.60.13"), twin_of=("torch-driver525", "nvjitlink")
    ),
    "cuda12-ct2": Recipe(
        (install("torch==2.8.0", "ctranslate2==4.8.5"),),
        ("--gpu", "RTX 4090", *CURRENT_DRIVER),
        twin_of=("cuda13-ct2",),
    ),
    "ok-4090": Recipe(
        (install("torch==2.8.0", "numpy==2.2.6"),),
        ("--gpu", "RTX 4090", *CURRENT_DRIVER),
        twin_of=("shadowed-cudnn", "nvjitlink"),
    ),
    "ok-h100": Recipe(
        (install("torch==2.12.0", "numpy==2.2.6"),),
        ("--gpu", "H100", *CURRENT_DRIVER),
        twin_of=("torch212-t4", "torch-driver525"),
    ),
    "cudnn-alone": Recipe((CUDNN_9_10,), twin_of=("cudnn-overwritten", "truncated")),
}

# Not judged: what the readers are measured on, and what they are measured against.
MATERIAL = {
    "torch-2.8": Recipe((TORCH_28,)),
    # What an installer does for whisperx 3.8.0, which asks for torch 2.8 and leaves torchcodec open; and its healthy twin.
    "torchcodec-for-cuda-13": Recipe((install("torch==2.8.0", "torchcodec==0.17.0", "numpy==2.2.6"),)),
    "torchcodec-that-fits": Recipe((install("torch==2.8.0", "torchcodec==0.7.0", "numpy==2.2.6"),)),
    "gpu-code": Recipe(
        (
            install(
                "torch==2.8.0",
                "torchvision==0.23.0",
                "torchaudio==2.8.0",
                "ctranslate2==4.6.1",
                "onnxruntime-gpu==1.20.2",
                "bitsandbytes==0.50.2",
            ),
        )
    ),
    "diffusion": Recipe(
        (
            install(
                "torch==2.8.0",
                "diffusers==0.42.1",
                "accelerate==1.15.0",
                "transformers==5.24.0",
                "numpy==2.2.6",
            ),
        )
    ),
    "bench-whisper": Recipe((install("faster-whisper==1.2.1", "ctranslate2==4.8.5", "espeakng-loader==0.2.4"),)),
    "bench-whisperx": Recipe((install("whisperx==3.8.0", "torchcodec==0.7.0", "pyannote-audio==4.0.7"),)),
    "bench-ctranslate2": Recipe((install("ctranslate2==4.6.1", "numpy==2.2.6"),)),
    "gpu-code-13": Recipe((install("torch==2.12.0", "ctranslate2==4.8.5"),)),
    "speed": Recipe(
        (
            install(
                "torch==2.8.0",
                "torchaudio==2.8.0",
                "ctranslate2==4.6.1",
                "onnxruntime-gpu==1.20.2",
                "faster-whisper==1.2.1",
                "numpy==2.2.6",
            ),
        )
    ),
    "tools": Recipe((install("nvidia-cuda-cuobjdump==13.5.37"),)),
}

# What repairs are proven on, besides the sick ones: every release that bundles a loader with cuDNNs of three ages.
LOADERS = ("4.4.0", "4.5.0", "4.6.0", "4.6.1")
CUDNNS = ("9.1.0.70", "9.5.0.50", "9.10.2.21")
GRID = {
    f"ct2-{release}-cudnn-{cudnn}": Recipe(
        (install(f"ctranslate2=={release}", f"nvidia-cudnn-cu12=={cudnn}", "numpy==1.26.4", "setuptools==80.9.0"),)
    )
    for release in LOADERS
    for cudnn in CUDNNS
}
TO_REPAIR = {
    **GRID,
    # The newest recipe of the folk, half taken back: links that lead to a cuDNN which is not there any more.
    "dangling": Recipe(
        (
            install("ctranslate2==4.6.1", "nvidia-cudnn-cu12==9.10.2.21", "numpy==1.26.4"),
            *(Link(f"ctranslate2.libs/libcudnn_{part}.so.9", f"/opt/cudnn/libcudnn_{part}.so.9") for part in PARTS[:3]),
            Link(f"ctranslate2.libs/libcudnn_{PARTS[3]}.so.9.1.0", f"../{CUDNN}/libcudnn_{PARTS[3]}.so.9.1.0"),
        )
    ),
    "ort-gpu-last": Recipe((ORT_CPU, ORT_GPU)),
}

RECIPES = {**SICK, **HEALTHY, **MATERIAL, **TO_REPAIR}
