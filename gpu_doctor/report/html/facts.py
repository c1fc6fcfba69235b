"""What the page says of the environment, the machine, and of all that was not judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gpu_doctor.model.case import Case
from gpu_doctor.model.finding import CheckRun
from gpu_doctor.model.hardware import Gpu, Host
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.report.heading import LAYERS, counted
from gpu_doctor.report.html.words import line

_SHOWN = 40
_GIB = 2**30

Fact = tuple[str, tuple[str, ...]]
"""A label and what is said under it."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Hold rules that could not judge, or not all, for one reason."""

    why: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unjudged:
    """Hold what is not known after this run, and which rules passed or had nothing to judge."""

    crashed: tuple[Reason, ...]
    skipped: tuple[Reason, ...]
    partly: tuple[Reason, ...]
    unread: tuple[tuple[str, str], ...]
    unread_left: int
    passed: tuple[tuple[str, str], ...]
    beside: tuple[tuple[str, str], ...]


def unjudged(case: Case) -> Unjudged:
    """Return what was not judged and why; a rule that does not apply is no loss."""
    titles = {rule.id: rule.title for rule in case.rules}
    skipped = [run for run in case.runs if run.status == "skipped" and run.applies]
    beside = [run for run in case.runs if run.status == "skipped" and not run.applies]
    seen = case.inventory.observations
    return Unjudged(
        crashed=_reasons(run for run in case.runs if run.status == "crashed"),
        skipped=_reasons(skipped),
        partly=_reasons(run for run in case.runs if run.note and run.status in ("passed", "failed")),
        unread=tuple((line(one.where), line(one.what)) for one in seen[:_SHOWN]),
        unread_left=max(0, len(seen) - _SHOWN),
        passed=tuple((line(r.rule), line(titles.get(r.rule, ""))) for r in case.runs if r.status == "passed"),
        beside=tuple((line(run.rule), line(run.note)) for run in beside),
    )


def environment(inventory: Inventory) -> tuple[Fact, ...]:
    """Return what the files tell of the interpreter."""
    python = inventory.interpreter
    layers = [f"{entry.path} ({LAYERS[entry.kind]})" for entry in python.search_path if entry.kind in LAYERS]
    managed = " (externally managed)" if python.externally_managed else ""
    rows = (
        ("Prefix", (python.prefix,)),
        ("Chosen by", (inventory.target.chosen_by,)),
        ("Python", (_said(python.version), *(filter(None, (python.executable,))))),
        ("Managed by", (f"{python.manager}{managed}", python.manager_evidence)),
        ("Also on its path", tuple(layers[:_SHOWN])),
        ("Remarks", python.notes[:_SHOWN]),
        (
            "Holds",
            (f"{counted(len(inventory.distributions), 'package')}, {_libraries(inventory)}",),
        ),
    )
    return _cleaned(rows)


def machine(inventory: Inventory) -> tuple[Fact, ...]:
    """Return the hardware, the driver and the system around the environment."""
    host = inventory.host
    limit = "" if host.cgroup_limit_bytes is None else f", limited to {_size(host.cgroup_limit_bytes)}"
    rows: tuple[Fact, ...] = (
        ("GPU", _gpus(inventory)),
        ("Driver", _driver(inventory)),
        ("libcuda", ("none",) if host.libcuda is None else (f"{host.libcuda.real} ({host.libcuda.kind})",)),
        ("System", (_system(host),)),
        ("Memory", (f"{_size(host.memory_bytes)}{limit}", f"/dev/shm {_size(host.shm_bytes)}")),
        ("CPUs", (str(host.cpu_count),)),
        ("Fabric manager", () if host.fabric_manager is None else (_said(host.fabric_manager),)),
    )
    return _cleaned(rows)


def variables(inventory: Inventory) -> tuple[tuple[str, str], ...]:
    """Return the environment variables that change how GPU software behaves."""
    return tuple((line(one.name), line(one.value)) for one in inventory.host.variables[:_SHOWN])


def packages(inventory: Inventory) -> tuple[tuple[str, str, str], ...]:
    """Return name, version and build of the packages that bring GPU builds or GPU code."""
    carriers = {library.package for library in inventory.libraries if library.gpu_code.status != "none"}
    chosen = [one for one in inventory.distributions if one.built_for is not None or one.name in carriers]
    return tuple((line(one.name), line(_version(one)), line(_build(one))) for one in chosen[: 2 * _SHOWN])


def _reasons(runs: Iterable[CheckRun]) -> tuple[Reason, ...]:
    reasons: dict[str, list[str]] = {}
    for run in runs:
        reasons.setdefault(run.note, []).append(line(run.rule))
    return tuple(Reason(line(why), tuple(rules)) for why, rules in reasons.items())


def _cleaned(rows: Iterable[Fact]) -> tuple[Fact, ...]:
    return tuple((label, tuple(line(word) for word in words)) for label, words in rows if words)


def _libraries(inventory: Inventory) -> str:
    return counted(len(inventory.libraries), "shared library")


def _gpus(inventory: Inventory) -> tuple[str, ...]:
    if isinstance(inventory.gpus, Unknown):
        return (f"unknown: {inventory.gpus.reason}",)
    return tuple(map(_gpu, inventory.gpus[:_SHOWN])) or ("none",)


def _gpu(gpu: Gpu) -> str:
    words = [gpu.name] if gpu.name == gpu.sm else [gpu.name, gpu.sm]
    if gpu.memory_bytes is not None:
        free = "" if gpu.free_bytes is None else f", {_size(gpu.free_bytes)} free"
        words.append(f"{_size(gpu.memory_bytes)}{free}")
    words += ["as given"] if gpu.assumed else []
    return " · ".join(words)


def _driver(inventory: Inventory) -> tuple[str, ...]:
    driver = inventory.driver
    if driver is None:
        return ("none",)
    if isinstance(driver, Unknown):
        return (f"unknown: {driver.reason}",)
    given = ", as given" if driver.assumed else ""
    return (f"{driver.label}{given}", f"for CUDA up to {_said(driver.driver_cuda)}")


def _system(host: Host) -> str:
    return ", ".join(_system_words(host))


def _system_words(host: Host) -> Iterator[str]:
    yield f"{host.system} {host.kernel} {host.machine}"
    yield f"glibc {_said(host.glibc)}"
    if host.wsl:
        yield "WSL"
    if host.container:
        yield f"in {host.container}"


def _version(one: Distribution) -> str:
    return one.built_for.version if one.built_for and one.built_for.version else _said(one.version)


def _build(one: Distribution) -> str:
    words: list[str] = []
    if one.built_for is not None:
        words.append(f"CUDA {one.built_for.cuda}" if one.built_for.cuda else "without CUDA")
    words += [] if one.active else ["shadowed by an earlier folder"]
    words += ["editable"] if one.editable else []
    return ", ".join(words)


def _size(value: int | Unknown) -> str:
    return f"unknown ({value.reason})" if isinstance(value, Unknown) else f"{value / _GIB:.1f} GiB"


def _said(value: object) -> str:
    return f"unknown ({value.reason})" if isinstance(value, Unknown) else str(value)
