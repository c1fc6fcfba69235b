"""Edit a constraints or requirements file: lines of the same packages change, all others stay as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gpu_doctor.errors import UsageError
from gpu_doctor.pins.requirement_text import Written, exact

_COMMENT = re.compile(r"(?:^|(?<=\s))#.*$", re.DOTALL)
_OPTIONS = re.compile(r"\s--?[A-Za-z].*$", re.DOTALL)
_PARTS = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+$")
_SPACE = re.compile(r"\s+")
_HASH = re.compile(r"(?:^|\s)--hash[=\s]")


@dataclass(frozen=True, slots=True)
class _Line:
    """Hold one logical line: its number, its text without the ending, and the ending."""

    number: int
    text: str
    ending: str


def edit_constraints(text: str, requirements: Sequence[str]) -> str:
    """Return the file with these pins: in place of the lines that name the packages, or at its end.

    Raise UsageError where a line could not keep its meaning: one with hashes, or one that names a URL.
    """
    pins = exact(requirements)
    lines = list(_lines(text))
    hashed = next((line.number for line in lines if _HASH.search(_code(line.text))), None)
    seen: set[str] = set()
    changed = "".join(_edited(line, pins, seen) + line.ending for line in lines)
    missing = [name for name in pins if name not in seen]
    if hashed is not None and missing:
        raise UsageError(
            f"line {hashed} has hashes, so an installer refuses lines without them: {missing[0]} cannot be added",
            "take the pins into the file that this one is made from, and make it again",
        )
    ending = "\r\n" if "\r\n" in text else "\n"
    if missing and changed and not changed.endswith(("\n", "\r")):
        changed += ending
    if missing and lines and _goes_on(_PARTS.findall(lines[-1].text)[-1] if lines[-1].text else ""):
        # A backslash at the end would swallow the first line that is added; a bare \r joins with what follows it.
        changed += ending * (2 if changed.endswith("\r") else 1)
    return changed + "".join(f"{name}=={pins[name]}{ending}" for name in missing)


def _edited(line: _Line, pins: Mapping[str, str], seen: set[str]) -> str:
    code = _code(line.text)
    comment = line.text[len(code) :]
    joined = re.sub(r"\\(?:\r\n|\n|\r)", " ", code)
    written = Written(_OPTIONS.sub("", joined).rstrip())
    options = joined[len(written.text) :]
    version = pins.get(written.name)
    if version is None or not written.applies:
        return line.text
    if written.by_url:
        raise UsageError(f"line {line.number} names {written.name} by a URL", "take that line away, or edit it by hand")
    seen.add(written.name)
    wanted = written.pinned(version)
    if _SPACE.sub("", wanted) == _SPACE.sub("", written.text):
        return line.text
    if _HASH.search(code):
        raise UsageError(
            f"line {line.number} pins {written.name} with hashes, which belong to that version alone",
            "take the pins into the file that this one is made from, and make it again",
        )
    return wanted + options + comment


def _code(text: str) -> str:
    """Return a line without its comment."""
    return _COMMENT.sub("", text)


def _lines(text: str) -> Iterator[_Line]:
    """Yield logical lines: a backslash at the end joins a line with the next; a comment line joins nothing."""
    parts = _PARTS.findall(text)
    number = 0
    while number < len(parts):
        last = number
        while _goes_on(parts[last]) and last + 1 < len(parts):
            last += 1
        whole = "".join(parts[number : last + 1])
        body = whole.rstrip("\r\n")
        yield _Line(number + 1, body, whole[len(body) :])
        number = last + 1


def _goes_on(part: str) -> bool:
    body = part.rstrip("\r\n")
    return body.endswith("\\") and not body.lstrip().startswith("#")
