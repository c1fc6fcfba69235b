"""How much memory is held and left, as the kernel's files say it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gpu_doctor.probe import memory

MIB = 2**20


def test_this_machine_tells() -> None:
    free = memory.available()
    assert free is not None
    assert 0 < free < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert memory.resident(os.getpid()) > MIB
    assert memory.kernel_kills() >= 0


def test_a_process_that_is_gone_holds_nothing() -> None:
    child = subprocess.Popen(["true"], start_new_session=True)
    child.wait()
    assert (memory.resident(child.pid), memory.held_by_session(child.pid)) == (0, 0)


def test_a_session_holds_what_its_processes_hold() -> None:
    code = """\
import subprocess, sys
held = bytearray(b"x" * (32 << 20))
grandchild = "held = bytearray(b'x' * (32 << 20)); print('ready', flush=True); input()"
subprocess.run([sys.executable, "-c", grandchild])
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], start_new_session=True, **pipes) as child:  # type: ignore[call-overload]
        assert child.stdout.readline() == b"ready\n"
        both, one = memory.held_by_session(child.pid), memory.resident(child.pid)
        child.stdin.close()
    assert one > 32 * MIB
    assert both > one + 30 * MIB


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({"memory.max": "max\n", "memory.current": "1\n"}, None),
        ({"memory.max": "1000\n", "memory.current": "400\n", "memory.stat": "anon 300\ninactive_file 100\n"}, 700),
        ({"memory.max": "1000\n", "memory.current": "1100\n"}, 0),
        ({}, None),
    ],
)
def test_a_container_has_less_than_its_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], free: int | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(memory, "_free_on_machine", lambda: None)
    monkeypatch.setattr(memory, "_CGROUP", str(tmp_path))
    assert memory.available() == free
    monkeypatch.setattr(memory, "_free_on_machine", lambda: 500)
    assert memory.available() == (500 if free is None else min(500, free))
