"""A GPU is here, or was promised, and the NVIDIA driver cannot be used.

What it finds. An NVIDIA device on the PCI bus without a driver; a loaded kernel module without `libcuda.so.1` on the
loader's path; WSL without its libcuda; a container that asks for GPUs and got no device.

Why it matters. CUDA packages then fail with "libcuda.so.1: cannot open shared object file", "Found no NVIDIA driver
on your system", or use the CPU without a word. No pip package contains libcuda: it comes with the driver.

What to do. Install the driver on the host. In a container the host's driver is mounted in: start it with `--gpus all`
and the NVIDIA Container Toolkit; never install a driver inside the image.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Finding, Rule
from gpu_doctor.model.hardware import Host
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import Remedy, RunByHand
from gpu_doctor.model.unknown import DoesNotApply, Unknown

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
)


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Compare the devices of this machine with the driver files that a program would load."""
    if inventory.target.assumes_hardware:
        raise DoesNotApply("the hardware is assumed, not this machine's")
    host = inventory.host
    if host.wsl and "/dev/dxg" in host.devices:
        if host.libcuda is None:
            yield _finding("WSL", "WSL offers a GPU, and no libcuda.so.1 is on the loader's path.", host, _wsl())
        return
    module = None if isinstance(host.kernel_module, Unknown) else host.kernel_module
    if module is not None and host.libcuda is None:
        message = f"The kernel module {module} is loaded, and no libcuda.so.1 is on the loader's path."
        yield _finding("libcuda.so.1", message, host, _container() if host.container else _host())
    elif module is None and not isinstance(host.pci_gpus, Unknown) and host.pci_gpus:
        message = "An NVIDIA GPU is on the PCI bus, and no driver is loaded."
        yield _finding(host.pci_gpus[0], message, host, _container() if host.container else _host())
    elif module is None and _promised(host):
        message = "This container asks for GPUs and was started without any."
        yield _finding("container", message, host, _container())
    elif module is None and host.libcuda is None:
        raise DoesNotApply("no NVIDIA GPU was found in this machine")


def _promised(host: Host) -> bool:
    visible = host.variable("NVIDIA_VISIBLE_DEVICES")
    return host.container is not None and visible not in (None, "", "void", "none") and not host.devices


def _finding(subject: str, message: str, host: Host, remedy: Remedy) -> Finding:
    pci = host.pci_gpus.reason if isinstance(host.pci_gpus, Unknown) else ", ".join(host.pci_gpus) or "none"
    module = (
        host.kernel_module.reason if isinstance(host.kernel_module, Unknown) else host.kernel_module or "not loaded"
    )
    evidence = (
        Evidence("NVIDIA devices on the PCI bus", pci, "/sys/bus/pci/devices"),
        Evidence("device files", ", ".join(host.devices) or "none", "/dev"),
        Evidence("kernel module", str(module), "/proc/driver/nvidia/version"),
        Evidence("libcuda.so.1", host.libcuda.path if host.libcuda else "not found", "the loader's search path"),
    )
    return Finding(RULE.id, "error", subject, message, evidence, remedy, ("driver",))


def _host() -> Remedy:
    return Remedy("Install your distribution's NVIDIA driver package on this machine and reboot.", "manual")


def _container() -> Remedy:
    step = RunByHand("docker run --gpus all …", "the host's NVIDIA Container Toolkit mounts the driver")
    return Remedy("Start the container with the host's GPUs; do not install a driver in it.", "manual", (step,))


def _wsl() -> Remedy:
    step = RunByHand("wsl --update", "run in Windows, with a current NVIDIA driver for Windows installed there")
    return Remedy("Update WSL and the Windows driver; install none inside WSL.", "manual", (step,))
