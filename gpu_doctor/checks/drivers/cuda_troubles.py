"""What the driver's error codes at CUDA's start mean on this machine, and what heals them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpu_doctor.checks.drivers.cuda_start import StartFailure
from gpu_doctor.model.finding import Severity
from gpu_doctor.model.hardware import Host
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import Remedy, RunByHand, SetVariable
from gpu_doctor.model.unknown import CannotKnow, Unknown

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_GPU_FILE = re.compile(r"/dev/(nvidia\d+|dxg|nvhost-gpu|nvmap)")
_UNAVAILABLE = 46
_NO_DEVICE = 100
_UNKNOWN = 999


@dataclass(frozen=True, slots=True)
class Trouble:
    """Say what a failure means here: a sentence, empty where the code says all, how grave it is, and what heals it."""

    meaning: str
    remedy: Remedy
    severity: Severity = "error"


_LOG = RunByHand("sudo dmesg | grep -iE 'nvrm|xid'", "what the kernel module said; Xid numbers name hardware faults")
_REBOOT = RunByHand("sudo reboot", "needs root and ends every program")
_WSL = RunByHand("wsl --shutdown", "run in Windows; the next start of WSL loads the driver anew")
_ALL = RunByHand("docker run --gpus all …", "the host's NVIDIA Container Toolkit mounts device files and driver")
_DEVICE_FILES = RunByHand("sudo nvidia-modprobe -c=0 -u", "needs root; loads nvidia_uvm and creates the device files")
_RELOAD = (
    RunByHand("sudo fuser -v /dev/nvidia-uvm", "shows who uses CUDA; end that first"),
    RunByHand("sudo rmmod nvidia_uvm && sudo modprobe nvidia_uvm", "needs root, and no running CUDA program"),
)
_SHARE = Remedy(
    "End the process that has the GPU, or let several use it.",
    "manual",
    (
        RunByHand("nvidia-smi -q -d COMPUTE,PIDS", "shows the compute mode and who has the GPU"),
        RunByHand("sudo nvidia-smi --compute-mode=DEFAULT", "needs root; lets several programs use it"),
    ),
)

_BY_CODE: dict[int, Trouble] = {
    34: Trouble(
        "This libcuda is a stub for linking programs, not a driver.",
        Remedy("Take the folder with `stubs` out of LD_LIBRARY_PATH.", "manual"),
    ),
    102: Trouble(
        "A virtual GPU has no licence.",
        Remedy(
            "Give the virtual machine a licence.",
            "manual",
            (RunByHand("nvidia-smi -q | grep -i licen[cs]e", "says why"),),
        ),
    ),
    214: Trouble(
        "The GPU's memory has an error that cannot be corrected: this is the hardware.",
        Remedy(
            "Look at the error counters and reboot; replace the GPU where they grow.",
            "manual",
            (RunByHand("nvidia-smi -q -d ECC,ROW_REMAPPER", "counts the errors"), _LOG, _REBOOT),
        ),
    ),
}
_MPS = Trouble(
    "NVIDIA's multi-process service (MPS), which this program would share the GPU through, does not answer.",
    Remedy(
        "Stop the service, or start it anew.",
        "manual",
        (RunByHand("echo quit | nvidia-cuda-mps-control", "as the user who started it; ends its programs"),),
    ),
)
_HANGS = Trouble(
    "The driver or a GPU hangs, or wakes very slowly.",
    Remedy("Look into the kernel's log, then reboot.", "manual", (_LOG, _REBOOT)),
)
_DIES = Trouble(
    "The driver's own library ended the process.",
    Remedy("Install the driver again, all its packages in one version, and reboot.", "manual", (_LOG,)),
)
_OTHER = Trouble("", Remedy("Look into the kernel's log; a reboot loads the driver anew.", "manual", (_LOG, _REBOOT)))
_NOT_LOADED = Trouble(
    "No CUDA program can use a GPU without it.",
    Remedy("Install the NVIDIA driver again; its packages bring this library.", "manual"),
)


def trouble(inventory: Inventory, failure: StartFailure) -> Trouble:
    """Return what this failure means here; give up where it only says that there is no GPU."""
    code, ending = failure.code, failure.probe.ending
    if code == _NO_DEVICE:
        return _no_device(inventory)
    if code == _UNKNOWN:
        return Trouble("", _unknown(inventory.host))
    if code == _UNAVAILABLE:
        return _unavailable(failure)
    if code is not None:
        return _MPS if 805 <= code <= 810 else _BY_CODE.get(code, _OTHER)
    if ending in ("timed out", "stuck"):
        return _HANGS
    return _DIES if ending == "crashed" else _NOT_LOADED


def _unavailable(failure: StartFailure) -> Trouble:
    described = failure.probe.trial(failure.step.partition(":")[0])
    mode = (described.value("compute mode") if described else None) or "default"
    if mode == "default":
        return Trouble("Another program keeps the GPU busy, or left it in a bad state.", _SHARE)
    return Trouble(f"Its compute mode is {mode}.", _SHARE)


def _unknown(host: Host) -> Remedy:
    if host.wsl:
        return Remedy("Start WSL anew.", "manual", (_WSL,))
    if host.container:
        return Remedy("Load nvidia_uvm anew on the host, then start the container again.", "manual", _RELOAD)
    if host.devices and "/dev/nvidia-uvm" not in host.devices:
        return Remedy("Load the module nvidia_uvm and create its device file.", "manual", (_DEVICE_FILES,))
    return Remedy(
        "Load nvidia_uvm anew: it is often unusable after a suspend. Where that does not help, reboot.",
        "manual",
        (*_RELOAD, _REBOOT),
    )


def _no_device(inventory: Inventory) -> Trouble:
    host = inventory.host
    visible = host.variable(_VISIBLE)
    if visible is not None and _hides_all(inventory, visible):
        unset = Remedy(f"Unset {_VISIBLE}, or name a GPU that is there.", "manual", (SetVariable(_VISIBLE, None),))
        # Empty and -1 are how people and schedulers hide a GPU on purpose.
        wanted: Severity = "warning" if visible.strip() in ("", "-1") else "error"
        return Trouble(f"{_VISIBLE} is {visible!r}, which names no GPU of this machine.", unset, wanted)
    if inventory.gpus == () and not any(map(_GPU_FILE.fullmatch, host.devices)) and not host.pci_gpus:
        raise CannotKnow("no GPU visible")
    if any(map(_GPU_FILE.fullmatch, host.devices)):
        return _OTHER
    if host.container:
        summary = "Start the container with the host's GPUs."
        return Trouble("No GPU's device file is in this container.", Remedy(summary, "manual", (_ALL,)))
    if host.kernel_module is None:
        return _OTHER
    summary = "Create the device files."
    return Trouble("The kernel module is loaded, and /dev has no GPU.", Remedy(summary, "manual", (_DEVICE_FILES,)))


def _hides_all(inventory: Inventory, visible: str) -> bool:
    """Tell whether the variable's first entry, behind which CUDA does not look where it is wrong, names no GPU."""
    first = visible.split(",")[0].strip()
    if isinstance(inventory.gpus, Unknown):
        return not first.isdecimal() and not first.startswith(("GPU-", "MIG-"))
    if first.isdecimal():
        return int(first) >= len(inventory.gpus)
    if first.startswith("MIG-"):
        return False
    known = [gpu.uuid for gpu in inventory.gpus if gpu.uuid]
    return not (first.startswith("GPU-") and (not known or any(uuid.startswith(first) for uuid in known)))
