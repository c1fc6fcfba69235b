"""The inventory as text: the machine, the packages that matter to a GPU, and what could not be read."""

from __future__ import annotations

from gpu_doctor.model.hardware import Host
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.report.asked import told, untried
from gpu_doctor.report.heading import counted, hardware, write_heading
from gpu_doctor.report.paper import Look, Paper

_ROWS = 20


def render(inventory: Inventory, look: Look) -> str:
    """Return what was seen, shortened for reading; the JSON form holds everything."""
    paper = Paper(look)
    write_heading(paper, inventory)
    paper.blank()
    _write_machine(paper, inventory)
    _write_packages(paper, inventory)
    _write_probes(paper, inventory)
    _write_troubles(paper, inventory)
    return paper.text()


def _write_machine(paper: Paper, inventory: Inventory) -> None:
    host = inventory.host
    rows = [
        ("hardware", hardware(inventory)),
        ("system", _system(host)),
        ("memory", _memory(host)),
        ("libcuda", "none" if host.libcuda is None else f"{host.libcuda.real} ({host.libcuda.kind})"),
    ]
    rows += [(variable.name, variable.value) for variable in host.variables]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        paper.prose(value, columns=[(name, width, "bold")])


def _system(host: Host) -> str:
    words = [f"{host.system} {host.kernel} {host.machine}", f"glibc {_said(host.glibc)}"]
    words += ["WSL"] if host.wsl else []
    words += [f"in {host.container}"] if host.container else []
    return ", ".join(words)


def _memory(host: Host) -> str:
    limit = "" if host.cgroup_limit_bytes is None else f", limited to {_size(host.cgroup_limit_bytes)}"
    return f"{_size(host.memory_bytes)}{limit}; /dev/shm {_size(host.shm_bytes)}; {host.cpu_count} CPUs"


def _write_packages(paper: Paper, inventory: Inventory) -> None:
    """Write the distributions that bring GPU builds or GPU code, and count the others."""
    carriers = {library.package for library in inventory.libraries if library.gpu_code.status != "none"}
    chosen = [d for d in inventory.distributions if d.built_for is not None or d.name in carriers]
    paper.blank()
    packages, libraries = len(inventory.distributions), len(inventory.libraries)
    paper.prose((f"{counted(packages, 'package')}, {counted(libraries, 'shared library')}", "bold"))
    for distribution in chosen:
        paper.prose(f"{distribution.label}{_build(distribution)}", indent=2)


def _build(distribution: Distribution) -> str:
    words = [] if distribution.active else ["shadowed by an earlier folder"]
    words += ["editable"] if distribution.editable else []
    built = distribution.built_for
    if built is not None:
        words.append(f"built for CUDA {built.cuda}" if built.cuda else "built without CUDA")
    return f" ({', '.join(words)})" if words else ""


def _write_probes(paper: Paper, inventory: Inventory) -> None:
    """Write each question that was put to the live interpreter, and why others were not."""
    paper.blank()
    if isinstance(inventory.probes, Unknown):
        paper.prose(("nothing was asked live: " + inventory.probes.reason, "bold"))
        return
    taken = [probe for probe in inventory.probes if probe.ending != "skipped"]
    paper.prose((f"{counted(len(taken), 'question')} asked live", "bold"))
    for probe in taken:
        paper.prose(told(probe), indent=2)
    for words in untried(inventory.probes).values():
        paper.prose((words, "dim"), indent=2)


def _write_troubles(paper: Paper, inventory: Inventory) -> None:
    rows = [
        f"{' and '.join(o.owners)} both own {o.files} files, such as {', '.join(o.sample[:1])}"
        for o in inventory.overlaps
    ]
    rows += [f"{damage.path} of {damage.owner} is {damage.problem}" for damage in inventory.damages]
    rows += [f"not read: {seen.where}: {seen.what}" for seen in inventory.observations]
    if rows:
        paper.blank()
    for row in rows[:_ROWS]:
        paper.prose((row, "yellow"))
    if len(rows) > _ROWS:
        paper.prose((f"… and {len(rows) - _ROWS} more: --format json", "dim"))


def _size(value: int | Unknown) -> str:
    return "unknown" if isinstance(value, Unknown) else f"{value / 2**30:.1f} GiB"


def _said(value: object) -> str:
    return f"unknown ({value.reason})" if isinstance(value, Unknown) else str(value)
