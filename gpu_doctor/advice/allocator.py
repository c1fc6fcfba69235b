"""How torch should allocate GPU memory, in the words that the installed torch understands."""

from __future__ import annotations

import re
from collections.abc import Iterator

from packaging.version import Version

from gpu_doctor.advice.hardware import ORDER, Seen, numbers_may_differ
from gpu_doctor.facts.advice import AdviceFacts
from gpu_doctor.model.advice import Setting
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import Unknown

_WISHES = (
    ("expandable_segments", "True", "freed memory of any size can be used again, so that less is lost to gaps"),
    ("garbage_collection_threshold", "0.8", "unused blocks go back before memory runs out"),
)
_PAIR = re.compile(r"\s*([a-z_0-9]+)\s*:")


def settings(inventory: Inventory, seen: tuple[Seen, ...], facts: AdviceFacts) -> Iterator[Setting]:
    """Yield the variables to set where torch runs on a GPU; a value of the user's own that torch knows stays."""
    if numbers_may_differ(inventory, seen):
        yield Setting(ORDER, "PCI_BUS_ID", "CUDA then counts the GPUs as the driver and this advice do")
    torch = _torch(inventory)
    variable = facts.allocator_variable(torch) if torch is not None else None
    if torch is None or variable is None or _set(inventory, facts):
        return
    known = facts.allocator_keys(torch)
    key, value, why = next(wish for wish in _WISHES if wish[0] in known)
    yield Setting(variable, f"{key}:{value}", why, known)


def allocator_warnings(inventory: Inventory, facts: AdviceFacts) -> Iterator[str]:
    """Yield what is wrong with the allocator variables that are set here."""
    torch = _torch(inventory)
    reads = facts.allocator_variable(torch) if torch is not None else None
    if torch is None or reads is None:
        return
    known = facts.allocator_keys(torch)
    for name, text in _set(inventory, facts):
        if name != reads and facts.allocator_variables()[0] == name:
            yield f"{name} is set, and the CUDA allocator of torch {torch.public} reads {reads} alone."
        for key in _PAIR.findall(f"{text}".replace(",", "\n")):
            since = facts.allocator_key_since(key)
            if since is not None and key not in known:
                yield f"{name} names {key}, which torch {torch.public} does not know: it began with {since}."


def _torch(inventory: Inventory) -> Version | None:
    found = inventory.distribution("torch")
    return None if found is None or isinstance(found.version, Unknown) else found.version


def _set(inventory: Inventory, facts: AdviceFacts) -> list[tuple[str, str]]:
    values = ((name, inventory.host.variable(name)) for name in facts.allocator_variables())
    return [(name, value) for name, value in values if value]
