"""What needs root is said in the words of the distribution at hand."""

from __future__ import annotations

import pytest

from gpu_doctor.checks.drivers.system import driver, package_line
from gpu_doctor.model.remedy import Remedy, RunByHand, command
from tests.kit import host

REBOOT = RunByHand("sudo reboot", "needs root and ends every program")


@pytest.mark.parametrize(
    ("distribution", "line"),
    [
        ("ubuntu debian", "sudo apt-get install ffmpeg"),
        ("fedora", "sudo dnf install ffmpeg-free"),
        ("rocky rhel centos fedora", "sudo dnf install ffmpeg-free"),
        ("opensuse-leap suse opensuse", "sudo zypper install ffmpeg"),
        ("manjaro arch", "sudo pacman -S ffmpeg"),
        ("alpine", "sudo apk add ffmpeg"),
        ("plan9", "sudo apt-get install ffmpeg"),
        ("", "sudo apt-get install ffmpeg"),
    ],
)
def test_a_package_has_one_line(distribution: str, line: str) -> None:
    assert package_line(host(distribution=distribution), {"fedora": "ffmpeg-free"}, "ffmpeg") == line


@pytest.mark.parametrize(
    ("distribution", "line"),
    [
        ("ubuntu debian", "sudo ubuntu-drivers install"),
        ("linuxmint ubuntu debian", "sudo ubuntu-drivers install"),
        ("debian", "sudo apt-get install nvidia-driver"),
        ("fedora", "sudo dnf install akmod-nvidia"),
        ("rhel fedora", "sudo dnf install nvidia-driver nvidia-driver-cuda"),
        ("opensuse-leap suse opensuse", "sudo zypper install nvidia-open-driver-G06-signed-kmp-meta"),
    ],
)
def test_a_driver_has_its_line_and_a_reboot(distribution: str, line: str) -> None:
    remedy = driver(host(distribution=distribution), "Install it.")
    assert (remedy.summary, remedy.safety) == ("Install it.", "manual")
    assert [command(step) for step in remedy.steps] == [line, "sudo reboot"]
    assert remedy.steps[1] == REBOOT


@pytest.mark.parametrize("changes", [{"distribution": "plan9"}, {"container": "docker (/.dockerenv)"}, {"wsl": True}])
def test_where_no_line_is_right_none_is_shown(changes: dict[str, object]) -> None:
    here = host(**{"distribution": "ubuntu debian", **changes})
    assert driver(here, "Install it.") == Remedy("Install it.", "manual")
