"""Progress is one line that comes and goes on a terminal, and nothing anywhere else."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from gpu_doctor.cli.progress import scanning


def shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch, *words: str) -> bytes:
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with scanning() as progress:
            for word in words:
                progress(word)
    return b"".join(everything(ours))


def everything(terminal: int) -> Iterator[bytes]:
    """Yield what was written; once the other end is closed, a terminal says so by an error, after the last byte."""
    with suppress(OSError), os.fdopen(terminal, "rb", buffering=0) as stream:
        while data := stream.read(4096):
            yield data


def test_each_stage_replaces_the_one_before_and_the_last_is_wiped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert shown_on_a_terminal(monkeypatch, "reading", "judging\x1b[2J") == (
        b"\r\x1b[Kreading\r\x1b[Kjudging\\x1b[2J\r\x1b[K"
    )


def test_the_same_words_are_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert shown_on_a_terminal(monkeypatch, "asking", "asking") == b"\r\x1b[Kasking\r\x1b[K"


def test_a_dumb_terminal_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert shown_on_a_terminal(monkeypatch, "reading") == b""


def test_a_pipe_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with scanning() as progress:
        progress("reading")
    assert stream.getvalue() == ""


def test_the_line_is_wiped_even_when_the_reading_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with pytest.raises(KeyError), scanning() as progress:
        progress("reading")
        raise KeyError
    assert stream.getvalue().endswith("\r\x1b[K")
