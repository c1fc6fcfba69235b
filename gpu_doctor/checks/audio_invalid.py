"""What was synthesized is no sound speech, or what was transcribed is not what was said.

What it finds. `gpu-doctor bench xtts` reads back the WAV that was written: rate, channels, bits, duration, silence,
clipping, and samples that were NaN or infinite before. `gpu-doctor bench whisper` with a known text counts the words
that came out wrong: more than half of them, with real weights, is a warning. Random weights speak and hear nonsense;
of them only the form is judged.

Why it matters. The program ends well, and the user hears noise, half a second of it, or nothing. NaN is what a number
format gives that is too narrow for the model on this GPU, or a broken kernel; silence is what is left of NaN.

What to do. Compute in float32 once: if the sound is whole then, the number format is at fault (bfloat16 has the range
that float16 lacks). If not, compare with `--device cpu`: what differs there is the GPU's.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.benches.measured import answered, seats, subject
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.bench import Audio, Bench
from gpu_doctor.model.finding import Evidence, Finding, Rule
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import Remedy
from gpu_doctor.model.unknown import DoesNotApply, Unknown

RULE = Rule(
    id="audio-invalid",
    title="Synthesized or transcribed speech is not valid",
    severity="error",
    stage="running",
    yields_to=("gpu-result-wrong",),
)

_SPEAKS, _HEARS = "xtts", "whisper"
_MOST_WRONG = 0.5
_HEARD = 300

_FORMAT = Remedy("Compute in float32, or in bfloat16 where the GPU has it, and listen again.", "manual")
_LISTEN = Remedy("Compare with `--device cpu`, the right `--language` and a larger `--model-size`.", "manual")


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Judge what each benchmark spoke and heard."""
    found = [bench for bench in answered(inventory) if bench.wish.workload in (_SPEAKS, _HEARS)]
    if not found:
        raise DoesNotApply("no speech was synthesized or transcribed")
    for bench in found:
        if bench.audio is not None and bench.audio.problems:
            yield _invalid(inventory, bench, bench.audio)
        elif bench.audio is None and bench.wish.workload == _SPEAKS:
            yield Unknown(f"{bench.name}: what it spoke was not read back")
        if bench.wish.weights != "random" and (bench.word_error_rate or 0.0) > _MOST_WRONG:
            yield _misheard(inventory, bench)


def _invalid(inventory: Inventory, bench: Bench, audio: Audio) -> Finding:
    form = f"{audio.rate} Hz, {audio.channels} channel(s), {audio.bits} bit, {audio.seconds:.2f} s"
    loud = f"peak {audio.peak:.4f}, rms {audio.rms:.4f}, {audio.clipped:.1%} clipped, {audio.not_finite} not finite"
    return Finding(
        rule=RULE.id,
        severity="error",
        subject=subject(bench),
        message=f"What {bench.name} spoke is not valid: {'; '.join(audio.problems)}.",
        evidence=(
            Evidence("its form", form, audio.path or bench.at, bench.again),
            Evidence("its samples", loud, audio.path or bench.at),
            *_format(bench),
        ),
        remedy=_FORMAT if audio.not_finite or audio.rms == 0 else None,
        seats=seats(inventory, bench),
    )


def _misheard(inventory: Inventory, bench: Bench) -> Finding:
    text = Evidence("said", (bench.wish.text or "")[:_HEARD], bench.at, bench.again)
    heard = Evidence("heard", (bench.heard or "")[:_HEARD] or "(nothing)", bench.at)
    wrong = min(bench.word_error_rate or 0.0, 1)
    message = f"{bench.name} got {wrong:.0%} of the words wrong, with the weights {bench.wish.weights}."
    rows = (text, heard, *_format(bench))
    return Finding(RULE.id, "warning", subject(bench), message, rows, _LISTEN, seats(inventory, bench))


def _format(bench: Bench) -> tuple[Evidence, ...]:
    return (Evidence("number format", bench.dtype, bench.at),) if bench.dtype else ()
