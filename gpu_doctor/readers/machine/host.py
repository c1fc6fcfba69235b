"""Read the machine and the container around an environment, from files alone."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from packaging.version import Version

from gpu_doctor.model.hardware import Host
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.machine import driver_files, limits
from gpu_doctor.readers.machine.driver_files import Search
from gpu_doctor.readers.machine.fabric_manager import read_fabric_manager, read_fabric_manager_version
from gpu_doctor.readers.machine.tree import Tree
from gpu_doctor.readers.machine.variables import read_variables
from gpu_doctor.readers.text import read_bytes

_CONTAINER_FILES = (
    ("/.singularity.d", "apptainer"),
    ("/run/.containerenv", "podman"),
    ("/.dockerenv", "docker"),
)
_CONTAINER_VARIABLES = (
    ("KUBERNETES_SERVICE_HOST", "kubernetes"),
    ("APPTAINER_CONTAINER", "apptainer"),
    ("SINGULARITY_CONTAINER", "apptainer"),
)
# A group named after a container (`docker/<id>`, `docker-<id>.scope`), not after the engine's own service.
_CONTAINER_GROUPS = re.compile(
    r"/(?:(kubepods)(?:[./-]|$)|(docker|libpod|crio|cri-containerd)(?:/|-[0-9a-f]{12})|(lxc)[./])", re.MULTILINE
)
_GROUP_NAMES = {"kubepods": "kubernetes", "libpod": "podman", "crio": "kubernetes", "cri-containerd": "kubernetes"}

_OS_RELEASE = re.compile(r"""^(ID|ID_LIKE)=["']?([a-z0-9._ -]{1,100})""", re.MULTILINE)

_GLIBC_TEXT = re.compile(rb"GNU C Library [^\n\0]{0,200}?version (\d+\.\d+)")
_GLIBC_NAME = re.compile(r"libc-(\d+\.\d+)\.so$")


def read_host(environ: Mapping[str, str], root: str = "/", search: Search | None = None) -> Host:
    """Describe the host that `environ` and the files below `root` show; start no process and load no library.

    `search` answers which file ld.so would load for a library name, and by which rule; None means a simple search.
    """
    tree = Tree(root)
    system = os.uname()
    find = search or driver_files.searcher(tree, environ, system.machine)
    wsl = _is_wsl(tree)
    container = _container(tree, environ)
    return Host(
        system=system.sysname,
        machine=system.machine,
        kernel=(tree.text("/proc/sys/kernel/osrelease") or system.release).strip(),
        glibc=_glibc(find),
        container=container,
        wsl=wsl,
        libcuda=driver_files.read_driver_library(driver_files.LIBCUDA, find),
        libnvidia_ml=driver_files.read_driver_library(driver_files.NVML, find),
        devices=driver_files.read_devices(tree),
        pci_gpus=Unknown("WSL shows the GPU as /dev/dxg, not on the PCI bus")
        if wsl
        else driver_files.read_pci_gpus(tree),
        kernel_module=driver_files.read_kernel_module(tree),
        memory_bytes=limits.read_memory(tree),
        cgroup_limit_bytes=limits.read_cgroup_limit(tree),
        shm_bytes=limits.read_shm(tree),
        cpu_count=limits.read_cpu_count(tree),
        fabric_manager=read_fabric_manager(tree, container),
        variables=read_variables(environ),
        gpu_models=driver_files.read_gpu_models(tree),
        fabric_manager_version=read_fabric_manager_version(tree),
        distribution=_distribution(tree),
    )


def _distribution(tree: Tree) -> str:
    """Return the names that os-release gives the system, its own first, or nothing."""
    text = tree.text("/etc/os-release") or tree.text("/usr/lib/os-release") or ""
    named = dict(_OS_RELEASE.findall(text))
    return " ".join(dict.fromkeys(f"{named.get('ID', '')} {named.get('ID_LIKE', '')}".split()))


def _is_wsl(tree: Tree) -> bool:
    if "microsoft" in (tree.text("/proc/version") or "").lower():
        return True
    return tree.exists("/dev/dxg") and tree.exists("/usr/lib/wsl/lib")


def _container(tree: Tree, environ: Mapping[str, str]) -> str | None:
    """Return the kind of container and what shows it, such as `docker (/.dockerenv)`; None outside of one."""
    for variable, kind in _CONTAINER_VARIABLES:
        if environ.get(variable):
            return f"{kind} (${variable})"
    for name, kind in _CONTAINER_FILES:
        if tree.exists(name):
            return f"{kind} ({name})"
    for name in ("/proc/self/cgroup", "/proc/1/cgroup"):
        match = _CONTAINER_GROUPS.search(tree.text(name) or "")
        if match:
            group = match[match.lastindex or 0]
            return f"{_GROUP_NAMES.get(group, group)} ({name})"
    announced = (tree.text("/run/systemd/container") or environ.get("container", "")).strip()
    return f"{announced[:40]} ($container)" if announced else None


def _glibc(find: Search) -> Version | Unknown:
    """Return the version of the libc.so.6 that ld.so would load, from its file name or the text inside it."""
    found = find("libc.so.6")
    if found is None:
        return Unknown("no libc.so.6 is in the places where ld.so looks")
    name = _GLIBC_NAME.search(os.path.realpath(found[0]))
    if name:
        return Version(name[1])
    text = _GLIBC_TEXT.search(read_bytes(found[0], 16 * 2**20) or b"")
    return Version(text[1].decode()) if text else Unknown(f"{found[0]} does not say its version")
