"""Compare files with recorded digests, within a limit of bytes."""

from __future__ import annotations

import base64
import hashlib
import os
from typing import BinaryIO, Protocol

from gpu_doctor.readers.packages.record import Claim

HASH_LIMIT = 64 << 20
"""Bytes that one question may hash, so that a check takes a second and not a minute."""


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


class Hasher:
    """Compare files with recorded digests until the limit of bytes is used up."""

    def __init__(self, limit: int = HASH_LIMIT) -> None:
        self.left = limit

    def matches(self, path: str, claim: Claim, but: tuple[int, bytes] = (0, b"")) -> bool | None:
        """Tell whether the file has the recorded digest; None where that cannot be told within the limit.

        `but` puts other bytes in the place of some that the file has.
        """
        algorithm, _, digest = claim.digest.partition("=")
        if not digest or algorithm not in hashlib.algorithms_guaranteed or algorithm.startswith("shake"):
            return None
        try:
            size = os.stat(path).st_size
            if size > self.left:
                return None
            self.left -= size
            found = hashlib.new(algorithm)
            with open(path, "rb") as file:
                at, instead = but
                _hash(file, found, at)
                found.update(instead)
                file.seek(len(instead), os.SEEK_CUR)
                _hash(file, found, size)
        except OSError:
            return None
        return base64.urlsafe_b64encode(found.digest()).rstrip(b"=").decode() == digest


def _hash(file: BinaryIO, found: _Hash, length: int) -> None:
    while length > 0 and (block := file.read(min(length, 1 << 20))):
        found.update(block)
        length -= len(block)
