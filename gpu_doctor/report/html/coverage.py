"""The coverage picture: which library carries code for which GPU architecture, this GPU's column marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from gpu_doctor.model.architecture import Capability, parse
from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.libraries import GpuCode, Library
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.report.heading import counted, gpu_words
from gpu_doctor.report.html.words import enumerated, line

# NVIDIA's names of the generations, from their first capability on.
_GENERATIONS: tuple[tuple[Capability, str], ...] = (
    *(((5, 0), "Maxwell"), ((6, 0), "Pascal"), ((7, 0), "Volta"), ((7, 5), "Turing"), ((8, 0), "Ampere")),
    *(((8, 9), "Ada"), ((9, 0), "Hopper"), ((10, 0), "Blackwell"), ((13, 0), "newer")),
)
# Boards with an integrated GPU: a column for one only where it is this machine's.
_BOARDS = {(5, 3), (6, 2), (7, 2), (8, 7), (10, 1), (11, 0)}
_WORDS = {"native": "SASS", "jit": "PTX", "none": "none", "unknown": "unknown"}
_ROWS = 60
_COLUMNS = 20


@dataclass(frozen=True, slots=True)
class Column:
    """Hold one architecture; `gpu` names the GPU of this machine that has it, if any."""

    sm: str
    gpu: str


@dataclass(frozen=True, slots=True)
class Row:
    """Hold libraries of one package that carry the same code; a cell is a kind and its word, one for each column."""

    package: str
    label: str
    others: tuple[str, ...]
    note: str
    cells: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """Hold the picture: generations over columns, rows, and in one sentence what it says for this machine."""

    generations: tuple[tuple[str, int], ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    sentences: tuple[str, ...]
    notes: tuple[str, ...]
    left: int
    without: str


def coverage(inventory: Inventory) -> Coverage | None:
    """Return the picture, or None where no library is known to carry GPU code."""
    carriers = [library for library in inventory.libraries if library.gpu_code.status != "none"]
    if not carriers:
        return None
    gpus = () if isinstance(inventory.gpus, Unknown) else inventory.gpus
    capabilities = _capabilities(carriers, gpus)
    rows = _rows(carriers, capabilities)
    return Coverage(
        generations=tuple((name, len(list(group))) for name, group in groupby(map(_generation, capabilities))),
        columns=tuple(Column(_sm(one), _named(one, gpus)) for one in capabilities),
        rows=tuple(rows[:_ROWS]),
        sentences=tuple(_sentence(gpu, carriers) for gpu in {gpu.capability: gpu for gpu in gpus}.values()),
        notes=tuple(dict.fromkeys(f"? {row.package}: {row.note}" for row in rows if row.note)),
        left=max(0, len(rows) - _ROWS),
        without=_without(len(inventory.libraries) - len(carriers)),
    )


def _without(number: int) -> str:
    """Return how many libraries the picture does not show."""
    if not number:
        return ""
    return "1 other library carries no GPU code." if number == 1 else f"{number} other libraries carry no GPU code."


def _capabilities(carriers: Sequence[Library], gpus: Sequence[Gpu]) -> list[Capability]:
    own = {gpu.capability for gpu in gpus}
    built = {capability for library in carriers for capability in _built(library.gpu_code)} - _BOARDS - own
    return sorted(own | set(sorted(built, reverse=True)[: max(0, _COLUMNS - len(own))]))


def _built(code: GpuCode) -> list[Capability]:
    """Return the capabilities that code was built for; what is no architecture is nobody's column."""
    return [capability for name in (*code.sass, *code.ptx) if (capability := _capability(name)) is not None]


def _capability(name: str) -> Capability | None:
    try:
        return parse(name)[0]
    except ValueError:
        return None


def _rows(carriers: Sequence[Library], capabilities: Sequence[Capability]) -> list[Row]:
    groups: dict[tuple[str, GpuCode], list[Library]] = {}
    for library in carriers:
        groups.setdefault((library.package or "", library.gpu_code), []).append(library)
    rows = []
    # What programs import comes before the libraries that it brings along.
    for package, code in sorted(groups, key=lambda key: (key[0].startswith("nvidia-"), not key[0], key[0])):
        libraries = sorted(groups[package, code], key=lambda library: (-library.size, library.name))
        kinds = [_kind(code, capability) for capability in capabilities]
        rows.append(
            Row(
                package=line(package) or "of no package",
                label=line(libraries[0].name, 200),
                others=tuple(line(library.name, 200) for library in libraries[1:]),
                note=line(code.note, 300) if code.status == "unknown" else "",
                cells=tuple((kind, _WORDS[kind]) for kind in kinds),
            )
        )
    return rows


def _kind(code: GpuCode, capability: Capability) -> str:
    try:
        return code.reach(capability) or "none"
    except ValueError:
        return "unknown"


def _generation(capability: Capability) -> str:
    return next((name for first, name in reversed(_GENERATIONS) if capability >= first), "older")


def _sm(capability: Capability) -> str:
    return f"sm_{capability[0]}{capability[1]}"


def _named(capability: Capability, gpus: Sequence[Gpu]) -> str:
    return line(next((gpu_words(gpu).partition(" (")[0] for gpu in gpus if gpu.capability == capability), ""), 80)


def _sentence(gpu: Gpu, carriers: Sequence[Library]) -> str:
    """Return what a GPU meets: `Of 17 libraries with GPU code, 3 run as they are, …`."""
    counts = Counter(_kind(library.gpu_code, gpu.capability) for library in carriers)
    said = {
        "native": "with machine code for it",
        "jit": "with PTX that the driver compiles at the first start",
        "none": "with nothing that runs on it",
        "unknown": "that could not be read to the end",
    }
    parts = [f"{counts[kind]} {words}" for kind, words in said.items() if counts[kind]]
    return line(f"{gpu_words(gpu)}: of {counted(len(carriers), 'library')} with GPU code, {enumerated(parts)}.")
