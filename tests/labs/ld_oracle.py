"""What the real ld.so does: run a Python, read its LD_DEBUG output and its link map."""

from __future__ import annotations

import os
import re
import subprocess
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

SECONDS = 300

# Written at the end of the child's code: the link map in its order, as dl_iterate_phdr tells it.
_LIST_LOADED = """
import ctypes as _c, os as _o
class _Info(_c.Structure):
    _fields_ = [("address", _c.c_void_p), ("name", _c.c_char_p)]
_names = []
_Visit = _c.CFUNCTYPE(_c.c_int, _c.POINTER(_Info), _c.c_size_t, _c.c_void_p)
def _visit(info, size, data):
    _names.append(info.contents.name.decode())
    return 0
_c.CDLL(None).dl_iterate_phdr(_Visit(_visit), None)
open(_o.environ["GD_LOADED"], "w").write("\\n".join(_names))
"""

_LINE = re.compile(r"^\s*(\d+):\t(.*)$")
_REQUEST = re.compile(r"^file=(.*?) \[\d+\];  (needed by|dynamically loaded by) (.*?) \[\d+\]$")
_MAPPED = re.compile(r"^file=(.*?) \[\d+\];  generating link map")


@dataclass(frozen=True)
class Request:
    """One name that ld.so had to look for: who asked, which paths it tried, which one it took (None: none)."""

    name: str
    by: str
    dynamic: bool
    tried: tuple[str, ...]
    found: str | None


@dataclass(frozen=True)
class Observed:
    """One process: every request in order, the link map at the end (empty where the process died), its output."""

    requests: tuple[Request, ...]
    loaded: tuple[str, ...]
    status: int
    output: str


def observe(python: Path, code: str, folder: Path, variables: Mapping[str, str] | None = None) -> Observed:
    """Run code with LD_DEBUG in a child that may die; `%LIST%` in the code notes the link map, else its end does."""
    folder.mkdir(parents=True, exist_ok=True)
    listing = folder / "loaded"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("LD_", "PYTHON", "VIRTUAL_ENV"))}
    environment = {
        **inherited,
        **(variables or {}),
        "LD_DEBUG": "libs,files",
        "LD_DEBUG_OUTPUT": str(folder / "debug"),
        "GD_LOADED": str(listing),
    }
    code = textwrap.dedent(code)
    script = (code if "%LIST%" in code else f"{code}\n%LIST%").replace("%LIST%", _LIST_LOADED)
    command = [str(python), "-I", "-c", script]
    run = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=SECONDS)
    # The child's own children write files of their own; the first process is the one with the lowest number.
    debug = min(folder.glob("debug.*"), key=lambda path: path.stat().st_ctime_ns)
    lines = debug.read_text(errors="replace").splitlines()
    loaded = listing.read_text().split("\n") if listing.exists() else []
    return Observed(tuple(_requests(lines)), tuple(loaded), run.returncode, run.stdout + run.stderr)


def _requests(lines: list[str]) -> Iterator[Request]:
    """Read the requests; each begins with who asked and ends before the next one or with the new link map."""
    current: tuple[str, str, bool] | None = None
    tried: list[str] = []
    for line in lines:
        match = _LINE.match(line)
        text = match[2].strip() if match else ""
        asked, mapped = _REQUEST.match(text), _MAPPED.match(text)
        if asked or mapped:
            if current is not None:
                yield _request(current, tried, mapped is not None)
            current = (asked[1], asked[3], asked[2].startswith("dyn")) if asked else None
            tried = []
        elif text.startswith("trying file="):
            tried.append(text.removeprefix("trying file="))
    if current is not None:
        yield _request(current, tried, mapped=False)


def _request(current: tuple[str, str, bool], tried: list[str], mapped: bool) -> Request:
    name, by, dynamic = current
    last = tried[-1] if tried else name
    # Without a new link map the last path was either not there, or the same file as one that is loaded.
    found = last if mapped or ("/" in last and os.path.exists(last)) else None
    return Request(name, by, dynamic, tuple(tried), found)
