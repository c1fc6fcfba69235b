"""The host on machines that are not here: each is a small file system below a folder."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from gpu_doctor.model.hardware import DriverLibrary, Host, Variable
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.machine.host import read_host

MACHINE = os.uname().machine
SYSTEM_LIB = f"/usr/lib/{MACHINE}-linux-gnu"
ELF_64 = b"\x7fELF\x02\x01\x01"
ELF_32 = b"\x7fELF\x01\x01\x01"


class Machine:
    """Write files below a folder and read the host that they show."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def file(self, name: str, content: str | bytes = "") -> Machine:
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self

    def folder(self, name: str) -> Machine:
        (self.root / name.lstrip("/")).mkdir(parents=True, exist_ok=True)
        return self

    def link(self, name: str, target: str) -> Machine:
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
        return self

    def place_library(self, folder: str, name: str, version: str, size: int = 300_000) -> Machine:
        self.file(f"{folder}/{name}.{version}", ELF_64 + bytes(size))
        return self.link(f"{folder}/{name}.1", f"{name}.{version}")

    def pci(self, slot: str, vendor: str, device: str, kind: str) -> Machine:
        for name, value in (("vendor", vendor), ("device", device), ("class", kind)):
            self.file(f"/sys/bus/pci/devices/{slot}/{name}", f"{value}\n")
        return self

    def host(self, environ: Mapping[str, str] | None = None, **options: Any) -> Host:
        return read_host(environ or {}, str(self.root), **options)

    def at(self, name: str) -> str:
        return f"{self.root}{name}"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def bare_metal(machine: Machine) -> Machine:
    banner = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.54.03  Tue Jun  6 22:20:39 UTC 2023\n"
    machine.file("/proc/driver/nvidia/version", banner + "GCC version:  gcc version 12.2.0\n")
    machine.file("/proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: \t\t NVIDIA GeForce RTX 4090\nIRQ: 1\n")
    machine.file("/proc/sys/kernel/osrelease", "6.1.0-18-amd64\n").file("/proc/version", "Linux version 6.1.0\n")
    machine.file("/proc/meminfo", "MemTotal:       65536 kB\nMemFree: 1 kB\n").folder("/dev/shm")
    for name in ("nvidia0", "nvidiactl", "nvidia-uvm", "null", "sda", "kfd"):
        machine.file(f"/dev/{name}")
    machine.pci("0000:00:02.0", "0x8086", "0x46a6", "0x030000").pci("0000:01:00.0", "0x10de", "0x2684", "0x030000")
    machine.pci("0000:01:00.1", "0x10de", "0x22ba", "0x040300").pci("0000:41:00.0", "0x10de", "0x20b2", "0x030200")
    machine.place_library(SYSTEM_LIB, "libcuda.so", "535.54.03").place_library(
        SYSTEM_LIB, "libnvidia-ml.so", "535.54.03"
    )
    machine.file(
        f"{SYSTEM_LIB}/libc.so.6", ELF_64 + b"\0GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n"
    )
    return machine


def test_bare_metal(bare_metal: Machine) -> None:
    host = bare_metal.host()
    assert host.kernel == "6.1.0-18-amd64"
    assert host.glibc == Version("2.36")
    assert host.kernel_module == Version("535.54.03")
    assert host.gpu_models == ("NVIDIA GeForce RTX 4090",)
    assert host.devices == ("/dev/kfd", "/dev/nvidia-uvm", "/dev/nvidia0", "/dev/nvidiactl")
    assert host.pci_gpus == ("10de:2684 at 0000:01:00.0", "10de:20b2 at 0000:41:00.0")
    assert host.memory_bytes == 64 * 2**20
    assert isinstance(host.shm_bytes, int)
    assert (host.container, host.wsl, host.fabric_manager) == (None, False, None)
    for library, name in ((host.libcuda, "libcuda.so"), (host.libnvidia_ml, "libnvidia-ml.so")):
        folder = bare_metal.at(SYSTEM_LIB)
        real = f"{folder}/{name}.535.54.03"
        assert library == DriverLibrary(f"{folder}/{name}.1", real, "535.54.03", "driver", "default directory")


def test_an_empty_root_is_a_host_of_which_little_is_known(machine: Machine) -> None:
    host = machine.host()
    assert (host.libcuda, host.libnvidia_ml, host.kernel_module, host.fabric_manager) == (None, None, None, None)
    assert (host.devices, host.gpu_models, host.variables, host.container) == ((), (), (), None)
    assert host.pci_gpus == Unknown("/sys/bus/pci/devices does not exist here")
    assert host.memory_bytes == Unknown("/proc/meminfo does not say MemTotal")
    assert host.cgroup_limit_bytes == Unknown("/proc/self/cgroup cannot be read")
    assert host.shm_bytes == Unknown("/dev/shm: No such file or directory")
    assert host.glibc == Unknown("no libc.so.6 is in the places where ld.so looks")


def test_this_machine_can_be_read(tmp_path: Path) -> None:
    host = read_host(os.environ)
    assert (host.system, host.machine, host.kernel) == (os.uname().sysname, os.uname().machine, os.uname().release)
    assert isinstance(host.memory_bytes, int)
    assert host.cpu_count == len(os.sched_getaffinity(0))
    assert isinstance(host.glibc, Version)
    assert os.confstr("CS_GNU_LIBC_VERSION") == f"glibc {host.glibc}"


# --- The kernel module ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("banner", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.54.03  Tue Jun  6 22:20:39 UTC 2023", "535.54.03"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  565.57.01  Release Build  (dvs@x)", "565.57.01"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  580.95  Release Build", "580.95"),
        ("NVRM version: NVIDIA UNIX aarch64 Kernel Module  470.256.02  Thu May  2", "470.256.02"),
    ],
)
def test_both_spellings_of_the_kernel_module_are_read(machine: Machine, banner: str, version: str) -> None:
    assert machine.file("/proc/driver/nvidia/version", banner).host().kernel_module == Version(version)


def test_a_banner_without_a_version_is_unknown(machine: Machine) -> None:
    machine.file("/proc/driver/nvidia/version", b"\xff\x00 Kernel Module  soon")
    assert machine.host().kernel_module == Unknown("/proc/driver/nvidia/version names no version")


def test_sysfs_names_the_module_where_proc_does_not(machine: Machine) -> None:
    assert machine.file("/sys/module/nvidia/version", "550.54.14\n").host().kernel_module == Version("550.54.14")
    assert machine.file("/sys/module/nvidia/version", "latest\n").host().kernel_module is None


# --- Driver libraries -------------------------------------------------------------------------------------------------


def libcuda(machine: Machine, **environ: str) -> DriverLibrary:
    library = machine.host(environ).libcuda
    assert library is not None
    return library


def test_the_library_path_comes_first(bare_metal: Machine) -> None:
    bare_metal.place_library("/opt/other", "libcuda.so", "550.54.14")
    library = libcuda(bare_metal, LD_LIBRARY_PATH="/empty::relative:/opt/other")
    assert (library.version, library.rule) == ("550.54.14", "LD_LIBRARY_PATH")


def test_a_library_of_another_word_size_is_passed_over(bare_metal: Machine) -> None:
    bare_metal.file("/opt/i386/libcuda.so.1", ELF_32)
    assert libcuda(bare_metal, LD_LIBRARY_PATH="/opt/i386").rule == "default directory"


def test_a_stub_is_known_by_its_folder(bare_metal: Machine) -> None:
    bare_metal.place_library("/usr/local/cuda/lib64/stubs", "libcuda.so", "999.99.99")
    library = libcuda(bare_metal, LD_LIBRARY_PATH="/usr/local/cuda/lib64/stubs")
    assert (library.kind, library.rule) == ("stub", "LD_LIBRARY_PATH")


def test_a_link_into_the_stubs_is_a_stub(machine: Machine) -> None:
    machine.file("/usr/local/cuda/lib64/stubs/libcuda.so", ELF_64 + bytes(1_000_000))
    machine.link("/usr/lib/libcuda.so.1", "../local/cuda/lib64/stubs/libcuda.so")
    assert libcuda(machine).kind == "stub"


def test_a_copied_stub_is_known_by_its_size_and_missing_version(machine: Machine) -> None:
    machine.file("/usr/lib/libcuda.so.1", ELF_64 + bytes(60_000))
    library = libcuda(machine)
    assert (library.kind, library.version) == ("stub", None)


def test_a_large_library_without_version_is_a_driver(machine: Machine) -> None:
    machine.file("/usr/lib/libcuda.so.1", ELF_64 + bytes(300_000))
    assert libcuda(machine).kind == "driver"


@pytest.mark.parametrize("cuda", ["cuda", "cuda-12.8"])
def test_a_compat_library_is_known_by_its_folder(bare_metal: Machine, cuda: str) -> None:
    bare_metal.place_library(f"/usr/local/{cuda}/compat", "libcuda.so", "570.86.15")
    library = libcuda(bare_metal, LD_LIBRARY_PATH=f"/usr/local/{cuda}/compat")
    assert (library.kind, library.version) == ("compat", "570.86.15")


def test_a_folder_that_is_only_called_compat_is_not_one(bare_metal: Machine) -> None:
    bare_metal.place_library("/opt/compat", "libcuda.so", "570.86.15")
    assert libcuda(bare_metal, LD_LIBRARY_PATH="/opt/compat").kind == "driver"


def test_outside_the_search_of_ld_so_only_nvml_counts(machine: Machine) -> None:
    for name in ("libcuda.so", "libnvidia-ml.so"):
        machine.place_library("/usr/local/nvidia/lib64", name, "535.54.03")
    host = machine.host()
    assert host.libcuda is None
    assert host.libnvidia_ml is not None
    assert host.libnvidia_ml.rule == "driver folder that ld.so does not search"


def test_the_cache_of_ld_so_is_read(machine: Machine) -> None:
    flags = {"x86_64": 0x0303, "aarch64": 0x0A03}
    if MACHINE not in flags:
        pytest.skip("the cache's flags of this machine are not known")
    strings = b"libcuda.so.1\0/opt/driver/libcuda.so.1\0"
    start = 48 + 24
    header = struct.pack("=20sIIB3xI12x", b"glibc-ld.so.cache1.1", 1, len(strings), 2, 0)
    entry = struct.pack("=iIIIQ", flags[MACHINE], start, start + 13, 0, 0)
    machine.file("/etc/ld.so.cache", header + entry + strings)
    machine.place_library("/opt/driver", "libcuda.so", "550.54.14").place_library("/usr/lib", "libcuda.so", "535.54.03")
    library = libcuda(machine)
    assert (library.path, library.rule) == (machine.at("/opt/driver/libcuda.so.1"), "ld.so.cache")


def test_a_given_search_answers_instead(bare_metal: Machine) -> None:
    place = bare_metal.place_library("/opt/run", "libcuda.so", "580.95.05").at("/opt/run/libcuda.so.1")
    host = bare_metal.host(search=lambda name: (place, "DT_RUNPATH") if name == "libcuda.so.1" else None)
    assert host.libcuda is not None
    assert (host.libcuda.path, host.libcuda.version, host.libcuda.rule) == (place, "580.95.05", "DT_RUNPATH")
    assert host.libnvidia_ml is None


def test_glibc_is_also_read_from_the_file_name(machine: Machine) -> None:
    machine.file("/lib64/libc-2.17.so", ELF_64).link("/lib64/libc.so.6", "libc-2.17.so")
    assert machine.host().glibc == Version("2.17")


def test_a_libc_that_does_not_say_its_version_is_unknown(machine: Machine) -> None:
    machine.file("/lib64/libc.so.6", ELF_64)
    place = machine.at("/lib64/libc.so.6")
    assert machine.host().glibc == Unknown(f"{place} does not say its version")


# --- WSL, containers --------------------------------------------------------------------------------------------------


def test_wsl(machine: Machine) -> None:
    machine.file("/proc/version", "Linux version 5.15.167.4-microsoft-standard-WSL2 (root@x)\n").file("/dev/dxg")
    machine.folder("/sys/bus/pci/devices")
    machine.file("/usr/lib/wsl/lib/libcuda.so.1", ELF_64 + bytes(150_000))
    host = machine.host({"LD_LIBRARY_PATH": "/usr/lib/wsl/lib"})
    assert (host.wsl, host.devices) == (True, ("/dev/dxg",))
    assert host.pci_gpus == Unknown("WSL shows the GPU as /dev/dxg, not on the PCI bus")
    assert host.libcuda is not None
    assert (host.libcuda.kind, host.libcuda.version) == ("wsl", None)


def test_wsl_with_a_kernel_of_ones_own(machine: Machine) -> None:
    assert machine.file("/proc/version", "Linux version 6.6.1-custom\n").file("/dev/dxg").host().wsl is False
    assert machine.folder("/usr/lib/wsl/lib").host().wsl is True


@pytest.mark.parametrize(
    ("file", "content", "environ", "container"),
    [
        ("/.dockerenv", "", {}, "docker (/.dockerenv)"),
        ("/run/.containerenv", 'engine="podman-4.9"', {}, "podman (/run/.containerenv)"),
        ("/.singularity.d/env", "", {}, "apptainer (/.singularity.d)"),
        ("/.dockerenv", "", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "kubernetes ($KUBERNETES_SERVICE_HOST)"),
        ("/etc/os-release", "", {"SINGULARITY_CONTAINER": "a.sif"}, "apptainer ($SINGULARITY_CONTAINER)"),
        ("/proc/1/cgroup", "4:memory:/docker/4f5e\n", {}, "docker (/proc/1/cgroup)"),
        ("/proc/self/cgroup", "0::/kubepods/burstable/pod1\n", {}, "kubernetes (/proc/self/cgroup)"),
        ("/proc/self/cgroup", "0::/system.slice/docker-0123456789abcdef.scope\n", {}, "docker (/proc/self/cgroup)"),
        ("/proc/self/cgroup", "0::/machine.slice/libpod-0123456789abcdef.scope\n", {}, "podman (/proc/self/cgroup)"),
        ("/proc/self/cgroup", "9:name=systemd:/lxc/web\n", {}, "lxc (/proc/self/cgroup)"),
        ("/proc/self/cgroup", "0::/system.slice/docker.service\n", {}, None),
        ("/run/systemd/container", "lxc\n", {}, "lxc ($container)"),
        ("/etc/os-release", "", {"container": "oci"}, "oci ($container)"),
        ("/proc/self/cgroup", "0::/user.slice/docker-fan.service\n", {}, None),
    ],
)
def test_containers(machine: Machine, file: str, content: str, environ: dict[str, str], container: str | None) -> None:
    assert machine.file(file, content).host(environ).container == container


# --- Memory -----------------------------------------------------------------------------------------------------------


def test_cgroup_v2_counts_the_smallest_limit_on_the_way_up(machine: Machine) -> None:
    machine.file("/proc/self/cgroup", "0::/user.slice/app.service/worker\n")
    machine.file("/sys/fs/cgroup/user.slice/app.service/worker/memory.max", "max\n")
    assert machine.host().cgroup_limit_bytes is None
    machine.file("/sys/fs/cgroup/user.slice/memory.max", "4294967296\n")
    assert machine.host().cgroup_limit_bytes == 4 * 2**30
    machine.file("/sys/fs/cgroup/user.slice/app.service/memory.max", "2147483648\n")
    assert machine.host().cgroup_limit_bytes == 2 * 2**30


@pytest.mark.parametrize(("quota", "cpus"), [("100000 100000\n", 1), ("50000 100000\n", 1), ("max 100000\n", None)])
def test_a_quota_counts_as_whole_processors(machine: Machine, quota: str, cpus: int | None) -> None:
    machine.file("/proc/self/cgroup", "0::/user.slice/app.service\n")
    machine.file("/sys/fs/cgroup/user.slice/cpu.max", quota)
    assert machine.host().cpu_count == (cpus or len(os.sched_getaffinity(0)))


def test_a_quota_of_a_classic_group_counts_too(machine: Machine) -> None:
    machine.file("/proc/self/cgroup", "4:cpu,cpuacct:/docker/4f5e\n")
    machine.file("/sys/fs/cgroup/cpu,cpuacct/docker/4f5e/cpu.cfs_quota_us", "80000\n")
    machine.file("/sys/fs/cgroup/cpu,cpuacct/docker/4f5e/cpu.cfs_period_us", "100000\n")
    assert machine.host().cpu_count == 1
    machine.file("/sys/fs/cgroup/cpu,cpuacct/docker/4f5e/cpu.cfs_quota_us", "-1\n")
    assert machine.host().cpu_count == len(os.sched_getaffinity(0))


def test_cgroup_v1_knows_a_number_for_no_limit(machine: Machine) -> None:
    machine.file("/proc/self/cgroup", "9:name=systemd:/x\n4:cpu,memory:/docker/4f5e\n")
    machine.file("/sys/fs/cgroup/memory/docker/4f5e/memory.limit_in_bytes", "9223372036854771712\n")
    assert machine.host().cgroup_limit_bytes is None
    # Inside the container its own group is mounted at the top.
    machine.file("/sys/fs/cgroup/memory/memory.limit_in_bytes", "8589934592\n")
    assert machine.host().cgroup_limit_bytes == 8 * 2**30


@pytest.mark.parametrize("listing", ["", "nonsense\n", "0::\n", "0::/../../etc\n", ":::::\n"])
def test_a_strange_cgroup_listing_is_no_limit(machine: Machine, listing: str) -> None:
    assert (
        machine.file("/proc/self/cgroup", listing).file("/sys/fs/cgroup/memory.max", "-5").host().cgroup_limit_bytes
        is None
    )


# --- Fabric manager ---------------------------------------------------------------------------------------------------


def test_machines_without_nvswitch_need_no_fabric_manager(bare_metal: Machine) -> None:
    assert bare_metal.host().fabric_manager is None


def test_the_fabric_manager_runs_or_does_not(bare_metal: Machine) -> None:
    bare_metal.pci("0000:07:00.0", "0x10de", "0x22a3", "0x068000")
    assert bare_metal.host().fabric_manager == "not installed"
    bare_metal.file("/usr/bin/nv-fabricmanager")
    assert bare_metal.host().fabric_manager == "installed, not running"
    bare_metal.file("/proc/713/comm", "nv-fabricmanage\n")
    assert bare_metal.host().fabric_manager == "running (process 713)"


@pytest.mark.parametrize(
    ("package", "status", "version", "read"),
    [
        ("nvidia-fabricmanager-535", "install ok installed", "535.54.03-1", "535.54.03"),
        ("nvidia-fabricmanager-535", "install ok installed", "535.161.08-0ubuntu0.22.04.1", "535.161.08"),
        ("nvidia-fabricmanager", "install ok installed", "580.95.05", "580.95.05"),
        ("nvidia-fabricmanager-535", "deinstall ok config-files", "535.54.03-1", None),
        ("nvidia-fabricmanager-dev-535", "install ok installed", "535.54.03-1", None),
        ("nvidia-fabricmanager-535", "install ok installed", "none", None),
    ],
)
def test_dpkg_tells_the_version_of_the_fabric_manager(
    bare_metal: Machine, package: str, status: str, version: str, read: str | None
) -> None:
    paragraph = f"Package: {package}\nStatus: {status}\nPriority: optional\nConffiles:\n /etc/x 0\nVersion: {version}\n"
    other = "Package: libc6\nStatus: install ok installed\nVersion: 2.36-9\n"
    bare_metal.file("/var/lib/dpkg/status", f"{other}\n{paragraph}Description: x\n\n{other}")
    assert bare_metal.host().fabric_manager_version is None
    bare_metal.file("/dev/nvidia-nvswitchctl")
    assert bare_metal.host().fabric_manager_version == (Version(read) if read else None)


def test_a_container_does_not_see_whether_the_fabric_manager_runs(machine: Machine) -> None:
    machine.file("/dev/nvidia-nvswitchctl").file("/.dockerenv")
    reason = "the host's processes cannot be seen from inside the container"
    assert machine.host().fabric_manager == Unknown(reason)


# --- Variables --------------------------------------------------------------------------------------------------------


def variables(**environ: str) -> dict[str, str]:
    return {variable.name: variable.value for variable in read_host(environ, "/nowhere").variables}


def test_relevant_variables_are_kept_in_order(machine: Machine) -> None:
    environ = {"PYTHONPATH": "a", "HOME": "/home/me", "CUDA_VISIBLE_DEVICES": "", "TF_VAR_region": "x", "EDITOR": "vi"}
    assert machine.host(environ).variables == (Variable("CUDA_VISIBLE_DEVICES", ""), Variable("PYTHONPATH", "a"))


@pytest.mark.parametrize(
    "name",
    [
        *("LD_LIBRARY_PATH", "LD_PRELOAD", "CUDA_HOME", "CUDA_PATH", "CUDA_MODULE_LOADING", "CUDA_CACHE_PATH"),
        *("NVIDIA_VISIBLE_DEVICES", "NCCL_P2P_DISABLE", "PYTORCH_CUDA_ALLOC_CONF", "TORCH_CUDA_ARCH_LIST"),
        *("XLA_FLAGS", "TF_FORCE_GPU_ALLOW_GROWTH", "ORT_TENSORRT_FP16_ENABLE", "HSA_OVERRIDE_GFX_VERSION"),
        *("PYTHONNOUSERSITE", "PYTHONHOME", "CONDA_PREFIX", "VIRTUAL_ENV", "CT2_VERBOSE", "BNB_CUDA_VERSION"),
    ],
)
def test_what_changes_gpu_software_is_relevant(name: str) -> None:
    assert variables(**{name: "1"}) == {name: "1"}


@pytest.mark.parametrize(
    "name", ["NVIDIA_API_KEY", "TORCH_HUB_TOKEN", "NVIDIA_PASSWORD", "XLA_CLIENT_SECRET", "ORT_auth", "CT2_Credentials"]
)
def test_a_variable_that_is_called_a_secret_is_not_stored(name: str) -> None:
    assert variables(**{name: "hunter2"}) == {}


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("https://user:hunter2@host/simple", "https://***@host/simple"),
        ("https://token@host/a https://b:c@d", "https://***@host/a https://***@d"),
        ("/cache/hf_AbCdEfGhIjKlMnOpQrSt/x", "/cache/***/x"),
        ("ghp_0123456789abcdefghij", "***"),
        ("nvapi-0123456789abcdefghij", "***"),
        ("https://host/path@1.2", "https://host/path@1.2"),
        ("expandable_segments:True", "expandable_segments:True"),
    ],
)
def test_a_secret_in_a_value_is_removed(value: str, kept: str) -> None:
    assert variables(TORCH_HOME=value) == {"TORCH_HOME": kept}


def test_a_secret_at_the_cut_is_removed_whole() -> None:
    assert "hf_" not in variables(TORCH_HOME="x" * 4080 + "/hf_AbCdEfGhIjKlMnOpQrSt")["TORCH_HOME"]


def test_values_are_bounded_and_can_be_written_as_text() -> None:
    assert len(variables(LD_LIBRARY_PATH="/opt/app:" * 10_000)["LD_LIBRARY_PATH"]) == 4096
    assert variables(LD_PRELOAD=os.fsdecode(b"/opt/\xff.so"))["LD_PRELOAD"].encode() == "/opt/\ufffd.so".encode()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n', "ubuntu debian"),
        ("ID='rocky'\nID_LIKE=\"rhel centos fedora\"\n", "rocky rhel centos fedora"),
        ("ID=arch\n", "arch"),
        ("ID=$(reboot)\n", ""),
        ("", ""),
    ],
)
def test_the_distribution_is_what_os_release_calls_it(tmp_path: Path, text: str, names: str) -> None:
    machine = Machine(tmp_path)
    assert machine.host().distribution == ""
    assert machine.file("/usr/lib/os-release", text).host().distribution == names
    machine.file("/usr/lib/os-release", "ID=other\n").file("/etc/os-release", text or "ID=\n")
    assert machine.host().distribution == names
