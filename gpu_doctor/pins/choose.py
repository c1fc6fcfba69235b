"""Choose versions that go together on the GPUs, the driver and the Python at hand, changing as little as possible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gpu_doctor.errors import UsageError
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.pins.bases import Base, cuda_bases, torch_bases
from gpu_doctor.pins.candidates import FIRST_WITHOUT_TORCH, Market
from gpu_doctor.pins.naming import backend_of, named
from gpu_doctor.pins.pinset import STACK, LeftOut, Pin, PinSet, Place
from gpu_doctor.pins.place import obstacle, place_of
from gpu_doctor.pins.requires import accepts, asked_by
from gpu_doctor.pins.search import Demands, Solution, best
from gpu_doctor.pins.wheels import is_wheel, wheel_pins

# What an installer brings along with a package; where it is chosen here, it is one that works.
_BRINGS = {
    "torchvision": ("torch",),
    "torchaudio": ("torch",),
    "torchcodec": ("torch",),
    "faster-whisper": ("ctranslate2",),
    "pyannote-audio": ("torch", "torchaudio", "torchcodec"),
    "coqui-tts": ("torch", "torchaudio", "torchcodec", "transformers"),
    "transformers": ("torch",),
    "whisperx": (
        *("torch", "torchvision", "torchaudio", "torchcodec"),
        *("ctranslate2", "faster-whisper", "pyannote-audio", "transformers"),
    ),
}
_NEED_OTHERS = ("pyannote-audio", "coqui-tts", "whisperx")


@dataclass(frozen=True, slots=True)
class _Wish:
    """Hold which packages to choose for, which of them to show, and which of NVIDIA's wheels were named."""

    names: tuple[str, ...]
    shown: tuple[str, ...]
    wheels: tuple[str, ...]
    complete: bool


def choose_pins(inventory: Inventory, facts: Facts, names: Sequence[str] = (), complete: bool = False) -> PinSet:
    """Choose releases of what is installed that go together; of `names` instead, or of the whole stack.

    With `names`, what is installed and has to move with them is in the set as well.
    """
    wish, place = _wish(inventory, names, complete), place_of(inventory)
    hindered = obstacle(inventory, place, facts)
    if hindered is not None:
        return PinSet((), place, facts.date, notes=(hindered,))
    if not wish.names:
        nothing = "No package is installed that could be pinned; name one, or give --complete."
        return PinSet((), place, facts.date, notes=(nothing,))
    if "torch" in wish.names:
        bases, reason = torch_bases(inventory, place, facts)
    else:
        bases, reason = cuda_bases(inventory, place, facts), f"{place.driver_words} runs no CUDA that the facts know"
    if not bases:
        return PinSet((), place, facts.date, notes=(f"There is no consistent set: {reason}.", *place.unknown))
    return _chosen(Market(inventory, place, facts), bases, wish)


def _wish(inventory: Inventory, names: Sequence[str], complete: bool) -> _Wish:
    asked = tuple(dict.fromkeys(str(canonicalize_name(name)) for name in names))
    strange = [name for name in asked if name not in STACK and not is_wheel(name)]
    if strange:
        raise UsageError(f"there are no pins for {strange[0]!r}", f"known: {', '.join(STACK)}, nvidia-…")
    brought = {other for name in asked for other in _BRINGS.get(name, ())}
    here = {name for name in STACK if inventory.distribution(name) is not None}
    wanted = set(STACK) if complete else here | brought | set(asked)
    shown = set(STACK) if not asked or complete else {*asked, *(brought - here)}
    wheels = tuple(name for name in asked if is_wheel(name))
    in_order = tuple(name for name in STACK if name in wanted)
    return _Wish(in_order, tuple(name for name in STACK if name in shown), wheels, complete)


def _chosen(market: Market, bases: Sequence[Base], wish: _Wish) -> PinSet:
    inventory, place, facts = market.inventory, market.place, market.facts
    demands = tuple(_demands(inventory, place, wish.names))
    solution, left_out = _agreed(market, bases, wish.names, demands)
    if solution is None:
        return PinSet((), place, facts.date, left_out=tuple(left_out), notes=place.unknown)
    base = solution.base
    wheels = list(wheel_pins(inventory, place, facts, base, wish.wheels, wish.complete))
    narrow = not wish.complete and len(wish.shown) < len(STACK)
    pins = tuple(
        pin
        for pin in (*named(inventory, solution), *(item for item in wheels if isinstance(item, Pin)))
        if not narrow or pin.name in (*wish.shown, *wish.wheels) or (pin.moves and pin.now is not None)
    )
    notes = (*place.unknown, *_notes(market, solution, demands), *(item for item in wheels if isinstance(item, str)))
    backend, cuda = backend_of(pins), base.build.cuda if base.build is not None else None
    if backend is not None and place.manager in ("poetry", "pipenv"):
        who = place.manager.capitalize()
        notes += (f"{who} finds builds tagged {backend} only with PyTorch's own package index as a source.",)
    return PinSet(pins, place, facts.date, cuda, backend, tuple(left_out), notes)


def _agreed(
    market: Market, bases: Sequence[Base], names: Sequence[str], demands: Demands
) -> tuple[Solution | None, list[LeftOut]]:
    """Return the least change for as many packages as can agree, and those that cannot, each with the reason."""
    left_out = [LeftOut(name, reason) for name in names if (reason := market.why_not(name))]
    absent = [item.name for item in left_out]
    possible = [name for name in names if name not in absent]
    for bounds in (demands, ()) if demands else ((),):
        if possible and (whole := best(market, bases, possible, bounds, absent)) is not None:
            return whole, left_out
    kept: list[str] = []
    solution = None
    # What others need comes before them, so that nobody is kept whose need is left out afterwards.
    for name in sorted(possible, key=lambda item: item in _NEED_OTHERS):
        found = best(market, bases, sorted([*kept, name], key=STACK.index), (), absent)
        if found is None:
            left_out.append(LeftOut(name, _clash(market, bases, kept, name, absent)))
            absent.append(name)
        else:
            kept.append(name)
            solution = found
    return solution, left_out


def _clash(market: Market, bases: Sequence[Base], kept: Sequence[str], name: str, absent: Sequence[str]) -> str:
    place = market.place
    first = ["torch"] if "torch" in kept else []
    if best(market, bases, [*first, name]) is None:
        return f"no release goes with a torch for {place.gpu_words}, {place.driver_words} and {place.python_words}"
    needed = [other for other in absent if best(market, bases, [*first, name], (), [other]) is None]
    if needed:
        return f"it needs {' and '.join(needed)}"
    against = [k for k in kept if k not in first and best(market, bases, [*first, k, name], (), absent) is None]
    rest = " and ".join(against) or "the rest of the set"
    return f"no release for {place.python_words} that the facts know goes together with {rest}"


def _demands(inventory: Inventory, place: Place, names: Sequence[str]) -> Iterator[tuple[str, Requirement]]:
    """Yield what installed packages that are not chosen for ask of those that are."""
    for item in inventory.distributions:
        if item.active and item.name not in names:
            yield from ((item.label, need) for need in asked_by(item, place, names.__contains__) if need.specifier)


def _notes(market: Market, solution: Solution, demands: Demands) -> Iterator[str]:
    base, chosen, facts = solution.base, solution.chosen, market.facts
    for who, need in demands:
        if need.name in chosen and not accepts(need.specifier, chosen[need.name].version):
            yield f"{who} asks for {need.name}{need.specifier}, which this set does not give it."
    if base.build is not None and base.build.confidence != "high":
        yield f"That torch {base.release} has a build for CUDA {base.build.cuda} was read in {base.build.source}."
    if market.place.driver is None and base.build is not None and base.build.cuda is not None:
        minimum = facts.minimum_driver(base.build.cuda)
        if not isinstance(minimum, Unknown):
            yield f"CUDA {base.build.cuda} needs driver {minimum.minor_text} or newer."
    ctranslate2 = chosen.get("ctranslate2")
    if ctranslate2 is not None and "torch" in chosen and ctranslate2.version >= FIRST_WITHOUT_TORCH:
        yield f"ctranslate2 {ctranslate2.version} imports no torch: import torch before it, for the sake of cuBLAS."
    runtime = chosen.get("onnxruntime-gpu")
    row = facts.onnxruntime(runtime.version) if runtime is not None else None
    if row is not None and row.sass is None and market.place.gpus:
        yield f"Whether onnxruntime-gpu {row.version} has code for {market.place.gpu_words} is not in the facts."
    asking = [name for name, item in chosen.items() if item.bounds("onnxruntime")]
    if runtime is not None and (asking or market.inventory.distribution("onnxruntime")):
        who = " and ".join(asking) or "this environment"
        yield f"onnxruntime-gpu and the onnxruntime that {who} asks for write the same files: keep the latter out."
