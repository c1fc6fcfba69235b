"""The report as annotations of GitHub Actions, and as the summary of a step.

Every finding is one annotation: a consequence is a notice that names its cause, so that the errors are illnesses and
nothing is hidden. Besides there is one for each requirement that is not met, or of which that could not be told, a
notice for each treatment of a plan and each workload that was measured, and an error for each regression.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gpu_doctor.model.bench import Bench, speedup
from gpu_doctor.model.case import Case, Report
from gpu_doctor.model.finding import Finding
from gpu_doctor.model.requirement import Judged
from gpu_doctor.report.bench.figures import REGRESSION, about, failure, regressions, rows
from gpu_doctor.report.ci import as_markdown
from gpu_doctor.report.ci.places import Place, main_place, place, shown
from gpu_doctor.report.foreign import clean, clean_command
from gpu_doctor.report.plans import deeds, sentence
from gpu_doctor.report.words import verdict_word

_COMMANDS = {"error": "error", "warning": "warning", "note": "notice", "unmet": "error", "undetermined": "warning"}
# GitHub refuses summaries above 1 MiB, the whole of them.
_LARGEST = 900_000


def render(report: Report, base: str = "") -> str:
    """Return one workflow command a finding, and a last plain line an environment; paths are relative to `base`."""
    lines = [_requirement(one, base) for one in report.requirements if one.standing != "met"]
    for case in report.cases:
        lines += [_finding(case, finding, base) for finding in case.findings]
        lines += _planned(case, base)
        lines += _measured(case, base)
        lines += _plain_lines(case)
    return "".join(f"{line}\n" for line in lines)


def step_summary(report: Report) -> str:
    """Return the report as Markdown for the page of the workflow's run."""
    text = as_markdown.render(report)
    return text if len(text.encode("utf-8", "replace")) <= _LARGEST else text[: _LARGEST // 4] + "\n\n… cut here\n"


def _finding(case: Case, finding: Finding, base: str) -> str:
    words = [finding.message]
    cause = next((c for c in case.findings if c.fingerprint == finding.consequence_of), None)
    if cause is not None:
        words.append(f"Explained by {cause.rule}: {cause.message}")
    elif finding.remedy is not None:
        words.append(f"Remedy: {finding.remedy.summary}")
    title = f"{finding.rule}: {finding.subject}"
    command = "notice" if cause is not None else _COMMANDS[finding.severity]
    return _annotation(command, title, main_place(case, finding), words, base)


def _planned(case: Case, base: str) -> Iterator[str]:
    for part in case.plan.treatments if case.plan else ():
        title = f"fix: {part.finding.rule}: {part.finding.subject}"
        yield _annotation("notice", title, main_place(case, part.finding), [sentence(part)], base, deeds(part))


def _measured(case: Case, base: str) -> Iterator[str]:
    if case.bench is None:
        return
    at = main_place(case)
    for one in regressions(case):
        yield _annotation("error", f"{REGRESSION}: {one.bench.name}", at, [one.message], base)
    for bench in case.inventory.benches:
        yield _annotation("notice", f"bench: {bench.name}", at, list(_figures(bench, case)), base)


def _figures(bench: Bench, case: Case) -> Iterator[str]:
    yield from filter(None, (about(bench), failure(bench)))
    for label, words in rows(bench, speedup(bench, case.inventory.benches)):
        yield f"{label}: {words}" if label else words
    yield from (f"not comparable: {why}" for why in bench.not_comparable)


def _requirement(one: Judged, base: str) -> str:
    words = [one.message, *(f"Because of {cause.rule}: {cause.message}" for cause in one.causes)]
    title = f"requirement/{one.requirement.text}"
    return _annotation(_COMMANDS[one.standing], title, place(one.requirement.where), words, base)


def _annotation(
    command: str, title: str, at: Place | None, words: list[str], base: str, shell: Iterable[str] = ()
) -> str:
    """Return a workflow command that says these words, and below them these shell lines."""
    properties = {"title": clean(title)}
    if at is not None:
        properties["file"] = clean(shown(at.path, base))
        properties |= {"line": str(at.line)} if at.line else {}
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{command} {listed}::{_data(chr(10).join((*map(clean, words), *map(clean_command, shell))))}"


def _plain_lines(case: Case) -> Iterator[str]:
    """Yield what is no finding, as lines of the log that the runner takes for no command."""
    for run in case.runs:
        if run.status == "crashed":
            yield _log(f"the rule {run.rule} broke, so the verdict lacks it: {run.note}")
    for held in case.plan.held_back if case.plan else ():
        yield _log(f"held back: {held.finding.rule}: {held.why}")
    for workload, why in case.bench.left_out if case.bench else ():
        yield _log(f"left out: {workload}: {why}")
    yield _log(f"{case.inventory.interpreter.prefix}: {verdict_word(case)}")


def _log(words: str) -> str:
    # The runner obeys `##[command]` anywhere in a line, and `::command::` at its start.
    return f"gpu-doctor: {clean(words)}".replace("##[", "## [")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
