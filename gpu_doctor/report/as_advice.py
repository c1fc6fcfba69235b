"""The face of `advise`: one screen of text, a snippet of Python, or lines for a shell."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_doctor.model import quoting
from gpu_doctor.model.advice import Advice, DiffusionAdvice, EngineAdvice, ModelAdvice, WhisperAdvice
from gpu_doctor.model.case import Case
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.report.foreign import clean
from gpu_doctor.report.heading import write_heading
from gpu_doctor.report.paper import Look, Paper
from gpu_doctor.report.words import fix_line

_LABEL = 11
_WARNINGS = 3
_OFFLOADS = {"none": "whole", "model": "model offload", "sequential": "sequential offload", None: "does not fit"}
_FITS = {"fits": "green", "fits with offload": "yellow", "does not fit": "red", "unknown": "yellow"}


def render(case: Case, advice: Advice, look: Look) -> str:
    """Return the advice as text, the device first and each choice with its reason."""
    paper = Paper(look)
    write_heading(paper, case.inventory)
    _write_device(paper, case, advice)
    paper.blank()
    for engine in _shown(advice):
        words = f"{engine.device} {engine.dtype.value}"
        reason = engine.dtype.why if engine.index is not None else engine.why
        _row(paper, engine.engine, words, reason, engine.basis)
    _row(paper, "tf32", advice.tf32.value, advice.tf32.why)
    _row(paper, "attention", advice.attention.value, advice.attention.why)
    _row(paper, "whisper", *_whisper(advice.whisper))
    _row(paper, "diffusion", *_diffusion(advice.diffusion))
    for setting in advice.settings:
        _row(paper, "set", f"{setting.name}={setting.value}", setting.why)
    _row(paper, "workers", advice.workers.value, advice.workers.why)
    if advice.model is not None:
        _write_model(paper, advice.model)
    _write_warnings(paper, advice.warnings)
    return paper.text()


def as_python(advice: Advice) -> str:
    """Return assignments of keyword arguments, valid Python whatever the foreign words in its comments are."""
    main = advice.of(advice.framework)
    lines = [f"# {_comment(main.why)}", f"device = {main.device!r}", f"dtype = {main.dtype.value!r}"]
    if advice.gpu is not None:
        lines.insert(0, f"# {_comment(advice.gpu.name)} ({advice.gpu.sm})")
    speech, torch = advice.of("ctranslate2"), advice.of("torch")
    lines += ["", f"# {_comment(speech.why)}: faster_whisper.WhisperModel(size, **whisper)"]
    lines.append(f"whisper = {_plain(advice, 'whisper')!r}")
    sizes = () if isinstance(advice.whisper, Unknown) else advice.whisper
    lines += [f"whisper_batch = { ({item.size: item.batch for item in sizes})!r}  # 0: does not fit"] if sizes else []
    lines += ["", f"# {_comment(advice.attention.why)}: from_pretrained(name, **transformers)"]
    lines.append(f"transformers = {_plain(advice, 'transformers')!r}  # names of torch's formats: getattr(torch, name)")
    lines += [f"tf32 = {advice.tf32.value == 'on'!r}  # torch.backends.cuda.matmul.allow_tf32"]
    lines += ["", f"# {_comment(advice.workers.why)}: DataLoader(data, **dataloader)"]
    lines += [f"dataloader = {advice.kwargs('dataloader')!r}", ""]
    lines += [f"# {_comment(advice.of('onnxruntime').why)}: onnxruntime.InferenceSession(path, **onnx)"]
    lines += [f"onnx = {advice.kwargs('onnx')!r}", "", "# The calls that a pipeline of diffusers wants"]
    lines += [f"# {_comment(torch.dtype.why)}", f"diffusers = {_plain(advice, 'diffusers')!r}", "diffusers_calls = {"]
    models = () if isinstance(advice.diffusion, Unknown) else advice.diffusion
    lines += [f"    {item.model!r}: {_calls(item, torch)!r},  # {_comment(item.why)}" for item in models]
    return "\n".join([*lines, "}", *(f"# {_comment(text)}" for text in advice.warnings)]) + "\n"


def as_env(advice: Advice) -> str:
    """Return `export` lines for a POSIX shell; nothing where nothing is to be set."""
    for setting in advice.settings:
        quoting.refuse_strange(setting.name, setting.value)
    return "".join(f"export {setting.name}={quoting.sh(setting.value)}\n" for setting in advice.settings)


def _write_device(paper: Paper, case: Case, advice: Advice) -> None:
    main = advice.of(advice.framework)
    style = "bold green" if main.index is not None else "bold yellow"
    basis = f" ({main.basis})" if main.basis != "known" else ""
    paper.prose((f"{main.why}{basis}.", "bold"), columns=[(f"USE {main.device}", 0, style)])
    if main.rule:
        finding = next((finding for finding in case.findings if finding.rule == main.rule), None)
        paper.command(fix_line(case, finding) if finding else f"gpu-doctor fix {main.rule}")


def _shown(advice: Advice) -> tuple[EngineAdvice, ...]:
    return tuple(engine for engine in advice.engines if engine.installed) or (advice.of(advice.framework),)


def _row(paper: Paper, label: str, value: str, why: str = "", basis: str = "known") -> None:
    measured = f" ({basis})" if basis != "known" else ""
    rest = f" — {why}{measured}" if why else measured
    paper.prose((value, "bold"), rest, indent=2, columns=[(label, _LABEL, "dim")])


def _whisper(found: tuple[WhisperAdvice, ...] | Unknown) -> tuple[str, str]:
    if isinstance(found, Unknown):
        return "batch unknown", found.reason
    if all(item.batch == 1 for item in found):
        return "batch 1", found[0].why
    usual = found[0].dtype
    words = [f"{item.size} {item.batch or 'none'}{_other(item, usual)}" for item in found]
    bases = " and ".join(dict.fromkeys(item.basis for item in found))
    return ", ".join(words), f"segments a batch in {usual}, below 80 % of the memory ({bases})"


def _other(item: WhisperAdvice, usual: str) -> str:
    return f" ({item.dtype})" if item.dtype != usual and item.batch else ""


def _diffusion(found: tuple[DiffusionAdvice, ...] | Unknown) -> tuple[str, str]:
    if isinstance(found, Unknown):
        return "no advice", found.reason
    words = [f"{item.model}: {_OFFLOADS[item.offload]}{_aids(item)}" for item in found]
    too_large = next((f"; {item.model}: {item.why}" for item in found if item.offload is None), "")
    return "; ".join(words), f"in {found[0].dtype} (estimated){too_large}"


def _aids(item: DiffusionAdvice) -> str:
    return "" if item.offload is None else " + slicing" * item.slicing + " + tiling" * item.tiling


def _write_model(paper: Paper, model: ModelAdvice) -> None:
    memory = model.memory
    what = f"{model.architecture or model.kind}, {_counted(model.parameters)} parameters, {model.dtype.value}"
    paper.blank()
    paper.prose((f"{memory.why} ({memory.basis}).", "bold"), columns=[(memory.fit.upper(), 0, _FITS[memory.fit])])
    paper.verbatim(model.path, "dim", indent=2)
    paper.prose(what, f" — {model.dtype.why}", indent=2)
    paper.prose((memory.formula, "dim"), indent=2)
    for problem in model.problems[:_WARNINGS]:
        paper.prose(problem, indent=2, columns=[("PROBLEM", 0, "bold red")])


def _counted(number: int) -> str:
    return f"{number / 1e9:.3g} billion" if number >= 10**9 else f"{number / 1e6:.3g} million"


def _write_warnings(paper: Paper, warnings: Sequence[str]) -> None:
    if warnings:
        paper.blank()
    for text in warnings[:_WARNINGS]:
        paper.prose(text, columns=[("NOTE", 0, "yellow")])
    if len(warnings) > _WARNINGS:
        paper.prose((f"… and {len(warnings) - _WARNINGS} more: --format json", "dim"))


def _plain(advice: Advice, name: str) -> dict[str, object]:
    return {
        key: value if isinstance(value, str | int | bool) else str(value) for key, value in advice.kwargs(name).items()
    }


def _calls(item: DiffusionAdvice, torch: EngineAdvice) -> list[str]:
    if item.offload is None:
        return []
    moved = f"pipe.to({torch.device!r})" if item.offload == "none" else f"pipe.enable_{item.offload}_cpu_offload()"
    return [moved] + ["pipe.vae.enable_slicing()"] * item.slicing + ["pipe.vae.enable_tiling()"] * item.tiling


def _comment(text: str) -> str:
    # A line break in foreign text would end the comment.
    return clean(text, 300)
