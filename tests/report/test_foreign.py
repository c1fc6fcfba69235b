"""Foreign text is made harmless, and stays readable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_doctor.report.foreign import clean, clean_block, clean_command


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("a\r\nb\tc   d", "a b c d"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("a\u200bb\ufeff", r"a\u200bb\ufeff"),
        ("line\u2028line\u0085", r"line\u2028line\x85"),
        ("\U000e0041", r"\U000e0041"),
        ("\udcff", r"\udcff"),
        ("[red]ä 漢字 — 🙂[/red]", "[red]ä 漢字 — 🙂[/red]"),
    ],
)
def test_what_steers_a_terminal_is_spelled_and_the_rest_is_kept(text: str, shown: str) -> None:
    assert clean(text) == shown


@given(st.text())
def test_nothing_that_steers_a_terminal_survives(text: str) -> None:
    for shown in (clean(text), clean_command(text)):
        assert not any(c < " " or "\x7f" <= c <= "\x9f" or c in "\u202a\u202e\u2066\u2069\u200f" for c in shown)
        assert shown.isprintable() or any(ord(c) > 0x7F for c in shown)


def test_long_text_is_cut_and_marked() -> None:
    assert clean("x" * 11, 10) == "x" * 10 + "…"
    assert clean("x" * 10, 10) == "x" * 10


def test_a_command_keeps_its_spaces_and_its_length() -> None:
    assert clean_command("echo 'a   b'" + "x" * 9000) == "echo 'a   b'" + "x" * 9000


def test_a_block_keeps_its_lines_and_indentation() -> None:
    assert clean_block("a\n  b  c\x1b\n\nd") == "a\n  b c\\x1b\n\nd"
