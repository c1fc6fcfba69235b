"""A GPU is here, or was promised, and the NVIDIA driver cannot be used.

What it finds. A GPU on the PCI bus without a driver; a kernel module without `libcuda.so.1` on the loader's path; WSL
without its libcuda; a container that asks for GPUs and got none. Where no package is built for CUDA, that is a note.

Why it matters. CUDA packages then fail with "libcuda.so.1: cannot open shared object file", "Found no NVIDIA driver
on your system", or use the CPU without a word. No pip package contains libcuda: it comes with the driver.

What to do. Install the driver on the host; the lines for its distribution are shown and left to a person with root. In
a container it is mounted in: start that with `--gpus all` and the NVIDIA Container Toolkit; install no driver inside.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gpu_doctor.checks.drivers.cuda_start import start_failures, started
from gpu_doctor.checks.drivers.system import driver
from gpu_doctor.checks.shared.stack import gpu_stack, has_cuda_packages
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Finding, Rule
from gpu_doctor.model.hardware import Host
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import Remedy, RunByHand
from gpu_doctor.model.unknown import DoesNotApply, Unknown, known

RULE = Rule(
    id="driver-missing",
    title="The NVIDIA driver is missing",
    severity="error",
    stage="host",
    symptoms=(
        r"libcuda\.so\.1: cannot open shared object file",
        r"Found no NVIDIA driver on your system",
        r"nvidia-container-cli: initialization error: load library failed: libnvidia-ml\.so\.1",
        r"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver",
    ),
    probes=("cuda-init",),
)

_HOST = "Install your distribution's NVIDIA driver package on this machine and reboot."
_ALL = RunByHand("docker run --gpus all …", "the host's NVIDIA Container Toolkit mounts the driver")
_CONTAINER = Remedy("Start the container with the host's GPUs; do not install a driver in it.", "manual", (_ALL,))
_UPDATE = RunByHand("wsl --update", "run in Windows, with a current NVIDIA driver for Windows installed there")
_WSL = Remedy("Update WSL and the Windows driver; install none inside WSL.", "manual", (_UPDATE,))


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Compare the devices of this machine with the driver files that a program would load."""
    if inventory.target.assumes_hardware:
        raise DoesNotApply("the hardware is assumed, not this machine's")
    gpu_stack(inventory)
    finding = _missing(inventory.host, answers=not isinstance(inventory.gpus, Unknown) and bool(inventory.gpus))
    if finding is not None and not started(inventory):  # wherever the driver hides from files
        tried = tuple(row for failure in start_failures(inventory) for row in failure.evidence)
        # Who installed CPU builds does without the GPU; that is worth knowing, and no illness.
        severity = finding.severity if has_cuda_packages(inventory) else "note"
        yield replace(finding, severity=severity, evidence=(*tried, *finding.evidence))


def _missing(host: Host, *, answers: bool) -> Finding | None:
    usable = host.libcuda is not None and host.libcuda.kind != "stub"
    absent = f"libcuda.so.1 is a stub ({host.libcuda.path})" if host.libcuda else "the loader finds no libcuda.so.1"
    if host.wsl:
        if "/dev/dxg" not in host.devices:
            raise DoesNotApply("WSL offers no GPU")
        return None if usable else _finding("WSL", f"WSL offers a GPU, and {absent}.", host, _WSL)
    module, remedy = known(host.kernel_module), _CONTAINER if host.container else driver(host, _HOST)
    if module is not None:
        loaded = f"The kernel module {module} is loaded"
        return None if usable else _finding("libcuda.so.1", f"{loaded}, and {absent}.", host, remedy)
    if answers:  # a driver of another kind: gVisor and Jetson show no module
        return None
    if not isinstance(host.pci_gpus, Unknown) and host.pci_gpus:
        return _finding(host.pci_gpus[0], "An NVIDIA GPU is on the PCI bus, and no driver is loaded.", host, remedy)
    if _promised(host):  # by a variable that CUDA images set for everybody
        message = "This container asks for GPUs and was started without any."
        return replace(_finding("container", message, host, _CONTAINER), severity="warning")
    if not known(host.pci_gpus) and not usable:
        raise DoesNotApply("no NVIDIA GPU was found in this machine")
    return None


def _promised(host: Host) -> bool:
    visible = host.variable("NVIDIA_VISIBLE_DEVICES")
    return host.container is not None and visible not in (None, "", "void", "none") and not host.devices


def _finding(subject: str, message: str, host: Host, remedy: Remedy) -> Finding:
    pci = host.pci_gpus.reason if isinstance(host.pci_gpus, Unknown) else ", ".join(host.pci_gpus) or "none"
    module = host.kernel_module.reason if isinstance(host.kernel_module, Unknown) else host.kernel_module
    libcuda = f"{host.libcuda.path} ({host.libcuda.kind})" if host.libcuda else "not found"
    evidence = (
        Evidence("NVIDIA devices on the PCI bus", pci, "/sys/bus/pci/devices"),
        Evidence("device files", ", ".join(host.devices) or "none", "/dev"),
        Evidence("kernel module", str(module or "not loaded"), "/proc/driver/nvidia/version"),
        Evidence("libcuda.so.1", libcuda, "the loader's search path"),
    )
    return Finding(RULE.id, "error", subject, message, evidence, remedy, ("driver",))
