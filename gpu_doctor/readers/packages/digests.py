"""Compare files with recorded digests, within a limit of bytes."""

from __future__ import annotations

import base64
import hashlib
import os

from gpu_doctor.readers.packages.record import Claim

HASH_LIMIT = 64 << 20
"""Bytes that one question may hash, so that a check takes a second and not a minute."""


class Hasher:
    """Compare files with recorded digests until the limit of bytes is used up."""

    def __init__(self, limit: int = HASH_LIMIT) -> None:
        self.left = limit

    def matches(self, path: str, claim: Claim) -> bool | None:
        """Tell whether the file has the recorded digest; None where that cannot be told within the limit."""
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
                while block := file.read(1 << 20):
                    found.update(block)
        except OSError:
            return None
        return base64.urlsafe_b64encode(found.digest()).rstrip(b"=").decode() == digest
