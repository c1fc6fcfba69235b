"""The library map: who loads which CUDA library, by which rule of ld.so, and which copies nobody loads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.libraries import Library, Resolution
from gpu_doctor.report.html.words import folder, line, name

# In the order of the page; the first beginning of a name that fits decides.
_FAMILIES = (
    ("libcudnn", "cuDNN"),
    ("libcublas", "cuBLAS"),
    ("libcudart", "CUDA runtime"),
    ("libcufft", "cuFFT"),
    ("libnvJitLink", "nvJitLink"),
    ("libnvrtc", "NVRTC"),
    ("libcurand", "cuRAND"),
    ("libcusolver", "cuSOLVER"),
    ("libcusparseLt", "cuSPARSELt"),
    ("libcusparse", "cuSPARSE"),
    ("libnccl", "NCCL"),
    ("libnvinfer", "TensorRT"),
    ("libcuda.so", "CUDA driver"),
)
_NAMES, _CHIPS = 8, 3


@dataclass(frozen=True, slots=True)
class Asker:
    """Say who asks for libraries: the package, after which imports, through which files, and what ld.so answers by."""

    who: str
    after: str
    through: tuple[str, ...]
    names: tuple[str, ...]
    rules: tuple[str, ...]
    looked: tuple[str, ...]
    optional: bool

    @property
    def chips(self) -> tuple[str, ...]:
        """Return what is not found, a few names of it, and why where it is not just absent."""
        odd = tuple(rule for rule in self.rules if rule != "not found")
        left = len(self.names) - _CHIPS
        return (*self.names[:_CHIPS], *((f"{left} more",) if left > 0 else ()), *odd)


@dataclass(frozen=True, slots=True)
class Copy:
    """Hold the files of one library in one folder: the one that stands for them, whose they are, and where."""

    title: str
    owner: str
    folder: str


@dataclass(frozen=True, slots=True)
class Served:
    """Hold one answer: the files that are found, and everyone who gets them."""

    copies: tuple[Copy, ...]
    askers: tuple[Asker, ...]


@dataclass(frozen=True, slots=True)
class Family:
    """Hold the answers for one library, winners first, then those who find none, and the copies that lie idle.

    Libraries that the same packages find, or miss, after the same imports share one: `name` then lists them.
    """

    name: str
    found: tuple[Served, ...]
    missing: tuple[Asker, ...]
    idle: tuple[Copy, ...]

    @property
    def contested(self) -> bool:
        """Tell whether there is more to say than that everyone gets the one copy."""
        return len(self.found) != 1 or bool(self.missing) or bool(self.idle)

    @property
    def askers(self) -> tuple[str, ...]:
        """Return everyone who asks, once."""
        return tuple(dict.fromkeys(asker.who for served in self.found for asker in served.askers))

    @property
    def rules(self) -> tuple[str, ...]:
        """Return the rules by which it is found, once each."""
        return tuple(dict.fromkeys(rule for served in self.found for asker in served.askers for rule in asker.rules))


def library_map(inventory: Inventory) -> tuple[Family, ...]:
    """Return the map of the libraries that anybody asks for."""
    families: dict[str, list[Resolution]] = {label: [] for _, label in _FAMILIES}
    for item in inventory.resolutions:
        label = _family(item.names[0]) if item.names else ""
        if label:
            families[label].append(item)
    if inventory.host.libcuda is None:
        # Without a driver everybody misses it, and that is said elsewhere.
        families.pop("CUDA driver")
    maps = [_map(label, items, inventory) for label, items in families.items() if items]
    groups: dict[object, list[Family]] = {}
    for one in maps:
        groups.setdefault(_shape(one) if one.contested and not one.idle else one.name, []).append(one)
    return tuple(_joined(group) for group in groups.values())


def _shape(family: Family) -> object:
    """Return who finds and who misses it, whatever the files are called."""
    found = tuple(frozenset((asker.who, asker.after) for asker in served.askers) for served in family.found)
    return found, frozenset((asker.who, asker.after, asker.optional) for asker in family.missing)


def _joined(group: Sequence[Family]) -> Family:
    """Return one map for libraries of the same shape."""
    if len(group) == 1:
        return group[0]
    found = tuple(
        Served(tuple(copy for served in row for copy in served.copies), _together(served.askers for served in row))
        for row in zip(*(family.found for family in group), strict=True)
    )
    return Family(", ".join(family.name for family in group), found, _together(one.missing for one in group), ())


def _together(rows: Iterable[tuple[Asker, ...]]) -> tuple[Asker, ...]:
    groups: dict[tuple[str, str, bool], list[Asker]] = {}
    for row in rows:
        for asker in row:
            groups.setdefault((asker.who, asker.after, asker.optional), []).append(asker)
    return tuple(
        Asker(
            *(who, after),
            through=_some(word for one in group for word in one.through),
            names=_some(word for one in group for word in one.names),
            rules=_some(word for one in group for word in one.rules),
            looked=tuple(dict.fromkeys(word for one in group for word in one.looked)),
            optional=optional,
        )
        for (who, after, optional), group in groups.items()
    )


def _map(label: str, items: Sequence[Resolution], inventory: Inventory) -> Family:
    winners: dict[str, list[Resolution]] = {}
    for item in items:
        if item.found is not None:
            winners.setdefault(folder(item.found), []).append(item)
    missing = [item for item in items if item.found is None]
    return Family(
        name=label,
        found=tuple(_served(place, group, inventory) for place, group in winners.items()),
        missing=_askers(missing),
        idle=_idle(label, winners, inventory),
    )


def _served(place: str, group: Sequence[Resolution], inventory: Inventory) -> Served:
    files = dict.fromkeys(name(item.found) for item in group if item.found)
    path = next(item.found for item in group if item.found)
    owner = _owner(inventory.find_library(path), inventory)
    return Served((Copy(_files(files), owner, _short(place, inventory)),), _askers(group))


def _askers(items: Iterable[Resolution]) -> tuple[Asker, ...]:
    """Return who asks, those of one package after the same imports together."""
    groups: dict[tuple[str, tuple[str, ...], bool], list[Resolution]] = {}
    for item in items:
        missed_gladly = item.optional and item.found is None
        groups.setdefault((item.package or name(item.consumer), item.after, missed_gladly), []).append(item)
    return tuple(_asker(who, after, optional, group) for (who, after, optional), group in groups.items())


def _asker(who: str, after: tuple[str, ...], optional: bool, group: Sequence[Resolution]) -> Asker:
    missing = next((item for item in group if item.found is None), None)
    return Asker(
        who=line(who, 200),
        after=line(f"import {', '.join(after)}" if after else ""),
        through=_some(name(item.consumer) for item in group),
        names=_some(name(item.names[0]) for item in group),
        rules=_some(_rule(item) for item in group),
        looked=_looked(missing) if missing else (),
        optional=optional,
    )


def _rule(item: Resolution) -> str:
    """Return the rule without the file that it stands in, which `through` names."""
    return "its full path" if item.rule == "path" else item.rule.partition(" of /")[0]


def _looked(item: Resolution) -> tuple[str, ...]:
    """Return each place once where a name was looked for, with what was odd about a file there."""
    places: dict[str, None] = {}
    for step in item.tried:
        rule = step.rule.partition(" of ")[0]
        place = step.path if rule == "ld.so.cache" else folder(step.path)
        odd = "" if step.outcome in ("no such file", "not listed") else f", {step.outcome}"
        places[f"{place}{odd}" if rule in ("ld.so.cache", "default directory") else f"{place} ({rule}{odd})"] = None
    return tuple(line(place, 300) for place in places)


def _idle(label: str, winners: Iterable[str], inventory: Inventory) -> tuple[Copy, ...]:
    copies: dict[str, list[Library]] = {}
    for library in inventory.libraries:
        if _family(library.name) == label and not {folder(library.path), folder(library.real)} & set(winners):
            copies.setdefault(folder(library.path), []).append(library)
    return tuple(
        Copy(_files(library.name for library in group), _owner(group[0], inventory), _short(place, inventory))
        for place, group in copies.items()
    )


def _short(place: str, inventory: Inventory) -> str:
    """Return a folder, from the environment's own on where it lies in it."""
    return line(place.removeprefix(inventory.interpreter.prefix.rstrip("/") + "/"))


def _files(names: Iterable[str]) -> str:
    """Return the file that stands for the others, and how many there are."""
    every = sorted(set(names), key=lambda one: (one.partition(".so")[0].count("_"), len(one), one))
    return line(every[0] if len(every) == 1 else f"{every[0]} and {len(every) - 1} more", 200)


def _owner(library: Library | None, inventory: Inventory) -> str:
    if library is None or library.package is None:
        return "of no package"
    distribution = inventory.distribution(library.package)
    return line(distribution.label if distribution else library.package, 200)


def _some(words: Iterable[str]) -> tuple[str, ...]:
    every = [line(word, 200) for word in dict.fromkeys(words)]
    left = len(every) - _NAMES
    return tuple(every) if left <= 0 else (*every[:_NAMES], f"{left} more")


def _family(file: str) -> str:
    return next((label for beginning, label in _FAMILIES if name(file).startswith(beginning)), "")
