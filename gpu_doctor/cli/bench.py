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
from gpu_doctor.model.bench import SIZES, WORKLOADS

if TYPE_CHECKING:
    from gpu_doctor.measure import Measured, Wanted
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


def bench(
    what: Annotated[
        str, typer.Argument(metavar=f"{'|'.join(WORKLOADS)}|all|history", autocompletion=_complete, show_default=False)
    ],
    python: Python = None,
    prefix: Prefix = None,
    device: Annotated[
        str, typer.Option("--device", metavar="auto|cpu|cuda|cuda:N|both", help="Where; `both` compares GPU and CPU.")
    ] = "auto",
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            metavar="random|PATH|NAME",
            help="Weights that are here, by path or hub name; random ones run the same kernels.",
        ),
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch the named weights where they are missing.")
    ] = False,
    model_size: Annotated[
        str, typer.Option("--model-size", metavar="SIZE", help="Whisper's: tiny to large-v3.")
    ] = "tiny",
    text: Annotated[str | None, typer.Option("--text", help="What to speak, or what --audio says.")] = None,
    speaker_wav: Annotated[
        str | None, typer.Option("--speaker-wav", metavar="WAV", help="Whose voice to take.")
    ] = None,
    audio: Annotated[str | None, typer.Option("--audio", metavar="FILE", help="What to transcribe.")] = None,
    language: Annotated[str, typer.Option("--language", help="The language of text and audio.")] = "en",
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, max=4096, help="How many items at a time.")] = 1,
    sweep: Annotated[bool, typer.Option("--sweep", help="Double the batch until it does not fit.")] = False,
    reload: Annotated[
        int, typer.Option("--reload", metavar="N", min=0, max=1000, help="Load, run and free N times: finds leaks.")
    ] = 0,
    repeat: Annotated[int, typer.Option("--repeat", metavar="N", min=1, max=1000, help="How often to measure.")] = 3,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of random weights and sampling.")] = 0,
    timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="SECONDS", help="For each workload on each device.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", metavar="FILE", help="Keep the speech of xtts, or write the history here.")
    ] = None,
    format: Annotated[As, typer.Option("--format", help="What to write.")] = As.text,  # noqa: A002
    save: Annotated[bool, typer.Option("--save", help="Remember the figures beside the environment.")] = False,
    compare: Annotated[
        str | None,
        typer.Option("--compare", metavar="last|FILE", help="Fail where a figure is worse than there."),
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", metavar="PERCENT", min=0, max=1000, help="What --compare forgives.")
    ] = 10.0,
) -> None:
    """Run real workloads in an environment and measure them.

    Synthesis, transcription and the kernels below them, with random weights where no real ones are here; nothing is
    downloaded unless asked for. Each runs in a process of its own.

    Exit codes: 0 measured; 1 a rule found something, or a figure is worse than --compare allows; 2 usage; 3 nothing
    could be measured.
    """
    given(python=python, prefix=prefix, text=text, weights=weights, output=output, compare=compare)
    if what == _HISTORY:
        _show_history(chosen(python, prefix, None, None), format, output)
        return
    if format in (As.svg, As.html):
        raise UsageError(f"--format {format.value} is for `bench history`")
    from gpu_doctor.measure import Wanted
    from gpu_doctor.model.bench import BenchWish

    workloads = _workloads(what)
    wish = BenchWish(
        workload=workloads[0],
        device="cpu",
        download=download,
        text=text,
        speaker_wav=_file("--speaker-wav", speaker_wav),
        audio=_file("--audio", audio),
        language=language,
        model_size=_size(model_size),
        batches=(batch_size,),
        reload=reload,
        repeat=repeat,
        seed=seed,
        output=_speech(output, workloads),
    )
    wanted = Wanted(workloads, _device(device), wish, weights, sweep, timeout)
    _run(chosen(python, prefix, None, None), wanted, format, save, (compare, tolerance / 100))


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
    given(**{option.removeprefix("--"): path})
    if path is not None and not os.path.isfile(path):
        raise UsageError(f"{option} {path}: no such file")
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
