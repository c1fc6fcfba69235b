"""What a person with root types on this distribution to get a package or a driver."""

from __future__ import annotations

from collections.abc import Mapping

from gpu_doctor.model.hardware import Host
from gpu_doctor.model.remedy import Remedy, RunByHand, Step

# Which program installs packages on which distribution, by the names in /etc/os-release.
_PROGRAMS = {
    "apt-get install": ("debian", "ubuntu"),
    "dnf install": ("fedora", "rhel", "centos"),
    "zypper install": ("suse", "opensuse", "sles"),
    "pacman -S": ("arch",),
    "apk add": ("alpine",),
}
# The first that the distribution is, or is like.
_DRIVERS = (
    ("ubuntu", "sudo ubuntu-drivers install", "needs root; chooses the driver that Ubuntu recommends"),
    ("debian", "sudo apt-get install nvidia-driver", "needs root, and the components contrib and non-free"),
    ("fedora", "sudo dnf install akmod-nvidia", "needs root, and the repositories of RPM Fusion"),
    ("rhel", "sudo dnf install nvidia-driver nvidia-driver-cuda", "needs root, and NVIDIA's repository"),
    ("suse", "sudo zypper install nvidia-open-driver-G06-signed-kmp-meta", "needs root, and NVIDIA's repository"),
    ("arch", "sudo pacman -S nvidia-open nvidia-utils", "needs root"),
)
_REBOOT = RunByHand("sudo reboot", "needs root and ends every program")


def package_line(host: Host, names: Mapping[str, str], otherwise: str) -> str:
    """Return the line that installs a package; `names` are its names by distribution, `otherwise` the usual one."""
    mine = host.distribution.split()
    name = next((names[one] for one in mine if one in names), otherwise)
    programs = (program for one in mine for program, known in _PROGRAMS.items() if one.startswith(known))
    return f"sudo {next(programs, 'apt-get install')} {name}"


def driver(host: Host, summary: str) -> Remedy:
    """Return the driver that this summary asks for as a person installs it, with the lines where they are known.

    In a container the driver is the host's, in WSL that of Windows: nothing is installed there.
    """
    return Remedy(summary, "manual", () if host.container or host.wsl else _driver_steps(host))


def _driver_steps(host: Host) -> tuple[Step, ...]:
    mine = host.distribution.split()
    lines = (
        RunByHand(line, why) for one in mine for name, line, why in _DRIVERS if one == name or name in one.split("-")
    )
    first = next(lines, None)
    return (first, _REBOOT) if first else ()
