"""Read whether NVIDIA's fabric manager is there, runs, and of which version it is."""

from __future__ import annotations

import re

from packaging.version import Version

from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.machine.driver_files import has_nvswitch
from gpu_doctor.readers.machine.tree import Tree
from gpu_doctor.readers.text import read_text

# The kernel keeps 15 characters of a process name.
_PROCESS = "nv-fabricmanager"[:15]
_PACKAGES_LIMIT = 32 * 2**20
# A paragraph of dpkg's list; the version ends in the packager's own: 535.161.08-0ubuntu1.
_PACKAGE = re.compile(
    r"^Package: nvidia-fabricmanager(?:-\d+)?\nStatus: install ok installed\n(?:\S.*\n|[ \t].*\n)*?"
    r"Version: (\d+\.\d+(?:\.\d+)?)(?:[-+~].*)?$",
    re.MULTILINE,
)


def read_fabric_manager(tree: Tree, container: str | None) -> str | Unknown | None:
    """Say whether NVIDIA's fabric manager runs; None on machines without NVSwitch, which do not need it."""
    if not has_nvswitch(tree):
        return None
    for name in tree.names("/proc"):
        if name.isdigit() and (tree.text(f"/proc/{name}/comm") or "").strip() == _PROCESS:
            return f"running (process {name})"
    if container is not None:
        return Unknown("the host's processes cannot be seen from inside the container")
    installed = tree.exists("/usr/bin/nv-fabricmanager")
    return "installed, not running" if installed else "not installed"


def read_fabric_manager_version(tree: Tree) -> Version | None:
    """Return the version that dpkg installed, None where it did not, or on machines without NVSwitch."""
    if not has_nvswitch(tree):
        return None
    found = _PACKAGE.search(read_text(tree.path("/var/lib/dpkg/status"), _PACKAGES_LIMIT) or "")
    return Version(found[1]) if found else None
