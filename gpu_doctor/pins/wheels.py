"""Pin NVIDIA's wheels as the chosen torch pins them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from packaging.requirements import Requirement
from packaging.version import Version

from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.pins.bases import Base
from gpu_doctor.pins.pinset import Pin, Place
from gpu_doctor.pins.requires import accepts, asked_by

_OWN = "its own METADATA"


def is_wheel(name: str) -> bool:
    """Tell whether a distribution is one of NVIDIA's library wheels."""
    return name.startswith("nvidia-") and name not in ("nvidia-ml-py", "nvidia-smi")


def wheel_pins(
    inventory: Inventory, place: Place, facts: Facts, base: Base, wanted: Sequence[str], complete: bool
) -> Iterator[Pin | str]:
    """Yield the pins of NVIDIA's wheels that are installed or wanted; in words, what cannot be said of them."""
    installed = {
        item.name: item.version
        for item in inventory.distributions
        if item.active and is_wheel(item.name) and not isinstance(item.version, Unknown)
    }
    strangers = [name for name in installed if facts.cuda_generation(name) not in (None, base.major)]
    if strangers and base.major is not None:
        yield f"{', '.join(sorted(strangers))}: of another CUDA than this set (CUDA {base.major}), so not pinned."
    own = {name: version for name, version in installed.items() if name not in strangers}
    if base.release is None:
        yield from _without_torch(place, facts, base, own)
        return
    needs, source = _asked(inventory, place, base)
    names = [need.name for need in needs if complete or need.name in own or need.name in wanted]
    if not needs and own and base.major is not None:
        build = f"torch {base.release} for CUDA {base.build.cuda if base.build else base.major}"
        yield f"Which of NVIDIA's wheels {build} pins is not in the facts: an installer brings them."
    for need in needs:
        now = own.get(need.name)
        if need.name in names and (version := _version(need, now)):
            yield Pin(need.name, version, f"pinned by torch {base.release}", source, str(now) if now else None)


def _asked(inventory: Inventory, place: Place, base: Base) -> tuple[tuple[Requirement, ...], str]:
    torch = inventory.distribution("torch")
    own = tuple(asked_by(torch, place, is_wheel)) if base.kept and torch is not None else ()
    if own or base.build is None:
        return own, _OWN
    return tuple(need for pin in base.build.pins if is_wheel((need := Requirement(pin)).name)), base.build.source


def _version(need: Requirement, now: Version | None) -> str | None:
    exact = next((item.version for item in need.specifier if item.operator == "=="), None)
    if exact is not None and not exact.endswith(".*"):
        return exact
    return str(now) if now is not None and accepts(need.specifier, now) else None


def _without_torch(place: Place, facts: Facts, base: Base, own: dict[str, Version]) -> Iterator[Pin]:
    """Yield what is installed of this CUDA; cuDNN in a version that has code for every GPU."""
    for name, now in own.items():
        if not name.startswith("nvidia-cudnn-"):
            yield Pin(name, str(now), f"installed, of CUDA {base.major}", _OWN, str(now))
            continue
        fitting = [v for v in facts.cudnn_versions(name) if v.major == 9 and _has_code(name, v, place, facts)]
        if fitting:
            version = now if now in fitting else fitting[-1]
            yield Pin(name, str(version), f"cuDNN 9 for CUDA {base.major}", "the facts' list of its wheels", str(now))


def _has_code(name: str, version: Version, place: Place, facts: Facts) -> bool:
    return all(facts.cudnn_has_code_for(name, version, gpu.capability) is True for gpu in place.gpus)
