"""Write a choice down as exact pins: where another build of the same release would satisfy a pin, its tag is named."""

from __future__ import annotations

import re
from collections.abc import Iterator

from packaging.version import Version

from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.pins.bases import Base, without_cuda
from gpu_doctor.pins.candidates import Candidate
from gpu_doctor.pins.pinset import Pin
from gpu_doctor.pins.search import Solution

_TAG = re.compile(r"cpu|cu\d{2,3}")
_WITH_TORCH = ("torchvision", "torchaudio")


def named(inventory: Inventory, solution: Solution) -> Iterator[Pin]:
    """Yield the pin of every chosen release."""
    tag = tag_of(inventory, solution.base)
    for name, choice in solution.chosen.items():
        item = inventory.distribution(name)
        now = item.version if item is not None and not isinstance(item.version, Unknown) else None
        version = _version(choice, item, solution.base, tag)
        yield Pin(name, version, choice.reason, choice.source, str(now) if now is not None else None)


def backend_of(pins: tuple[Pin, ...]) -> str | None:
    """Return the tag of the builds that a plain install would not bring, or None where it brings all."""
    return next((tag for pin in pins if (tag := Version(pin.version).local) and _TAG.fullmatch(tag)), None)


def tag_of(inventory: Inventory, base: Base) -> str | None:
    """Return the tag that torch's pin has to name; None where a plain version means the right build."""
    torch = inventory.distribution("torch")
    now = torch.version if torch is not None and not isinstance(torch.version, Unknown) else None
    if base.kept and now is not None:
        return now.local
    if base.build is None:
        return None
    other = torch is not None and now is not None and bool(now.public == str(base.release) or now.local)
    # A plain pin is met by the build without CUDA that is there, so the one that is meant is named.
    return base.build.tag if not base.build.default or other or (torch and without_cuda(torch)) else None


def _version(choice: Candidate, item: Distribution | None, base: Base, tag: str | None) -> str:
    now = item.version if item is not None and not isinstance(item.version, Unknown) else None
    if choice.name == "torch":
        return f"{choice.version}+{tag}" if tag else str(choice.version)
    same = now is not None and Version(now.public) == choice.version
    if choice.name not in _WITH_TORCH:
        return str(now) if same else str(choice.version)
    if same and item is not None and _goes_with(item, base, tag):
        return str(now)
    # A torchaudio that serves several releases of torch is not built again for each CUDA.
    alone = choice.name == "torchaudio" and choice.version != base.release
    wanted = tag or (base.build.tag if base.build is not None and (same or not base.build.default) else None)
    return f"{choice.version}+{wanted}" if wanted and _TAG.fullmatch(wanted) and not alone else str(choice.version)


def _goes_with(item: Distribution, base: Base, tag: str | None) -> bool:
    """Tell whether an installed companion is of the build of torch that is chosen."""
    local = None if isinstance(item.version, Unknown) else item.version.local
    if local is not None and _TAG.fullmatch(local):
        return local == (tag or (base.build.tag if base.build is not None else None))
    if item.built_for is not None and base.build is not None and base.build.cuda is not None:
        cuda = item.built_for.cuda
        return cuda is not None and cuda.release[:2] == base.build.cuda.release[:2]
    return tag is None or local == tag or base.kept
