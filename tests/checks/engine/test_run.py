from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gpu_doctor.checks.engine.registry import LoadedRule
from gpu_doctor.checks.engine.run import run_rule, run_rules
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import CheckRun, Finding, Rule
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import CannotKnow, DoesNotApply, Unknown
from tests.checks.judge import FACTS
from tests.kit import inventory

HERE = inventory()
FINDING = Finding("my-rule", "error", "it", "is ill", (), None, ("seat",))

Result = Finding | Unknown | Exception


def loaded(*results: Result, rule: Rule | None = None, broken: str = "") -> LoadedRule:
    def check(_inventory: Inventory, _facts: Facts) -> Iterator[Any]:
        for item in results:
            if isinstance(item, Exception):
                raise item
            yield item

    return LoadedRule(rule or Rule("my-rule", "x", "error", "packages"), "", check, "here", broken)


def run(*results: Result, **changes: Any) -> CheckRun:
    return run_rule(loaded(*results, **changes), HERE, FACTS)


def test_nothing_found_is_passed() -> None:
    assert run() == CheckRun("my-rule", "passed")


def test_a_finding_is_failed() -> None:
    assert run(FINDING) == CheckRun("my-rule", "failed", "", (FINDING,))


def test_one_unknown_subject_is_said_and_the_others_are_judged() -> None:
    assert run(Unknown("half"), FINDING, Unknown("half"), Unknown("quarter")) == CheckRun(
        "my-rule", "failed", "half; quarter", (FINDING,)
    )


def test_giving_up_is_skipped_with_the_reason() -> None:
    assert run(CannotKnow("no RECORD")) == CheckRun("my-rule", "skipped", "no RECORD", applies=True)


def test_having_nothing_to_judge_is_skipped_without_loss() -> None:
    assert run(DoesNotApply("no torch")) == CheckRun("my-rule", "skipped", "no torch", applies=False)


def test_an_unknown_before_it_is_a_loss() -> None:
    assert run(Unknown("what is this?"), DoesNotApply("nothing")).applies


def test_what_was_found_before_giving_up_is_kept() -> None:
    assert run(FINDING, CannotKnow("no more")) == CheckRun("my-rule", "failed", "no more", (FINDING,))


def test_a_crash_is_the_rules_own_result_and_keeps_what_was_found() -> None:
    crashed = run(FINDING, KeyError("torch"))
    assert (crashed.status, crashed.findings) == ("crashed", (FINDING,))
    assert crashed.note.startswith("KeyError: 'torch' (test_run.py:")


def test_a_rule_that_did_not_load_is_crashed() -> None:
    assert run(FINDING, broken="ImportError: gone") == CheckRun("my-rule", "crashed", "ImportError: gone")


def test_a_check_that_returns_no_iterator_is_its_crash() -> None:
    bad: Callable[..., Any] = lambda _inventory, _facts: None  # noqa: E731
    item = LoadedRule(Rule("my-rule", "x", "error", "packages"), "", bad, "here")
    assert run_rule(item, HERE, FACTS).status == "crashed"


def test_an_interruption_is_not_swallowed() -> None:
    def check(_inventory: Inventory, _facts: Facts) -> Iterator[Any]:
        raise KeyboardInterrupt
        yield

    item = LoadedRule(Rule("my-rule", "x", "error", "packages"), "", check, "here")
    with pytest.raises(KeyboardInterrupt):
        run_rule(item, HERE, FACTS)


def test_one_crash_does_not_stop_the_others_and_causes_are_related() -> None:
    cause = Finding("cause", "error", "it", "ill", (), None, ("seat",))
    runs = run_rules(
        [
            loaded(ValueError("x"), rule=Rule("broken", "x", "error", "host")),
            loaded(FINDING, rule=Rule("my-rule", "x", "error", "packages", yields_to=("cause",))),
            loaded(cause, rule=Rule("cause", "x", "error", "host")),
        ],
        HERE,
        FACTS,
    )
    assert [r.status for r in runs] == ["crashed", "failed", "failed"]
    assert runs[1].findings[0].consequence_of == cause.fingerprint
