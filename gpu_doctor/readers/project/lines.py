"""Find the line of a TOML file on which a key, or an item of its array, stands; the parser of Python tells none."""

from __future__ import annotations

import re
from bisect import bisect_left

_HEADER = re.compile(r"^[ \t]*\[(\[?)([^\[\]\n]+)\]", re.MULTILINE)
# What lies in strings and comments must not be taken for structure.
_TOKEN = re.compile(
    r'(?P<text>"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\')|(?P<skip>\#[^\n]*)|(?P<mark>[\[\]{}])',
    re.DOTALL,
)


class Lines:
    """Answer where things stand in one table of a TOML text; `table` is its dotted name, empty for the top level."""

    def __init__(self, text: str, table: str) -> None:
        self._text = text
        self._table = table
        self._newlines = [at.start() for at in re.finditer("\n", text)]
        headers = [(found.start(), _dotted(found[2]), bool(found[1])) for found in _HEADER.finditer(text)]
        self._headers = headers

    def table(self) -> int:
        """Return the line of the table's header, or that of the key which holds it; 1 where it has neither."""
        header = next((at for at, name, _ in self._headers if name == self._table), None)
        if header is not None:
            return self._line(header)
        above, dot, name = self._table.rpartition(".")
        return Lines(self._text, above).key(name) if dot else 1

    def key(self, name: str) -> int:
        """Return the line of a key; that of the table where it cannot be found."""
        at = self._at(name)
        return self.table() if at is None else self._line(at)

    def item(self, name: str, number: int) -> int:
        """Return the line of one item of a key's array, an array of tables included."""
        own = [at for at, header, many in self._headers if many and header == self._joined(name)]
        if own:
            return self._line(own[number]) if number < len(own) else self.key(name)
        begun = self._at(name)
        items = [] if begun is None else _items(self._text, begun)
        return self._line(items[number]) if number < len(items) else self.key(name)

    def _at(self, name: str) -> int | None:
        pattern = re.compile(rf"""^[ \t]*(["']?){re.escape(name)}\1[ \t]*[=.]""", re.MULTILINE)
        whole = re.compile(rf"""^[ \t]*{re.escape(self._joined(name))}[ \t]*[=.]""", re.MULTILINE)
        for begin, end in self._spans():
            if found := pattern.search(self._text, begin, end):
                return found.end()
        if found := whole.search(self._text):
            return found.end()
        return next((at for at, header, _ in self._headers if header == self._joined(name)), None)

    def _spans(self) -> list[tuple[int, int]]:
        """Return the parts of the text that belong to the table itself."""
        starts = [*(at for at, _, _ in self._headers), len(self._text)]
        if not self._table:
            return [(0, starts[0])]
        bodies = ((self._text.find("\n", at), starts[n + 1]) for n, (at, _, _) in enumerate(self._headers))
        named = zip(bodies, self._headers, strict=True)
        return [(begin, end) for (begin, end), (_, name, _) in named if name == self._table and begin >= 0]

    def _joined(self, name: str) -> str:
        return f"{self._table}.{name}" if self._table else name

    def _line(self, at: int) -> int:
        return bisect_left(self._newlines, at) + 1


def _dotted(header: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in header.split("."))


def _items(text: str, begun: int) -> list[int]:
    """Return where the items of an array begin: strings and tables right within its outer brackets."""
    found: list[int] = []
    depth = 0
    for token in _TOKEN.finditer(text, begun):
        mark = token["mark"]
        if depth == 1 and (token["text"] or mark in ("{", "[")):
            found.append(token.start())
        if mark:
            depth += 1 if mark in "[{" else -1
        if depth <= 0 and not token["skip"]:
            break
    return found
