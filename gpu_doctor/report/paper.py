"""The sheet that text reports are written on: width, colour, glyphs, and lines that stay copyable.

rich's Console would do most of this, and took a sixth of the time of a whole check to import; what a report needs of it
is wrapping between words and ten escape codes. Only its table of character widths is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.cells import cell_len

from gpu_doctor.report.foreign import clean, clean_command

# ECMA-48, select graphic rendition: the codes that every terminal knows.
_CODES = {
    "bold": "1", "dim": "2", "reverse": "7",
    "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36",
}  # fmt: skip
# What replaces our own glyphs where the stream cannot carry them.
_ASCII = str.maketrans({"—": "-", "…": "...", "·": "-", "×": "x", "≥": ">=", "–": "-", "├": "|", "└": "`", "─": "-"})
_QUOTED = re.compile(r"""('[^']*'|"[^"]*"|\\.)""")

Run = tuple[str, str]
"""Text in one style; a style is words such as `bold red`."""
Part = str | Run
Column = tuple[str, int, str]
"""A cell left of a paragraph: text, width (0: as long as the text), style."""


@dataclass(frozen=True, slots=True)
class Look:
    """Say how a text report is drawn; `home` is the folder shown as `~`, empty for none."""

    width: int = 80
    colour: bool = False
    unicode: bool = True
    home: str = ""


class Paper:
    """Collect the lines of one text report.

    Every method takes text that is still raw: cleaning, `~` and glyphs happen here, once, for all reports.
    """

    def __init__(self, look: Look) -> None:
        self.look = look
        self._lines: list[str] = []

    def blank(self) -> None:
        """Leave one empty line."""
        self._lines.append("")

    def prose(self, *parts: Part, indent: int = 0, columns: Sequence[Column] = ()) -> None:
        """Write a paragraph that wraps between words, to the right of its columns; long words stay whole."""
        runs = [(part, "") if isinstance(part, str) else part for part in parts]
        text = [(self._glyphs(self.short(words)), style) for words, style in runs]
        head = [run for column in columns for run in self._cell(*column)]
        margin = sum(cell_len(words) for words, _ in head)
        for number, line in enumerate(_wrapped(text, max(20, self.look.width - indent - margin))):
            self._write(indent, [*(head if number == 0 else [(" " * margin, "")]), *line])

    def verbatim(self, text: str, style: str = "", indent: int = 0) -> None:
        """Write one line that never wraps: a path, a row."""
        self._write(indent, [(self._glyphs(self.short(text)), style)])

    def command(self, command: str, indent: int = 2) -> None:
        """Write a shell line whole, however long, so that it can be copied."""
        self._write(indent, [(self.short_command(command), "cyan")])

    def short(self, text: str) -> str:
        """Return the text cleaned, with the home folder as `~`."""
        line = clean(text)
        if not self.look.home or self.look.home == "/":
            return line
        return re.sub(rf"(?<![\w./-]){re.escape(self.look.home)}(?=/|\Z|[^\w.-])", "~", line)

    def short_command(self, command: str) -> str:
        """Return a command with the home folder as `~` where a shell would put it back: at a bare word's start."""
        line = clean_command(command)
        if not self.look.home or self.look.home == "/":
            return line
        pieces = _QUOTED.split(line)
        home = re.compile(rf"(?:(?<=\s)|\A){re.escape(self.look.home)}(?=/|\s|\Z)")
        pieces[0] = home.sub("~", pieces[0])
        # A bare piece after a quoted one continues its word until the first space, hence the look-behind alone.
        pieces[2::2] = [re.sub(r"\A(\S*)(.*)", lambda m: m[1] + home.sub("~", m[2]), piece) for piece in pieces[2::2]]
        return "".join(pieces)

    def text(self) -> str:
        """Return everything written; no line ends in spaces, and no empty line ends the text."""
        return "\n".join(self._lines).rstrip("\n") + "\n"

    def _cell(self, words: str, width: int, style: str) -> Iterator[Run]:
        """Yield one column's text, cut or padded to its width, and the gap after it."""
        text = self._glyphs(self.short(words))
        mark = self._glyphs("…")
        if 0 < width < cell_len(text):
            text = text[: width - len(mark)] + mark
        yield text, style
        yield " " * (max(width - cell_len(text), 0) + 2), ""

    def _glyphs(self, text: str) -> str:
        return text if self.look.unicode else text.translate(_ASCII)

    def _write(self, indent: int, runs: Sequence[Run]) -> None:
        length = len("".join(words for words, _ in runs).rstrip())
        self._lines.append(" " * indent * (length > 0) + "".join(map(self._painted, _cut(runs, 0, length))))

    def _painted(self, run: Run) -> str:
        words, style = run
        if not self.look.colour or not style or words.isspace():
            return words
        return f"\x1b[{';'.join(_CODES[word] for word in style.split())}m{words}\x1b[0m"


def _wrapped(runs: Sequence[Run], width: int) -> Iterator[list[Run]]:
    """Yield the lines of a paragraph, broken between words alone: a path that is cut cannot be copied."""
    text = "".join(words for words, _ in runs)
    breaks, used = [0], 0
    for word in re.finditer(r"\S+\s*", text):
        if used and used + cell_len(word[0].rstrip()) > width:
            breaks.append(word.start())
            used = 0
        used += cell_len(word[0])
    for start, end in pairwise((*breaks, len(text))):
        yield _cut(runs, start, end)


def _cut(runs: Sequence[Run], start: int, end: int) -> list[Run]:
    """Return the characters from start to end, in their styles."""
    pieces: list[Run] = []
    at = 0
    for words, style in runs:
        if piece := words[max(start - at, 0) : max(end - at, 0)]:
            pieces.append((piece, style))
        at += len(words)
    return pieces
