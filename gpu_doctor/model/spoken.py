"""Say in words what a probe asked."""

from __future__ import annotations

from gpu_doctor.model.probes import Probe, Trial


def question(probe: Probe, trial: Trial | None = None) -> str:
    """Return what was asked, or one experiment of it: `cudnnGetVersion of libcudnn.so.9, after import torch`."""
    words = _whole(probe) if trial is None else _experiment(probe, trial.name)
    first = before(probe)
    return f"{words}, {first}" if first else words


def before(probe: Probe) -> str:
    """Return what the child did first, such as `after import torch`, or nothing."""
    return f"after {' and '.join(_step(name, probe) for name in probe.after)}" if probe.after else ""


def _step(name: str, probe: Probe) -> str:
    # What is no module is a function of one: `onnxruntime.preload_dlls()`, or without brackets beside its module.
    if name.endswith("()"):
        return name
    return f"{name}()" if name.rpartition(".")[0] in probe.after else f"import {name}"


def _whole(probe: Probe) -> str:
    package, _, library = probe.subject.partition(": ")
    names = {
        "import": f"import {probe.subject}",
        "cuda-init": "the start of CUDA",
        "cudnn": f"the first calls of {library.partition(', ')[0] or 'cuDNN'}",
        "library": f"the libraries that {library or package} opens",
        "ort-session": f"an ONNX Runtime session with {probe.subject}",
        "ctranslate2": f"tiny CTranslate2 models on {_on(probe.subject)}",
        "torch-gpu": f"torch on {probe.subject}",
        "devices": f"the GPUs that {probe.subject} sees",
        "cufft": f"cuFFT on {probe.subject}",
    }
    return names[probe.kind]


def _experiment(probe: Probe, name: str) -> str:
    package, _, library = probe.subject.partition(": ")  # of cuFFT's experiments: the GPU, and how it is asked
    if probe.kind == "cudnn":
        return _of_cudnn(library.partition(", ")[0] or "cuDNN", name)
    if probe.kind == "cuda-init" and probe.subject in name:
        return name
    whole = {
        "cuda-init": f"{name} of {probe.subject}",
        "library": f"load {name} for {library or package}",
        "ort-session": f"{'open' if name == 'session' else f'{name} in'} {_whole(probe)}",
        "ctranslate2": f"{name} in CTranslate2 on {_on(probe.subject)}",
        "torch-gpu": f"{name} in torch on {probe.subject}",
        "devices": _whole(probe),
        "cufft": f"{name} of cuFFT on {package}{f' ({library})' if library else ''}",
        "import": f"{name} of {_whole(probe)}",
    }
    return whole[probe.kind]


def _of_cudnn(loader: str, name: str) -> str:
    if name == "open the loader":
        return f"open {loader}"
    return f"load {name}" if name.startswith("lib") else f"{name} of {loader}"


def _on(subject: str) -> str:
    return "the CPU" if subject == "CPU" else subject
