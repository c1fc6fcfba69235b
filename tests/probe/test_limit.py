"""One deadline for all questions: what answered stays, what did not is undetermined and no illness."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from gpu_doctor.model.probes import Probe
from gpu_doctor.probe.limit import Limit
from gpu_doctor.probe.together import Asking, Question
from tests.probe.processes import left_behind
from tests.probe.test_together import FOREVER, Asker

OVER = "the 2 s of --deadline were over"


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    yield
    assert left_behind() == []


@pytest.fixture
def ask(tmp_path: Path) -> Asker:
    return Asker(tmp_path)


def answers(*questions: Question, seconds: float, workers: int = 4) -> dict[str, Probe]:
    limit = Limit(monotonic() + seconds, OVER)
    with Asking(sys.executable, dict(os.environ), limit=limit, workers=workers) as asking:
        asking.add(questions)
        return {probe.subject: probe for probe in asking.results(print)}


def test_in_time_nothing_changes(ask: Asker) -> None:
    probes = answers(ask("a", "return {'x': 1}"), ask("b", "raise ValueError('no')"), seconds=60)
    assert {name: probe.ending for name, probe in probes.items()} == {"a": "answered", "b": "raised"}


def test_what_runs_at_the_end_is_cut_off_and_what_waits_is_not_begun(ask: Asker) -> None:
    quick, slow = ask("quick"), ask("slow", FOREVER)
    after = ask("after", needs=("import slow",))
    probes = answers(quick, slow, after, seconds=2)
    assert probes["quick"].ending == "answered"
    assert {(probes[name].ending, probes[name].reason) for name in ("slow", "after")} == {("skipped", OVER)}
    assert {probes[name].began for name in ("slow", "after")} == {None}
    assert "begin after" not in ask.events()


def test_experiments_that_ended_before_are_kept_and_none_died(ask: Asker) -> None:
    line = "notes.trial('first', dict); notes.trial('second', time.sleep, 600)"
    (probe,) = answers(ask("it", line), seconds=2).values()
    assert (probe.ending, [(t.name, t.outcome) for t in probe.trials]) == ("skipped", [("first", "passed")])


def test_an_own_deadline_that_is_shorter_stays_an_illness(ask: Asker) -> None:
    (probe,) = answers(ask("it", FOREVER, deadline=1.0), seconds=60).values()
    assert probe.ending == "timed out"


def test_a_moment_that_is_over_begins_nothing(ask: Asker) -> None:
    (probe,) = answers(ask("it"), seconds=-1).values()
    assert (probe.ending, probe.reason, ask.events()) == ("skipped", OVER, [])
