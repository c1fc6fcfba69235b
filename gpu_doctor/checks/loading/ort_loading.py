"""What the CUDA provider of ONNX Runtime lacks, and what brings it there."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field

from packaging.version import Version

from gpu_doctor.checks.choices.cuda_builds import wheels_for
from gpu_doctor.checks.choices.ort_choice import preloading
from gpu_doctor.checks.drivers.visibility import hidden
from gpu_doctor.checks.loading.links import by_variable
from gpu_doctor.checks.loading.ort_live import PRELOAD, Order
from gpu_doctor.checks.shared.requirements import as_asked
from gpu_doctor.checks.shared.stack import gpu_known, install
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Severity
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.remedy import Remedy, RunByHand
from gpu_doctor.model.unknown import Unknown

_FIRST_PRELOAD = Version("1.21")


@dataclass(frozen=True, slots=True)
class Lack:
    """Hold the names that the provider does not get, the folders where they lie nevertheless, and what was seen live.

    `words` are the loader's own for a name, where it was really asked. `no_gpu` tells that none can be seen.
    """

    package: Distribution
    names: tuple[str, ...]
    folders: dict[str, str]
    orders: tuple[Order, ...] = ()
    words: dict[str, str] = field(default_factory=dict)
    no_gpu: bool = False

    @property
    def absent(self) -> tuple[str, ...]:
        """Return the names that no package brings."""
        return tuple(name for name in self.names if name not in self.folders)

    @property
    def proven(self) -> bool:
        """Tell whether some order of imports was seen to fail."""
        return any(order.unloadable == "proven" for order in self.orders)

    @property
    def healed_by(self) -> tuple[Order, ...]:
        """Return the orders of imports that were seen to work."""
        return tuple(order for order in self.orders if order.unloadable == "cleared")

    @property
    def dies_without_gpu(self) -> bool:
        """Tell whether the process ended where a session has to fall back to the CPU, as releases before 1.23 do."""
        return self.no_gpu and any(order.died for order in self.healed_by)

    @property
    def crashes(self) -> bool:
        """Tell whether the process ended although there is a GPU; a driver that does not work may be the reason."""
        return any(order.died and order.gpu for order in self.orders)

    @property
    def can_preload(self) -> bool:
        """Tell whether a call of the program is enough: the release has it, and it was not seen to fail."""
        tried = [order.unloadable for order in self.orders if PRELOAD in order.session.after]
        if "proven" in tried or "cleared" in tried:
            return "cleared" in tried
        version = self.package.version
        return not isinstance(version, Unknown) and version >= _FIRST_PRELOAD and not self.absent

    def severity(self, inventory: Inventory) -> Severity:
        """Return an error where nothing helps for certain, a note where a call of the program does."""
        if self.dies_without_gpu:
            return "warning"
        if self.can_preload and not self.crashes:
            return "note"
        if self.proven:
            return "warning" if self.healed_by else "error"
        return "error" if self.absent and gpu_known(inventory) else "warning"

    def sentence(self) -> str:
        """Return what is wrong, in one sentence."""
        provider = f"The CUDA provider of {self.package.label}"
        if self.dies_without_gpu:
            return f"{provider} ends the process where it sees no GPU: a session that asks for CUDA does not fall back."
        if self.crashes:
            return f"{provider} ends the process while it is loaded."
        if not self.names:
            words = next((order.words for order in self.orders if order.unloadable == "proven"), "")
            return f"{provider} cannot be loaded{f' ({words})' if words else ''}: sessions fall back to the CPU."
        shown = self.absent or self.names
        listed = f"{', '.join(shown[:3])}{', …' * (len(shown) > 3)}, which {'are' if shown[1:] else 'is'}"
        helped = next((f", except {order.title}" for order in self.healed_by), "")
        return f"{provider} needs {listed} {self._place()}: sessions fall back to the CPU{helped}."

    def _place(self) -> str:
        if self.absent:
            return "not installed"
        said = self.words.get(self.names[0], "")
        if said and "cannot open shared object file" not in said:
            return f"installed and cannot be loaded ({said})"
        return "installed where the loader does not look"

    def evidence(self) -> tuple[Evidence, ...]:
        """Return what was seen live, then where the names lie that are not searched for there."""
        by_place: dict[str, dict[str, list[str]]] = {}
        for name in self.names:
            if name in self.folders:
                folder = self.folders[name]
                by_place.setdefault(_among_siblings(folder), {}).setdefault(folder, []).append(name)
        rows = (
            Evidence(
                "installed, not searched",
                ", ".join(name for names in folders.values() for name in names),
                place if len(folders) > 1 else next(iter(folders)),
            )
            for place, folders in by_place.items()
        )
        return (*(order.evidence() for order in self.orders), *rows)

    def remedy(self, inventory: Inventory, facts: Facts) -> Remedy | None:
        """Return what brings the libraries there, or None where the names do not tell."""
        if self.dies_without_gpu:
            return Remedy(
                "Ask for CUDA only where a GPU is visible, or install a release that falls back, such as 1.23.",
                "manual",
            )
        if self.crashes:
            return None
        if self.absent and not self.can_preload:
            wheels = wheels_for(inventory, facts, "onnxruntime-gpu", self.absent)
            step = install(inventory, *as_asked(inventory, wheels)) if wheels else None
            price = "downloads CUDA's libraries"
            return Remedy("Install the libraries that the provider needs.", "ask", (step,), price) if step else None
        if self.folders and not self.absent:
            instead = f", or call {PRELOAD} before the first session" if self.can_preload else ""
            return by_variable(inventory, self.folders.values(), instead)
        if self.can_preload:
            call = RunByHand(f"python -c 'import onnxruntime; {PRELOAD}'", "a call for the program itself")
            return Remedy(f"Call {PRELOAD} before the first session.", "manual", (call,))
        return None

    def lasting(self, inventory: Inventory, facts: Facts) -> Remedy | None:
        """Return the release whose call finds the libraries by itself, where they are there and this one has none."""
        if self.dies_without_gpu or self.crashes or self.can_preload or self.absent or not self.folders:
            return None
        return preloading(inventory, facts)


def _among_siblings(folder: str) -> str:
    """Return the pattern that a wheel's folder shares with those of its sisters: `…/nvidia/*/lib`."""
    parent, name = posixpath.split(folder)
    return f"{posixpath.dirname(parent)}/*/{name}"


def lack(inventory: Inventory, package: Distribution, needs: Sequence[str], seen: tuple[Order, ...]) -> Lack:
    """Join what the files say is missing with what was seen; where a process was asked, its answer counts."""
    failed = next((order for order in seen if order.unloadable == "proven" and order.lacks), None)
    words = failed.lacks if failed is not None else {}
    # A session names the first only; what the files say is complete where the names were not tried one by one.
    tried = failed is not None and failed.names is not None
    names = tuple(dict.fromkeys((*words, *(() if tried else needs))))
    here = {library.name: posixpath.dirname(library.path) for library in inventory.libraries}
    folders = {name: here[name] for name in names if name in here}
    unseen = inventory.gpus == () or hidden(inventory) is not None
    no_gpu = unseen and not inventory.target.assumes_hardware
    return Lack(package, names, folders, seen, words, no_gpu)
