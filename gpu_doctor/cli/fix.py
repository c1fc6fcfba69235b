"""`gpu-doctor fix`: repair what is wrong, prove it, and be able to take it back."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from gpu_doctor.cli.options import (
    Driver,
    Formats,
    Gpus,
    Outputs,
    Prefix,
    ProbeTimeout,
    Python,
    Redact,
    asking,
    chosen,
    complete_rule,
    names,
)
from gpu_doctor.cli.out import complain, deliver, look
from gpu_doctor.cli.progress import scanning
from gpu_doctor.cli.prompt import agreed, can_ask, show
from gpu_doctor.cli.reports import Wish as Written
from gpu_doctor.cli.reports import deliver_report, paired, private
from gpu_doctor.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpu_doctor.model.case import Case, Report
    from gpu_doctor.model.past import PastRepair
    from gpu_doctor.model.plan import Plan, Wish
    from gpu_doctor.model.repair import Healing
    from gpu_doctor.repair import Healer
    from gpu_doctor.report.formats import Given

# What a repair is told in; the others show what `check` shows, and beside it the plan.
_OWN = ("text", "json")


class Prefer(str, Enum):
    """Name which of two remedies is applied."""

    minimal = "minimal"
    durable = "durable"


class Allow(str, Enum):
    """Name the least safe kind of remedy that may be applied."""

    safe = "safe"
    ask = "ask"


def _complete(incomplete: str) -> list[tuple[str, str]]:
    from gpu_doctor.fix.topics import ALL, TOPICS

    topics = [(topic, "topic") for topic in (*TOPICS, ALL) if topic.startswith(incomplete)]
    return topics + complete_rule(incomplete)


What = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[cudnn|onnxruntime|torch|audio|libraries|all|RULE]...",
        help="What to repair; everything by default.",
        autocompletion=_complete,
        show_default=False,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for consent.")]


def fix(
    what: What = None,
    python: Python = None,
    prefix: Prefix = None,
    gpu: Gpus = None,
    driver: Driver = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan; change nothing.")] = False,
    yes: Yes = False,
    prefer: Annotated[
        Prefer, typer.Option("--prefer", help="The least invasive remedy, or the one that survives the next sync.")
    ] = Prefer.minimal,
    allow: Annotated[
        Allow, typer.Option("--allow", help="`safe`: change no packages; `ask`: packages too, after consent.")
    ] = Allow.ask,
    probe_timeout: ProbeTimeout = None,
    format: Formats = None,  # noqa: A002 - the option's name
    output: Outputs = None,
    redact: Redact = False,
) -> None:
    """Repair an environment: planned, proven, undoable.

    The plan is shown as a diff and needs your consent. What was done is kept only if a second look, in fresh processes,
    proves it; else it is undone. `gpu-doctor undo` takes a repair back, byte for byte. Formats other than text and json
    show a plan, so they need --dry-run.

    Exit codes: 0 healed or nothing to do; 1 something remains; 2 usage; 4 something could not be undone.
    """
    from gpu_doctor.repair import Healer, Talk

    wishes, wish = _written(format, output, dry_run), _wish(what, prefer, allow)
    target, how = chosen(python, prefix, gpu, driver), asking(False, probe_timeout)
    with scanning() as progress:
        ask = _Ask(yes, wishes, redact)
        talk = Talk(lambda case, plan: ask.consent(case, plan), ask.clean_up, progress)
        healer = Healer(target, os.environ, wish, _words(wish), talk, how)
        healing = healer.plan() if dry_run else healer.heal()
    own = {
        "text": lambda written, given: _text(healing, _undo_line(healer), ask.plans, written, given),
        "json": lambda _, given: _json(healing, dry_run, given),
    }
    deliver_report(_report(healing), wishes, redact=redact, own=own)
    raise typer.Exit(1 if healing.remaining or any(not outcome.healed for outcome in healing.outcomes) else 0)


def _written(formats: Formats, outputs: Outputs, dry_run: bool) -> tuple[Written, ...]:
    wishes = paired(formats, outputs)
    other = next((wish.format for wish in wishes if wish.format not in _OWN), None)
    if other is not None and not dry_run:
        raise UsageError(f"--format {other} shows a plan, so it needs --dry-run", "text and json tell of repairs, too")
    return wishes


class _Ask:
    """Ask the person at the terminal, or nobody where `--yes` was given; `plans` are those that were asked about."""

    def __init__(self, yes: bool, wishes: Sequence[Written], redact: bool) -> None:
        self._yes = yes
        self._redact = redact
        self._on_stdout = any(wish == Written("text") for wish in wishes)
        self.plans: list[tuple[Case, Plan]] = []

    def consent(self, case: Case, plan: Plan) -> bool:
        """Show the plan and ask; where nobody can be asked, say how to consent."""
        from gpu_doctor.report.formats import Given

        self.plans.append((case, plan))
        known = private() if self._redact else None
        text = _plan(case, plan, Given(look(), private=known, redact=self._redact))
        if self._on_stdout:
            deliver(text)
        elif not self._yes:
            show(text)
        if self._yes:
            return True
        if not can_ask():
            complain("nobody is here to consent: nothing was changed", "give --yes to apply this plan")
            return False
        return agreed("Apply this?")

    def clean_up(self, found: tuple[PastRepair, ...]) -> bool:
        """Say what was cut off, and ask whether to take that back and go on."""
        complain(f"a repair of {found[0].at} was cut off ({found[0].id}): what it had not proven is taken back first")
        return self._yes or (can_ask() and agreed("Take that back and go on?"))


def _wish(what: list[str] | None, prefer: Prefer, allow: Allow) -> Wish:
    from gpu_doctor import doctor
    from gpu_doctor.fix.topics import ALL, TOPICS
    from gpu_doctor.model.plan import Wish

    wanted = names(what)
    if what and not wanted:
        raise UsageError("nothing is named to repair", "name a topic or a rule, or nothing for everything")
    doctor.require_rules(set(wanted) - {*TOPICS, ALL}, extra=(*TOPICS, ALL))
    return Wish(wanted, prefer.value, allow.value)


def _words(wish: Wish) -> str:
    options = [] if wish.prefer == "minimal" else [f"--prefer {wish.prefer}"]
    options += [] if wish.allow == "ask" else [f"--allow {wish.allow}"]
    return " ".join(("fix", *wish.names, *options))


def _report(healing: Healing) -> Report:
    """Return the plan beside what it is about, for the formats of `check`."""
    from gpu_doctor import __version__
    from gpu_doctor.facts.tables import Facts
    from gpu_doctor.model.case import Report

    return Report((replace(healing.before, plan=healing.plan),), __version__, Facts.load().date)


def _plan(case: Case, plan: Plan, given: Given) -> str:
    from gpu_doctor.report import as_fix
    from gpu_doctor.report.formats import FORMATS, drawn

    return drawn(FORMATS["text"], (case, plan), given, lambda told: as_fix.render_plan(*told, given.look))


def _text(healing: Healing, undo: str, asked: Sequence[tuple[Case, Plan]], written: Written, given: Given) -> str:
    """Return what a person reads: each plan that was asked about, which stdout has already, and what became of it."""
    from gpu_doctor.report import as_fix
    from gpu_doctor.report.formats import FORMATS, drawn

    shown = "" if written.output is None else "".join(_plan(case, plan, given) for case, plan in asked)
    if healing.applied:
        told = healing, undo
        return f"{shown}\n" + drawn(
            FORMATS["text"], told, given, lambda it: as_fix.render_outcome(it[0], given.look, it[1])
        )
    if not healing.plan.treatments:
        return shown + drawn(FORMATS["text"], healing, given, lambda it: as_fix.render_nothing(it, given.look))
    return shown if asked else _plan(healing.before, healing.plan, given)


def _json(healing: Healing, dry_run: bool, given: Given) -> str:
    from gpu_doctor import __version__
    from gpu_doctor.report import as_fix_json
    from gpu_doctor.report.formats import FORMATS, drawn

    status = _status(healing, dry_run)
    return drawn(FORMATS["json"], healing, given, lambda told: as_fix_json.render(told, __version__, status))


def _status(healing: Healing, dry_run: bool) -> str:
    if healing.applied:
        return "healed" if not healing.remaining and all(o.healed for o in healing.outcomes) else "remains"
    if not healing.plan.treatments:
        return "remains" if healing.remaining else "nothing to do"
    return "planned" if dry_run else "refused"


def _undo_line(healer: Healer) -> str:
    target = healer.target
    place = ("--python", target.python) if target.python else ("--prefix", target.prefix or "")
    return shlex.join(("gpu-doctor", "undo", *place)) if target.chosen_by.startswith("--") else "gpu-doctor undo"
