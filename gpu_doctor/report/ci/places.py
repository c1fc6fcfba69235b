"""Where a finding was seen, as files that programs can open: paths, lines and URIs."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from gpu_doctor.model.case import Case
from gpu_doctor.model.finding import Evidence, Finding

# A path alone, or a path and a line; `/a and /b`, `/a:/b` and `/a/*` are words about several files.
_PLACE = re.compile(r"\A((?:~?/|(?:[\w.-]+/)*[\w.-]+\.(?:toml|cfg|txt|ya?ml|ini)(?=:|\Z))[^\n:*]*?)(?::(\d+))?\Z")
_ENDS = re.compile(r", by | and /")


@dataclass(frozen=True, slots=True)
class Place:
    """Name a file and, where it is known, a line of it."""

    path: str
    line: int | None = None


def place(where: str) -> Place | None:
    """Return the file that an evidence's `where` names first, or None where it names none."""
    found = _PLACE.match(_ENDS.split(where, maxsplit=1)[0])
    if found is None or " /" in found[1]:
        return None
    return Place(found[1], int(found[2]) if found[2] else None)


def seen_at(evidence: Iterable[Evidence]) -> Iterator[tuple[Place, Evidence]]:
    """Yield each file that the evidence names, once, with the first evidence of it."""
    known = set()
    for item in evidence:
        found = place(item.where)
        if found is not None and found not in known:
            known.add(found)
            yield found, item


def main_place(case: Case, finding: Finding | None = None) -> Place:
    """Return the first file that a finding names, else the interpreter of the environment, else its folder."""
    first = next(seen_at(finding.evidence), None) if finding is not None else None
    if first is not None:
        return first[0]
    python = case.inventory.interpreter
    return Place(python.executable or case.inventory.target.python or python.prefix)


def shown(path: str, base: str) -> str:
    """Return a path relative to the folder `base` where it lies in it, else as it is."""
    inside = base and base != "/" and path.startswith(base.rstrip("/") + "/")
    return posixpath.relpath(path, base) if inside else path


def artifact(path: str, base: str) -> dict[str, Any]:
    """Return a file as SARIF names it: a `file:` URI, or one relative to the project or to a home folder."""
    if path == "~" or path.startswith("~/"):
        return {"uri": _quoted(path[2:] or "."), "uriBaseId": "HOME"}
    near = shown(path, base)
    if near.startswith("/"):
        return {"uri": f"file://{_quoted(near)}"}
    return {"uri": _quoted(near), "uriBaseId": "%SRCROOT%"}


def _quoted(path: str) -> str:
    # A name that is no UTF-8 is its bytes; what Python cannot have read from a disk is spelled as it stands.
    try:
        return quote(path.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return quote(path.encode("utf-8", "surrogatepass"))
