"""Find a GPU by the words that people use for it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpu_doctor.errors import UnknownHardware
from gpu_doctor.facts import load, parse
from gpu_doctor.model.architecture import Capability

GIB = 1024**3

# Words that do not tell one product from another.
_NOISE = frozenset(("nvidia", "corporation", "geforce", "tesla", "gpu", "graphics", "card", "generation")) | frozenset(
    ("edition", "workstation", "with", "design", "hbm2", "hbm2e", "hbm3", "hbm3e")
)
# Words of product names that name a generation of chips, whose members differ in capability.
_GENERATIONS = frozenset(("ada", "blackwell", "pascal"))
# Words that NVML and clouds add to a name: forms, virtual GPUs and MIG slices.
_FORM = re.compile(r"^(?:sxm\d?|pcie|nvl|ac|grid|mig|\d+[abcq]|\d+g|\d+gb)$")

_ARCHITECTURE = re.compile(
    r"^(?P<named>(?:sm|compute|cc)[ _-]?)?(?P<major>\d{1,2})(?P<dot>\.)?(?P<minor>\d)[af]?$", re.ASCII
)
_SIZE = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?) ?(?:gb|gib)\b")
_GLUED = re.compile(
    r"(?<![a-z])(rtx|gtx|geforce|quadro|tesla|titan|jetson)(?=[a-z]?\d)|(?<=\d)(?=(?:ti|super|laptop)\b)"
)
_LONGEST = 100
_MOST_LISTED = 6


@dataclass(frozen=True, slots=True)
class GpuFact:
    """Hold a GPU's name without the word NVIDIA, its compute capability, and its memory where one size is known."""

    name: str
    capability: Capability
    memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class _Product:
    name: str
    capability: Capability
    sizes: tuple[float, ...]
    words: frozenset[str] = field(repr=False)


class Gpus:
    """Answer questions to gpus.toml."""

    def __init__(self, products: tuple[_Product, ...]) -> None:
        self._products = products
        self._capabilities = frozenset(product.capability for product in products)

    @classmethod
    def load(cls, folder: Path) -> Gpus:
        """Read and prove the table: names unique, capabilities ascending, sizes positive and ascending."""
        groups = [
            (row, row.take("capability", parse.capability)) for row in load.read_table("gpus", folder).rows("group")
        ]
        load.ascending(groups, "capability")
        products: list[_Product] = []
        names: list[tuple[load.Row, str]] = []
        for row, capability in groups:
            for name, sizes in row.take("gpus", _names_and_sizes):
                products.append(_Product(name, capability, sizes, _words(name)[0]))
                names.append((row, name.lower()))
            row.done()
        load.unique(names)
        return cls(tuple(products))

    def find(self, words: str) -> GpuFact:
        """Find the GPU that these words mean; raise UnknownHardware for none or for several that differ."""
        text = " ".join(words.split())[:_LONGEST]
        capability = self._capability(text)
        if capability is not None:
            return GpuFact(f"sm_{capability[0]}{capability[1]}", capability, None)
        wanted, sizes = _words(text)
        matches = self._matches(wanted) or self._matches(frozenset(word for word in wanted if not _FORM.match(word)))
        if not matches:
            raise UnknownHardware(f"no GPU is known by the name {text!r}", self._hint(text))
        if len({product.capability for product in matches}) > 1:
            raise UnknownHardware(f"{text!r} means several GPUs: {_listed(matches)}", "name one of them, or its sm_XX")
        return _fact(matches, sizes)

    def _capability(self, text: str) -> Capability | None:
        match = _ARCHITECTURE.match(text.lower())
        if match is None:
            return None
        capability = int(match["major"]), int(match["minor"])
        if capability in self._capabilities:
            return capability
        if not match["named"] and not match["dot"]:
            return None  # a bare number may be a name: 4090, 750
        if capability > max(self._capabilities):
            return capability  # newer than the facts; the arithmetic of architectures still holds
        known = ", ".join(f"sm_{major}{minor}" for major, minor in sorted(self._capabilities))
        raise UnknownHardware(f"no GPU has the compute capability {text!r}", f"known: {known}")

    def _matches(self, wanted: frozenset[str]) -> list[_Product]:
        if wanted <= _GENERATIONS:
            return []
        exact = [product for product in self._products if product.words == wanted]
        return exact or [product for product in self._products if wanted <= product.words]

    def _hint(self, text: str) -> str:
        import difflib  # only needed to be kind about a typing error

        spelled = {_spelled(product.name): product.name for product in self._products}
        close = difflib.get_close_matches(_spelled(text), spelled, n=3)
        return (
            f"did you mean {', '.join(spelled[item] for item in close)}?" if close else "try its sm_XX, such as sm_89"
        )


def _fact(matches: list[_Product], sizes: frozenset[float]) -> GpuFact:
    fewest = min(len(product.words) for product in matches)
    nearest = [product for product in matches if len(product.words) == fewest]
    fitting = [product for product in nearest if sizes & frozenset(product.sizes)] or nearest
    known = {size for product in fitting for size in product.sizes}
    stated = known & sizes if sizes else known
    memory = int(stated.pop() * GIB) if len(stated) == 1 else None
    return GpuFact(_common_name(nearest), nearest[0].capability, memory)


def _common_name(products: list[_Product]) -> str:
    shared = frozenset.intersection(*(frozenset(product.name.split()) for product in products))
    return " ".join(word for word in products[0].name.split() if word in shared) or products[0].name


def _words(text: str) -> tuple[frozenset[str], frozenset[float]]:
    lower = re.sub(r"max[ -]?q|mobile", " laptop ", re.sub(r"\((?:r|tm)\)", " ", text.lower()))
    sizes = frozenset(float(size) for size in _SIZE.findall(lower))
    spaced = _GLUED.sub(lambda m: f"{m[0]} ", _SIZE.sub(" ", lower).replace("tisuper", "ti super"))
    return frozenset(re.findall(r"[a-z0-9]+", spaced)) - _NOISE, sizes


def _spelled(name: str) -> str:
    return " ".join(sorted(_words(name)[0]))


def _listed(products: list[_Product]) -> str:
    items = [f"{product.name} ({product.capability[0]}.{product.capability[1]})" for product in products[:_MOST_LISTED]]
    return ", ".join(items) + (f" and {len(products) - _MOST_LISTED} more" if len(products) > _MOST_LISTED else "")


def _names_and_sizes(value: Any) -> Iterable[tuple[str, tuple[float, ...]]]:
    """Accept a list of ["name", GiB, ...], sizes positive and ascending."""
    found = [(parse.text(name), tuple(float(size) for size in sizes)) for name, *sizes in value]
    for name, sizes in found:
        if list(sizes) != sorted(set(sizes)) or any(size <= 0 for size in sizes):
            raise ValueError(name)
    return found
