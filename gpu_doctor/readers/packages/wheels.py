"""List the distributions of an environment from their metadata folders."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace

from packaging.version import InvalidVersion, Version

from gpu_doctor.model.inventory import Distribution, Interpreter, Observation
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.packages.builds import read_build
from gpu_doctor.readers.text import read_text

_HEADERS_LIMIT = 1 << 20
_LONGEST = 200  # characters of a name or version that anybody meant
_FIELDS = {"Name", "Version", "Requires-Dist"}
_FOLDER_NAME = re.compile(r"^(?P<name>.+?)(?:-(?P<version>\d[^-]*))?(?:-py\d[\d.]*)?\.(?:dist-info|egg-info)$")
_USER_INFO = re.compile(r"^((?:[\w.+-]+:)?//)[^/?#]*@")


def canonical(name: str) -> str:
    """Return a distribution's name in its canonical form (PEP 503)."""
    # Not packaging.utils.canonicalize_name: importing that module costs more than reading a whole environment.
    return re.sub(r"[-_.]+", "-", name).lower()


def read_distributions(interpreter: Interpreter) -> tuple[tuple[Distribution, ...], tuple[Observation, ...]]:
    """Return the distributions of all folders of the search path, in its order, and what could not be read.

    Of several records of one name the first folder's is active; within one folder the one written last.
    """
    found: list[Distribution] = []
    observations: list[Observation] = []
    active: set[str] = set()
    for entry in interpreter.search_path:
        here = _in_folder(entry.path, observations)
        chosen = _choose_active(here, active, observations)
        found += (item if chosen.get(item.name) is item else replace(item, active=False) for item in here)
        active.update(item.name for item in here)
    return tuple(found), tuple(observations)


def _in_folder(folder: str, observations: list[Observation]) -> list[Distribution]:
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        observations.append(Observation(folder, f"cannot be read: {error.strerror}"))
        return []
    found = []
    endings: tuple[str, ...] = (".dist-info", ".egg-info")
    if folder.endswith(".egg"):  # an egg is its own entry of the search path
        endings += ("EGG-INFO",)
    for name in names:
        if not name.endswith(endings):
            continue
        path = f"{folder}/{name}"
        if name.startswith("~"):
            observations.append(Observation(path, "left over by an interrupted pip uninstall or upgrade"))
            continue
        item = _read_one(folder, path, name)
        if isinstance(item, Distribution):
            found.append(item)
        elif item is not None:
            observations.append(item)
    return found


def _choose_active(
    here: list[Distribution], taken: set[str], observations: list[Observation]
) -> dict[str, Distribution]:
    by_name: dict[str, Distribution] = {}
    for item in here:
        if item.name in taken:
            continue
        other = by_name.get(item.name)
        if other is None:
            by_name[item.name] = item
            continue
        newer = max(other, item, key=lambda one: _written(one.metadata))
        by_name[item.name] = newer
        if other.version != item.version:
            both = f"{other.version} and {item.version}, {newer.version} written last"
            observations.append(Observation(item.metadata, f"{item.name} is recorded twice in this folder: {both}"))
    return by_name


def _written(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def _read_one(folder: str, path: str, name: str) -> Distribution | Observation | None:
    is_wheel = name.endswith(".dist-info")
    text = _headers(path, is_wheel)
    if text is None:
        if not is_wheel and not os.path.isdir(path):
            return Observation(path, "cannot be read")
        return Observation(path, f"holds no {'METADATA' if is_wheel else 'PKG-INFO'}: left over, or damaged")
    fields, requires = _fields(text)
    shown = _FOLDER_NAME.match(name) if len(fields) < 2 else None
    said_name = fields.get("name") or (shown["name"] if shown else "")
    said_version = fields.get("version") or (shown["version"] if shown else None) or ""
    if not said_name:
        return Observation(path, "names no distribution")
    item = Distribution(
        name=canonical(said_name[:_LONGEST]),
        version=_version(said_version, path),
        location=folder,
        metadata=path,
        requires=requires,
        record=False,
    )
    if not is_wheel:
        item = replace(item, requires=requires or tuple(_egg_requires(read_text(f"{path}/requires.txt") or "")))
    return _with_build(_with_origin(item, set(_listing(path))) if is_wheel else item, said_version[:_LONGEST])


def _headers(path: str, is_wheel: bool) -> str | None:
    """Return the headers of a distribution's metadata; an egg-info may be the file itself."""
    file = f"{path}/METADATA" if is_wheel else f"{path}/PKG-INFO"
    text = read_text(file, limit=_HEADERS_LIMIT)
    if text is None and not is_wheel:
        text = read_text(path, limit=_HEADERS_LIMIT)
    if text is None:
        return None
    end = text.find("\n\n")
    return text if end < 0 else text[:end]


def _fields(headers: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return name and version, where they are told, and the requirements."""
    fields: dict[str, str] = {}
    requires = []
    for line in headers.split("\n"):
        key, separator, value = line.partition(":")
        if not line.strip():
            break  # the description begins
        if not separator or key not in _FIELDS:
            continue
        if key == "Requires-Dist":
            requires.append(value.strip())
        elif value.strip():
            fields.setdefault(key.lower(), value.strip())
    return fields, tuple(requires)


def _version(text: str, path: str) -> Version | Unknown:
    try:
        return Version(text[:_LONGEST])
    except InvalidVersion:
        return Unknown(f"{path} holds no valid version: {text[:80]!r}")


def _listing(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _with_origin(item: Distribution, files: set[str]) -> Distribution:
    """Add installer, direct URL and RECORD, as far as the metadata folder holds them."""
    installer = (read_text(f"{item.metadata}/INSTALLER", limit=256) or "") if "INSTALLER" in files else ""
    url, editable = None, False
    if "direct_url.json" in files:
        url, editable = _direct_url(read_text(f"{item.metadata}/direct_url.json", limit=1 << 16) or "")
    return replace(
        item, installer=installer.strip() or None, direct_url=url, editable=editable, record="RECORD" in files
    )


def _direct_url(text: str) -> tuple[str | None, bool]:
    """Return (URL without secrets, editable) of a direct_url.json (PEP 610)."""
    try:
        data = json.loads(text)
        url = data["url"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None, False
    if not isinstance(url, str):
        return None, False
    vcs, folder = data.get("vcs_info"), data.get("dir_info")
    clean = redact(url)
    if isinstance(vcs, dict) and isinstance(vcs.get("vcs"), str):
        commit = vcs.get("commit_id")
        clean = f"{vcs['vcs']}+{clean}" + (f"@{commit}" if isinstance(commit, str) else "")
    return clean, isinstance(folder, dict) and folder.get("editable") is True


def redact(url: str) -> str:
    """Return a URL without user, password, query and fragment, any of which may hold a secret."""
    return _USER_INFO.sub(r"\1", re.split(r"[?#]", url, maxsplit=1)[0])


def _with_build(item: Distribution, version: str) -> Distribution:
    built_for = read_build(item.name, version, item.location, item.metadata)
    return item if built_for is None else replace(item, built_for=built_for)


def _egg_requires(text: str) -> Iterator[str]:
    """Translate an egg's requires.txt into Requires-Dist lines; `[extra:marker]` heads a section."""
    marker = ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            extra, _, condition = line[1:-1].partition(":")
            parts = ([f"({condition})"] if condition else []) + ([f'extra == "{extra}"'] if extra else [])
            marker = " and ".join(parts)
        elif line:
            yield f"{line} ; {marker}" if marker else line
