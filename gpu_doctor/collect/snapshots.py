"""Read one side of a comparison: find out whether words name a snapshot, an image or an environment."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from typing import BinaryIO

from gpu_doctor.collect.engines import is_held
from gpu_doctor.errors import DoctorError, TargetNotFound, UsageError
from gpu_doctor.model import plain
from gpu_doctor.model.difference import Kind
from gpu_doctor.model.inventory import Inventory

STDIN = "-"
_LARGEST = 256 * 2**20
_HEAD = 512
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_HOW = "Name a snapshot, an image (docker:NAME, or its tar), an environment's folder, or an interpreter."


def kind_of(words: str, cwd: str) -> Kind:
    """Return what the words name; raise UsageError for nothing, DoctorError for a file that is none of them."""
    if not words.strip():
        raise UsageError("a side is empty", _HOW)
    if is_held(words):
        return "image"
    path = absolute(words, cwd)
    if words == STDIN:
        return "snapshot"
    if not os.path.isfile(path):
        return "environment"
    head = _head(path, words)
    if head[257:262] == b"ustar" or any(head.startswith(magic) for magic in _COMPRESSED):
        return "image"
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"["):
        return "snapshot"
    if not head.startswith(b"\x7fELF") and not os.access(path, os.X_OK):
        raise DoctorError(f"cannot read {words}: it is neither a snapshot nor a tar", _HOW)
    return "environment"


def read_snapshot(words: str, cwd: str, stdin: BinaryIO | None = None) -> Inventory:
    """Return the inventory in a file, or in what comes through stdin; raise DoctorError where it cannot be read."""
    try:
        if words == STDIN and stdin is not None:
            data = stdin.read(_LARGEST + 1)
        else:
            with open(absolute(words, cwd), "rb") as file:
                data = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        raise DoctorError(f"cannot read {words}: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > _LARGEST:
        raise DoctorError(f"cannot read {words}: it is larger than any snapshot ({_LARGEST >> 20} MiB)")
    try:
        return plain.loads(data.decode("utf-8-sig", "replace"))
    except UsageError as error:
        # Not a slip of the command line: the file is there, and what is in it is not what it should be.
        raise DoctorError(f"cannot read {words}: {error.message}", error.hint) from error


def named(words: str, environ: Mapping[str, str], cwd: str) -> tuple[str | None, str | None]:
    """Return (python, prefix), one of them None, of an environment; raise TargetNotFound where there is none."""
    path = absolute(words, cwd)
    if os.path.isdir(path):
        return None, path
    if os.path.lexists(path):
        return path, None
    found = shutil.which(words, path=environ.get("PATH")) if os.sep not in words else None
    if found is None:
        raise TargetNotFound(f"{words}: no such file or folder", _HOW)
    return found, None


def absolute(words: str, cwd: str) -> str:
    """Return the path that words name from this folder."""
    return os.path.normpath(os.path.join(cwd, os.path.expanduser(words)))


def _head(path: str, words: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_HEAD)
    except OSError as error:
        raise DoctorError(f"cannot read {words}: {error.strerror or error}") from error
