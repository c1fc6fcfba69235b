"""Keep a RECORD true: list what a repair added, so that a package manager takes it away with the package."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Iterator

from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.remedy import ListInRecord, MakeLink, RemoveFile, Step

# conda and the distributions' packages keep lists of their own, and know nothing of RECORD.
_OTHER_LISTS = frozenset({"conda", "rpm", "debian", "dpkg", "nix", "spack"})


def record_steps(inventory: Inventory, steps: Iterable[Step]) -> tuple[ListInRecord, ...]:
    """Return what keeps the RECORDs true where these steps place or remove links beside a package's libraries."""
    owners = _owners(inventory)
    add: dict[str, list[str]] = {}
    drop: dict[str, list[str]] = {}
    for step in steps:
        if isinstance(step, MakeLink | RemoveFile):
            folder = step.path.rpartition("/")[0]
            owner = owners.get(folder)
            if owner is not None and step.path.startswith(f"{owner.location}/"):
                listed = add if isinstance(step, MakeLink) else drop
                listed.setdefault(f"{owner.metadata}/RECORD", []).append(step.path.removeprefix(f"{owner.location}/"))
    return tuple(
        ListInRecord(record, tuple(sorted(add.get(record, ()))), tuple(sorted(drop.get(record, ()))))
        for record in sorted(add.keys() | drop.keys())
    )


def edited(text: str, add: Collection[str], drop: Collection[str]) -> str:
    """Return a RECORD's text with these paths listed, without hash and size, and those taken out.

    Everything else stays to the byte, line endings included; so does what is to be listed and is already.
    """
    ending = "\r\n" if "\r\n" in text else "\n"
    kept = [(path, row) for path, row in _rows(text) if path in add or path not in drop]
    listed = {path for path, _ in kept}
    new = [_line(path, ending) for path in dict.fromkeys(add) if path not in listed]
    unfinished = new and kept and not kept[-1][1].endswith("\n")
    return "".join((*(row for _, row in kept), ending if unfinished else "", *new))


def _owners(inventory: Inventory) -> dict[str, Distribution]:
    """Return the distribution whose libraries lie in a folder, where it is one that keeps a RECORD."""
    found: dict[str, Distribution] = {}
    for library in inventory.libraries:
        owner = inventory.distribution(library.package) if library.package else None
        if owner is not None and owner.record and owner.installer not in _OTHER_LISTS:
            found.setdefault(library.path.rpartition("/")[0], owner)
    return found


def _rows(text: str) -> Iterator[tuple[str, str]]:
    """Yield each entry's path and its text to the byte: a quoted path may hold commas and line ends."""
    lines = io.StringIO(text, newline="\n").readlines()
    reader, start = csv.reader(lines), 0
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:  # no entry that any package manager reads
            row = []
        yield row[0] if row else "", "".join(lines[start : reader.line_num])
        start = reader.line_num


def _line(path: str, ending: str) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow((path, "", ""))
    return text.getvalue().removesuffix("\r\n") + ending
