"""Which library names a consumer cannot reach in a fresh process, and after which imports it can."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gpu_doctor.model.finding import Evidence
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.library import Resolution
from gpu_doctor.model.unknown import DoesNotApply


@dataclass(frozen=True, slots=True)
class Gap:
    """Join the names that one consumer asks for and does not get, with the import orders that supply them."""

    consumer: str
    package: str
    missing: tuple[Resolution, ...]
    supplied: tuple[Resolution, ...]

    @property
    def always(self) -> bool:
        """Tell whether some name is missing after every sequence of imports that was modelled."""
        helped = {r.names for r in self.supplied}
        return any(r.names not in helped for r in self.missing)

    def evidence(self) -> tuple[Evidence, ...]:
        """Return what was asked for and where ld.so looked, then what an earlier import would change."""
        rows = [_looked(r) for r in self.missing[:4]]
        if len(self.missing) > 4:
            rest = ", ".join(r.names[0] for r in self.missing[4:])
            rows.append(Evidence("also not found", rest, self.consumer))
        rows += [
            Evidence(f"after import of {', '.join(r.after)}", f"{r.names[0]}: {r.rule}", r.found or "")
            for r in self.supplied[:1]
        ]
        return tuple(rows)


def gaps(inventory: Inventory, *stems: str) -> Iterator[Gap]:
    """Yield, per consumer, the required names starting with one of `stems` that a fresh process does not find."""
    asked = [r for r in inventory.resolutions if not r.optional and r.package and r.names[0].startswith(stems)]
    if not asked:
        raise DoesNotApply(f"no installed package asks for {stems[0]}")
    for consumer in dict.fromkeys(r.consumer for r in asked):
        mine = [r for r in asked if r.consumer == consumer]
        shortest = min(len(r.after) for r in mine)
        missing = tuple(r for r in mine if r.found is None and len(r.after) == shortest)
        names = {r.names for r in missing}
        supplied = tuple(r for r in mine if r.found is not None and r.names in names)
        if missing:
            yield Gap(consumer, mine[0].package or "", _distinct(missing), supplied)


def _distinct(resolutions: tuple[Resolution, ...]) -> tuple[Resolution, ...]:
    return tuple({r.names: r for r in resolutions}.values())


def _looked(resolution: Resolution) -> Evidence:
    tried = [f"{t.path} ({t.outcome}; {t.rule})" for t in resolution.tried[:3]]
    what = "dlopen" if resolution.how == "dlopen" else "needs"
    looked = "; ".join(tried) if tried else "no folder of the search path has it"
    return Evidence(f"{what} {' or '.join(resolution.names)}", f"not found: {looked}", resolution.consumer)
