"""Take the inventory of an image from its tar: what is installed in it, and nothing of this machine."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from packaging.version import Version

from gpu_doctor.collect.engines import held, is_held, save
from gpu_doctor.collect.layers import Progress, keep_inside, unpack
from gpu_doctor.collect.packages import Packages, read_shared_libraries
from gpu_doctor.collect.snapshots import absolute
from gpu_doctor.errors import DoctorError
from gpu_doctor.facts.stack import is_gpu_package
from gpu_doctor.model import plain
from gpu_doctor.model.hardware import Host
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.interpreter.interpreter import read_interpreter
from gpu_doctor.readers.machine.variables import read_variables
from gpu_doctor.readers.packages.record import read_records
from gpu_doctor.readers.packages.wheels import read_distributions
from gpu_doctor.readers.text import read_bytes, read_text

UNTOLD = Unknown("an image is files alone")

_SITE = re.compile(r"(.*)/lib(?:64)?/python3(?:\.\d+t?)?/(?:site|dist)-packages$")
_GLIBC = re.compile(rb"GNU C Library [^\n\0]{0,200}?version (\d+\.\d+)")
_GLIBC_NAME = re.compile(r"libc-(\d+\.\d+)\.so$")
_IDS = re.compile(r"""^(ID|ID_LIKE)=["']?([a-z0-9._ -]{1,100})""", re.MULTILINE)


def read_image(words: str, cwd: str, environ: Mapping[str, str], progress: Progress) -> Inventory:
    """Return the inventory of the environment with most GPU packages in an image, of which nothing is run.

    The words name its tar, or an image that an engine holds. Raise UsageError where there is no such engine,
    DoctorError where the image cannot be read or holds no environment.
    """
    if not is_held(words):
        return _of_tar(absolute(words, cwd), words, progress)
    image = held(words, environ)
    progress(f"waiting for {image.engine} to write {image.name}")
    with tempfile.TemporaryDirectory(prefix="gpu-doctor-") as folder:
        return _of_tar(save(image, folder, environ), words, progress)


def _of_tar(path: str, words: str, progress: Progress) -> Inventory:
    progress(f"reading {words}")
    with tempfile.TemporaryDirectory(prefix="gpu-doctor-") as made:
        root = os.path.realpath(made)
        environ = unpack(path, words, root, progress)
        keep_inside(root)
        prefix = _environment(root)
        if prefix is None:
            raise DoctorError(f"cannot read {words}: no Python environment is in it")
        seen = _inventory(Target(None, prefix, "the image"), root, environ)
        return plain.from_plain(_without(plain.to_plain(seen), root))


def _environment(root: str) -> str | None:
    """Return the prefix of the environment with most packages of the GPU stack, then with most packages at all."""
    found: dict[str, tuple[int, int, str]] = {}
    for folder, _below, _names in os.walk(root):
        match = _SITE.match(folder)
        if match:
            names = [name.partition("-")[0].lower().replace("_", "-") for name in _packages(folder)]
            ours, everything, _ = found.get(match[1], (0, 0, ""))
            ours += sum(map(is_gpu_package, names))
            found[match[1]] = (ours, everything + len(names), match[1])
    return max(found.values())[2] if found else None


def _packages(folder: str) -> list[str]:
    return [name for name in os.listdir(folder) if name.endswith((".dist-info", ".egg-info"))]


def _inventory(target: Target, root: str, environ: dict[str, str]) -> Inventory:
    python = read_interpreter(target, {})
    inside = tuple(entry for entry in python.search_path if entry.path.startswith(f"{root}/"))
    python = replace(python, search_path=inside, notes=(), executable=None, resolved=None)
    distributions, observations = read_distributions(python)
    packages = Packages(python, distributions, read_records(distributions), observations)
    libraries, _ = read_shared_libraries(packages, lambda _path: UNTOLD)
    return Inventory(
        target=target,
        interpreter=python,
        distributions=distributions,
        overlaps=(),
        damages=(),
        libraries=tuple(replace(library, size=0) for library in libraries),
        resolutions=(),
        symbols=(),
        host=_host(root, environ),
        driver=UNTOLD,
        gpus=UNTOLD,
        observations=observations,
    )


def _host(root: str, environ: dict[str, str]) -> Host:
    return Host(
        system="Linux",
        machine="",
        kernel="",
        glibc=_glibc(root),
        container=None,
        wsl=False,
        libcuda=None,
        libnvidia_ml=None,
        devices=(),
        pci_gpus=UNTOLD,
        kernel_module=UNTOLD,
        memory_bytes=UNTOLD,
        cgroup_limit_bytes=UNTOLD,
        shm_bytes=UNTOLD,
        cpu_count=0,
        fabric_manager=UNTOLD,
        variables=read_variables(environ),
        distribution=_distribution(root),
    )


def _glibc(root: str) -> Version | Unknown:
    for path in sorted(_libcs(root)):
        named = _GLIBC_NAME.search(path)
        text = _GLIBC.search(read_bytes(path, 16 << 20) or b"")
        if named or text:
            return Version(named[1] if named else text[1].decode() if text else "")
    return Unknown("the image's libc was not found")


def _libcs(root: str) -> Iterator[str]:
    for folder, _below, names in os.walk(root):
        if "packages" not in folder:
            yield from (os.path.join(folder, name) for name in names if name.startswith(("libc.so", "libc-2.")))


def _distribution(root: str) -> str:
    text = read_text(f"{root}/etc/os-release") or read_text(f"{root}/usr/lib/os-release") or ""
    named = dict(_IDS.findall(text))
    return " ".join(dict.fromkeys(f"{named.get('ID', '')} {named.get('ID_LIKE', '')}".split()))


def _without(value: Any, root: str) -> Any:
    """Return plain values with the image's own paths: where it was unpacked is nobody's business."""
    if isinstance(value, str):
        return value.replace(f"{root}/", "/").replace(root, "/")
    if isinstance(value, dict):
        return {key: _without(item, root) for key, item in value.items()}
    return [_without(item, root) for item in value] if isinstance(value, list) else value
