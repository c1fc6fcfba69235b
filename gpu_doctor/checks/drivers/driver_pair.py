"""Whether the driver's libraries are of the loaded kernel module, and what makes them so."""

from __future__ import annotations

import posixpath
import re

from packaging.version import InvalidVersion, Version

from gpu_doctor.checks.drivers.cuda_start import started
from gpu_doctor.model.finding import Evidence
from gpu_doctor.model.hardware import DriverLibrary, Host, driver_text
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import Remedy, RunByHand, SetVariable
from gpu_doctor.model.unknown import Unknown

_PATH = "LD_LIBRARY_PATH"
_NVML_MISMATCH = re.compile(r"NVML error 18\b")
_LDCONFIG = RunByHand("ldconfig", "in the container: its list may name the image's libcuda before the mounted one")


def to_compare(inventory: Inventory) -> tuple[DriverLibrary, ...]:
    """Return the libraries that must be of the module's release and that did not prove it by working."""
    host = inventory.host
    libcuda = None if started(inventory) else host.libcuda
    nvml = None if _nvml_answers(inventory) else host.libnvidia_ml
    return tuple(library for library in (libcuda, nvml) if library is not None and library.kind == "driver")


def version_of(library: DriverLibrary) -> Version | None:
    """Return the release that a library's file name says, None where it says none."""
    try:
        return Version(library.version or "")
    except InvalidVersion:
        return None


def nvml_mismatch(inventory: Inventory) -> tuple[Evidence, ...]:
    """Return NVML's own word that library and module differ, empty where it did not say so."""
    driver = inventory.driver
    if isinstance(driver, Unknown) and _NVML_MISMATCH.search(driver.reason):
        return (Evidence("asked live: NVML", driver.reason, "", "nvidia-smi"),)
    return ()


def versions(host: Host, library: DriverLibrary | None) -> tuple[Evidence, ...]:
    """Return the releases of the module and of this library, as far as the files tell."""
    rows = []
    if isinstance(host.kernel_module, Version):
        rows.append(Evidence("kernel module", driver_text(host.kernel_module), "/proc/driver/nvidia/version"))
    if library is not None:
        version = version_of(library)
        said = driver_text(version) if version else "does not say its release"
        rows.append(Evidence(posixpath.basename(library.path), said, library.real))
    return tuple(rows)


def pair_remedy(host: Host) -> Remedy:
    """Return what makes library and module a pair again, on this host or in this container."""
    if host.libcuda is not None and host.libcuda.kind == "compat":
        return _without_compat(host, host.libcuda)
    if host.container is not None:
        return Remedy("Remove the image's own driver libraries; the host's are mounted in.", "manual", (_LDCONFIG,))
    reboot = RunByHand("sudo reboot", "needs root and ends every program")
    return Remedy("Reboot, so that the module of the installed driver is loaded.", "manual", (reboot,))


def _without_compat(host: Host, libcuda: DriverLibrary) -> Remedy:
    folder = posixpath.dirname(libcuda.path)
    summary = f"Take {folder} out of the loader's search, so that the driver's own libcuda is found."
    if libcuda.rule == _PATH:
        entries = [entry for entry in (host.variable(_PATH) or "").split(":") if entry]
        left = ":".join(e for e in entries if posixpath.normpath(e) != posixpath.normpath(folder))
        return Remedy(summary, "manual", (SetVariable(_PATH, left or None),))
    look = RunByHand("grep compat /etc/ld.so.conf.d/*", "shows the line that names it; take that out")
    return Remedy(summary, "manual", (look, RunByHand("ldconfig", "needs root; writes the loader's list anew")))


def _nvml_answers(inventory: Inventory) -> bool:
    driver = inventory.driver
    return driver is not None and not isinstance(driver, Unknown) and driver.where.startswith("NVML")
