"""Which file serves a library: the winner, the rule that found it, and where was looked before."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from gpu_doctor.model.libraries import Resolution, Tried
from gpu_doctor.model.target import Target
from gpu_doctor.report.heading import write_target
from gpu_doctor.report.paper import Look, Paper

Group = list[Resolution]
"""Answers after the same imports, for the same package, with the same file; the one that searched is first."""


def render(library: str, resolutions: Sequence[Resolution], target: Target, look: Look) -> str:
    """Return one paragraph for each file and package; several packages may meet different files."""
    paper = Paper(look)
    write_target(paper, target)
    if not resolutions:
        whole = ".so" in library
        rest = "no folder of the linker holds it" if whole else "only a whole name, such as libz.so.1, can be searched"
        paper.prose(f"nothing in this environment asks for {library}, and {rest}")
    after: tuple[str, ...] = ()
    for number, group in enumerate(_groups(resolutions)):
        if number:
            paper.blank()
        if group[0].after and (number == 0 or group[0].after != after):
            paper.prose(("after import " + ", ".join(group[0].after), "bold"))
        after = group[0].after
        _write(paper, group)
    return paper.text()


def _groups(resolutions: Sequence[Resolution]) -> list[Group]:
    groups: dict[object, Group] = {}
    for item in resolutions:
        groups.setdefault((item.after, item.package, item.found), []).append(item)
    return [sorted(group, key=lambda r: (r.rule.startswith("already loaded"), r.how)) for group in groups.values()]


def _write(paper: Paper, group: Group) -> None:
    first = group[0]
    verb = "needs" if first.how == "needed" else "opens"
    owner = f"{first.package}: " if first.package else ""
    paper.prose(owner, f"{_name(first.consumer)} {verb} ", (" or ".join(first.names), "bold"), indent=2)
    if first.found is None:
        style, note = ("yellow", ", which it can do without") if first.optional else ("bold red", "")
        paper.prose((f"not found{note}", style), indent=4)
    else:
        paper.verbatim(first.found, "bold green", indent=4)
        paper.prose(f"rule: {first.rule}", indent=4)
    places = _places(first.tried, first.found)
    if places:
        paper.prose((f"{'looked before in' if first.found else 'looked in'}: {'; '.join(places)}", "dim"), indent=4)
    others = dict.fromkeys(_name(item.consumer) for item in group[1:] if item.consumer != first.consumer)
    if others:
        paper.prose((f"likewise for {', '.join(others)}", "dim"), indent=4)


def _places(tried: Sequence[Tried], found: str | None) -> list[str]:
    """Return each folder once, with the rule of the loader that led there and what was odd about a file in it."""
    places: dict[str, None] = {}
    for step in tried:
        if found and step.outcome == "found":
            break
        folder = step.path if step.rule == "ld.so.cache" else posixpath.dirname(step.path)
        odd = "" if step.outcome in ("no such file", "not listed") else f", {step.outcome}"
        rule = step.rule.partition(" of ")[0]
        places[folder if rule in ("ld.so.cache", "default directory") else f"{folder} ({rule}{odd})"] = None
    return list(places)


def _name(path: str) -> str:
    return path.rpartition("/")[2] or "a program"
