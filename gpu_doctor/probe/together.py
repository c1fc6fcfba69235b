"""Ask one interpreter many questions, as many at a time as the machine bears."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType

from gpu_doctor.model.probes import Kind, Measure, Outcome, Probe, Trial
from gpu_doctor.probe.ask import Answer, Pending, start
from gpu_doctor.probe.leash import clean

Progress = Callable[[str], None]

_PAUSE = 0.01
_TEXT = 2000
_OUTCOMES: dict[str, Outcome] = {"passed": "passed", "wrong": "wrong", "failed": "failed", "skipped": "skipped"}


@dataclass(frozen=True, slots=True)
class Question:
    """Name one question to a child of the target's interpreter.

    `kind`, `subject`, `after` and `again` are those of its `Probe`. `needs` are the names of questions that must have
    been answered before this one is asked. `spoiled_by` are those whose bad end makes this one pointless: it is not
    asked any more, or stopped. `skip` is why it is not asked at all. `environ` changes variables of the child; None
    removes one.
    """

    kind: Kind
    subject: str
    script: str
    argument: object
    deadline: float
    after: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    spoiled_by: tuple[str, ...] = ()
    skip: str = ""
    again: str = ""
    environ: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return what no other question is called."""
        context = f" after {', '.join(self.after)}" if self.after else ""
        return f"{self.kind} {self.subject}{context}"


class Asking:
    """Ask questions of one interpreter; leaving its `with` block ends the children that are left.

    `deadline` replaces that of every question. A child that holds more than `memory_limit` bytes is ended.
    """

    def __init__(
        self,
        python: str,
        environ: Mapping[str, str],
        *,
        workers: int,
        memory_limit: int | None = None,
        deadline: float | None = None,
        options: tuple[str, ...] = (),
    ) -> None:
        self.python = python
        self._environ = environ
        self._workers = workers
        self._memory_limit = memory_limit
        self._deadline = deadline
        self._options = options
        self._waiting: list[Question] = []
        self._running: dict[str, tuple[Question, Pending]] = {}
        self._ended: dict[str, Probe] = {}

    def __enter__(self) -> Asking:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, pending in self._running.values():
            pending.__exit__(kind, error, trace)
        self._running.clear()

    def add(self, questions: Iterable[Question]) -> None:
        """Take up more questions and start as many as there is room for; do not wait."""
        self._waiting += questions
        self._step()

    def results(self, progress: Progress) -> tuple[Probe, ...]:
        """Wait until every question has ended, and return all in the order in which they ended."""
        while self._waiting or self._running:
            if not self._step():
                progress(self._words())
                time.sleep(_PAUSE)
        return tuple(self._ended.values())

    def _step(self) -> bool:
        """Take what is over, start what may start; tell whether anything happened."""
        before = len(self._ended), len(self._running)
        for name, (question, pending) in tuple(self._running.items()):
            if pending.over:
                del self._running[name]
                self._end(question, _probe(question, pending.result()))
        for question in tuple(self._waiting):
            self._consider(question)
        return before != (len(self._ended), len(self._running))

    def _consider(self, question: Question) -> None:
        why = question.skip or self._spoiled(question)
        lacks = next((n for n in question.needs if n in self._ended and self._ended[n].ending != "answered"), None)
        if lacks is not None:
            why = why or _because(self._ended[lacks])
        if why:
            self._waiting.remove(question)
            self._end(question, _skipped(question, why))
        elif len(self._running) < self._workers and all(name in self._ended for name in question.needs):
            self._waiting.remove(question)
            self._running[question.name] = (question, self._start(question))

    def _start(self, question: Question) -> Pending:
        environ = {k: v for k, v in {**self._environ, **question.environ}.items() if v is not None}
        return start(
            question.script,
            self.python,
            argument=question.argument,
            deadline=self._deadline or question.deadline,
            environ=environ,
            memory_limit=self._memory_limit,
            options=self._options,
        )

    def _spoiled(self, question: Question) -> str:
        bad = ("crashed", "timed out", "stuck")
        found = (self._ended[n] for n in question.spoiled_by if n in self._ended and self._ended[n].ending in bad)
        return next((_because(probe) for probe in found), "")

    def _end(self, question: Question, probe: Probe) -> None:
        self._ended[question.name] = probe
        for name, (other, pending) in tuple(self._running.items()):
            why = self._spoiled(other)
            if why:
                del self._running[name]
                pending.__exit__(None, None, None)
                self._end(other, _skipped(other, why))

    def _words(self) -> str:
        asked = len(self._ended) + len(self._running) + len(self._waiting)
        names = ", ".join(question.name for question, _ in self._running.values())
        return f"asking ({len(self._ended)} of {asked} answered): {names}"


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
    return tuple(Measure(_plain(name).replace("_", " "), _plain(value)) for name, value in values.items())


def _plain(value: object) -> str:
    """Return text of the patient without anything that could steer a terminal."""
    return clean(str(value).encode("utf-8", "replace"), _TEXT)
