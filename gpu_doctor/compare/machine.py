"""Driver, GPUs, variables, interpreter and host, as rows of words that can be compared across machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from gpu_doctor.compare.portable import portable
from gpu_doctor.compare.rows import UNSEEN, Told, Value, compare_rows
from gpu_doctor.model.hardware import Driver, DriverLibrary, Gpu, Host
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import Unknown

Rows = dict[str, Value]

# They name the environment, which is another one on each side.
_OWN_NAMES = frozenset({"VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV"})


def compare_machines(told: Told, left: Inventory, right: Inventory) -> None:
    """Compare the driver and the GPUs."""
    rows, words = driver_rows(left), gpu_words(left)
    compare_rows(told, "driver", rows, driver_rows(right), _equal("driver", rows["driver"]))
    compare_rows(told, "gpu", {"GPUs": words}, {"GPUs": gpu_words(right)}, _equal("GPU", words))


def compare_surroundings(told: Told, left: Inventory, right: Inventory) -> None:
    """Compare variables, interpreter and host."""
    before = len(told.differing)
    write = portable(left), portable(right)
    ours, theirs = (_variables(side, put) for side, put in zip((left, right), write, strict=True))
    compare_rows(told, "variable", ours, theirs, f"variables {', '.join(sorted(ours))}" if ours else "no variable set")
    _show_as_set(told, before, left, right)
    rows, others = (interpreter_rows(side, put) for side, put in zip((left, right), write, strict=True))
    compare_rows(told, "interpreter", rows, others, f"Python {rows['Python']}")
    compare_rows(told, "host", host_rows(left.host), host_rows(right.host), "host")


def driver_rows(inventory: Inventory) -> Rows:
    """Return what is known of the driver and of the libraries through which programs reach it."""
    driver, host = inventory.driver, inventory.host
    # Where the hardware is assumed, or the files are an image's, these are another machine's.
    foreign = not host.kernel or (isinstance(driver, Driver) and driver.assumed)
    module = host.kernel_module
    return {
        "driver": driver if isinstance(driver, Unknown) else "none" if driver is None else driver.label,
        "libcuda.so.1": UNSEEN if foreign else _driver_library(host.libcuda),
        "kernel module": UNSEEN if foreign else module if isinstance(module, Unknown) else str(module or "none"),
    }


def gpu_words(inventory: Inventory) -> Value:
    """Return the GPUs in words, each kind once with its number, in a stable order."""
    if isinstance(inventory.gpus, Unknown):
        return inventory.gpus
    counts = Counter(_gpu(gpu) for gpu in inventory.gpus)
    words = (name if count == 1 else f"{count} x {name}" for name, count in sorted(counts.items()))
    return ", ".join(words) or "none"


def interpreter_rows(inventory: Inventory, write: Callable[[str], str]) -> Rows:
    """Return the version, the manager, and what is layered over the environment's own packages."""
    python = inventory.interpreter
    layers = (f"{entry.kind} {write(entry.path)}" for entry in python.search_path if entry.kind != "site-packages")
    version = python.version
    return {
        "Python": version if isinstance(version, Unknown) else str(version),
        "managed by": python.manager,
        "also on its path": ", ".join(layers),
    }


def host_rows(host: Host) -> Rows:
    """Return the machine and the container around the environment."""
    container = (host.container or "").partition(" (")[0]
    return {
        "kernel": host.kernel or UNSEEN,
        "machine": f"{host.system} {host.machine}" if host.machine else UNSEEN,
        "distribution": host.distribution or UNSEEN,
        "glibc": host.glibc if isinstance(host.glibc, Unknown) else str(host.glibc),
        "container": (container or "none") + (", WSL" if host.wsl else "") if host.kernel else UNSEEN,
        "memory": _size(host.memory_bytes),
        "memory limit": "none" if host.cgroup_limit_bytes is None else _size(host.cgroup_limit_bytes),
        "/dev/shm": _size(host.shm_bytes),
        "CPUs": str(host.cpu_count) if host.cpu_count else UNSEEN,
    }


def _equal(what: str, value: Value) -> str:
    return f"no {what}" if value == "none" else f"{what} {value}"


def _variables(inventory: Inventory, write: Callable[[str], str]) -> Rows:
    kept = (variable for variable in inventory.host.variables if variable.name not in _OWN_NAMES)
    # An empty variable is set, and an absent one is not.
    return {variable.name: write(variable.value) or '""' for variable in kept}


def _show_as_set(told: Told, since: int, left: Inventory, right: Inventory) -> None:
    """Put variables' own values where they were compared in portable words."""
    for at in range(since, len(told.differing)):
        row = told.differing[at]
        if row.area == "variable":
            told.differing[at] = replace(row, left=_set(left, row.subject), right=_set(right, row.subject))


def _set(inventory: Inventory, name: str) -> str:
    value = inventory.host.variable(name)
    return "" if value is None else value or '""'


def _driver_library(library: DriverLibrary | None) -> str:
    if library is None:
        return "none"
    return library.kind if library.version is None else f"{library.kind} {library.version}"


def _gpu(gpu: Gpu) -> str:
    memory = "" if gpu.memory_bytes is None else f", {gpu.memory_bytes / 2**30:.0f} GiB"
    name = gpu.name.removeprefix("NVIDIA ").removeprefix("GeForce ")
    return f"{name} ({gpu.sm}{memory})"


def _size(value: int | Unknown) -> Value:
    if isinstance(value, Unknown):
        return value
    return f"{value / 2**30:.1f} GiB" if value >= 2**30 else f"{value / 2**20:.0f} MiB"
