"""A lock as TOML that people review and `git diff` shows well: one block a package, in a stable order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from gpu_doctor.model.lock import SCHEMA, Lock

_HEAD = (
    "# The GPU stack of an environment as it was when it was known to be good.",
    "# `gpu-doctor lock` writes this file, `gpu-doctor drift` compares an environment with it.",
)


def render(lock: Lock) -> str:
    """Return the document; unchanged environments give the same bytes."""
    return "\n".join([*_HEAD, *_lines(lock)]) + "\n"


def _lines(lock: Lock) -> Iterator[str]:
    yield from _pairs({"schema": SCHEMA, "doctor": lock.doctor, "facts": lock.facts})
    yield from _pairs({"verdict": lock.verdict, "asked": lock.asked})
    yield from _pairs({"python": lock.python, "machine": lock.machine, "driver": lock.driver})
    for package in lock.packages:
        yield from ("", "[[package]]")
        yield from _pairs(
            {
                "name": package.name,
                "version": package.version,
                "build": package.build if package.build != package.version else "",
                "cuda": package.cuda,
                "installer": package.installer,
                "direct_url": package.direct_url,
                "record": package.record,
            }
        )
        if package.damaged:
            yield f"damaged = {package.damaged}"
    if lock.libraries:
        yield from ("", "[libraries]")
        yield from (f"{quoted(one.name)} = [{', '.join(map(quoted, one.versions))}]" for one in lock.libraries)


def _pairs(values: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each value that is known."""
    return (f"{key} = {quoted(value)}" for key, value in values.items() if value)


def quoted(text: str) -> str:
    r"""Return a TOML basic string; JSON's escapes are TOML's, but for DEL and for halves of surrogate pairs."""
    clean = text.encode("utf-8", "replace").decode("utf-8")
    return json.dumps(clean, ensure_ascii=False).replace("\x7f", "\\u007f")
