"""Tell a program, as it starts, what it should use: `from gpu_doctor import advise`."""

from __future__ import annotations

import os
import sys

from gpu_doctor.model.advice import ENGINES, Advice, Choice, Engine, EngineAdvice
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown

_SAFE: dict[Engine, str] = {"torch": "float32", "ctranslate2": "int8", "onnxruntime": "float32"}


def advise(framework: str = "torch", *, gpu: str | None = None) -> Advice:
    """Return what the running interpreter's programs should use; ValueError for an unknown framework alone.

    `framework` is one of `torch`, `ctranslate2`, `onnxruntime`, or what runs on them (`whisper`, `diffusers`, …). `gpu`
    assumes this GPU, such as `RTX 4090`, instead of those that are here. Only files are read and a child asks the
    driver: no framework is imported. Whatever is sick here, and whatever goes wrong in looking, ends in an advice for
    the CPU, with the reason.
    """
    from gpu_doctor.model.advice import SERVES

    if framework not in SERVES:
        raise ValueError(f"no advice for {framework!r}: one of {', '.join(SERVES)}")
    engine = SERVES[framework]
    target = Target(sys.executable or None, None if sys.executable else sys.prefix, "advise()", (gpu,) if gpu else ())
    try:
        from gpu_doctor import doctor

        return doctor.advise_for(target, os.environ, framework=engine)[1]
    except Exception as error:
        # A program that starts wants a device, whatever the doctor's trouble is.
        return fallback(engine, f"the doctor failed: {type(error).__name__}: {error}")


def fallback(framework: Engine, why: str) -> Advice:
    """Return the advice that holds everywhere: the CPU."""
    engines = (EngineAdvice(name, name, False, None, Choice(_SAFE[name], why), why) for name in ENGINES)
    off, unknown = Choice("off", why), Unknown(why)
    return Advice(
        framework=framework,
        engines=tuple(engines),
        gpu=None,
        tf32=off,
        attention=Choice("sdpa math", why),
        workers=Choice("0", why),
        whisper=unknown,
        diffusion=unknown,
        warnings=(why,),
    )
