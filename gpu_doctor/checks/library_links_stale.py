"""A link beside a package's libraries leads nowhere, or to another version than its name promises.

What it finds. Links that no package brought, in the folders of the GPU stack's libraries: those whose target is gone,
and those that give a library another number, such as `libcudnn.so.8` for `libcudnn.so.9`. Links as a repair makes them,
with the name of their target, are well.

Why it matters. Recipes that rename a library silence "cannot open shared object file" and put a crash in its place: the
number stands for an interface that the library does not have. A link to nothing hides what an upgrade took away.

What to do. `gpu-doctor fix library-links-stale` takes the links away, which is minimal and durable alike. Where a
library is found by such a link alone, install the version that is asked for first.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from gpu_doctor.checks.loading.stale import promised, stale, users
from gpu_doctor.checks.shared.stack import gpu_stack
from gpu_doctor.facts.stack import is_gpu_package
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Finding, Rule
from gpu_doctor.model.inventory import Inventory, StrayLink
from gpu_doctor.model.remedy import Remedy, RemoveFile
from gpu_doctor.model.unknown import Unknown

RULE = Rule(
    id="library-links-stale",
    title="Links beside libraries lead nowhere or to another version",
    severity="warning",
    stage="libraries",
    yields_to=("cudnn-unreachable", "cublas-unreachable", "package-files-damaged"),
)


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report, folder by folder, the links that somebody placed and that are not what they say."""
    gpu_stack(inventory)
    ours = {posixpath.dirname(lib.path) for lib in inventory.libraries if lib.package and is_gpu_package(lib.package)}
    found: dict[str, list[tuple[StrayLink, str]]] = {}
    for link in inventory.links:
        folder = posixpath.dirname(link.path)
        why = stale(inventory, link) if folder in ours else ""
        if isinstance(why, Unknown):
            yield why
        elif why:
            found.setdefault(folder, []).append((link, why))
    for folder, links in found.items():
        yield _finding(inventory, folder, links)


def _finding(inventory: Inventory, folder: str, links: list[tuple[StrayLink, str]]) -> Finding:
    first, why = links[0]
    more = f" (and {len(links) - 1} more)" if len(links) > 1 else ""
    evidence = [
        Evidence(posixpath.basename(link.path), f"a link to {link.points_to}: {said}", folder) for link, said in links
    ]
    used = [(link, user) for link, _ in links for user in users(inventory, link)]
    evidence += [Evidence("found by this link alone", promised(link), user) for link, user in used]
    return Finding(
        rule=RULE.id,
        severity="warning",
        subject=_short(inventory, folder),
        message=f"{posixpath.basename(first.path)} beside the libraries of {_short(inventory, folder)} {why}{more}.",
        evidence=tuple(evidence),
        remedy=_remedy(links, used),
        seats=tuple(link.path for link, _ in links),
    )


def _remedy(links: list[tuple[StrayLink, str]], used: list[tuple[StrayLink, str]]) -> Remedy:
    if used:
        wanted = ", ".join(dict.fromkeys(promised(link) for link, _ in used))
        return Remedy(f"Install what brings {wanted}, then take the links away.", "manual")
    steps = tuple(RemoveFile(link.path, f"a link that {why}") for link, why in links)
    return Remedy("Take these links away.", "safe", steps)


def _short(inventory: Inventory, folder: str) -> str:
    entries = (f"{entry.path}/" for entry in inventory.interpreter.search_path)
    return next((folder.removeprefix(entry) for entry in entries if folder.startswith(entry)), folder)
