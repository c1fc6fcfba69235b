"""driver-missing: a GPU is here, and no program can use it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from packaging.version import Version

from gpu_doctor.model.hardware import DriverLibrary, Host
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import commands, evidence, judge, judge_all, only
from tests.kit import dist, gpu, host, inventory, probe, trial

TORCH = dist("torch", "2.8.0", cuda="12.8")
LIBCUDA = DriverLibrary(
    "/usr/lib/x86_64-linux-gnu/libcuda.so.1",
    "/usr/lib/x86_64-linux-gnu/libcuda.so.580.95.05",
    "580.95.05",
    "driver",
    "ld.so.cache",
)
CARD = "0000:01:00.0"
MODULE = Version("580.95.5")


def machine(*packages: Distribution, **changes: object) -> Inventory:
    return inventory(*packages, host=host(**changes), driver=None, gpus=())


def test_a_gpu_on_the_bus_without_a_driver() -> None:
    finding = only(judge("driver-missing", machine(TORCH, pci_gpus=(CARD,))))
    assert finding.severity == "error"
    assert "no driver is loaded" in finding.message
    assert evidence(finding)["NVIDIA devices on the PCI bus"] == CARD
    assert finding.remedy is not None
    assert (finding.remedy.safety, finding.seats) == ("manual", ("driver",))


def test_a_loaded_module_without_libcuda() -> None:
    finding = only(judge("driver-missing", machine(TORCH, pci_gpus=(CARD,), kernel_module=MODULE)))
    assert finding.severity == "error"
    assert "libcuda.so.1" in finding.message
    assert evidence(finding)["libcuda.so.1"] == "not found"


def test_a_module_without_libcuda_in_a_container_is_mounted_not_installed() -> None:
    container = machine(TORCH, kernel_module=MODULE, container="docker (/.dockerenv)")
    finding = only(judge("driver-missing", container))
    assert commands(finding) == ["docker run --gpus all …"]


def test_nvidia_smi_works_and_libcuda_was_not_mounted() -> None:
    """NVIDIA_DRIVER_CAPABILITIES=utility: NVML names the GPU, CUDA is not there."""
    sick = replace(machine(TORCH, kernel_module=MODULE, container="docker (/.dockerenv)"), gpus=(gpu(),))
    assert only(judge("driver-missing", sick)).severity == "error"


def test_a_stub_is_no_driver() -> None:
    stub = DriverLibrary("/opt/cuda/stubs/libcuda.so.1", "/opt/cuda/stubs/libcuda.so", None, "stub", "LD_LIBRARY_PATH")
    finding = only(judge("driver-missing", machine(TORCH, kernel_module=MODULE, libcuda=stub)))
    assert finding.severity == "error"
    assert "stub" in finding.message
    assert evidence(finding)["libcuda.so.1"] == "/opt/cuda/stubs/libcuda.so.1 (stub)"


def test_wsl_without_its_libcuda() -> None:
    finding = only(judge("driver-missing", machine(TORCH, wsl=True, devices=("/dev/dxg",), pci_gpus=Unknown("WSL"))))
    assert finding.subject == "WSL"
    assert commands(finding) == ["wsl --update"]


@pytest.mark.parametrize("visible", ["all", "0,1", "GPU-5ebe9d38"])
def test_a_container_that_asks_for_gpus_and_has_none(visible: str) -> None:
    """The image's own variable is a hint, not a proof: CUDA images set it for everybody."""
    from gpu_doctor.model.hardware import Variable

    asked = (Variable("NVIDIA_VISIBLE_DEVICES", visible),)
    finding = only(judge("driver-missing", machine(TORCH, container="docker (/.dockerenv)", variables=asked)))
    assert (finding.subject, finding.severity) == ("container", "warning")


def test_nothing_built_for_cuda_asks_for_a_driver() -> None:
    """A CPU torch on a laptop whose GPU the desktop drives with nouveau is not ill."""
    cpu = dist("torch", "2.8.0+cpu", built="2.8.0+cpu")
    finding = only(judge("driver-missing", machine(cpu, pci_gpus=(CARD,))))
    assert finding.severity == "note"
    ctranslate2 = machine(dist("ctranslate2", "4.8.5"), kernel_module=MODULE, container="docker (/.dockerenv)")
    assert only(judge("driver-missing", ctranslate2)).severity == "note"


def healthy(**changes: object) -> Host:
    return host(
        **{"pci_gpus": (CARD,), "kernel_module": MODULE, "libcuda": LIBCUDA, "devices": ("/dev/nvidia0",), **changes}
    )


@pytest.mark.parametrize(
    "there",
    [
        healthy(),
        healthy(libcuda=replace(LIBCUDA, kind="compat")),
        host(wsl=True, devices=("/dev/dxg",), libcuda=replace(LIBCUDA, kind="wsl"), pci_gpus=Unknown("WSL")),
    ],
    ids=["driver", "compat in a container", "WSL"],
)
def test_a_driver_is_there(there: Host) -> None:
    assert judge("driver-missing", inventory(TORCH, host=there)).status == "passed"


def test_a_gpu_that_answers_has_a_driver_wherever_its_module_hides() -> None:
    """gVisor and Jetson show no /proc/driver/nvidia."""
    hidden = host(pci_gpus=(CARD,), kernel_module=None, libcuda=LIBCUDA, devices=("/dev/nvidia0",))
    assert judge("driver-missing", inventory(TORCH, host=hidden)).status == "passed"


def test_a_library_that_the_process_finds_all_the_same_is_no_missing_driver() -> None:
    """A Python of conda searches folders of its own, which the system's loader does not know."""
    sick = machine(TORCH, pci_gpus=(CARD,), kernel_module=MODULE)
    started = probe("cuda-init", "libcuda.so.1", "answered", trial("load libcuda.so.1"), trial("cuInit"))
    assert judge("driver-missing", replace(sick, probes=(started,))).status == "passed"


def test_the_live_load_of_libcuda_is_evidence_of_the_same_illness() -> None:
    words = "OSError: libcuda.so.1: cannot open shared object file: No such file or directory"
    unloaded = probe("cuda-init", "libcuda.so.1", "answered", trial("load libcuda.so.1", "failed", words))
    seen = replace(machine(TORCH, pci_gpus=(CARD,), kernel_module=MODULE), probes=(unloaded,))
    assert evidence(only(judge("driver-missing", seen)))["asked live: load libcuda.so.1"] == words
    alarms = [finding for finding in judge_all(seen).findings if finding.severity == "error"]
    assert [finding.rule for finding in alarms] == ["driver-missing"]


def test_an_unreadable_module_is_not_a_missing_one() -> None:
    run = judge("driver-missing", machine(TORCH, pci_gpus=(CARD,), kernel_module=Unknown("not permitted")))
    assert (run.status, run.applies) == ("skipped", True)
    assert "not permitted" in run.note


def test_an_unreadable_bus_is_not_an_empty_one() -> None:
    run = judge("driver-missing", machine(TORCH, pci_gpus=Unknown("/sys is not mounted")))
    assert (run.status, run.applies) == ("skipped", True)
    assert "/sys is not mounted" in run.note


def test_a_machine_without_a_gpu_needs_none() -> None:
    run = judge("driver-missing", machine(TORCH))
    assert (run.status, run.applies) == ("skipped", False)


def test_wsl_that_offers_no_gpu_needs_none() -> None:
    run = judge("driver-missing", machine(TORCH, wsl=True, pci_gpus=Unknown("WSL shows the GPU as /dev/dxg")))
    assert (run.status, run.applies) == ("skipped", False)


def test_no_gpu_package_no_question() -> None:
    run = judge("driver-missing", machine(dist("flask", "3.0"), pci_gpus=(CARD,)))
    assert (run.status, run.applies) == ("skipped", False)


def test_this_machine_is_not_judged_where_the_hardware_is_assumed() -> None:
    elsewhere = replace(
        machine(TORCH, pci_gpus=(CARD,)), target=Target(None, "/opt/app/venv", "--prefix", gpus=("RTX 5090",))
    )
    run = judge("driver-missing", elsewhere)
    assert (run.status, run.applies) == ("skipped", False)


def test_the_lines_of_the_distribution_are_left_to_a_person() -> None:
    here = inventory(TORCH, host=host(pci_gpus=("0000:01:00.0",), distribution="ubuntu debian"), gpus=(), driver=None)
    assert commands(only(judge("driver-missing", here))) == ["sudo ubuntu-drivers install", "sudo reboot"]
