"""Take out of an inventory what is another one at every look, so that two looks at one environment are the same bytes.

Left out: when probes were asked and how long they took, moments, addresses and temporary names in what they printed,
how much memory of a GPU was free, and which programs held it.
"""

from __future__ import annotations

import re
from dataclasses import replace

from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Measure, Probe, Trial
from gpu_doctor.model.unknown import Unknown

MOMENTARY = Unknown("left out of a snapshot: it changes from moment to moment")

# How long a thing took, and what was free meanwhile; no rule judges by the former.
_MOMENTS = frozenset({"seconds"})
_FLEETING = (
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?"), "<time>"),
    (
        re.compile(r"(?<=\[[IWEF])\d{4} \d\d:\d\d:\d\d\.\d+|(?<=^[IWEF])\d{4} \d\d:\d\d:\d\d\.\d+", re.MULTILINE),
        "<time>",
    ),
    (re.compile(r"\b0x[0-9a-f]{6,16}\b"), "<address>"),
    (re.compile(r"(?<=/tmp/)(?:tmp|gpu-doctor-)[\w.-]+"), "<name>"),
)
# Of a GPU in use, more is told by what is left than by the last mebibyte.
_STEP = 2**30


def settled(inventory: Inventory, *, memory: bool = True) -> Inventory:
    """Return the inventory without what changes by itself; `memory` False keeps the state of the GPUs' memory."""
    probes, gpus = inventory.probes, inventory.gpus
    if not isinstance(probes, Unknown):
        probes = tuple(_probe(probe, memory) for probe in probes)
    if memory and not isinstance(gpus, Unknown):
        gpus = tuple(_gpu(gpu) for gpu in gpus)
    return replace(inventory, probes=probes, gpus=gpus, benches=())


def _gpu(gpu: Gpu) -> Gpu:
    free = None if gpu.free_bytes is None else gpu.free_bytes // _STEP * _STEP
    return replace(gpu, free_bytes=free, processes=MOMENTARY)


def _probe(probe: Probe, memory: bool) -> Probe:
    return replace(
        probe,
        seconds=0.0,
        began=None,
        reason=_lasting(probe.reason),
        log=_lasting(probe.log),
        stack=tuple(_lasting(frame) for frame in probe.stack),
        measured=_measured(probe.measured, memory),
        trials=tuple(_trial(trial, memory) for trial in probe.trials),
    )


def _trial(trial: Trial, memory: bool) -> Trial:
    return replace(trial, detail=_lasting(trial.detail), measured=_measured(trial.measured, memory))


def _measured(measured: tuple[Measure, ...], memory: bool) -> tuple[Measure, ...]:
    kept = (one for one in measured if one.name not in _MOMENTS)
    return tuple(replace(one, value=_coarse(one, memory)) for one in kept)


def _coarse(one: Measure, memory: bool) -> str:
    if memory and one.name == "free" and one.value.isdecimal():
        return str(int(one.value) // _STEP * _STEP)
    return _lasting(one.value)


def _lasting(text: str) -> str:
    for pattern, words in _FLEETING:
        text = pattern.sub(words, text)
    return text
