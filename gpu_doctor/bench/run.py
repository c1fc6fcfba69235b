"""Run one workload in a child of the target's interpreter, watched, and hold what came of it."""

from __future__ import annotations

import os
import shlex
import tempfile
import threading
import time
import wave
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from typing import Any

from gpu_doctor.bench import told
from gpu_doctor.bench.audio import read_audio
from gpu_doctor.bench.peaks import with_peaks
from gpu_doctor.bench.states import gpu_state
from gpu_doctor.bench.words import word_error_rate
from gpu_doctor.bench.workloads import RECIPES
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.bench import Audio, Bench, BenchWish, GpuState
from gpu_doctor.model.hardware import Driver, Gpu, Host
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Measure
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.model.visible import VISIBLE_DEVICES, visible_gpus
from gpu_doctor.probe.ask import Answer, Pending, start
from gpu_doctor.probe.memory import available

Progress = Callable[[str], None]

# Of the memory that is free, what a workload may hold: beyond it the machine begins to swap or to kill.
_SHARE = 0.9
_PAUSE = 0.2
# A workload must not be what fetches or reports; fetching is a step of its own, after consent.
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "PYANNOTE_METRICS_ENABLED": "0"}


@dataclass(frozen=True, slots=True)
class Place:
    """Hold where a workload runs: the target as its files tell, its variables, and a deadline that replaces the own."""

    inventory: Inventory
    environ: Mapping[str, str]
    facts: Facts
    deadline: float | None = None

    def gpu(self, device: str) -> Gpu | None:
        """Return the GPU that a device such as `cuda:0` means, or None."""
        gpus = self.inventory.gpus
        if not device.startswith("cuda") or isinstance(gpus, Unknown):
            return None
        visible = visible_gpus(self.inventory.host.variable(VISIBLE_DEVICES), gpus)
        index = int(device.partition(":")[2] or 0)
        if isinstance(visible, Unknown) or index >= len(visible):
            return None
        return gpus[visible[index]]

    @property
    def host(self) -> Host:
        """Return the machine."""
        return self.inventory.host


def run_workload(wish: BenchWish, place: Place, progress: Progress) -> Bench:
    """Run a workload on one device; how its child ended is part of the result, never an exception."""
    recipe, gpu = RECIPES[wish.workload], place.gpu(wish.device)
    with ExitStack() as ending:
        if recipe.sounds and wish.output is None:
            folder = ending.enter_context(tempfile.TemporaryDirectory(prefix="gpu-doctor-"))
            asked = replace(wish, output=os.path.join(folder, "speech.wav"))
        else:
            asked = wish
        before = _state(gpu, place)
        answer = _ask(asked, place, gpu, progress)
        after = _state(gpu, place)
        said = answer.value if answer.ending == "answered" else answer.told.part
        bench = _bench(wish, answer, said if isinstance(said, dict) else {}, place)
        return replace(
            bench,
            before=before,
            after=after,
            total_vram_bytes=gpu.memory_bytes if gpu else None,
            audio=_audio(asked, wish, answer, said),
            figures=with_peaks(
                bench.figures,
                gpu,
                before if isinstance(before, GpuState) else None,
                told.whole(said.get("multiprocessors")),
                place.facts,
            ),
        )


def _ask(wish: BenchWish, place: Place, gpu: Gpu | None, progress: Progress) -> Answer:
    library = place.host.libnvidia_ml
    watched = {"uuid": gpu.uuid, "library": library.path if library else None} if gpu and gpu.uuid else None
    free = available()
    with start(
        RECIPES[wish.workload].script,
        place.inventory.interpreter.executable or "python",
        argument={**asdict(wish), "gpu": watched},
        deadline=place.deadline or RECIPES[wish.workload].deadline,
        environ={**_OFFLINE, "CUDA_DEVICE_ORDER": "PCI_BUS_ID", **place.environ},
        memory_limit=int(free * _SHARE) if free else None,
    ) as pending:
        _follow(pending, wish, progress)
        return pending.result()


def _follow(pending: Pending, wish: BenchWish, progress: Progress) -> None:
    """Show how far the child is until it is over."""
    bell, began = threading.Event(), time.monotonic()
    pending.ring(bell)
    while not bell.wait(_PAUSE):
        said = pending.told()
        progress(f"{wish.workload} on {wish.device}: {_so_far(said.stage, said.done, time.monotonic() - began)}")


def _so_far(stage: str, done: float | None, seconds: float) -> str:
    """Return stage, percentage and the time that is left, as far as they are known."""
    parts = [stage or "starting"]
    if done is not None and 0 < done <= 1:
        left = int(seconds * (1 - done) / done)
        parts += [f"{done:.0%}", f"{left // 60}:{left % 60:02} left"]
    return " · ".join(parts)


def _state(gpu: Gpu | None, place: Place) -> GpuState | Unknown | None:
    return None if gpu is None else gpu_state(gpu, place.host, place.environ)


def _bench(wish: BenchWish, answer: Answer, said: Mapping[str, Any], place: Place) -> Bench:
    heard = told.heard(said)
    gpu = place.gpu(wish.device)
    return Bench(
        wish=wish,
        at=datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        ending=answer.ending,
        reason=answer.reason,
        stage="" if answer.ending == "answered" else answer.told.stage,
        log="" if answer.ending == "answered" else answer.log,
        again=_again(wish, place),
        device_name=told.words(said.get("device_name")) or (gpu.name if gpu else ""),
        ran_on=told.words(said.get("ran_on")),
        model=told.words(said.get("model")),
        dtype=told.words(said.get("dtype")),
        versions=(*told.versions(said), *_driver(place, gpu)),
        load_seconds=told.number(said.get("load_seconds")),
        first_chunk_seconds=told.number(said.get("first_chunk_seconds")),
        jit_seconds=told.number(said.get("jit_seconds")),
        runs=told.runs(said),
        audio_seconds=told.number(said.get("audio_seconds")),
        tokens=told.whole(said.get("tokens")),
        peak_vram_bytes=told.whole(said.get("peak_vram_bytes")),
        peak_rss_bytes=told.whole(said.get("peak_rss_bytes")),
        figures=told.figures(said),
        batches=told.batches(said),
        reloads=told.reloads(said),
        heard=heard,
        word_error_rate=_wrong_words(wish.text, heard),
    )


def _wrong_words(text: str | None, heard: str | None) -> float | None:
    """Return the word error rate, or None where nothing was heard or the text has no words to hear."""
    if text is None or heard is None:
        return None
    with suppress(ValueError):
        return word_error_rate(text, heard)
    return None


def _driver(place: Place, gpu: Gpu | None) -> tuple[Measure, ...]:
    """Return the driver's version beside the packages', where a GPU took part."""
    driver = place.inventory.driver
    return (Measure("driver", driver.label),) if gpu is not None and isinstance(driver, Driver) else ()


def _audio(asked: BenchWish, wish: BenchWish, answer: Answer, said: Mapping[str, Any]) -> Audio | None:
    """Read back what was written; a workload that answered and wrote nothing that can be read is a problem, too."""
    if not RECIPES[wish.workload].sounds or answer.ending != "answered" or asked.output is None:
        return None
    noted = said.get("audio")
    not_finite = told.whole(noted.get("not_finite")) if isinstance(noted, dict) else 0
    try:
        audio = read_audio(asked.output, not_finite or 0)
    except (OSError, EOFError, wave.Error) as error:
        problem = f"it cannot be read: {error.strerror if isinstance(error, OSError) else error}"
        return Audio(wish.output or "", 0, 0, 0, 0.0, 0.0, 0.0, 0.0, problems=(problem,))
    return replace(audio, path=wish.output or "")


def _again(wish: BenchWish, place: Place) -> str:
    """Return the shell line that does the same."""
    python = place.inventory.interpreter.executable or "python"
    words = ["gpu-doctor", "bench", wish.workload, "--python", python, "--device", wish.device]
    words += ["--weights", wish.weights, "--seed", str(wish.seed)]
    words += ["--model-size", wish.model_size] if wish.workload == "whisper" else []
    return shlex.join(words)
