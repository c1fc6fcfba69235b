"""What is wrong with NVIDIA's fabric manager on this host, and the commands that heal it."""

from __future__ import annotations

from packaging.version import Version

from gpu_doctor.model.hardware import Host, driver_text
from gpu_doctor.model.remedy import Remedy, RunByHand
from gpu_doctor.model.unknown import Unknown

_START = RunByHand("sudo systemctl enable --now nvidia-fabricmanager", "needs root; starts it now and at every boot")
_RESTART = RunByHand("sudo systemctl restart nvidia-fabricmanager", "needs root")
_WORDS = RunByHand("journalctl -u nvidia-fabricmanager -b --no-pager | tail -n 20", "its last words say why it ended")
_CONFIDENTIAL = RunByHand(
    "nvidia-smi conf-compute -grs",
    "a GPU in confidential-computing mode is not ready before `sudo nvidia-smi conf-compute -srs 1`",
)


def fabric_problem(host: Host) -> str:
    """Return the end of a sentence that begins with the fabric manager, empty where nothing is seen to be wrong."""
    state, version = host.fabric_manager, host.fabric_manager_version
    if state is None or isinstance(state, Unknown):
        return ""
    if isinstance(host.kernel_module, Version) and version is not None and version != host.kernel_module:
        return f"is of {driver_text(version)}, and the driver of {driver_text(host.kernel_module)}"
    if state.startswith("running"):
        return ""
    return "is not installed" if state == "not installed" else "is installed and does not run"


def fabric_remedy(host: Host) -> Remedy:
    """Return the commands for this machine, or for the host around this container."""
    problem = fabric_problem(host)
    if host.fabric_manager is None and host.container is None:
        return Remedy("Look whether a GPU waits for confidential computing to be ready.", "manual", (_CONFIDENTIAL,))
    if problem.startswith("is of"):
        return Remedy("Install the fabric manager of the driver's version.", "manual", (_package(host), _RESTART))
    if problem == "is not installed":
        return Remedy("Install the fabric manager and start it.", "manual", (_package(host), _START))
    place = " on the host, not in this container" if host.container else ""
    if problem or host.container:
        return Remedy(f"Start the fabric manager{place}.", "manual", (_START, _WORDS))
    return Remedy("Read what the fabric manager says, and start it anew.", "manual", (_WORDS, _RESTART))


def _package(host: Host) -> RunByHand:
    if not isinstance(host.kernel_module, Version):
        return RunByHand("sudo apt-get install nvidia-fabricmanager-…", "needs root; its version must be the driver's")
    version = driver_text(host.kernel_module)
    package = f"nvidia-fabricmanager-{host.kernel_module.major}"
    return RunByHand(f"sudo apt-get install '{package}={version}*'", f"needs root; with dnf: {package}-{version}")
