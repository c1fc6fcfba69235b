"""What was asked of the live interpreter, and what was not, in a few quiet lines."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from gpu_doctor.model.case import Case
from gpu_doctor.model.probes import KINDS, Kind, Probe
from gpu_doctor.model.spoken import question
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.report.paper import Paper

_BAD_TRIALS = ("wrong", "failed", "died")
_NAMED = 3
# What one question of a kind is called, and several.
_NOUNS: dict[Kind, tuple[str, str]] = {
    "import": ("import", "imports"),
    "cuda-init": ("CUDA init", "CUDA inits"),
    "cudnn": ("cuDNN", "cuDNN loaders"),
    "library": ("library load", "library loads"),
    "ort-session": ("ONNX Runtime session", "ONNX Runtime sessions"),
    "ctranslate2": ("CTranslate2 run", "CTranslate2 runs"),
    "torch-gpu": ("torch GPU experiment", "torch GPU experiments"),
    "devices": ("device count", "device counts"),
    "cufft": ("cuFFT experiment", "cuFFT experiments"),
}
# What rules call it that such a question is about, where its subject does not say it.
_PACKAGES: dict[Kind, str] = {"cuda-init": "driver", "ort-session": "onnxruntime", "ctranslate2": "ctranslate2"}


def write_asked(paper: Paper, case: Case, *, static: bool) -> frozenset[str]:
    """Write what was asked, then what was not and which or how many rules it silenced; return the reasons said.

    `static` says that the user wished for files only.
    """
    probes = case.inventory.probes
    if case.unaskable and not _answered(probes):
        reason = f": {case.unaskable}" if case.verdict == "sick" else ""
        return _write_unasked(paper, case, f"nothing could be asked live{reason}")
    if isinstance(probes, Unknown):
        return _write_unasked(
            paper,
            case,
            "files only, as asked (--static)" if static else "files only: the live interpreter was not asked",
        )
    taken = [probe for probe in probes if probe.ending != "skipped"]
    if taken:
        paper.prose((summary(case, taken), "dim"))
    reasons = untried(probes)
    for reason, words in reasons.items():
        _write_untried(paper, words, _silenced(case, {reason}))
    return frozenset(reasons)


def _answered(probes: tuple[Probe, ...] | Unknown) -> bool:
    return not isinstance(probes, Unknown) and any(p.ending not in ("skipped", "unrunnable") for p in probes)


def untried(probes: Iterable[Probe]) -> dict[str, str]:
    """Return what was not tried, in words, by the reason for it."""
    skipped = [probe for probe in probes if probe.ending == "skipped"]
    groups = {reason: [p for p in skipped if p.reason == reason] for reason in dict.fromkeys(p.reason for p in skipped)}
    return {reason: f"not tried: {_counts(group)} ({reason})" for reason, group in groups.items()}


def summary(case: Case, taken: Sequence[Probe]) -> str:
    """Return what was asked, and which of it ended badly though no rule says anything of it."""
    words = f"asked live: {_counts(taken)}"
    bad = (probe for probe in taken if probe.ending != "answered" or _bad_trials(probe))
    silent = [question(probe) for probe in bad if not _explained(case, probe)]
    if silent:
        words += f"; ended badly, and no rule says why: {'; '.join(silent[:_NAMED])}"
    if len(silent) > _NAMED:
        words += f"; and {len(silent) - _NAMED} more"
    return words


def told(probe: Probe) -> str:
    """Return a question and how it ended, with the experiments that ended badly."""
    trials = _bad_trials(probe)
    words = probe.ending if probe.ending == "answered" else f"{probe.ending}: {probe.reason}"
    if trials:
        words += f", {'but ' if probe.ending == 'answered' else ''}{'; '.join(trials[:_NAMED])}"
    if len(trials) > _NAMED:
        words += f"; … and {len(trials) - _NAMED} more"
    return f"{question(probe)}: {words}" + (f" ({probe.seconds:.1f} s)" if probe.seconds else "")


def _explained(case: Case, probe: Probe) -> bool:
    """Tell whether a finding shows this question, or a rule that reads such questions speaks of what it is about."""
    shown = {row.again for finding in case.findings for row in finding.evidence} - {""}
    if probe.again in shown or _wants_driver(case, probe):
        return True
    rules = {rule.id for rule in case.rules if probe.kind in rule.probes}
    runs = [run for run in case.runs if run.rule in rules]
    spoken = [word for f in case.findings if f.rule in rules for word in (f.subject, f.message, *f.seats)]
    about = _PACKAGES.get(probe.kind) or probe.subject.partition(": ")[0]
    return any(about in words for words in (*spoken, *(run.note for run in runs)))


def _wants_driver(case: Case, probe: Probe) -> bool:
    """Tell whether a question ended badly only for want of a driver, which this machine does not have."""
    bad = [trial for trial in probe.trials if trial.outcome in _BAD_TRIALS]
    words = [probe.log if trial.outcome == "died" else trial.detail for trial in bad]
    return case.inventory.host.libcuda is None and bool(words) and all("libcuda.so" in said for said in words)


def _bad_trials(probe: Probe) -> list[str]:
    return [f"{trial.name} {trial.outcome}" for trial in probe.trials if trial.outcome in _BAD_TRIALS]


def _counts(probes: Iterable[Probe]) -> str:
    kinds: dict[Kind, list[Probe]] = {kind: [] for kind in KINDS}
    for probe in probes:
        kinds[probe.kind].append(probe)
    return ", ".join(_counted(kind, mine) for kind, mine in kinds.items() if mine)


def _counted(kind: Kind, probes: Sequence[Probe]) -> str:
    one, many = _NOUNS[kind]
    alone = f"{one} {probes[0].subject}" if kind == "import" else one
    return alone if len(probes) == 1 else f"{len(probes)} {many}"


def _silenced(case: Case, reasons: Collection[str]) -> list[str]:
    """Return the rules that could not judge for just one of these reasons."""
    return [run.rule for run in case.runs if run.status == "skipped" and run.applies and run.note in reasons]


def _write_unasked(paper: Paper, case: Case, words: str) -> frozenset[str]:
    probes = case.inventory.probes
    reasons = {probes.reason} if isinstance(probes, Unknown) else {probe.reason for probe in probes}
    _write_untried(paper, words, _silenced(case, reasons))
    return frozenset(reasons)


def _write_untried(paper: Paper, words: str, rules: Sequence[str]) -> None:
    if len(rules) > _NAMED:
        words += f", so {len(rules)} rules could not judge"
    elif rules:
        words += f", so not judged: {', '.join(rules)}"
    paper.prose((words, "dim"))
