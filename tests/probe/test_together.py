"""Many questions to one interpreter: in which order, how many at a time, which are pointless, and what is shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, process_time
from typing import Any

import pytest

from gpu_doctor.model.probes import Measure, Probe, Trial
from gpu_doctor.probe import together
from gpu_doctor.probe.together import Asking, Progress, Question
from tests.probe.processes import left_behind

FOREVER = "time.sleep(600)"


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert left_behind() == []
    assert len(os.listdir("/proc/self/fd")) == before


class Asker:
    """Make questions of one line each; every child writes down when it began and ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, subject: str, line: str = "return {}", **changes: Any) -> Question:
        script = self.folder / f"{subject}.py"
        note = f"os.write(os.open({str(self.folder / 'events')!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b'%s {subject}\\n')"
        script.write_text(
            "import os, sys, time\n\ndef answer(argument, notes):\n"
            f"    {note % 'begin'}\n    try:\n        {line}\n    finally:\n        {note % 'end'}\n"
        )
        base = {"kind": "import", "subject": subject, "script": str(script), "argument": None, "deadline": 60.0}
        return Question(**{**base, **changes})

    def events(self) -> list[str]:
        file = self.folder / "events"
        return file.read_text().splitlines() if file.exists() else []

    def at_most(self) -> int:
        """Return how many children were answering at once."""
        count = most = 0
        for event in self.events():
            count += 1 if event.startswith("begin") else -1
            most = max(most, count)
        return most


@pytest.fixture
def ask(tmp_path: Path) -> Asker:
    return Asker(tmp_path)


def answers(*questions: Question, workers: int = 4, progress: Progress = print, **options: Any) -> dict[str, Probe]:
    with Asking(sys.executable, dict(os.environ), workers=workers, **options) as asking:
        asking.add(questions)
        return {probe.subject: probe for probe in asking.results(progress)}


def endings(probes: dict[str, Probe]) -> dict[str, str]:
    return {subject: probe.ending for subject, probe in probes.items()}


def test_no_more_children_than_workers_and_as_many_where_there_is_work(ask: Asker) -> None:
    questions = [ask(f"q{n}", "time.sleep(0.3); return {}") for n in range(5)]
    assert set(endings(answers(*questions, workers=2)).values()) == {"answered"}
    assert ask.at_most() == 2


def test_what_is_asked_first_starts_first(ask: Asker) -> None:
    answers(*(ask(name) for name in "cab"), workers=1)
    assert ask.events() == [f"{what} {name}" for name in "cab" for what in ("begin", "end")]


def test_each_says_when_it_was_asked(ask: Asker) -> None:
    found = answers(ask("a", "time.sleep(0.3)"), ask("b"), ask("c", skip="not wished"), workers=1)
    first, second = found["a"].began, found["b"].began
    assert first is not None
    assert second is not None
    assert 0 <= first < second
    assert second >= found["a"].seconds - 0.01  # one worker: the second had to wait for the first
    assert found["c"].began is None


def test_a_question_waits_for_what_it_needs_and_lets_others_pass(ask: Asker) -> None:
    answers(ask("late", needs=("import early",)), ask("early"), ask("other"), workers=1)
    assert ask.events()[::2] == ["begin early", "begin late", "begin other"]


def test_what_needs_an_answer_is_not_asked_without_it(ask: Asker) -> None:
    bad, sick = ask("bad", "raise OSError('no such library')"), ask("sick", "os.abort()")
    found = answers(
        bad, sick, ask("x", needs=("import bad",)), ask("y", needs=("import sick",)), ask("z", needs=("import x",))
    )
    assert {name: found[name].reason for name in "xyz"} == {
        "x": "import bad failed",
        "y": "import sick was killed by SIGABRT (Aborted)",
        "z": "import x failed",
    }
    assert {found[name].ending for name in "xyz"} == {"skipped"}


def test_what_one_uses_is_free_for_the_next_however_the_first_ended(ask: Asker) -> None:
    crowd = [ask("a", "os.abort()", uses=("GPU 0",)), ask("b", uses=("GPU 0", "GPU 1")), ask("c", uses=("GPU 1",))]
    found = answers(*crowd)
    assert endings(found) == {"a": "crashed", "b": "answered", "c": "answered"}
    events = ask.events()
    assert events.index("begin a") < events.index("begin b")
    assert events.index("end c") < events.index("begin b")  # it had to wait for neither


def test_what_needs_a_question_that_nobody_asks_is_not_waited_for(ask: Asker) -> None:
    found = answers(ask("a", needs=("import b",)), ask("b", needs=("import a",)), ask("c", needs=("import nowhere",)))
    assert {name: probe.reason for name, probe in found.items()} == {
        "a": "import b was not asked",
        "b": "import a was not asked",
        "c": "import nowhere was not asked",
    }


def test_a_question_that_is_not_to_be_asked_says_why(ask: Asker) -> None:
    found = answers(ask("x", skip="no GPU visible", again="python -c x"))
    assert found["x"] == Probe("import", "x", "skipped", "no GPU visible", again="python -c x")
    assert ask.events() == []


def test_what_a_crash_spoils_is_stopped_or_not_asked(ask: Asker) -> None:
    """The one that runs forever would keep this test for an hour."""
    wait = f"[time.sleep(0.01) for _ in iter(lambda: os.path.exists({str(ask.folder / 'events')!r}) and 'running' in open({str(ask.folder / 'events')!r}).read(), True)]"
    torch = ask("torch", f"{wait}; os.abort()")
    running = ask("running", FOREVER, spoiled_by=("import torch",), deadline=3600.0)
    waiting = ask("waiting", spoiled_by=("import torch",))
    found = answers(torch, running, ask("apart"), waiting, workers=2)
    assert endings(found) == {"torch": "crashed", "running": "skipped", "apart": "answered", "waiting": "skipped"}
    assert found["running"].reason == found["waiting"].reason == "import torch was killed by SIGABRT (Aborted)"
    assert "begin waiting" not in ask.events()


@pytest.mark.parametrize("end", ["raise ImportError('x')", "return {}"])
def test_only_a_bad_death_spoils(ask: Asker, end: str) -> None:
    found = answers(ask("torch", end), ask("x", spoiled_by=("import torch",)), workers=1)
    assert found["x"].ending == "answered"


def test_two_questions_of_one_name_are_both_asked(ask: Asker) -> None:
    with Asking(sys.executable, dict(os.environ), workers=2) as asking:
        asking.add([ask("x"), ask("x")])
        assert [probe.ending for probe in asking.results(print)] == ["answered"] * 2


def test_a_deadline_for_all_replaces_that_of_each(ask: Asker) -> None:
    found = answers(ask("x", FOREVER, deadline=3600.0), deadline=1.0)
    assert (found["x"].ending, found["x"].reason) == ("timed out", "did not answer in 1 s")


def test_variables_are_changed_for_one_child_and_none_removes_one(ask: Asker) -> None:
    line = "return {name: os.environ.get(name) for name in ('GONE', 'NEW', 'HOME')}"
    with Asking(sys.executable, {**os.environ, "GONE": "1", "HOME": "/opt/app"}, workers=1) as asking:
        asking.add([ask("x", line, environ={"GONE": None, "NEW": "2"})])
        (probe,) = asking.results(print)
    assert {m.name: m.value for m in probe.measured} == {"GONE": "None", "NEW": "2", "HOME": "/opt/app"}


def test_a_second_child_waits_where_memory_is_short(ask: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    questions = [ask(f"q{n}", "time.sleep(0.2); return {}") for n in range(3)]
    monkeypatch.setattr(together, "available", lambda: 2 << 30)
    assert set(endings(answers(*questions)).values()) == {"answered"}
    assert ask.at_most() == 1


def test_the_only_child_starts_however_short_memory_is(ask: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "available", lambda: 0)
    assert endings(answers(ask("x"))) == {"x": "answered"}


def test_progress_names_what_is_asked_and_for_how_long(ask: Asker) -> None:
    shown: list[str] = []
    answers(ask("first"), ask("slow", "time.sleep(1.3); return {}"), ask("last"), workers=1, progress=shown.append)
    assert "asking 2 of 3: import slow (1 s)" in shown
    assert shown[0] == "asking 1 of 3: import first (0 s)"


def test_leaving_the_block_ends_every_child(ask: Asker) -> None:
    with Asking(sys.executable, dict(os.environ), workers=3) as asking:
        asking.add([ask(f"q{n}", FOREVER, deadline=3600.0) for n in range(3)])


def test_waiting_is_no_busy_loop(ask: Asker) -> None:
    """Half of the time is far more than waiting takes, and far less than a loop without rest would."""
    before, begin = process_time(), monotonic()
    answers(*(ask(f"q{n}", "time.sleep(2); return {}") for n in range(2)), memory_limit=1 << 34)
    assert process_time() - before < 0.5 * (monotonic() - begin)


def test_experiments_and_words_of_a_patient_are_plain_and_bounded(ask: Asker) -> None:
    escape = "'\\x1b[31mred\\x1b]0;title\\x07'"
    line = f"notes.trial({escape}, lambda: {{{escape}: {escape}, 'long_name': 'x' * 10000}}); return {{str(n): n for n in range(1000)}}"
    probe = answers(ask("x", line))["x"]
    assert probe.trials == (Trial("red", "passed", "", (Measure("red", "red"), Measure("long name", "x" * 2000))),)
    assert len(probe.measured) == 200


def test_an_experiment_during_which_the_child_died_is_told(ask: Asker) -> None:
    probe = answers(ask("x", "notes.trial('good', dict); notes.trial('deadly', os.abort)"))["x"]
    assert [(t.name, t.outcome, t.detail) for t in probe.trials] == [
        ("good", "passed", ""),
        ("deadly", "died", "was killed by SIGABRT (Aborted)"),
    ]


def test_an_interpreter_that_does_not_come_to_one_question_is_asked_no_other(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nsleep 600\n")
    python.chmod(0o755)
    questions = [Question("import", name, "import_module.py", {"module": name}, 2.0) for name in "abcde"]
    with Asking(str(python), dict(os.environ), workers=2) as asking:
        asking.add(questions)
        probes = asking.results(print)
    assert sorted(probe.ending for probe in probes) == ["skipped"] * 4 + ["unrunnable"]
    assert {probe.reason for probe in probes} == {next(p.reason for p in probes if p.ending == "unrunnable")}
