"""The report as Markdown, to be put into an issue: what is wrong, where, and what was seen.

It is for strangers, so it is drawn from a redacted report (`formats` sees to that).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from gpu_doctor.model.bench import Bench, speedup
from gpu_doctor.model.case import BenchRun, Case, Report
from gpu_doctor.model.finding import Evidence, Finding
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.plan import Plan
from gpu_doctor.model.remedy import Remedy, command
from gpu_doctor.model.requirement import Judged
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.report.bench.figures import about, failure, regressions, table
from gpu_doctor.report.foreign import clean, clean_block, clean_command
from gpu_doctor.report.heading import counted, hardware
from gpu_doctor.report.plans import deeds, parts, sentence
from gpu_doctor.report.words import primaries, verdict_word

_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~]|\A[-+=]|\A\d+(?=[.)]))")
_STANDINGS = {"unmet": "not met", "undetermined": "undetermined", "met": "met"}
_EVIDENCE = 12
_PACKAGES = 60
_LINES = 20
# What is worth naming of a system in an issue.
_STACK = re.compile(
    r"torch|nvidia-|cuda|cudnn|cupy|onnxruntime|ctranslate2|whisper|tensorrt|triton|xformers|flash-attn|transformers"
    r"|diffusers|numpy\Z|jax|tensorflow|bitsandbytes|coqui|accelerate\Z|vllm"
)


def render(report: Report) -> str:
    """Return the report as one block of Markdown that GitHub, GitLab and their like show the same way."""
    blocks = [block for case in report.cases for block in _case(case, report)]
    if report.requirements:
        blocks = [*_requirements(report.requirements), *blocks]
    return "\n\n".join(blocks) + "\n"


def _case(case: Case, report: Report) -> Iterator[str]:
    what = "gpu-doctor" if case.bench is None else "gpu-doctor bench"
    yield f"## {what}: {verdict_word(case)} — {_code(case.inventory.interpreter.prefix)}"
    own = primaries(case)
    if own:
        yield f"**{_prose(own[0].message)}**"
    elif case.verdict == "undetermined" and case.bench is None:
        yield _prose(case.unaskable or "Too little could be judged.")
    yield _table(("", ""), _about(case, report))
    if case.bench is not None:
        yield from _figures(case, case.bench)
    for number, finding in enumerate(own):
        yield from _finding(finding, said=number == 0)
        effects = case.consequences(finding) if finding.consequence_of is None else ()
        if effects:
            yield _details("Explained by this", "\n".join(f"- {_named(effect)}" for effect in effects))
    if case.plan is not None:
        yield from _plan(case.plan)
    yield from _rest(case)


def _plan(plan: Plan) -> Iterator[str]:
    """Yield what would be done, illness by illness, and what is left to a person."""
    yield "### Plan"
    if not parts(plan):
        yield "There is nothing to repair."
    for part in parts(plan):
        finding, lines = part.finding, deeds(part)
        yield f"**{_code(finding.rule)}, {_prose(finding.subject)}:** {_prose(sentence(part))}"
        if lines:
            yield _fence("\n".join(map(clean_command, lines)), "sh")


def _figures(case: Case, run: BenchRun) -> Iterator[str]:
    """Yield the figures as one table, what became worse, and what was left out."""
    benches = case.inventory.benches
    yield "### Figures"
    yield _table(("workload", "figure", "value"), (row for bench in benches for row in _bench(bench, benches)))
    worse = regressions(case)
    if worse:
        yield "\n".join(f"- **worse:** {_prose(one.message)}" for one in worse)
    if run.left_out:
        yield "\n".join(f"- left out: {_code(workload)}: {_prose(why)}" for workload, why in run.left_out)


def _bench(bench: Bench, benches: tuple[Bench, ...]) -> Iterator[tuple[str, str, str]]:
    """Yield the rows of one workload, named in the first of them."""
    told = [("ran as", _prose(about(bench))), ("not measured", _prose(failure(bench)))]
    told += [(_prose(label), _prose(words)) for label, words in table(bench, speedup(bench, benches))]
    told += [("not comparable", _prose(why)) for why in bench.not_comparable]
    known = [row for row in told if row[1]] or [("nothing", "")]
    for number, (label, words) in enumerate(known):
        yield _code(bench.name) if number == 0 else "", label, words


def _about(case: Case, report: Report) -> Iterator[tuple[str, str]]:
    python = case.inventory.interpreter
    version = "version unknown" if isinstance(python.version, Unknown) else str(python.version)
    host = case.inventory.host
    system = filter(None, (host.system, host.kernel, host.machine, host.distribution))
    yield "environment", f"{_code(python.prefix)}, chosen by {_code(case.inventory.target.chosen_by)}"
    yield "Python", f"{_code(version)}, {_code(python.manager)}"
    yield "hardware", _prose(hardware(case.inventory))
    yield "system", _prose(", ".join((*system, *filter(None, (host.container, "WSL" if host.wsl else "")))))
    yield "gpu-doctor", f"{_code(report.doctor)}, facts of {_prose(report.facts)}"


def _finding(finding: Finding, *, said: bool) -> Iterator[str]:
    yield f"### {finding.severity}: {_code(finding.rule)}, {_prose(finding.subject)}"
    if not said:
        yield _prose(finding.message)
    if finding.evidence:
        yield _table(("seen", "value", "where"), map(_seen, finding.evidence[:_EVIDENCE]))
    blocks = [item for item in finding.evidence[:_EVIDENCE] if "\n" in item.value]
    if blocks:
        yield _details("What it printed", "\n\n".join(_fence("\n".join(_last(item.value))) for item in blocks))
    again = dict.fromkeys(item.again for item in finding.evidence if item.again)
    if again:
        yield _details("See it again", _fence("\n".join(map(clean_command, again)), "sh"))
    for name, remedy in (("Remedy", finding.remedy), ("Or, to last", finding.durable)):
        if remedy is not None:
            yield from _remedy(name, remedy)


def _seen(item: Evidence) -> tuple[str, str, str]:
    lines = [line.strip() for line in item.value.split("\n") if line.strip()]
    value = _code(lines[-1]) if lines else ""
    return _prose(item.what), value, _code(item.where) if item.where else ""


def _last(value: str) -> list[str]:
    return clean_block(value).split("\n")[-_LINES:]


def _remedy(name: str, remedy: Remedy) -> Iterator[str]:
    price = f" Price: {_prose(remedy.price.rstrip('.'))}." if remedy.price else ""
    yield f"**{name}:** {_prose(remedy.summary)}{price}"
    lines = [line for line in map(command, remedy.steps) if line]
    if lines:
        yield _fence("\n".join(map(clean_command, lines)), "sh")


def _rest(case: Case) -> Iterator[str]:
    """Yield what did not end in a verdict, crashes in the open and the rest folded away, then the packages."""
    for run in case.runs:
        if run.status == "crashed":
            yield f"**The rule {_code(run.rule)} broke**, so the verdict lacks it: {_code(run.note)}"
    open_ends = [run for run in case.runs if run.note and run.applies and run.status != "crashed"]
    lines = [f"- not judged, or in part: {_code(run.rule)}: {_prose(run.note)}" for run in open_ends]
    lines += [f"- not read: {_code(seen.where)}: {_prose(seen.what)}" for seen in case.inventory.observations]
    if lines:
        yield _details("What could not be told", "\n".join(lines))
    yield from _packages(case.inventory)


def _packages(inventory: Inventory) -> Iterator[str]:
    stack = [package for package in inventory.distributions if package.active and _STACK.search(package.name)]
    if stack:
        left = len(stack) - _PACKAGES
        labels = [clean(package.label) for package in stack[:_PACKAGES]] + ([f"… and {left} more"] if left > 0 else [])
        yield _details(counted(len(stack), "GPU package"), _fence("\n".join(labels)))


def _requirements(requirements: Sequence[Judged]) -> Iterator[str]:
    unmet = sum(one.standing != "met" for one in requirements)
    yield f"## gpu-doctor preflight: {counted(len(requirements), 'requirement')}, {unmet or 'none'} not met"
    rows = ((_code(one.requirement.text), _STANDINGS[one.standing], _prose(one.message)) for one in requirements)
    yield _table(("required", "", "why"), rows)


def _named(finding: Finding) -> str:
    return f"{_prose(finding.message)} ({_code(finding.rule)})"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _details(summary: str, body: str) -> str:
    # The empty lines make what is inside Markdown again.
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


def _prose(text: str) -> str:
    """Return foreign text as words alone: no mark-up, no HTML, no mention of a person and no link to an issue."""
    escaped = _SPECIAL.sub(_escaped, clean(text)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    linked = re.sub(r"(?<=@)(?=\w)|(?<=\\#)(?=\d)", "<!-- -->", escaped)
    return re.sub(r"\b(https?|www)(?=:|\\?\.)", r"\1<!-- -->", linked)


def _escaped(match: re.Match[str]) -> str:
    # A number that begins a line would begin a list; its dot takes the backslash, which a digit cannot.
    return match[0] + "\\" if match[0].isdigit() else "\\" + match[0]


def _code(text: str) -> str:
    """Return foreign text as a code span, which may stand in a table."""
    line = clean(text) or " "
    ticks = "`" * (_longest_run(line) + 1)
    pad = " " if line[0] in "` " or line[-1] in "` " else ""
    # A bar ends a cell even inside a code span; GitHub and GitLab take the backslash away again.
    return f"{ticks}{pad}{line}{pad}{ticks}".replace("|", "\\|")


def _fence(text: str, language: str = "") -> str:
    ticks = "`" * max(3, _longest_run(text) + 1)
    return f"{ticks}{language}\n{text}\n{ticks}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
