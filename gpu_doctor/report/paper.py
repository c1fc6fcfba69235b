"""The sheet that text reports are written on: width, colour, glyphs, and lines that stay copyable."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from gpu_doctor.report.foreign import clean, clean_command

# What replaces our own glyphs where the stream cannot carry them.
_ASCII = str.maketrans({"—": "-", "…": "...", "·": "-", "×": "x", "≥": ">=", "–": "-", "├": "|", "└": "`", "─": "-"})
_QUOTED = re.compile(r"""('[^']*'|"[^"]*"|\\.)""")

Part = str | tuple[str, str]
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
        self._sheet = StringIO()
        self._console = Console(
            file=self._sheet,
            width=look.width,
            force_terminal=look.colour,
            color_system="standard" if look.colour else None,
            no_color=not look.colour,
            highlight=False,
            emoji=False,
            markup=False,
            legacy_windows=False,
        )

    def blank(self) -> None:
        """Leave one empty line."""
        self._sheet.write("\n")

    def prose(self, *parts: Part, indent: int = 0, columns: Sequence[Column] = ()) -> None:
        """Write a paragraph that wraps between words, to the right of its columns; long words stay whole."""
        text = Text()
        for part in parts:
            words, style = part if isinstance(part, tuple) else (part, "")
            text.append(self._glyphs(self.short(words)), style)
        head = Text.assemble(*(self._cell(*column) for column in columns))
        for number, line in enumerate(_wrapped(text, max(20, self.look.width - indent - head.cell_len))):
            line.rstrip()
            margin = head if number == 0 else Text(" " * head.cell_len)
            self._print(Text.assemble(" " * indent, margin, line))

    def verbatim(self, text: str, style: str = "", indent: int = 0) -> None:
        """Write one line that never wraps: a path, a row."""
        self._print(Text.assemble(" " * indent, (self._glyphs(self.short(text)), style)))

    def command(self, command: str, indent: int = 2) -> None:
        """Write a shell line whole, however long, so that it can be copied."""
        self._print(Text.assemble(" " * indent, (self.short_command(command), "cyan")))

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
        return "\n".join(line.rstrip() for line in self._sheet.getvalue().split("\n")).rstrip("\n") + "\n"

    def _cell(self, words: str, width: int, style: str) -> Text:
        """Return one column's text, cut or padded to its width, and the gap after it."""
        text = self._glyphs(self.short(words))
        mark = self._glyphs("…")
        if 0 < width < cell_len(text):
            text = text[: width - len(mark)] + mark
        return Text.assemble((text, style), " " * (max(width - cell_len(text), 0) + 2))

    def _glyphs(self, text: str) -> str:
        return text if self.look.unicode else text.translate(_ASCII)

    def _print(self, text: Text) -> None:
        self._console.print(text, no_wrap=True, overflow="ignore", crop=False)


def _wrapped(text: Text, width: int) -> list[Text]:
    """Break a text between words; rich would cut words longer than the line, and a cut path cannot be copied."""
    breaks: list[int] = []
    used = 0
    for word in re.finditer(r"\S+\s*", text.plain):
        if used and used + cell_len(word[0].rstrip()) > width:
            breaks.append(word.start())
            used = 0
        used += cell_len(word[0])
    return list(text.divide(breaks))
