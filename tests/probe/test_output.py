"""What a program prints becomes plain text, and its end survives a flood."""

from __future__ import annotations

import pytest

from gpu_doctor.probe.output import Tail, clean


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (b"\x1b[1;31mred\x1b[m", "red"),
        (b"\x1b]8;;http://example\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"10%\r20%\r\n100%", "10%\n20%\n100%"),
        (b"\xff\xfe text", "\ufffd\ufffd text"),
        (b"tab\there\x07\x08", "tab\there"),
        (b"cut \x1b", "cut"),
        (b"a\x1b]never closed", "a"),
        ("turned \u202earound\u2066".encode(), "turned around"),
    ],
)
def test_output_becomes_plain_text(output: bytes, text: str) -> None:
    assert clean(output) == text


def test_little_output_is_kept_as_it_came() -> None:
    tail = Tail()
    for chunk, is_error in ((b"out 1\n", False), (b"error\n", True), (b"out 2\n", False)):
        tail.add(chunk, is_error)
    assert tail.text() == "out 1\nerror\nout 2"


def test_of_much_output_the_end_of_stderr_is_kept_or_else_that_of_stdout() -> None:
    tail = Tail()
    tail.add(b"x" * 100_000, is_error=False)
    assert tail.text() == "x" * 2048
    tail.add(b"what():  std::bad_alloc\n", is_error=True)
    tail.add(b"y" * 100_000, is_error=False)
    assert tail.text() == "what():  std::bad_alloc"
