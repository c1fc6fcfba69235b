"""Record a patient: `gpu-doctor inventory --format json … | python -m tests.patients.record NAME`.

The inventory is stripped of the machine that it was taken on and of what no rule reads, and written beside this file.
What the rules say of it must stay the same; where it does not, or a trace of the machine is left, nothing is written.
"""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpu_doctor import doctor
from gpu_doctor.facts.stack import is_gpu_package
from gpu_doctor.model import plain
from gpu_doctor.model.finding import Finding
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.libraries import Elf, Library
from gpu_doctor.model.unknown import Unknown
from tests.kit import PREFIX

HERE = Path(__file__).resolve().parent
LARGEST = 300_000
# What a recorded patient must not hold: folders of the machine that it was recorded on.
TRACES = re.compile(r"(?<![\w}])/(?:root|tmp|work|mnt|home/(?!ada\b))\b")


def main(name: str, text: str) -> None:
    """Write the patient of this name."""
    inventory = plain.loads(_anonymous(text))
    small = _trimmed(inventory)
    if _said(small) != _said(inventory):
        raise SystemExit("the rules say something else of what is left: trim less")
    document = lines(plain.to_plain(small))
    trace = TRACES.search(document)
    if trace or len(document) > LARGEST:
        seen = document[max(0, trace.start() - 80) : trace.end() + 80] if trace else f"{len(document)} bytes"
        raise SystemExit(f"not written: {seen}")
    (HERE / f"{name}.json").write_text(document, encoding="ascii")


def lines(document: dict[str, Any]) -> str:
    """Return a JSON document with one item of each list a line, so that two recordings can be compared."""
    entries = []
    for key, value in document.items():
        items = [json.dumps(item) for item in value] if isinstance(value, list) and value else []
        entries.append(f"{json.dumps(key)}: " + (f"[\n{_comma(items)}\n]" if items else json.dumps(value)))
    return f"{{\n{_comma(entries)}\n}}\n"


def _comma(items: list[str]) -> str:
    return ",\n".join(items)


def _anonymous(text: str) -> str:
    """Put sample folders and names in the place of this machine's."""
    python = json.loads(text)["interpreter"]
    names = {
        python["prefix"]: PREFIX,
        python["base_prefix"]: "/usr",
        str(Path(doctor.__file__).parent): "/opt/doctor/gpu_doctor",
        os.path.expanduser("~"): "/home/ada",
        platform.node(): "machine",
        platform.release(): "6.1.0",
    }
    for old, new in names.items():
        if len(old) > 1:
            text = re.sub(rf"{re.escape(old)}(?![\w-])", new, text)
    return text


def _trimmed(inventory: Inventory) -> Inventory:
    """Return the inventory without libraries that have nothing to do with a GPU, and without versions of symbols."""
    asked = {path for r in inventory.resolutions for path in (r.consumer, r.found)}
    probes = () if isinstance(inventory.probes, Unknown) else inventory.probes
    spoken = "\n".join(f"{p.reason} {p.loading} {p.log} {p.trials} {p.measured}" for p in probes)

    def is_wanted(library: Library) -> bool:
        known = library.package is not None and is_gpu_package(library.package)
        return known or library.gpu_code.status != "none" or library.path in asked or library.name in spoken

    libraries = tuple(_without_versions(library) for library in inventory.libraries if is_wanted(library))
    return replace(inventory, libraries=libraries)


def _without_versions(library: Library) -> Library:
    return replace(library, elf=replace(library.elf, requires=())) if isinstance(library.elf, Elf) else library


def _said(inventory: Inventory) -> tuple[str, tuple[Finding, ...]]:
    (case,) = doctor.judge([inventory]).cases
    return case.verdict, case.findings


if __name__ == "__main__":
    main(sys.argv[1], sys.stdin.read())
