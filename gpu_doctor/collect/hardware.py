"""Find the driver and the GPUs: those that the user named, else this machine's."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace

from gpu_doctor.errors import UnknownHardware
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.hardware import Driver, Gpu, Host
from gpu_doctor.model.inventory import Observation
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.probe.limit import Limit

Hardware = tuple[Driver | Unknown | None, tuple[Gpu, ...] | Unknown]
# So long a driver is asked even where the time is over: it mostly answers at once.
_LEAST = 0.2
Observed = tuple[Hardware, tuple[Observation, ...]]


def assumed_hardware(target: Target, facts: Facts) -> Hardware:
    """Return the driver and the GPUs that the user's words mean; raise UnknownHardware for words without meaning.

    Hardware that was not named stays unknown: this machine's must not stand in for it.
    """
    gpus: tuple[Gpu, ...] | Unknown = Unknown("the GPU is not known: give --gpu")
    driver: Driver | Unknown = Unknown("the driver is not known: give --driver")
    if target.gpus:
        found = (facts.find_gpu(words) for words in target.gpus)
        gpus = tuple(Gpu(f.name, f.capability, f.memory_bytes, "--gpu", assumed=True) for f in found)
    if target.driver:
        version = facts.parse_driver(target.driver)
        driver = Driver(version, facts.driver_cuda(version), "--driver", assumed=True)
    return driver, gpus


def ask_for_hardware(
    target: Target, host: Host, environ: Mapping[str, str], facts: Facts, limit: Limit | None = None
) -> Callable[[], Observed]:
    """Start to ask, and return what waits for the answer, so that files can be read meanwhile."""
    if target.assumes_hardware:
        assumed = assumed_hardware(target, facts)
        return lambda: (assumed, ())
    # Whoever names the hardware pays nothing for asking.
    from gpu_doctor.probe.gpus import DEADLINE, start_gpu_question
    from gpu_doctor.probe.outside import lies_in, outside

    # An activated environment is first on PATH: a program or a library of its own must not be what answers.
    prefix = target.prefix or os.path.dirname(os.path.dirname(target.python or "")) or None
    if host.libnvidia_ml is not None and lies_in(host.libnvidia_ml.path, prefix):
        host = replace(host, libnvidia_ml=None)
    deadline = DEADLINE if limit is None else min(DEADLINE, max(limit.left(), _LEAST))
    question = start_gpu_question(host, outside(environ, prefix), lambda name: _capability(facts, name), deadline)
    return lambda: (question.result(), question.observations)


def _capability(facts: Facts, name: str) -> tuple[int, int] | None:
    try:
        return facts.find_gpu(name).capability
    except UnknownHardware:
        return None
