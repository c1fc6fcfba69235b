"""Packages and the GPU architectures in them, one line for libraries that carry the same code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gpu_doctor.model.architecture import sort_key
from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.libraries import GpuCode, Library
from gpu_doctor.model.target import Target
from gpu_doctor.report.heading import counted, gpu_words, write_target
from gpu_doctor.report.paper import Look, Paper

_STYLES = {"native": "green", "jit": "yellow", "none": "bold red", "unknown": "yellow"}
_COLUMN = 34


def render(libraries: Sequence[Library], gpus: Sequence[Gpu], target: Target | None, look: Look) -> str:
    """Return a table by package; libraries of a package that carry the same code share a line.

    `target` is None where single files were named: then those without GPU code are listed too, not counted.
    """
    paper = Paper(look)
    if target is not None:
        write_target(paper, target)
    if gpus:
        paper.prose("runs on ", (", then on ".join(gpu_words(gpu) for gpu in gpus), "bold"), ":")
        paper.blank()
    carriers = [library for library in libraries if target is None or library.gpu_code.status != "none"]
    groups: dict[str, dict[GpuCode, list[Library]]] = {}
    for library in carriers:
        groups.setdefault(library.package or "", {}).setdefault(library.gpu_code, []).append(library)
    labels = [_label(group) for package in groups.values() for group in package.values()]
    column = min(_COLUMN, max(map(len, labels), default=0))
    for package in sorted(groups):
        paper.prose((package or "of no package", "bold"))
        for code, group in groups[package].items():
            _write_row(paper, _label(group), column, code, gpus)
    _write_end(paper, len(carriers), len(libraries), gpus)
    return paper.text()


def _write_end(paper: Paper, carriers: int, libraries: int, gpus: Sequence[Gpu]) -> None:
    if not libraries:
        paper.prose("no shared libraries here")
        return
    if carriers:
        paper.blank()
        if gpus:
            paper.prose(("native: runs; jit: the driver compiles it at the first start; none: fails", "dim"))
    if carriers < libraries:
        paper.prose((f"{libraries - carriers} of {counted(libraries, 'library')} without GPU code", "dim"))


def _write_row(paper: Paper, label: str, column: int, code: GpuCode, gpus: Sequence[Gpu]) -> None:
    answers = [code.reach(gpu.capability) or "-" for gpu in gpus]
    cells = [(answer, 7, _STYLES.get(answer, "dim")) for answer in answers]
    paper.prose(_architectures(code), indent=2, columns=[(label, column, ""), *cells])


def _architectures(code: GpuCode) -> str:
    """Return `70 75 90a` (machine code) and `PTX 90`; what could not be read is said."""
    if code.status == "none":
        return "no GPU code"
    parts = [" ".join(_numbers(code.sass))] if code.sass else []
    if code.ptx:
        parts.append("PTX " + " ".join(_numbers(code.ptx)))
    words = " + ".join(parts)
    if code.status == "read":
        return words
    return f"{words} and perhaps more: {code.note}" if words else f"unknown: {code.note}"


def _numbers(architectures: Iterable[str]) -> list[str]:
    return [name.rpartition("_")[2] for name in sorted(architectures, key=sort_key)]


def _label(group: Sequence[Library]) -> str:
    """Name the largest library of a line, and count the others."""
    name = max(group, key=lambda library: (library.size, library.name)).name
    return name if len(group) == 1 else f"{name} +{len(group) - 1}"
