"""Read a lock, and what the environment's files tell of who installed what."""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from packaging.utils import canonicalize_name

from gpu_doctor.errors import UsageError
from gpu_doctor.facts.stack import is_gpu_package
from gpu_doctor.model.inventory import Distribution
from gpu_doctor.model.lock import SCHEMA, Lock, LockedLibrary, LockedPackage, Origin
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.packages.record import is_content, parse_record
from gpu_doctor.readers.text import read_bytes, read_text

# Chosen by name: the checker of types sees only one of the two, whichever Python it runs on.
_toml: Any = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EXTRA = re.compile(r";.*\bextra\s*==")
_FAMILY = SCHEMA.rpartition("/")[0] + "/"
_LARGEST = 4 << 20
_RECORD_LIMIT = 64 << 20
_HINT = "`gpu-doctor lock` writes one"


def read_lock(path: str) -> Lock:
    """Return the lock in a file; raise UsageError where there is none or it is damaged, naming what is wrong."""
    data = read_bytes(path, _LARGEST)
    if data is None:
        raise UsageError(f"cannot read {path}: {_why(path)}", _HINT)
    try:
        document = _toml.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not a lock: {str(error)[:160]}", _HINT) from error
    try:
        return _lock(document)
    except ValueError as error:
        raise UsageError(f"{path} is not a lock: {error}", _HINT) from error


def read_origins(distributions: Iterable[Distribution]) -> dict[str, Origin]:
    """Return what the metadata folders of the active distributions tell of their installation, by name."""
    return {one.name: _origin(one) for one in distributions if one.active}


def _origin(distribution: Distribution) -> Origin:
    folder = distribution.metadata
    return Origin(
        name=distribution.name,
        version="" if isinstance(distribution.version, Unknown) else str(distribution.version),
        at=_written(folder),
        installer=distribution.installer or "",
        requested=os.path.exists(os.path.join(folder, "REQUESTED")),
        direct_url=distribution.direct_url or "",
        digest=_digest(folder) if distribution.record and is_gpu_package(distribution.name) else "",
        requires=tuple(dict.fromkeys(_required(distribution))),
    )


def _required(distribution: Distribution) -> Iterator[str]:
    """Yield the names of what a distribution asks for without any extra."""
    for text in distribution.requires:
        named = _NAME.match(text)
        if named and not _EXTRA.search(text):
            yield canonicalize_name(named[0])


def _written(folder: str) -> float | None:
    """Return when RECORD was written: installers write it last, and anew for each environment."""
    times = (_time(path) for path in (f"{folder}/RECORD", f"{folder}/INSTALLER", folder))
    return next((at for at in times if at is not None), None)


def _time(path: str) -> float | None:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return None


def _digest(folder: str) -> str:
    """Return one digest over those that RECORD lists, the same whichever installer wrote it.

    Scripts, bytecode and the metadata folder differ by installer and place; what a repair listed has no digest.
    """
    text = read_text(f"{folder}/RECORD", _RECORD_LIMIT)
    if text is None:
        return ""
    files, _ = parse_record(text)
    lines = sorted(f"{path},{rest}" for path, rest in files.items() if is_content(path) and not rest.startswith(","))
    return "sha256:" + hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _lock(document: Mapping[str, Any]) -> Lock:
    schema = _text(document, "schema")
    if schema != SCHEMA:
        newer = "; update gpu-doctor" if schema.startswith(_FAMILY) else ""
        raise ValueError(f"its schema is {schema[:80]!r}, this gpu-doctor reads {SCHEMA}{newer}")
    verdict, asked = _text(document, "verdict"), _text(document, "asked")
    if verdict not in ("healthy", "sick", "undetermined") or asked not in ("live", "files"):
        raise ValueError("verdict or asked is not one of their words")
    return Lock(
        doctor=_text(document, "doctor"),
        facts=_text(document, "facts"),
        verdict=verdict,  # type: ignore[arg-type]  # proven above
        asked=asked,  # type: ignore[arg-type]
        python=_text(document, "python"),
        machine=_text(document, "machine"),
        driver=_text(document, "driver"),
        packages=tuple(_package(row) for row in _rows(document)),
        libraries=tuple(_library(name, versions) for name, versions in _table(document, "libraries").items()),
    )


def _package(row: Any) -> LockedPackage:
    if not isinstance(row, Mapping) or not _text(row, "name"):
        raise ValueError("a package has no name")
    version, damaged = _text(row, "version"), row.get("damaged", 0)
    if type(damaged) is not int:
        raise ValueError(f"damaged of {row['name']} is not a number")
    return LockedPackage(
        name=row["name"],
        version=version,
        # What equals the version is not written.
        build=_text(row, "build") or (version if _text(row, "cuda") else ""),
        cuda=_text(row, "cuda"),
        installer=_text(row, "installer"),
        direct_url=_text(row, "direct_url"),
        record=_text(row, "record"),
        damaged=damaged,
    )


def _library(name: str, versions: Any) -> LockedLibrary:
    if not isinstance(versions, list) or not all(isinstance(one, str) for one in versions):
        raise ValueError(f"{name[:80]} of libraries is not a list of versions")
    return LockedLibrary(name, tuple(versions))


def _rows(document: Mapping[str, Any]) -> list[Any]:
    rows = document.get("package", [])
    if not isinstance(rows, list):
        raise ValueError("package is not a list of tables")
    return rows


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = document.get(key, {})
    if not isinstance(table, Mapping):
        raise ValueError(f"{key} is not a table")
    return table


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key, "")
    if not isinstance(value, str):
        raise ValueError(f"{key} is not text")
    return value


def _why(path: str) -> str:
    try:
        os.stat(path)
    except OSError as error:
        return error.strerror or str(error)
    return "it is no file that may be read"
