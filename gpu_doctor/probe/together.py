"""Ask one interpreter many questions, as many at a time as the machine bears."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from types import TracebackType

from gpu_doctor.model.probes import Kind, Measure, Outcome, Probe, Trial
from gpu_doctor.probe.ask import Answer, Pending, start
from gpu_doctor.probe.limit import Limit
from gpu_doctor.probe.memory import available
from gpu_doctor.probe.output import clean

Progress = Callable[[str], None]

_TEXT = 2000
_MEASURES = 200
# What a child gets whose time is over before it begins, in seconds.
_LEAST = 0.05
# So often the words of progress are renewed where nothing ends.
_PAUSE = 0.5
# What importing one big package takes; a second child is not started where it could find less.
_NEEDED = 3 << 29
_OUTCOMES: dict[str, Outcome] = {"passed": "passed", "wrong": "wrong", "failed": "failed", "skipped": "skipped"}


@dataclass(frozen=True, slots=True)
class Question:
    """Name one question to a child of the target's interpreter.

    `kind`, `subject`, `after` and `again` are those of its `Probe`. `needs` are the names of questions that must have
    been answered before this one is asked. `spoiled_by` are those whose bad end makes this one pointless: it is not
    asked any more, or stopped. `uses` names what no two questions may use at a time, such as `GPU 0`. `skip` is why it
    is not asked at all. `environ` changes variables of the child; None removes one.
    """

    kind: Kind
    subject: str
    script: str
    argument: object
    deadline: float
    after: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    spoiled_by: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    skip: str = ""
    again: str = ""
    environ: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return what no other question is called."""
        context = f" after {', '.join(self.after)}" if self.after else ""
        return f"{self.kind} {self.subject}{context}"


@dataclass(frozen=True, slots=True, eq=False)
class _Running:
    question: Question
    pending: Pending
    began: float
    hurried: bool


class Asking:
    """Ask questions of one interpreter; leaving its `with` block ends the children that are left.

    `deadline` replaces that of every question, and `limit` is one for all together: what is not answered by then was
    not asked, and is no illness. A child that holds more than `memory_limit` bytes is ended.
    """

    def __init__(
        self,
        python: str,
        environ: Mapping[str, str],
        *,
        workers: int,
        memory_limit: int | None = None,
        deadline: float | None = None,
        limit: Limit | None = None,
        options: tuple[str, ...] = (),
    ) -> None:
        self.python = python
        self._environ = environ
        self._workers = workers
        self._memory_limit = memory_limit
        self._deadline = deadline
        self._limit = limit
        self._options = options
        self._waiting: list[Question] = []
        self._running: list[_Running] = []
        self._ended: dict[str, Probe] = {}
        self._probes: list[Probe] = []
        self._bell = threading.Event()
        self._began = time.monotonic()
        self._unrunnable = ""

    def __enter__(self) -> Asking:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop(self._running)

    def add(self, questions: Iterable[Question]) -> None:
        """Take up more questions and start as many as there is room for; do not wait."""
        self._waiting += questions
        self._step()

    def results(self, progress: Progress) -> tuple[Probe, ...]:
        """Wait until every question has ended, and return all in the order in which they ended."""
        while self._waiting or self._running:
            self._bell.clear()
            if self._step():
                continue
            if self._running:
                progress(self._words())
                self._bell.wait(_PAUSE)
            else:
                self._give_up()
        return tuple(self._probes)

    def _step(self) -> bool:
        """Take what is over, start what may start; tell whether anything happened."""
        before = len(self._probes), len(self._running)
        for running in [running for running in self._running if running.pending.over]:
            # One that ended beside this one may have been stopped because of it.
            if running in self._running:
                self._running.remove(running)
                self._end(running.question, self._answered(running))
        for question in tuple(self._waiting):
            self._consider(question)
        return before != (len(self._probes), len(self._running))

    def _consider(self, question: Question) -> None:
        # What is lacking when the time is over is lacking because of that.
        why = question.skip or self._unrunnable or self._spoiled(question) or self._over() or self._lacking(question)
        if why:
            self._waiting.remove(question)
            self._end(question, _skipped(question, why))
        elif self._may_start(question) and self._has_room():
            self._waiting.remove(question)
            self._running.append(self._start(question))

    def _over(self) -> str:
        return self._limit.over if self._limit is not None and self._limit.left() <= 0 else ""

    def _answered(self, running: _Running) -> Probe:
        probe = replace(_probe(running.question, running.pending.result()), began=round(running.began - self._began, 3))
        if self._limit is None or not running.hurried or probe.ending not in ("timed out", "stuck"):
            return probe
        ended = tuple(trial for trial in probe.trials if trial.outcome != "died")
        return replace(probe, ending="skipped", reason=self._limit.over, trials=ended, loading="", stack=(), began=None)

    def _lacking(self, question: Question) -> str:
        lacks = (n for n in question.needs if n in self._ended and self._ended[n].ending != "answered")
        return next((_because(self._ended[name]) for name in lacks), "")

    def _may_start(self, question: Question) -> bool:
        used = {name for running in self._running for name in running.question.uses}
        return used.isdisjoint(question.uses) and all(name in self._ended for name in question.needs)

    def _has_room(self) -> bool:
        """Tell whether one more child may start: cores and memory must suffice, unless nothing else runs."""
        if not self._running or len(self._running) >= self._workers:
            return not self._running
        free = available()
        return free is None or free >= _NEEDED * (len(self._running) + 1)

    def _give_up(self) -> None:
        """End what needs questions that nobody asked."""
        lacking = [(q, next(name for name in q.needs if name not in self._ended)) for q in self._waiting]
        self._waiting.clear()
        for question, name in lacking:
            self._end(question, _skipped(question, f"{name} was not asked"))

    def _start(self, question: Question) -> _Running:
        environ = {k: v for k, v in {**self._environ, **question.environ}.items() if v is not None}
        deadline = self._deadline or question.deadline
        left = deadline if self._limit is None else max(self._limit.left(), _LEAST)
        began = time.monotonic()
        pending = start(
            question.script,
            self.python,
            argument=question.argument,
            deadline=min(deadline, left),
            environ=environ,
            memory_limit=self._memory_limit,
            options=self._options,
        )
        pending.ring(self._bell)
        return _Running(question, pending, began, left < deadline)

    def _spoiled(self, question: Question) -> str:
        bad = ("crashed", "timed out", "stuck")
        found = (self._ended[n] for n in question.spoiled_by if n in self._ended and self._ended[n].ending in bad)
        return next((_because(probe) for probe in found), "")

    def _end(self, question: Question, probe: Probe) -> None:
        self._ended[question.name] = probe
        self._probes.append(probe)
        if probe.ending == "unrunnable":
            # An interpreter that does not come to one question comes to none: each would cost its deadline.
            self._unrunnable = probe.reason
        spoiled = [running for running in self._running if self._unrunnable or self._spoiled(running.question)]
        self._stop(spoiled)
        for running in spoiled:
            self._end(running.question, _skipped(running.question, self._unrunnable or self._spoiled(running.question)))

    def _stop(self, children: Iterable[_Running]) -> None:
        """End children together: each takes a moment to die."""
        ending = tuple(children)
        for running in ending:
            running.pending.release()
        for running in ending:
            self._running.remove(running)
            running.pending.__exit__(None, None, None)

    def _words(self) -> str:
        asked = len(self._probes) + len(self._running)
        now = time.monotonic()
        names = ", ".join(f"{r.question.name} ({now - r.began:.0f} s)" for r in self._running)
        return f"asking {asked} of {asked + len(self._waiting)}: {names}"


def _because(probe: Probe) -> str:
    return f"{probe.name} {probe.reason}" if probe.ending not in ("raised", "skipped") else f"{probe.name} failed"


def _skipped(question: Question, why: str) -> Probe:
    return Probe(question.kind, question.subject, "skipped", why, after=question.after, again=question.again)


def _probe(question: Question, answer: Answer) -> Probe:
    told = answer.told
    trials = [_trial(entry) for entry in told.trials]
    if told.doing:
        trials.append(Trial(told.doing, "died", answer.reason))
    value = answer.value if isinstance(answer.value, dict) else {}
    return Probe(
        kind=question.kind,
        subject=question.subject,
        ending=answer.ending,
        reason=answer.reason,
        trials=tuple(trials),
        after=question.after,
        measured=_measures(value),
        loading="" if answer.ending == "answered" else _plain(told.loading),
        stack=() if answer.ending == "answered" else tuple(_plain(frame) for frame in told.stack),
        log=answer.log,
        again=question.again,
        seconds=round(answer.seconds, 3),
    )


def _trial(entry: Mapping[str, object]) -> Trial:
    measured = entry.get("measured")
    return Trial(
        name=_plain(entry["trial"]),
        outcome=_OUTCOMES.get(str(entry.get("outcome")), "failed"),
        detail=_plain(entry.get("detail", "")),
        measured=_measures(measured if isinstance(measured, dict) else {}),
    )


def _measures(values: Mapping[object, object]) -> tuple[Measure, ...]:
    return tuple(
        Measure(_plain(name).replace("_", " "), _plain(value)) for name, value in islice(values.items(), _MEASURES)
    )


def _plain(value: object) -> str:
    """Return text of the patient without anything that could steer a terminal."""
    return clean(str(value).encode("utf-8", "replace"), _TEXT)
