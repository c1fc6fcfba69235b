"""Unpack from an image's tar the few files that tell what is installed in it; the rest is never written.

`docker export` gives a root file system, `docker save` layers on top of each other, which hide what is below by names
(https://github.com/opencontainers/image-spec/blob/main/layer.md, "Whiteouts").
A tar is foreign: no link of it is made, no name leaves the folder, and sizes are bounded.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from gpu_doctor.errors import DoctorError

Progress = Callable[[str], None]

_MOST_MEMBERS = 500_000
_MOST_LAYERS = 256
_LARGEST_FILE = 64 << 20
_LARGEST_TOTAL = 512 << 20
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"

_PACKAGES = r"(?:^|/)(?:site|dist)-packages/"
# What is read: metadata of packages, what builds wrote about themselves, and who made the system.
_CONTENT = re.compile(
    _PACKAGES
    + r"[^/]+\.(?:dist-info|egg-info)/(?:METADATA|PKG-INFO|RECORD|INSTALLER|REQUESTED|direct_url\.json|requires\.txt)$"
    rf"|{_PACKAGES}[^/]+\.egg-info$"
    rf"|{_PACKAGES}(?:torch|torchvision|torchaudio)/version\.py$|{_PACKAGES}xformers/cpp_lib\.json$"
    rf"|{_PACKAGES}(?:onnxruntime/capi/build_and_package_info|tensorflow/python/platform/build_info|paddle/version/__init__)\.py$"
    r"|(?:^|/)pyvenv\.cfg$|^(?:etc|usr/lib)/os-release$|(?:^|/)python3\.\d+t?/patchlevel\.h$|(?:^|/)libc(?:\.so\.6|-2\.\d+\.so)$"
)
# Of these the name is enough.
_NAMES = re.compile(
    r"\.so(?:\.\d+)*$|(?:^|/)bin/python[\d.]*t?$|(?:^|/)lib/python3\.\d+t?/os\.py$|(?:^|/)conda-meta/python-[^/]+\.json$"
)


def unpack(path: str, words: str, folder: str, progress: Progress) -> dict[str, str]:
    """Unpack an image's tar into an empty folder and return the variables that the image sets.

    `words` are what a user calls it. Raise DoctorError for a tar that cannot be read, or that is larger than any image.
    """
    try:
        with tarfile.open(path, "r:*") as tar:
            # Once from the beginning to the end: a compressed tar is slow to go back in.
            unpacking = _Unpacking(folder)
            unpacking.layer(tar)
            manifest = _json(tar, "manifest.json")
            if manifest is not None:
                return _layered(tar, manifest, unpacking, progress)
            if "oci-layout" in tar.getnames():
                raise DoctorError(f"cannot read {words}: an OCI layout", "`docker save` writes what is read here")
            return {}
    except (tarfile.TarError, OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise DoctorError(f"cannot read {words}: not the tar of an image ({str(error)[:120]})") from error


def _layered(tar: tarfile.TarFile, manifest: Any, unpacking: _Unpacking, progress: Progress) -> dict[str, str]:
    (image,) = manifest  # a tar of several images is refused
    layers = [str(name) for name in image["Layers"]]
    if len(layers) > _MOST_LAYERS:
        raise ValueError(f"{len(layers)} layers")
    for number, name in enumerate(layers, 1):
        progress(f"reading layer {number} of {len(layers)}")
        stream = tar.extractfile(name)
        if stream is None:
            raise ValueError(f"no layer {name[:80]}")
        with tarfile.open(fileobj=stream, mode="r:*") as layer:
            unpacking.layer(layer)
    config = _json(tar, str(image["Config"]))
    variables = (config or {}).get("config", {}).get("Env") or []
    pairs = (str(line).partition("=") for line in variables)
    return {name: value for name, _, value in pairs}


def _json(tar: tarfile.TarFile, name: str) -> Any:
    """Return a small JSON file of a tar, or None where there is none."""
    try:
        member = tar.getmember(name)
    except KeyError:
        return None
    stream = tar.extractfile(member) if member.isreg() and member.size <= 1 << 22 else None
    return json.load(stream) if stream is not None else None


class _Unpacking:
    """Write wanted files of one layer after the other, within limits of all together."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._members = 0
        self._left = _LARGEST_TOTAL
        self._mine: set[str] = set()

    def layer(self, tar: tarfile.TarFile) -> None:
        """Take away what a layer hides of those below, then write what it brings."""
        self._mine = set()
        for member in tar:
            self._members += 1
            if self._members > _MOST_MEMBERS:
                raise ValueError(f"more than {_MOST_MEMBERS} files")
            name = _inside(member.name)
            base = name.rpartition("/")[2]
            if base.startswith(_WHITEOUT):
                self._hide(name, base)
            elif name and _is_wanted(name, member):
                self._write(tar, name, member)

    def _hide(self, name: str, base: str) -> None:
        """Take away what lower layers brought; what this one brings stays, whatever comes first in it."""
        above = name.rpartition("/")[0]
        hidden = above if base == _OPAQUE else _inside(f"{above}/{base[len(_WHITEOUT) :]}")
        if not hidden:
            return
        path = self._path(hidden)
        files = [path] if os.path.isfile(path) else [os.path.join(f, n) for f, _, names in os.walk(path) for n in names]
        for file in files:
            if file not in self._mine:
                Path(file).unlink()

    def _write(self, tar: tarfile.TarFile, name: str, member: tarfile.TarInfo) -> None:
        path = self._path(name)
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            if os.path.isdir(path):
                return
            with open(path, "wb") as file:
                # A link is never made: what it leads to is told by its name, or not at all.
                if _CONTENT.search(name) and (member.isreg() or member.islnk()):
                    self._copy(tar.extractfile(member), file)
            self._mine.add(path)
        except (FileExistsError, NotADirectoryError, KeyError):
            return  # a file in the place of a folder, or a hard link to what is not in this tar
        if member.mtime > 0:
            os.utime(path, (member.mtime, member.mtime))

    def _copy(self, stream: IO[bytes] | None, file: IO[bytes]) -> None:
        data = stream.read(_LARGEST_FILE) if stream is not None else b""
        self._left -= len(data)
        if self._left < 0:
            raise ValueError(f"more than {_LARGEST_TOTAL >> 20} MiB of metadata")
        file.write(data)

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name) if name else self._folder


def _is_wanted(name: str, member: tarfile.TarInfo) -> bool:
    if member.isdir() or (member.issym() and ".so" in name):
        return False  # a library's link has the version of the file behind it
    return _CONTENT.search(name) is not None or _NAMES.search(name) is not None


def _inside(name: str) -> str:
    """Return a member's name below the folder; nothing for one that leads out of it."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return "" if ".." in parts or "\0" in name else "/".join(parts)


def keep_inside(folder: str) -> None:
    """Write the homes of virtual environments as folders of the image, so that nothing of this machine is read."""
    for above, _below, names in os.walk(folder):
        if "pyvenv.cfg" in names:
            path = os.path.join(above, "pyvenv.cfg")
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read(1 << 16)
            with open(path, "w", encoding="utf-8") as file:
                file.write(re.sub(r"(?m)^(\s*home\s*=\s*)/", lambda m: f"{m[1]}{folder}/", text))
