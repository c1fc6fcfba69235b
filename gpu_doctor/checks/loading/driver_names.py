"""Tell a library that does not load for want of the driver from one that is broken, and say how to heal that."""

from __future__ import annotations

import posixpath
import shlex

from gpu_doctor.model.hardware import Host
from gpu_doctor.model.probes import Probe, Trial
from gpu_doctor.model.remedy import Remedy, RunByHand, SetVariable

# What ld.so says of parts of cuDNN 9.28 on a machine without a driver, and of cuDNN 8's convolutions, which ask for
# the name without a number: a driver's package need not have that, and WSL's folder, which has, need not be searched.
_NUMBERED = "libcuda.so.1: cannot open shared object file"
_BARE = "libcuda.so: cannot open shared object file"
_PATH = "LD_LIBRARY_PATH"


def lacks_driver(host: Host, probe: Probe, trial: Trial) -> bool:
    """Tell whether an experiment failed only because there is no driver here."""
    return host.libcuda is None and any(name in _words(probe, trial) for name in (_NUMBERED, _BARE))


def driver_name_remedy(host: Host, probe: Probe, trial: Trial) -> Remedy | None:
    """Return what lets `libcuda.so` be found beside the driver's `libcuda.so.1`; None where it was not asked for."""
    if host.libcuda is None or _BARE not in _words(probe, trial):
        return None
    folder = posixpath.dirname(host.libcuda.path)
    if host.wsl:
        value = ":".join(filter(None, (folder, host.variable(_PATH))))
        return Remedy("Let the loader search WSL's driver folder.", "safe", (SetVariable(_PATH, value),))
    link = f"sudo ln -s libcuda.so.1 {shlex.quote(posixpath.join(folder, 'libcuda.so'))}"
    step = RunByHand(link, "needs root; cuDNN 8 asks for the driver by this name")
    return Remedy("Give the driver's libcuda.so.1 the name that cuDNN asks for.", "manual", (step,))


def _words(probe: Probe, trial: Trial) -> str:
    return f"{trial.detail}\n{probe.log}" if trial.outcome == "died" else trial.detail
