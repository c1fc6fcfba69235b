"""Drivers and GPUs as the real bindings see them through a simulated driver."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from gpu_doctor.model.hardware import Driver, DriverLibrary, Gpu, GpuProcess, Host
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.probe import gpus as gpus_module
from gpu_doctor.probe.gpus import GpuQuestion, Hardware, start_gpu_question
from gpu_doctor.readers.machine.host import read_host
from tests import kit
from tests.probe.processes import left_behind
from tests.simulated.driver import (
    RTX_4090,
    RTX_5090,
    T4,
    SimulatedGpu,
    SimulatedProcess,
    simulated_driver,
    uuid_of,
)

NO_TOOLS = {"PATH": "/nowhere"}


def asked(host: Host, environ: Mapping[str, str], **options: Any) -> tuple[Hardware, GpuQuestion]:
    question = start_gpu_question(host, environ, **options)
    return question.result(), question


def simulate(tmp_path: Path, *gpus: SimulatedGpu, **settings: Any) -> tuple[Hardware, GpuQuestion]:
    environ = simulated_driver(tmp_path, *gpus, environ=NO_TOOLS, **settings)
    root = tmp_path / "empty-root"
    root.mkdir()
    host = read_host({}, str(root), search=lambda name: (str(tmp_path / name), "LD_LIBRARY_PATH"))
    deadline = 1 if settings.get("nvml_init") == "hang" else 20
    return asked(host, environ, deadline=deadline)


def unknown(value: object) -> str:
    assert isinstance(value, Unknown)
    return value.reason


def test_two_gpus_are_described_in_their_order(tmp_path: Path) -> None:
    hardware, question = simulate(tmp_path, RTX_4090, RTX_5090, driver="580.95.05", cuda="13.0")
    assert hardware == (
        Driver(Version("580.95.05"), Version("13.0"), "NVML"),
        (
            Gpu(
                *("NVIDIA GeForce RTX 4090", (8, 9), 24 * 2**30, "NVML, GPU 0"),
                uuid=uuid_of(0),
                free_bytes=24 * 2**30,
                processes=(),
            ),
            Gpu(
                *("NVIDIA GeForce RTX 5090", (12, 0), 32 * 2**30, "NVML, GPU 1"),
                uuid=uuid_of(1),
                free_bytes=32 * 2**30,
                processes=(),
            ),
        ),
    )
    assert question.observations == ()
    assert left_behind() == []


def test_who_holds_a_gpus_memory_is_named_the_greatest_first(tmp_path: Path) -> None:
    own = Path("/proc/self/comm").read_text().strip()
    holders = (
        SimulatedProcess("/usr/lib/xorg/Xorg", 100 * 2**20, pid=2**22 + 2, graphics=True),
        SimulatedProcess("whatever", 2**30, pid=os.getpid()),
        SimulatedProcess("/usr/bin/vllm\x1b[2J", 20 * 2**30),
    )
    (_, gpus), _ = simulate(tmp_path, SimulatedGpu(free_bytes=2**30, processes=holders))
    assert isinstance(gpus, tuple)
    assert gpus[0].free_bytes == 2**30
    assert gpus[0].processes == (
        GpuProcess(2**22 + 1, "vllm", 20 * 2**30),
        GpuProcess(os.getpid(), own, 2**30),
        GpuProcess(2**22 + 2, "Xorg", 100 * 2**20),
    )


def test_a_process_that_ended_and_was_not_reaped_is_called_so(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    while "Z" not in Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2]:
        time.sleep(0.01)
    (_, gpus), _ = simulate(tmp_path, SimulatedGpu(processes=(SimulatedProcess(pid=child.pid),)))
    child.wait()
    assert isinstance(gpus, tuple)
    assert isinstance(gpus[0].processes, tuple)
    assert gpus[0].processes[0].name.endswith(" (a zombie)")


def test_a_process_that_nobody_can_name_is_still_counted(tmp_path: Path) -> None:
    (_, gpus), _ = simulate(tmp_path, SimulatedGpu(processes=(SimulatedProcess(""),)))
    assert isinstance(gpus, tuple)
    assert gpus[0].processes == (GpuProcess(2**22 + 1, "", 2**30),)


def test_a_driver_without_gpus_is_certain(tmp_path: Path) -> None:
    (driver, gpus), _ = simulate(tmp_path)
    assert isinstance(driver, Driver)
    assert gpus == ()


def test_a_lost_gpu_does_not_hide_the_others(tmp_path: Path) -> None:
    lost = SimulatedGpu("Tesla T4", (7, 5), lost=True)
    (_, gpus), question = simulate(tmp_path, T4, lost)
    assert isinstance(gpus, tuple)
    assert [gpu.where for gpu in gpus] == ["NVML, GPU 0"]
    (observation,) = question.observations
    assert observation.what.startswith("GPU 1: nvmlDeviceGetHandleByIndex failed with NVML error 15 (GPU is lost")


def test_a_lost_only_gpu_is_unknown(tmp_path: Path) -> None:
    (driver, gpus), _ = simulate(tmp_path, SimulatedGpu(lost=True))
    assert isinstance(driver, Driver)
    assert "NVML error 15" in unknown(gpus)


@pytest.mark.parametrize(
    ("nvml_init", "reason"),
    [
        (18, "nvmlInit failed with NVML error 18 (Driver/library version mismatch: "),
        (999, "nvmlInit failed with NVML error 999 (Unknown Error: "),
        (3, "nvmlInit failed with NVML error 3 (Not Supported)"),
        ("hang", "the question to NVML did not answer in 1 s"),
        ("crash", "the question to NVML was killed by SIGSEGV (Segmentation fault)"),
    ],
)
def test_a_failing_nvml_is_named_and_nothing_is_claimed(tmp_path: Path, nvml_init: int | str, reason: str) -> None:
    (driver, gpus), _ = simulate(tmp_path, RTX_4090, nvml_init=nvml_init)
    assert unknown(driver).startswith(reason)
    assert unknown(gpus).startswith(reason)
    assert left_behind() == []


def test_a_mismatch_names_both_versions(tmp_path: Path) -> None:
    environ = simulated_driver(tmp_path, RTX_4090, driver="550.54.14", nvml_init=18, environ=NO_TOOLS)
    library = DriverLibrary("libnvidia-ml.so.1", "libnvidia-ml.so.550.54.14", "550.54.14", "driver", "ld.so.cache")
    host = kit.host(libnvidia_ml=library, kernel_module=Version("535.54.03"))
    (driver, _), _ = asked(host, environ, deadline=20)
    assert unknown(driver).endswith("; the kernel module is 535.54.03, the library 550.54.14")


def test_a_library_without_a_loaded_driver_and_without_a_gpu_is_no_driver(tmp_path: Path) -> None:
    environ = simulated_driver(tmp_path, nvml_init=9, environ=NO_TOOLS)
    library = read_host(environ, "/").libnvidia_ml
    assert asked(kit.host(libnvidia_ml=library, pci_gpus=()), environ, deadline=20)[0] == (None, ())
    for pci_gpus in (("10de:2684 at 0000:01:00.0",), Unknown("no /sys")):
        (driver, gpus), _ = asked(kit.host(libnvidia_ml=library, pci_gpus=pci_gpus), environ, deadline=20)
        assert unknown(driver) == unknown(gpus) != ""
        assert "NVML error 9 (Driver Not Loaded" in unknown(driver)


def test_without_any_trace_of_a_driver_no_child_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*_arguments: object, **_options: object) -> None:
        raise AssertionError("a child was started")

    monkeypatch.setattr(gpus_module, "start", started)
    stub = DriverLibrary("/opt/cuda/stubs/libcuda.so.1", "/opt/cuda/stubs/libcuda.so", None, "stub", "LD_LIBRARY_PATH")
    for host in (kit.host(), kit.host(libcuda=stub), kit.host(devices=("/dev/kfd",))):
        assert asked(host, NO_TOOLS)[0] == (None, ())


def test_a_gpu_on_the_bus_without_a_driver_is_not_no_gpu() -> None:
    (driver, gpus), _ = asked(kit.host(pci_gpus=("10de:2684 at 0000:01:00.0",)), NO_TOOLS)
    assert driver is None
    assert "10de:2684 at 0000:01:00.0" in unknown(gpus)


def smi(folder: Path, script: str, nvml_init: int | str = 12) -> dict[str, str]:
    """A machine where nvidia-smi runs this script, and where NVML, whatever is installed here, cannot be loaded."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return simulated_driver(folder, nvml_init=nvml_init, environ={"PATH": str(folder)})


def test_nvidia_smi_answers_where_nvml_cannot_be_loaded(tmp_path: Path) -> None:
    rows = ["NVIDIA GeForce RTX 4090, 8.9, 24564, 550.54.14", "NVIDIA GB10, Spark, 12.1, [N/A], 550.54.14"]
    environ = smi(tmp_path, f"echo '{rows[0]}'\necho '{rows[1]}'")
    (driver, gpus), question = asked(kit.host(), environ, deadline=20)
    place = str(tmp_path / "nvidia-smi")
    assert driver == Driver(Version("550.54.14"), Unknown("nvidia-smi was not asked for it"), place)
    assert gpus == (
        Gpu("NVIDIA GeForce RTX 4090", (8, 9), 24564 * 2**20, place),
        Gpu("NVIDIA GB10, Spark", (12, 1), None, place),
    )
    (observation,) = question.observations
    assert "NVML error 12 (NVML Shared Library Not Found" in observation.what
    assert observation.what.endswith("; nvidia-smi answered instead")


def test_nvidia_smi_answers_where_nvml_crashes(tmp_path: Path) -> None:
    environ = smi(tmp_path, "echo 'Tesla T4, 7.5, 15360, 550.54.14'", nvml_init="crash")
    (_, gpus), _ = asked(kit.host(), environ, deadline=20)
    assert gpus == (Gpu("Tesla T4", (7, 5), 15360 * 2**20, str(tmp_path / "nvidia-smi")),)


@pytest.mark.parametrize(
    "script",
    [
        "echo 'Field \"compute_cap\" is not a valid field to query.'; exit 2",
        "echo 'NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.'; exit 9",
        "echo 'Tesla T4, none, 15360, 550.54.14'",
        "echo surprise",
        ":",
        "kill -9 $$",
    ],
)
def test_a_failing_nvidia_smi_leaves_the_reason_of_nvml(tmp_path: Path, script: str) -> None:
    (driver, gpus), _ = asked(kit.host(), smi(tmp_path, script), deadline=20)
    assert "NVML error 12" in unknown(driver)
    assert "NVML error 12" in unknown(gpus)


def test_the_files_of_the_kernel_module_answer_last(tmp_path: Path) -> None:
    environ = simulated_driver(tmp_path, nvml_init=999, environ=NO_TOOLS)
    host = kit.host(kernel_module=Version("535.129.03"), gpu_models=("Tesla T4",))
    (driver, gpus), question = asked(host, environ, capability_of={"Tesla T4": (7, 5)}.get, deadline=20)
    assert isinstance(driver, Driver)
    assert (driver.version, driver.where) == (Version("535.129.03"), "/proc/driver/nvidia/version")
    assert "NVML error 999" in unknown(driver.driver_cuda)
    assert gpus == (Gpu("Tesla T4", (7, 5), None, "/proc/driver/nvidia/gpus"),)
    assert "NVML error 999" in question.observations[0].what


def test_a_model_that_the_facts_do_not_know_is_not_guessed(tmp_path: Path) -> None:
    environ = simulated_driver(tmp_path, nvml_init=999, environ=NO_TOOLS)
    host = kit.host(kernel_module=Version("535.129.03"), gpu_models=("Tesla T4", "NVIDIA Future 9090"))
    (driver, gpus), _ = asked(host, environ, capability_of={"Tesla T4": (7, 5)}.get, deadline=20)
    assert isinstance(driver, Driver)
    assert unknown(gpus).endswith("; the compute capability of NVIDIA Future 9090 is not in the facts")


def test_a_library_outside_the_search_of_ld_so_is_loaded_by_its_path(tmp_path: Path) -> None:
    simulated_driver(tmp_path, RTX_4090)
    place = str(tmp_path / "libnvidia-ml.so.1")
    library = DriverLibrary(place, place, "570.86.15", "driver", "driver folder that ld.so does not search")
    (driver, gpus), _ = asked(kit.host(libnvidia_ml=library), NO_TOOLS, deadline=20)
    assert isinstance(driver, Driver)
    assert isinstance(gpus, tuple)
    assert len(gpus) == 1


def test_under_wsl_the_version_is_that_of_the_windows_driver(tmp_path: Path) -> None:
    environ = simulated_driver(tmp_path, RTX_4090, driver="572.16", environ=NO_TOOLS)
    (driver, _), _ = asked(kit.host(wsl=True, devices=("/dev/dxg",)), environ, deadline=20)
    assert isinstance(driver, Driver)
    assert driver.where == "NVML (the number of the Windows driver)"


def test_the_driver_of_wsl_lists_no_processes(tmp_path: Path) -> None:
    environ = simulated_driver(tmp_path, RTX_4090, driver="572.16", wsl=True, environ=NO_TOOLS)
    host = read_host(environ)
    assert host.libcuda is not None
    assert host.libcuda.kind == "wsl"
    (_, gpus), question = asked(host, environ, deadline=20)
    assert isinstance(gpus, tuple)
    assert "NVML error 3" in unknown(gpus[0].processes)
    assert gpus[0].free_bytes == 24 * 2**30
    assert question.observations == ()


def test_the_users_python_settings_do_not_reach_the_child(tmp_path: Path) -> None:
    (tmp_path / "pynvml.py").write_text("raise SystemExit(3)")
    environ = simulated_driver(tmp_path, RTX_4090, environ={**NO_TOOLS, "PYTHONPATH": str(tmp_path)})
    environ["PYTHONHOME"] = "/nowhere"
    host = kit.host(devices=("/dev/nvidiactl",))
    (_, gpus), _ = asked(host, environ, deadline=20)
    assert isinstance(gpus, tuple)


def test_without_the_bindings_the_current_folder_is_not_searched_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pynvml.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gpus_module, "find_spec", lambda _name: None)
    (driver, _), _ = asked(kit.host(devices=("/dev/nvidiactl",)), NO_TOOLS, deadline=20)
    assert unknown(driver) == "the question to NVML ended with ModuleNotFoundError: No module named 'pynvml'"


def test_leaving_the_block_ends_the_question(tmp_path: Path) -> None:
    environ = simulated_driver(tmp_path, nvml_init="hang")
    with start_gpu_question(kit.host(devices=("/dev/nvidiactl",)), environ, deadline=600):
        pass
    assert left_behind() == []


def test_the_parent_process_loads_neither_bindings_nor_driver(tmp_path: Path) -> None:
    simulate(tmp_path, RTX_4090)
    assert "pynvml" not in sys.modules
    assert "libnvidia-ml" not in Path(f"/proc/{os.getpid()}/maps").read_text()
