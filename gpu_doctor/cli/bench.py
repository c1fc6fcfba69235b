"""`gpu-doctor bench`: real workloads of the target environment, measured, judged and remembered."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Annotated

import typer

from gpu_doctor.cli import figures
from gpu_doctor.cli.figures import As
from gpu_doctor.cli.options import Prefix, Python, Redact, chosen, given
from gpu_doctor.cli.out import complain
from gpu_doctor.cli.progress import scanning
from gpu_doctor.errors import UsageError
from gpu_doctor.model.bench import SIZES, WORKLOADS, BenchWish, Wanted

if TYPE_CHECKING:
    from gpu_doctor.measure import Measured
    from gpu_doctor.model.bench import Workload
    from gpu_doctor.model.comparison import Comparison
    from gpu_doctor.model.target import Target

_ALL, _HISTORY = "all", "history"
# A regression is as bad as an error; where nothing was measured and nothing says why, that is no success.
_CODES = {"healthy": 0, "sick": 1, "undetermined": 3}
_DEVICE = re.compile(r"auto|cpu|cuda(?::\d{1,3})?|both")


def _complete(incomplete: str) -> list[str]:
    return [name for name in (*WORKLOADS, _ALL, _HISTORY) if name.startswith(incomplete)]


# One line for each option below, so that the command itself can be read at a glance.
What = Annotated[
    str, typer.Argument(metavar=f"{'|'.join(WORKLOADS)}|all|history", autocompletion=_complete, show_default=False)
]
Device = Annotated[
    str, typer.Option("--device", metavar="auto|cpu|cuda|cuda:N|both", help="Where; `both` compares GPU and CPU.")
]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="random|PATH|NAME",
        help="Weights that are here, by path or hub name; random ones run the same kernels.",
    ),
]
Download = Annotated[bool, typer.Option("--download", help="Fetch the named weights where they are missing.")]
ModelSize = Annotated[str, typer.Option("--model-size", metavar="SIZE", help="Whisper's: tiny to large-v3.")]
Text = Annotated[str | None, typer.Option("--text", help="What to speak, or what --audio says.")]
Speaker = Annotated[str | None, typer.Option("--speaker-wav", metavar="WAV", help="Whose voice to take.")]
Audio = Annotated[str | None, typer.Option("--audio", metavar="FILE", help="What to transcribe.")]
Language = Annotated[str, typer.Option("--language", help="The language of text and audio.")]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, max=4096, help="How many items at a time.")]
Sweep = Annotated[bool, typer.Option("--sweep", help="Double the batch until it does not fit.")]
Reload = Annotated[
    int, typer.Option("--reload", metavar="N", min=0, max=1000, help="Load, run and free N times: finds leaks.")
]
Repeat = Annotated[int, typer.Option("--repeat", metavar="N", min=1, max=1000, help="How often to measure.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Of random weights and sampling.")]
Timeout = Annotated[
    float | None, typer.Option("--timeout", metavar="SECONDS", min=1, help="For each workload on each device.")
]
Output = Annotated[
    list[str] | None,
    typer.Option(
        "--output",
        metavar="FILE",
        help="FILE.wav keeps the speech of xtts; another is for a --format, in their order. Repeatable.",
    ),
]
Written = Annotated[
    list[As] | None,
    typer.Option(
        "--format", help="What to write, text if nothing is said; repeatable. The history: text, json, svg, html."
    ),
]
Save = Annotated[bool, typer.Option("--save", help="Remember the figures beside the environment.")]
Compare = Annotated[
    str | None, typer.Option("--compare", metavar="last|FILE", help="Fail where a figure is worse than there.")
]
Tolerance = Annotated[
    float, typer.Option("--tolerance", metavar="PERCENT", min=0, max=1000, help="What --compare forgives.")
]


def bench(
    what: What,
    python: Python = None,
    prefix: Prefix = None,
    device: Device = "auto",
    weights: Weights = None,
    download: Download = False,
    model_size: ModelSize = "tiny",
    text: Text = None,
    speaker_wav: Speaker = None,
    audio: Audio = None,
    language: Language = "en",
    batch_size: BatchSize = 1,
    sweep: Sweep = False,
    reload: Reload = 0,
    repeat: Repeat = 3,
    seed: Seed = 0,
    timeout: Timeout = None,
    output: Output = None,
    format: Written = None,  # noqa: A002 - the option's name
    redact: Redact = False,
    save: Save = False,
    compare: Compare = None,
    tolerance: Tolerance = 10.0,
) -> None:
    """Run real workloads in an environment and measure them: speech, transcription, and the kernels below them.

    Each in a process of its own, with random weights where no real ones are here; nothing is downloaded unasked.

    Exit codes: 0 measured; 1 an error of a rule, or a regression; 2 usage; 3 nothing could be measured, or not saved.
    """
    given(text=text, weights=weights, compare=compare)
    target = chosen(python, prefix, None, None)
    if what == _HISTORY:
        figures.show_history(target, format, output, redact)
        return
    named, voice, heard = _workloads(what), _file("speaker-wav", speaker_wav), _file("audio", audio)
    model, counts, (wishes, kept) = _size(model_size), (reload, repeat, seed), figures.outputs(format, output, named)
    spoken = (download, text, voice, heard, language, model, (batch_size,), *counts, kept)
    wish = BenchWish(named[0], "cpu", "random", *spoken)
    wanted = Wanted(named, _device(device), wish, weights, sweep, timeout)
    found, comparisons = _measured(target, wanted, compare, tolerance / 100)
    report = figures.report_of(found, comparisons)
    figures.deliver_figures(found, report, wishes, redact)
    _remember(found, save, lonely=bool(compare) and not comparisons)
    raise typer.Exit(_CODES[report.cases[0].verdict])


def _measured(
    target: Target, wanted: Wanted, compare: str | None, tolerance: float
) -> tuple[Measured, tuple[Comparison, ...]]:
    from gpu_doctor import measure

    against = measure.baseline(target, os.environ, compare) if compare else ()
    with scanning() as progress:
        found = measure.measure(target, os.environ, wanted, progress)
    return found, measure.compared(found.benches, against, tolerance) if compare else ()


def _remember(found: Measured, save: bool, *, lonely: bool) -> None:
    """Say that nothing could be compared, and save the figures where that is wished."""
    from gpu_doctor import measure

    if lonely:
        complain("--compare: the baseline has nothing of the same workload, device and model")
    if save:
        measure.save_benches(found)


def _workloads(what: str) -> tuple[Workload, ...]:
    if what == _ALL:
        return WORKLOADS
    for name in WORKLOADS:
        if name == what:
            return (name,)
    raise UsageError(f"there is no workload {what!r}", f"known: {', '.join((*WORKLOADS, _ALL, _HISTORY))}")


def _device(words: str) -> str:
    if not _DEVICE.fullmatch(words):
        raise UsageError(f"--device must be auto, cpu, cuda, cuda:N or both, not {words!r}")
    return words


def _size(words: str) -> str:
    if words not in SIZES:
        raise UsageError(f"--model-size must be one of {', '.join(SIZES)}, not {words!r}")
    return words


def _file(option: str, path: str | None) -> str | None:
    given(**{option: path})
    if path is not None and not os.path.isfile(path):
        raise UsageError(f"--{option} {path}: no such file")
    return None if path is None else os.path.abspath(path)
