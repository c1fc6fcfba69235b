"""Ask ONNX Runtime for a session with each provider, and what the library of its CUDA provider cannot reach."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from packaging.version import Version

from gpu_doctor.collect.questions.hardware import all_gpus, why_no_gpu
from gpu_doctor.collect.questions.imports import again
from gpu_doctor.collect.questions.orders import imports_needed
from gpu_doctor.facts.stack import is_onnxruntime
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.libraries import Elf
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.probe.together import Question

# torch alone takes up to 25 s on a cold disk, and the libraries of the CUDA provider are 2 GB.
_DEADLINE = 120.0
_FIRST_PRELOAD = Version("1.21")
_PRELOAD = "onnxruntime.preload_dlls()"
_CUDA, _TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"
_LIBRARIES = {
    "CPUExecutionProvider": "",
    _CUDA: "libonnxruntime_providers_cuda.so",
    _TENSORRT: "libonnxruntime_providers_tensorrt.so",
}
# A whole ONNX model (one Relu), so that anyone can open the same session from a shell.
_MODEL = "08073a270a0c0a0178120179220452656c751201675a090a017812040a02080162090a017912040a0208014202100d"


@dataclass(frozen=True, slots=True)
class _Order:
    """Say what the child does before: modules that it imports, and whether it calls preload_dlls()."""

    imports: tuple[str, ...] = ()
    preload: bool = False

    @property
    def after(self) -> tuple[str, ...]:
        return (*self.imports, _PRELOAD) if self.preload else self.imports

    @property
    def code(self) -> str:
        first = "".join(f"import {name}; " for name in self.imports) + "import onnxruntime; "
        return first + (f"{_PRELOAD}; " if self.preload else "")


def ort_questions(inventory: Inventory, facts: Facts, thorough: bool) -> tuple[Question, ...]:
    """Return a session for each provider, and for CUDA one in each order of imports, each with its libraries.

    They are asked without a GPU as well: whether the provider's library loads shows there too. TensorRT is left out
    where it is not installed, unless `thorough`.
    """
    package = _package(inventory)
    if package is None:
        return ()
    questions = [_session(inventory, facts, "CPUExecutionProvider", _Order())]
    if package.name == "onnxruntime-gpu":
        for order in _orders(inventory, package):
            questions += [_session(inventory, facts, _CUDA, order), *_needed(inventory, facts, order)]
        if thorough or any(item.active and item.name.startswith("tensorrt") for item in inventory.distributions):
            questions.append(_session(inventory, facts, _TENSORRT, _Order()))
    return tuple(questions)


def _package(inventory: Inventory) -> Distribution | None:
    """Return the GPU build where it is installed: where several share the folder, it is what was wanted."""
    mine = [item for item in inventory.distributions if item.active and is_onnxruntime(item.name)]
    return min(mine, key=lambda item: (item.name != "onnxruntime-gpu", item.name), default=None)


def _orders(inventory: Inventory, package: Distribution) -> Iterator[_Order]:
    yield _Order()
    if not isinstance(package.version, Unknown) and package.version >= _FIRST_PRELOAD:
        yield _Order(preload=True)
    if inventory.distribution("torch") is not None:
        yield _Order(("torch",))


def _session(inventory: Inventory, facts: Facts, provider: str, order: _Order) -> Question:
    opened = f"onnxruntime.InferenceSession(bytes.fromhex('{_MODEL}'), providers=['{provider}'])"
    argument = {
        "provider": provider,
        "library": _LIBRARIES[provider],
        "after": order.imports,
        "preload": order.preload,
        "no_gpu": why_no_gpu(inventory),
    }
    code = f"{order.code}print({opened}.get_providers())"
    return Question(
        kind="ort-session",
        subject=provider,
        script="ort_session.py",
        argument=argument,
        deadline=_DEADLINE,
        after=order.after,
        needs=_imports_needed(order, inventory, facts),
        # A session is opened on the first GPU.
        uses=() if provider == "CPUExecutionProvider" else all_gpus(inventory)[:1],
        again=again(inventory.interpreter.executable or "python", code),
    )


def _needed(inventory: Inventory, facts: Facts, order: _Order) -> Iterator[Question]:
    """Yield the question that names everything which the CUDA provider lacks: a session names the first only."""
    library = next((item for item in inventory.libraries if item.name == _LIBRARIES[_CUDA]), None)
    if library is None or not isinstance(library.elf, Elf):
        return
    yield Question(
        kind="library",
        subject=f"onnxruntime-gpu: {library.name}",
        script="ort_provider.py",
        argument={
            "path": library.path,
            "needed": library.elf.needed,
            "after": order.imports,
            "preload": order.preload,
        },
        deadline=_DEADLINE,
        after=order.after,
        needs=_imports_needed(order, inventory, facts),
        again=again(
            inventory.interpreter.executable or "python",
            f"{order.code}import ctypes; ctypes.CDLL({library.path!r})",
        ),
    )


def _imports_needed(order: _Order, inventory: Inventory, facts: Facts) -> tuple[str, ...]:
    return imports_needed((*order.imports, "onnxruntime"), inventory, facts)
