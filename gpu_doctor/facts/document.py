"""Write docs/facts.md from the tables: `python -m gpu_doctor.facts.document [--check]`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gpu_doctor.facts import load

PAGE = load.FOLDER.parents[1] / "docs" / "facts.md"

_HEAD = """# Facts

What gpu-doctor knows of the world, as of {date}. This page is generated from `gpu_doctor/facts/*.toml` by
`python -m gpu_doctor.facts.document`; change the tables, not the page. Each row has a source, named at the end of its
section, and was checked on the day that the section states, unless the row states another. Where a row was not read in
the thing itself, its confidence says so: `medium` (a script or a table about it), `reported` (by users), `derived`
(from other rows), `reference` (general knowledge).
"""

_COMMENT = re.compile(r"^# ?(.*)$")
_LAST = ("confidence", "checked", "source")


def page(folder: Path = load.FOLDER) -> str:
    """Render all tables as Markdown; the same tables give the same text."""
    files = sorted(folder.glob("*.toml"))
    parts = [_HEAD.format(date=load.newest_check(folder))]
    parts.append("\n".join(f"- [{file.stem}](#{file.stem})" for file in files) + "\n")
    parts.extend("\n".join(_section(file)) for file in files)
    return "\n".join(parts)


def main(arguments: Sequence[str]) -> int:
    """Write the page, or with `--check` only tell whether it is what the tables say."""
    text = page()
    if "--check" not in arguments:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    return 0 if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text else 1


def _section(file: Path) -> Iterator[str]:
    table = load.read_table(file.stem, file.parent)
    lines = file.read_text(encoding="utf-8").splitlines()
    yield f"## {file.stem}\n"
    yield from _comment_before(lines, "checked")
    yield f"Checked {table.checked}.\n"
    for kind, rows in table.data.items():
        if isinstance(rows, list):
            yield from _rows(kind, rows, _comment_before(lines, f"[[{kind}]]"))
    yield "Sources:\n"
    yield from (f"- `{name}`: {_cell(text)}" for name, text in table.sources.items())
    yield ""


def _comment_before(lines: Sequence[str], beginning: str) -> Iterator[str]:
    at = next((n for n, line in enumerate(lines) if line.startswith(beginning)), 0)
    first = at
    while first > 0 and _COMMENT.match(lines[first - 1]):
        first -= 1
    if first < at:
        yield "\n".join(line.lstrip("# ") for line in lines[first:at]) + "\n"


def _rows(kind: str, rows: Sequence[Mapping[str, Any]], words: Iterable[str] = ()) -> Iterator[str]:
    """Render rows as one table; rows nested in them follow as another, led by the first value of their parent."""
    nested = sorted({key for row in rows for key, value in row.items() if _is_rows(value)})
    columns = [key for key in dict.fromkeys(key for row in rows for key in row) if key not in (*_LAST, *nested)]
    columns += [key for key in reversed(_LAST) if any(key in row for row in rows)]
    yield f"### {kind}\n"
    yield from words
    yield f"| {' | '.join(columns)} |"
    yield f"|{' --- |' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(_cell(row.get(column, '')) for column in columns)} |"
    yield ""
    for key in nested:
        yield from _rows(f"{kind}, {key}", [_led(row, kind, inner) for row in rows for inner in row.get(key, ())])


def _led(parent: Mapping[str, Any], kind: str, row: Mapping[str, Any]) -> dict[str, Any]:
    return {kind: next(iter(parent.values())), **row}


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        if value and isinstance(value[0], list):  # a name and its numbers
            return ", ".join(f"{name} ({', '.join(map(str, rest))})" if rest else name for name, *rest in value)
        return ", ".join(_cell(item) for item in value)
    return str(value).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) and "docs/facts.md is not what the tables say: python -m gpu_doctor.facts.document")
