"""`gpu-doctor bench`: real workloads of the target environment, measured, judged and remembered."""

from __future__ import annotations

import os
import re
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from gpu_doctor.cli.options import Prefix, Python, chosen, given
from gpu_doctor.cli.out import complain, deliver, look
from gpu_doctor.cli.progress import scanning
from gpu_doctor.errors import UsageError
from gpu_doctor.model.bench import SIZES, WORKLOADS, BenchWish, Wanted

if TYPE_CHECKING:
    from gpu_doctor.measure import Measured
    from gpu_doctor.model.bench import Workload
    from gpu_doctor.model.comparison import Comparison
    from gpu_doctor.model.target import Target

_ALL, _HISTORY = "all", "history"
_DEVICE = re.compile(r"auto|cpu|cuda(?::\d{1,3})?|both")


class As(str, Enum):
    """Name what the figures are written as; `svg` and `html` are for the history."""

    text = "text"
    json = "json"
    svg = "svg"
    html = "html"


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
    str | None, typer.Option("--output", metavar="FILE", help="Keep the speech of xtts, or write the history here.")
]
Written = Annotated[As, typer.Option("--format", help="What to write.")]
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
    format: Written = As.text,  # noqa: A002 - the option's name
    save: Save = False,
    compare: Compare = None,
    tolerance: Tolerance = 10.0,
) -> None:
    """Run real workloads in an environment and measure them: speech, transcription, and the kernels below them.

    Each in a process of its own, with random weights where no real ones are here; nothing is downloaded unasked.

    Exit codes: 0 measured; 1 an error of a rule, or a regression; 2 usage; 3 nothing could be measured, or not saved.
    """
    given(text=text, weights=weights, output=output, compare=compare)
    target = chosen(python, prefix, None, None)
    if what == _HISTORY:
        _show_history(target, format, output)
        return
    named, voice, heard = _workloads(what, format), _file("speaker-wav", speaker_wav), _file("audio", audio)
    model, counts, kept = _size(model_size), (reload, repeat, seed), _speech(output, named)
    spoken = (download, text, voice, heard, language, model, (batch_size,), *counts, kept)
    wish = BenchWish(named[0], "cpu", "random", *spoken)
    _run(
        target, Wanted(named, _device(device), wish, weights, sweep, timeout), format, save, (compare, tolerance / 100)
    )


def _run(target: Target, wanted: Wanted, format: As, save: bool, baseline: tuple[str | None, float]) -> None:  # noqa: A002
    from gpu_doctor import measure

    against = measure.baseline(target, os.environ, baseline[0]) if baseline[0] else ()
    with scanning() as progress:
        found = measure.measure(target, os.environ, wanted, progress)
    comparisons = measure.compared(found.benches, against, baseline[1]) if baseline[0] else ()
    deliver(_drawn(found, comparisons, format))
    if baseline[0] and not comparisons:
        complain("--compare: the baseline has nothing of the same workload, device and model")
    if save:
        measure.save_benches(found)
    raise typer.Exit(_exit_code(found, comparisons))


def _exit_code(found: Measured, comparisons: tuple[Comparison, ...]) -> int:
    """Return 1 for an error or a regression, 3 where nothing was measured and nothing says why, else 0."""
    sick = any(finding.severity == "error" for finding in found.findings)
    if sick or any(one.regressed for one in comparisons):
        return 1
    return 0 if any(bench.ending == "answered" for bench in found.benches) else 3


def _drawn(found: Measured, comparisons: tuple[Comparison, ...], format: As) -> str:  # noqa: A002
    if format is As.json:
        from gpu_doctor.report import as_bench_json

        return as_bench_json.render(found.case, found.benches, found.findings, found.left_out, comparisons)
    from gpu_doctor.report import as_bench, as_comparison

    text = as_bench.render(found.case, found.benches, found.findings, found.left_out, look())
    return text + "".join("\n" + as_comparison.render(one, look()) for one in comparisons)


def _show_history(target: Target, format: As, output: str | None) -> None:  # noqa: A002
    from gpu_doctor import measure
    from gpu_doctor.report import as_bench_history as history

    past = measure.saved_benches(target, os.environ)
    benches = tuple(one.bench for one in past.saved)
    if format is As.text:
        text = history.render(benches, look(output), past.skipped)
    elif format is As.json:
        text = history.render_json(benches, past.skipped)
    else:
        text = history.render_svg(benches) if format is As.svg else history.render_html(benches, skipped=past.skipped)
    deliver(text, output)


def _workloads(what: str, format: As) -> tuple[Workload, ...]:  # noqa: A002 - the option's name
    if format in (As.svg, As.html):
        raise UsageError(f"--format {format.value} is for `bench history`")
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


def _speech(path: str | None, workloads: tuple[Workload, ...]) -> str | None:
    """Return where to write speech, after a look whether that can be written: the figures come minutes later."""
    if path is None:
        return None
    if "xtts" not in workloads:
        raise UsageError("--output keeps speech, which xtts alone makes", "for the figures, redirect stdout")
    place = os.path.abspath(path)
    if os.path.isdir(place) or not os.access(os.path.dirname(place), os.W_OK):
        raise UsageError(f"cannot write {path}")
    return place
