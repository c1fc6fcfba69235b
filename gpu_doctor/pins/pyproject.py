"""Edit a pyproject.toml: pins into uv's overrides, and into the dependencies that would not let them in."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, MutableMapping, MutableSequence, Sequence
from typing import TYPE_CHECKING, Any

from gpu_doctor.errors import UsageError
from gpu_doctor.pins.requirement_text import Written, exact

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

# Chosen by name: the checker of types sees only one of the two, whichever Python it runs on.
_toml: Any = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

_POETRY = ("dependencies", "dev-dependencies", "group")
_OVERRIDES = "override-dependencies"


def edit_pyproject(text: str, requirements: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return the file with these pins, and the changes in words; none where it holds them already.

    Raise UsageError for what is not TOML, for a file that Poetry owns, and where an edit cannot be done safely.
    """
    pins = exact(requirements)
    if text and "\n" in text and text.count("\n") == text.count("\r\n"):
        edited, changes = _edit(text.replace("\r\n", "\n"), pins)
        return edited.replace("\n", "\r\n"), changes
    return _edit(text, pins)


def poetry_command(requirements: Sequence[str]) -> str:
    """Return the command that gives these pins to Poetry."""
    return shlex.join(("poetry", "add", *requirements))


def _edit(text: str, pins: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    document = _parsed(text)
    poetry = _table(_table(document, "tool"), "poetry")
    if any(name in poetry for name in _POETRY):
        wanted = [f"{name}=={version}" for name, version in pins.items()]
        raise UsageError(
            "Poetry owns the dependencies of this pyproject.toml, and its lock file would not follow an edit",
            poetry_command(wanted),
        )
    before = document.unwrap()
    changes = [change for where, entries in _lists(document) for change in _narrowed(entries, where, pins)]
    edited, more = _overridden(document, pins)
    if not changes and not more:
        return text, ()
    _prove(before, document, edited, pins)
    return edited, (*changes, *more)


def _parsed(text: str) -> TOMLDocument:
    import tomlkit  # slow to import; few commands need it
    from tomlkit.exceptions import TOMLKitError

    try:
        _toml.loads(text)  # this one says where a key comes twice
        return tomlkit.parse(text)
    except (_toml.TOMLDecodeError, TOMLKitError, RecursionError) as error:
        raise UsageError(f"pyproject.toml is not valid TOML: {error}") from error


def _lists(document: TOMLDocument) -> Iterator[tuple[str, MutableSequence[Any]]]:
    """Yield the lists of requirements, and where each stands."""
    project = _table(document, "project")
    uv = _table(_table(document, "tool"), "uv")
    places = [("[project] dependencies", project.get("dependencies"))]
    for key, head in (("optional-dependencies", "project.optional-dependencies"), ("", "dependency-groups")):
        groups = _table(project, key) if key else _table(document, head)
        places += [(f"[{head}] {name}", entries) for name, entries in groups.items()]
    places += [(f"[tool.uv] {key}", uv.get(key)) for key in ("dev-dependencies", "constraint-dependencies")]
    yield from ((where, entries) for where, entries in places if isinstance(entries, MutableSequence))


def _narrowed(entries: MutableSequence[Any], where: str, pins: Mapping[str, str]) -> Iterator[str]:
    """Rewrite the entries that would not let a pin in."""
    for number, entry in enumerate(entries):
        written = Written(entry) if isinstance(entry, str) else Written("")
        version = pins.get(written.name)
        if version is None or written.by_url or not written.applies or written.allows(version):
            continue
        _put(entries, number, written.pinned(version))
        yield f"{where}: {written.text.strip()} becomes {written.pinned(version).strip()}"


def _overridden(document: TOMLDocument, pins: Mapping[str, str]) -> tuple[str, list[str]]:
    """Return the file with the pins in uv's overrides, and the changes in words."""
    import tomlkit

    uv = _table(_table(document, "tool"), "uv")
    if _OVERRIDES not in uv:
        wanted = [f"{name}=={version}" for name, version in pins.items()]
        changes = [f"[tool.uv] {_OVERRIDES}: {item} is new" for item in wanted]
        return (_with_overrides(tomlkit.dumps(document), wanted) if wanted else tomlkit.dumps(document)), changes
    entries, changes, seen = uv[_OVERRIDES], [], set()
    if not isinstance(entries, MutableSequence):
        raise UsageError(f"[tool.uv] {_OVERRIDES} is not a list")
    for number, entry in enumerate(entries):
        written = Written(entry) if isinstance(entry, str) else Written("")
        version = pins.get(written.name)
        if version is None or not written.applies:
            continue
        seen.add(written.name)
        if re.sub(r"\s", "", wanted_text := written.pinned(version)) != re.sub(r"\s", "", written.text):
            _put(entries, number, wanted_text)
            changes.append(f"[tool.uv] {_OVERRIDES}: {written.text.strip()} becomes {wanted_text.strip()}")
    for name in (name for name in pins if name not in seen):
        _append(entries, f"{name}=={pins[name]}")
        changes.append(f"[tool.uv] {_OVERRIDES}: {name}=={pins[name]} is new")
    return tomlkit.dumps(document), changes


def _with_overrides(text: str, wanted: Sequence[str]) -> str:
    """Add the list of overrides below the head of [tool.uv], or with one at the end."""
    lines = [f"{_OVERRIDES} = [", *(f'    "{item}",' for item in wanted), "]"]
    head = re.search(r"^[ \t]*\[[ \t]*tool[ \t]*\.[ \t]*uv[ \t]*\][ \t]*(?:#[^\n]*)?$", text, re.MULTILINE)
    if head is not None:
        return f"{text[: head.end()]}\n{chr(10).join(lines)}{text[head.end() :] or chr(10)}"
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    return text + gap + "\n".join(["[tool.uv]", *lines]) + "\n"


def _put(entries: MutableSequence[Any], number: int, text: str) -> None:
    """Write an entry in the kind of quotes that it has: markers bring quotes of their own."""
    import tomlkit

    literal = entries[number].as_string().startswith("'") and "'" not in text and "\n" not in text
    entries[number] = tomlkit.string(text, literal=literal)


def _append(entries: Any, text: str) -> None:
    """Add an entry on a line of its own, as far in as the others, where they have theirs."""
    written = entries.as_string()
    if "\n" in written:
        inner = re.search(r"\n([ \t]*)[\"']", written)
        entries.add_line(text, indent=inner[1] if inner else "    ")
    else:
        entries.append(text)


def _table(parent: MutableMapping[str, Any], name: str) -> MutableMapping[str, Any]:
    found = parent.get(name)
    return found if isinstance(found, MutableMapping) else {}


def _prove(before: dict[str, Any], document: TOMLDocument, edited: str, pins: Mapping[str, str]) -> None:
    """Read the result again: the pins and the new entries must be in it, and all else as it was."""
    after = _parsed(edited)
    overrides = _table(_table(after, "tool"), "uv").get(_OVERRIDES, [])
    held = {written.name for item in overrides if isinstance(item, str) and (written := Written(item)).applies}
    lists = [[(where, list(entries)) for where, entries in _lists(each)] for each in (document, after)]
    if lists[0] != lists[1] or _others(before) != _others(after.unwrap()) or not set(pins) <= held:
        raise UsageError(
            "pyproject.toml is written in a way that cannot be edited safely",
            f"give [tool.uv] a list {_OVERRIDES} by hand",
        )


def _others(data: dict[str, Any]) -> dict[str, Any]:
    """Return all that an edit leaves alone; an empty [tool.uv] is none."""
    project, tool = data.get("project", {}), data.get("tool", {})
    uv = {key: value for key, value in tool.get("uv", {}).items() if not key.endswith("-dependencies")}
    return {
        **{key: value for key, value in data.items() if key not in ("project", "tool", "dependency-groups")},
        "project": {key: value for key, value in project.items() if not key.endswith("dependencies")},
        "tool": {**{key: value for key, value in tool.items() if key != "uv"}, **({"uv": uv} if uv else {})},
    }
