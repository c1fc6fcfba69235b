"""Builders of small inventories, so that a rule's test names only what matters to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from packaging.version import Version

from gpu_doctor.model.hardware import Driver, Gpu, Host
from gpu_doctor.model.inventory import BuiltFor, Distribution, Interpreter, Inventory, PathEntry
from gpu_doctor.model.libraries import NO_GPU_CODE, Elf, GpuCode, Library, Resolution
from gpu_doctor.model.probes import Kind, Measure, Outcome, Probe, Trial
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown

PREFIX = "/opt/app/venv"
SITE = f"{PREFIX}/lib/python3.11/site-packages"


def interpreter(**changes: Any) -> Interpreter:
    base = Interpreter(
        executable=f"{PREFIX}/bin/python",
        resolved="/usr/bin/python3.11",
        prefix=PREFIX,
        base_prefix="/usr",
        version=Version("3.11.7"),
        where=f"{PREFIX}/pyvenv.cfg",
        manager="uv",
        manager_evidence=f"{PREFIX}/pyvenv.cfg: uv",
        externally_managed=False,
        search_path=(PathEntry(SITE, "site-packages", f"{PREFIX}/pyvenv.cfg"),),
    )
    return replace(base, **changes)


def host(**changes: Any) -> Host:
    base = Host(
        system="Linux",
        machine="x86_64",
        kernel="6.1.0",
        glibc=Version("2.36"),
        container=None,
        wsl=False,
        libcuda=None,
        libnvidia_ml=None,
        devices=(),
        pci_gpus=(),
        kernel_module=None,
        memory_bytes=64 * 2**30,
        cgroup_limit_bytes=None,
        shm_bytes=32 * 2**30,
        cpu_count=8,
        fabric_manager=None,
        variables=(),
    )
    return replace(base, **changes)


def dist(
    name: str, version: str | Unknown, *, cuda: str | None = None, built: str = "", **changes: Any
) -> Distribution:
    """A distribution; `cuda` or `built` give it a build record (`built` alone: a build without CUDA)."""
    built_for = None
    text = "0" if isinstance(version, Unknown) else version
    if cuda or built:
        built_for = BuiltFor(Version(cuda) if cuda else None, built or text, f"{SITE}/{name}/version.py")
    base = Distribution(
        name=name,
        version=version if isinstance(version, Unknown) else Version(version),
        location=SITE,
        metadata=f"{SITE}/{name.replace('-', '_')}-{text}.dist-info",
        installer="uv",
        built_for=built_for,
    )
    return replace(base, **changes)


def elf(soname: str | None = None, needed: tuple[str, ...] = (), **changes: Any) -> Elf:
    return replace(Elf("x86_64", soname, needed, (), (), False), **changes)


def lib(path: str, package: str | None, *, sass: str = "", ptx: str = "", unknown: str = "", **changes: Any) -> Library:
    """A library under site-packages; `sass="80 86"` and `ptx="86"` are capabilities without dots."""
    code = NO_GPU_CODE
    if sass or ptx:
        code = GpuCode("read", tuple(f"sm_{a}" for a in sass.split()), tuple(f"compute_{a}" for a in ptx.split()))
    if unknown:
        code = replace(code, status="unknown", note=unknown)
    full = path if path.startswith("/") else f"{SITE}/{path}"
    return replace(Library(full, full, package, 1000, elf(full.rpartition("/")[2]), code), **changes)


def gpu(name: str = "NVIDIA GeForce RTX 4090", capability: tuple[int, int] = (8, 9), **changes: Any) -> Gpu:
    return replace(Gpu(name, capability, 24 * 2**30, "NVML"), **changes)


def driver(version: str = "580.95.05", cuda: str | None = "13.0", **changes: Any) -> Driver:
    newest = Version(cuda) if cuda else Unknown("not in the facts")
    return replace(Driver(Version(version), newest, "/proc/driver/nvidia/version"), **changes)


def resolution(consumer: str, package: str | None, *names: str, found: str | None, **changes: Any) -> Resolution:
    full = consumer if consumer.startswith("/") else f"{SITE}/{consumer}"
    place = found if found is None or found.startswith("/") else f"{SITE}/{found}"
    base = Resolution((), full, package, names, "dlopen", place, "DT_RPATH" if found else "not found")
    return replace(base, **changes)


def probe(kind: Kind, subject: str, ending: Any = "answered", *trials: Trial, **changes: Any) -> Probe:
    """A question to the live interpreter; `measured={"version": "2.8.0"}` gives its answer."""
    measured = tuple(Measure(name, value) for name, value in changes.pop("measured", {}).items())
    again = changes.pop("again", f"{PREFIX}/bin/python -c …")
    return Probe(kind, subject, ending, trials=trials, measured=measured, again=again, **changes)


def trial(name: str, outcome: Outcome = "passed", detail: str = "", **measured: str) -> Trial:
    """An experiment of a probe."""
    return Trial(name, outcome, detail, tuple(Measure(n.replace("_", " "), v) for n, v in measured.items()))


def inventory(*distributions: Distribution, **changes: Any) -> Inventory:
    """A machine with one RTX 4090, driver 580, and these distributions."""
    base = Inventory(
        target=Target(f"{PREFIX}/bin/python", None, "--python"),
        interpreter=interpreter(),
        distributions=distributions,
        overlaps=(),
        damages=(),
        libraries=(),
        resolutions=(),
        symbols=(),
        host=host(),
        driver=driver(),
        gpus=(gpu(),),
    )
    return replace(base, **changes)
