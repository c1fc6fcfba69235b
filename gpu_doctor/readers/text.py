"""Read small text files of the target, bounded, never raising."""

from __future__ import annotations

import os
import stat


def read_text(path: str, limit: int = 1 << 20) -> str | None:
    """Return up to `limit` bytes of a regular file as text, undecodable bytes replaced; None where it cannot be read.

    Pipes and devices are not opened for reading: a target must not be able to make the doctor wait.
    """
    data = read_bytes(path, limit)
    return None if data is None else data.decode("utf-8", "replace")


def read_bytes(path: str, limit: int = 1 << 20) -> bytes | None:
    """Return up to `limit` bytes of a regular file; None where it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return None
        # Files of /proc say 0 bytes and hold more.
        return _read(descriptor, min(limit, status.st_size or limit))
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _read(descriptor: int, limit: int) -> bytes:
    data = os.read(descriptor, limit)
    while data and len(data) < limit:
        more = os.read(descriptor, limit - len(data))
        if not more:
            break
        data += more
    return data
