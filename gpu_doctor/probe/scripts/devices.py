"""Ask one framework which GPUs it sees after its import; Python 3.8, standard library and the framework only.

Argument: {"module": one of the names in `_LOOKS`}.
Answer: {"version": the framework's, "built_for_cuda": the version, or yes or no, where it says so, else empty}.
A framework that sees none may have said why in its log; where it has a call that fails aloud, that is made too.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def answer(argument: dict[str, Any], notes: Any) -> dict[str, Any]:
    """Import it, look, and ask for the reason where there is nothing to see."""
    name = argument["module"]
    module = importlib.import_module(name)
    if not notes.trial("devices", _look, name, module, notes) and name in _INSISTS:
        notes.trial("reason", _INSISTS[name], module)
    return {"version": getattr(module, "__version__", ""), "built_for_cuda": _BUILT.get(name, _untold)(module)}


def _look(name: str, module: Any, notes: Any) -> dict[str, Any]:
    found = _LOOKS[name](module)
    if not found:
        raise notes.Wrong("no GPU", devices=0)
    return {"devices": len(found), "names": ", ".join(str(item) for item in found)}


def _torch(torch: Any) -> list[str]:
    if not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]


def _jax(jax: Any) -> list[Any]:
    return [device for device in jax.devices() if device.platform != "cpu"]


def _tensorflow(tensorflow: Any) -> list[str]:
    return [device.name for device in tensorflow.config.list_physical_devices("GPU")]


def _cupy(cupy: Any) -> list[int]:
    return list(range(cupy.cuda.runtime.getDeviceCount()))


def _ctranslate2(ctranslate2: Any) -> list[int]:
    return list(range(ctranslate2.get_cuda_device_count()))


def _untold(_module: Any) -> str:
    return ""


_LOOKS: dict[str, Callable[[Any], list[Any]]] = {
    "torch": _torch,
    "jax": _jax,
    "tensorflow": _tensorflow,
    "cupy": _cupy,
    "ctranslate2": _ctranslate2,
}
_INSISTS: dict[str, Callable[[Any], None]] = {
    "torch": lambda torch: torch.cuda.init(),
    "jax": lambda jax: jax.devices("gpu") and None,
    "ctranslate2": lambda ctranslate2: ctranslate2.get_supported_compute_types("cuda") and None,
}
_BUILT: dict[str, Callable[[Any], str]] = {
    "torch": lambda torch: torch.version.cuda or "no",
    "tensorflow": lambda tensorflow: "yes" if tensorflow.test.is_built_with_cuda() else "no",
}
