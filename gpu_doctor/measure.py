"""The way to figures, once, in order: wish → inventory → children → benches → the rules' judgement of them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace

from gpu_doctor.bench import history
from gpu_doctor.bench.run import Place, run_workload
from gpu_doctor.bench.workloads import lacking
from gpu_doctor.collect.target import place_of
from gpu_doctor.collect.weights import find_weights
from gpu_doctor.doctor import Asking, Progress, judge, take_inventory
from gpu_doctor.errors import DoctorError, UsageError
from gpu_doctor.facts.tables import Facts
from gpu_doctor.fix.scripts import activated
from gpu_doctor.model.bench import Bench, BenchWish, Wanted, Workload
from gpu_doctor.model.case import Case
from gpu_doctor.model.comparison import Comparison
from gpu_doctor.model.finding import Finding
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.past import PastBenches
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.model.visible import VISIBLE_DEVICES, visible_gpus

# What a distribution imports and does not ask for: coqui-tts 0.28.0 found by installing it alone.
_UNASKED = {"coqui-tts": ["six"]}
_SWEEP_GPU = (1, 2, 4, 8, 16, 32, 64, 128, 256)
# A CPU is as busy with one item as with several; what is tried beyond takes minutes.
_SWEEP_CPU = (1, 2, 4)


@dataclass(frozen=True, slots=True)
class Measured:
    """Hold what was measured, what the rules say of it, and what could not be measured, with the reason.

    `findings` are those that the figures gave rise to, and the findings that explain them.
    """

    case: Case
    benches: tuple[Bench, ...]
    findings: tuple[Finding, ...]
    place: Place
    left_out: tuple[tuple[Workload, str], ...] = ()


def measure(target: Target, environ: Mapping[str, str], wanted: Wanted, progress: Progress) -> Measured:
    """Measure every workload on every device that is wanted, and judge the figures.

    Raise DoctorError where a single workload lacks a package, UsageError where a device is not here.
    """
    begun = activated(place_of(target, environ)[0], environ)
    inventory = take_inventory(target, begun, Asking(static=True), progress)
    if inventory.interpreter.executable is None:
        raise DoctorError(f"{inventory.interpreter.prefix} has no interpreter that could run a workload")
    facts = Facts.load()
    place = Place(inventory, begun, facts, wanted.deadline)
    devices = _devices(wanted.devices, inventory)
    ready, left_out = _ready(wanted, inventory, facts)
    benches = []
    for workload in ready:
        wish = replace(wanted.wish, workload=workload, weights=_weights(workload, wanted, place, progress))
        benches += [run_workload(_on(wish, device, devices, wanted.sweep), place, progress) for device in devices]
    case, findings = _judged(inventory, tuple(benches))
    return Measured(case, tuple(benches), findings, place, left_out)


def _on(wish: BenchWish, device: str, devices: tuple[str, ...], sweep: bool) -> BenchWish:
    """Return the wish for one device; of several the last, the GPU, is the one whose speech is kept."""
    sizes = _SWEEP_CPU if device == "cpu" else _SWEEP_GPU
    output = wish.output if device == devices[-1] else None
    return replace(wish, device=device, output=output, batches=sizes if sweep else wish.batches)


def saved_benches(target: Target, environ: Mapping[str, str]) -> PastBenches:
    """Return what was measured and saved for this environment before, the latest last."""
    return history.recall(place_of(target, environ)[0])


def baseline(target: Target, environ: Mapping[str, str], words: str) -> tuple[Bench, ...]:
    """Return the figures to compare with: those of a file, or with `last` those that were saved.

    Raise UsageError where there are none.
    """
    from gpu_doctor.bench.baseline import read_baseline

    if words != "last":
        return read_baseline(words)
    saved = tuple(past.bench for past in saved_benches(target, environ).saved)
    if not saved:
        raise UsageError("--compare last: nothing was saved for this environment", "--save does that")
    return saved


def compared(benches: tuple[Bench, ...], against: tuple[Bench, ...], tolerance: float) -> tuple[Comparison, ...]:
    """Compare each bench with the others' latest of the same workload and device; `tolerance` is a share."""
    from gpu_doctor.bench.compare import compare, counterpart

    pairs = ((bench, counterpart(bench, against, tolerance)) for bench in benches)
    return tuple(compare(bench, other, tolerance) for bench, other in pairs if other is not None)


def save_benches(measured: Measured) -> None:
    """Keep what was measured beside the environment; raise DoctorError where that cannot be written."""
    history.save(measured.case.inventory.interpreter.prefix, measured.benches, measured.place)


def _ready(
    wanted: Wanted, inventory: Inventory, facts: Facts
) -> tuple[tuple[Workload, ...], tuple[tuple[Workload, str], ...]]:
    """Return the workloads that the target has the packages for, and the others with the line that installs them."""
    missing = {workload: lacking(workload, inventory) for workload in wanted.workloads}
    ready = tuple(workload for workload, names in missing.items() if not names)
    left_out = tuple((workload, _lack(names), names) for workload, names in missing.items() if names)
    if not ready:
        (first, why, names), prefix = left_out[0], inventory.interpreter.prefix
        alone = f"{first} cannot run in {prefix}: {why}"
        message = alone if len(left_out) == 1 else f"no workload can run in {prefix}: for {first}, {why}"
        raise DoctorError(message, install_line(inventory, facts, names))
    return ready, tuple((it, f"{why}: {install_line(inventory, facts, names)}") for it, why, names in left_out)


def _lack(names: tuple[str, ...]) -> str:
    return f"{' and '.join(names)} {'are' if names[1:] else 'is'} not installed"


def install_line(inventory: Inventory, facts: Facts, names: tuple[str, ...]) -> str:
    """Return the command that installs these distributions, with versions that go together where the pins know them."""
    from gpu_doctor.pins.choose import choose_pins
    from gpu_doctor.pins.pinset import STACK
    from gpu_doctor.pins.render import as_command

    known, others = [name for name in names if name in STACK], [name for name in names if name not in STACK]
    others += [other for name in names for other in _UNASKED.get(name, ())]
    pins = choose_pins(inventory, facts, known) if known else None
    if pins is not None and pins.pins:
        return " ".join((as_command(pins).strip(), *others))
    return shlex.join(
        ("uv", "pip", "install", "--python", inventory.interpreter.executable or "python", *known, *others)
    )


def _devices(words: str, inventory: Inventory) -> tuple[str, ...]:
    """Return the devices that the words mean here."""
    if words == "cpu":
        return ("cpu",)
    count = _visible(inventory)
    if words == "auto":
        return ("cuda:0",) if count else ("cpu",)
    index = words.partition(":")[2]
    if count is not None and (not count or (index and int(index) >= count)):
        seen = f"{count} visible" if count else "no GPU is visible"
        raise UsageError(f"--device {words}: {seen} here", "`gpu-doctor check` tells why; --device cpu needs none")
    return ("cpu", "cuda:0") if words == "both" else (f"cuda:{index or 0}",)


def _visible(inventory: Inventory) -> int | None:
    """Return how many GPUs a process sees, or None where that is not known."""
    if isinstance(inventory.gpus, Unknown):
        return None
    visible = visible_gpus(inventory.host.variable(VISIBLE_DEVICES), inventory.gpus)
    return None if isinstance(visible, Unknown) else len(visible)


def _weights(workload: Workload, wanted: Wanted, place: Place, progress: Progress) -> str:
    """Return `random` or the path of the weights to load."""
    wish = wanted.wish
    return find_weights(
        workload, wanted.weights, wish.model_size, place.environ, place.inventory, progress, wish.download
    )


def _judged(inventory: Inventory, benches: tuple[Bench, ...]) -> tuple[Case, tuple[Finding, ...]]:
    """Return the judged case, and of its findings those that the figures brought, behind the ones that explain them."""
    (without,) = judge([inventory]).cases
    (case,) = judge([replace(inventory, benches=benches)]).cases
    known = {(finding.fingerprint, finding.message) for finding in without.findings}
    fresh = [f for f in case.findings if (f.fingerprint, f.message) not in known]
    causes = {finding.consequence_of for finding in fresh}
    return case, tuple(f for f in case.findings if f in fresh or f.fingerprint in causes)
