"""Which benchmarks are to be judged, what they concern, and how to show one."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from gpu_doctor.model.bench import Bench, BenchWish, GpuState, Workload
from gpu_doctor.model.finding import Evidence
from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import DoesNotApply, Unknown
from gpu_doctor.model.visible import VISIBLE_DEVICES, visible_gpus

# What computes in each workload, and what else takes part; the first is whose fault it is that it went to the CPU.
_PACKAGES: dict[Workload, tuple[str, ...]] = {
    "xtts": ("torch", "torchaudio", "coqui-tts"),
    "whisper": ("ctranslate2", "faster-whisper"),
    "onnx": ("onnxruntime-gpu", "onnxruntime"),
    "diffusion": ("torch", "diffusers"),
}
_LAST_LINES = 5


def latest(inventory: Inventory) -> tuple[Bench, ...]:
    """Return the latest benchmark of the same work on each device, and the latest that reloaded it."""
    return tuple({(work(item.wish), item.wish.device, bool(item.reloads)): item for item in inventory.benches}.values())


def work(wish: BenchWish) -> BenchWish:
    """Return the wish without what changes neither the model nor the input: the device, how often, which batches."""
    return replace(wish, device="", output=None, download=False, batches=(), reload=0, repeat=0, seed=0)


def benches(inventory: Inventory) -> tuple[Bench, ...]:
    """Return the latest benchmarks, or give up where nothing was measured."""
    found = latest(inventory)
    if not found:
        raise DoesNotApply("nothing was measured")
    return found


def answered(inventory: Inventory) -> tuple[Bench, ...]:
    """Return the latest benchmarks that came to their end, or give up where there is none."""
    found = tuple(bench for bench in benches(inventory) if bench.ending == "answered")
    if not found:
        raise DoesNotApply("no benchmark came to its end")
    return found


def wants_gpu(bench: Bench) -> bool:
    """Tell whether the work was asked of a GPU."""
    return bench.wish.device.startswith("cuda")


def ran_elsewhere(bench: Bench) -> Literal["", "all", "part"]:
    """Tell how much of the work was asked of a GPU and done by the CPU."""
    places = [place.strip().lower().startswith("cpu") for place in bench.ran_on.split(",")]
    if not wants_gpu(bench) or not any(places):
        return ""
    return "all" if all(places) else "part"


def subject(bench: Bench) -> str:
    """Return what a finding about a benchmark is called: its name, and which model where there are several."""
    size = f" {bench.wish.model_size}" if bench.wish.workload == "whisper" else ""
    weights = f" with {bench.wish.weights}" if bench.wish.weights != "random" else ""
    return f"{bench.wish.workload}{size}{weights} on {bench.wish.device}"


def package(bench: Bench) -> str:
    """Return the package that computes in a workload."""
    return _packages(bench)[0]


def gpu_number(inventory: Inventory, bench: Bench) -> int | None:
    """Return the machine's number of the GPU that a benchmark ran on, or None where it is not known."""
    gpus = inventory.gpus
    if isinstance(gpus, Unknown) or not wants_gpu(bench) or inventory.target.assumes_hardware:
        return None
    visible = visible_gpus(inventory.host.variable(VISIBLE_DEVICES), gpus)
    index = int(bench.wish.device.partition(":")[2] or 0)
    if isinstance(visible, Unknown) or index >= len(visible):
        return None
    number = visible[index]
    # What was saved may have been measured before a card was changed, or under another choice of GPUs.
    return number if bench.device_name in ("", gpus[number].name) else None


def gpu_of(inventory: Inventory, bench: Bench) -> Gpu | None:
    """Return the GPU that a benchmark ran on, or None where it is not known."""
    number = gpu_number(inventory, bench)
    return None if number is None or isinstance(inventory.gpus, Unknown) else inventory.gpus[number]


def seats(inventory: Inventory, bench: Bench) -> tuple[str, ...]:
    """Return what may be ill where a benchmark goes wrong: what took part in it, and on a GPU the driver and that."""
    took_part = (*_packages(bench), *(measure.name for measure in bench.versions))
    found = (name for name in took_part if inventory.distribution(name) is not None)
    hardware: tuple[str, ...] = ("driver",) if wants_gpu(bench) else ()
    number = gpu_number(inventory, bench)
    if number is not None:
        hardware += (f"GPU {number}", f"cuFFT on GPU {number}")
    return tuple(dict.fromkeys((*found, *hardware)))


def seconds(bench: Bench) -> Evidence:
    """Return how long a run took, and how much the runs differed."""
    spread = f", which differ by {bench.variance:.0%}" if bench.variance is not None else ""
    value = f"{bench.seconds or 0:.4g} s, the median of {len(bench.runs)}{spread}"
    return Evidence(f"measured: {bench.name}", value, bench.at, bench.again)


def last_words(bench: Bench) -> tuple[Evidence, ...]:
    """Return how a benchmark ended, and the end of its output."""
    rows = [Evidence(f"measured: {bench.name}", bench.reason or bench.ending, bench.at, bench.again)]
    last = [line for line in bench.log.split("\n") if line.strip()][-_LAST_LINES:]
    if last:
        rows.append(Evidence("its last output", "\n".join(last), ""))
    return tuple(rows)


def state(bench: Bench) -> tuple[Evidence, ...]:
    """Return how the GPU stood before and after, as far as that is known."""
    both = (("before", bench.before), ("afterwards", bench.after))
    return tuple(Evidence(f"the GPU {when}", _stood(one), "NVML") for when, one in both if isinstance(one, GpuState))


def _stood(one: GpuState) -> str:
    said = []
    if one.clock is not None:
        said.append(f"{one.clock} MHz" + (f" of {one.highest_clock}" if one.highest_clock else ""))
    said += [f"{one.temperature} °C"] if one.temperature is not None else []
    said += [f"{one.busy} % busy"] if one.busy is not None else []
    return ", ".join((*said, *one.throttled)) or "said nothing"


def _packages(bench: Bench) -> tuple[str, ...]:
    return _PACKAGES.get(bench.wish.workload, ("torch",))
