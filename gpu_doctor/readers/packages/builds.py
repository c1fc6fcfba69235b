"""Read what a package was built for from the file that its build wrote; nothing is executed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable

from packaging.version import InvalidVersion, Version

from gpu_doctor.model.inventory import BuiltFor
from gpu_doctor.readers.text import read_text

_LIMIT = 1 << 16
_ASSIGNMENT = re.compile(r"""^(\w+)[ \t]*(?::[^=\n]*)?=[ \t]*(?:"([^"\n]*)"|'([^'\n]*)'|(None))""", re.MULTILINE)
_TENSORFLOW = re.compile(r"""["'](cuda_version|cudnn_version)["']\s*[,:]\s*["']([^"'\n]*)["']""")
_TAG_CUDA = re.compile(r"cu(\d{2,4})(?!\d)")
_TAG_ROCM = re.compile(r"rocm(\d+(?:\.\d+)*)")
# Builds of ONNX Runtime that never hold CUDA; for others a file without `cuda_version` tells nothing.
_ORT_WITHOUT_CUDA = {"onnxruntime", "onnxruntime-directml", "onnxruntime-openvino"}


def read_build(name: str, version: str, location: str, metadata: str) -> BuiltFor | None:
    """Return what the distribution of this canonical name was built for, or None where no file tells.

    The build's own file counts first, then the local version tag (`+cu128`, `+cpu`, `+rocm6.3`).
    """
    reader = _reader(name)
    if reader is not None:
        relative, read = reader
        path = os.path.join(location, relative)
        text = read_text(path, limit=_LIMIT)
        if text is not None:
            return read(text, path, name, version)
    return from_tag(version, metadata)


def from_tag(version: str, where: str) -> BuiltFor | None:
    """Return what a local version tag says, or None without one that speaks of CUDA, ROCm or `cpu`."""
    local = version.partition("+")[2].lower()
    if not local:
        return None
    if match := _TAG_CUDA.search(local):
        return BuiltFor(_tag_version(match[1]), version, where)
    if match := _TAG_ROCM.search(local):
        return BuiltFor(None, version, where, rocm=match[1])
    return BuiltFor(None, version, where) if "cpu" in re.split(r"[._-]", local) else None


def assignments(text: str) -> dict[str, str | None]:
    """Return the top-level `name = "text"` and `name = None` lines of Python source; later ones win."""
    found: dict[str, str | None] = {}
    for name, double, single, none in _ASSIGNMENT.findall(text):
        found[name] = None if none else double or single
    return found


def _tag_version(digits: str) -> Version:
    """Read `128` as 12.8, `12` as 12, `92` as 9.2."""
    if len(digits) == 2:
        return Version(digits) if digits[0] == "1" else Version(f"{digits[0]}.{digits[1]}")
    return Version(f"{digits[:2]}.{int(digits[2:])}")


def _parse(text: str | None) -> Version | None:
    try:
        return Version((text or "")[:40])
    except InvalidVersion:
        return None


def _from_version_py(text: str, path: str, _name: str, version: str) -> BuiltFor | None:
    """Read torch/version.py and its siblings (`cuda`, `hip`); those without `cuda` carry it in their tag."""
    values = assignments(text)
    full = values.get("__version__") or version
    if "cuda" not in values:
        return from_tag(full, path)
    cuda = _parse(values["cuda"])
    if values["cuda"] and cuda is None:
        return None
    return BuiltFor(cuda, full, path, rocm=values.get("hip") or None)


def _from_onnxruntime(text: str, path: str, name: str, version: str) -> BuiltFor | None:
    """Read build_and_package_info.py, which names the distribution that was written last."""
    values = assignments(text)
    if (values.get("package_name") or "").lower().replace("_", "-") != name:
        return None
    full, cuda, rocm = (
        values.get("__version__") or version,
        _parse(values.get("cuda_version")),
        values.get("rocm_version"),
    )
    if cuda is None and not rocm and name not in _ORT_WITHOUT_CUDA:
        return None
    return BuiltFor(cuda, full, path, rocm=rocm)


def _from_xformers(text: str, path: str, _name: str, version: str) -> BuiltFor | None:
    """Read cpp_lib.json: `{"version": {"cuda": 1208, "hip": null, …}}`."""
    try:
        built = json.loads(text)["version"]
        number, hip = built["cuda"], built.get("hip")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if number is None:
        return BuiltFor(None, version, path, rocm=str(hip) if hip else None)
    if not isinstance(number, int):
        return None
    return BuiltFor(_parse(f"{number // 100}.{number % 100}"), version, path)


def _from_tensorflow(text: str, path: str, _name: str, version: str) -> BuiltFor | None:
    """Read build_info.py, an OrderedDict literal; a build without CUDA says `is_cuda_build` False."""
    values = dict(_TENSORFLOW.findall(text))
    cuda = _parse(values.get("cuda_version"))
    if cuda is None and not re.search(r"""["']is_cuda_build["']\s*[,:]\s*False""", text):
        return None
    return BuiltFor(cuda, version, path, cudnn=values.get("cudnn_version") if cuda else None)


def _from_paddle(text: str, path: str, _name: str, version: str) -> BuiltFor | None:
    """Read paddle/version/__init__.py; a build without CUDA says `cuda_version = 'False'`."""
    values = assignments(text)
    said = values.get("cuda_version")
    cuda = _parse(said)
    if cuda is None and said != "False":
        return None
    return BuiltFor(
        cuda, values.get("full_version") or version, path, cudnn=values.get("cudnn_version") if cuda else None
    )


_Read = Callable[[str, str, str, str], "BuiltFor | None"]
_ORT: tuple[str, _Read] = ("onnxruntime/capi/build_and_package_info.py", _from_onnxruntime)
_TF: tuple[str, _Read] = ("tensorflow/python/platform/build_info.py", _from_tensorflow)
_PADDLE: tuple[str, _Read] = ("paddle/version/__init__.py", _from_paddle)
_READERS: dict[str, tuple[str, _Read]] = {
    "torch": ("torch/version.py", _from_version_py),
    "torchvision": ("torchvision/version.py", _from_version_py),
    "torchaudio": ("torchaudio/version.py", _from_version_py),
    "xformers": ("xformers/cpp_lib.json", _from_xformers),
    "tensorflow": _TF,
    "tensorflow-cpu": _TF,
    "tf-nightly": _TF,
    "paddlepaddle": _PADDLE,
    "paddlepaddle-gpu": _PADDLE,
}


def _reader(name: str) -> tuple[str, _Read] | None:
    return _ORT if name.startswith(("onnxruntime", "ort-")) else _READERS.get(name)
