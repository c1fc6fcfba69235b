from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gpu_doctor.checks.engine.causes import relate
from gpu_doctor.model.finding import SEVERITIES, CheckRun, Finding, Rule, Severity


def rule(name: str, *yields_to: str) -> Rule:
    return Rule(name, name, "error", "packages", yields_to)


def finding(name: str, *seats: str, severity: Severity = "error", subject: str = "it") -> Finding:
    return Finding(name, severity, subject, "ill", (), None, seats)


def related(rules: list[Rule], *findings: Finding) -> list[Finding]:
    runs = tuple(CheckRun(r.id, "failed", "", tuple(f for f in findings if f.rule == r.id)) for r in rules)
    return [f for run in relate(runs, tuple(rules)) for f in run.findings]


def test_a_finding_at_the_same_seat_becomes_a_note_under_its_cause() -> None:
    cause, effect = related(
        [rule("cause"), rule("effect", "cause")], finding("cause", "a"), finding("effect", "a", "b")
    )
    assert (cause.severity, cause.consequence_of) == ("error", None)
    assert (effect.severity, effect.consequence_of) == ("note", cause.fingerprint)


def test_another_seat_is_another_illness() -> None:
    findings = related([rule("cause"), rule("effect", "cause")], finding("cause", "a"), finding("effect", "b"))
    assert [f.severity for f in findings] == ["error", "error"]


def test_a_rule_that_does_not_yield_keeps_its_finding() -> None:
    findings = related([rule("one"), rule("other")], finding("one", "a"), finding("other", "a"))
    assert [f.consequence_of for f in findings] == [None, None]


def test_a_chain_hangs_from_its_first_cause() -> None:
    rules = [rule("first"), rule("second", "first"), rule("third", "second")]
    first, second, third = related(rules, finding("first", "a"), finding("second", "a", "b"), finding("third", "b"))
    assert second.consequence_of == third.consequence_of == first.fingerprint


def test_a_note_explains_nothing() -> None:
    rules = [rule("cause"), rule("effect", "cause")]
    _, effect = related(rules, finding("cause", "a", severity="note"), finding("effect", "a"))
    assert (effect.severity, effect.consequence_of) == ("error", None)


def test_a_warning_does_not_explain_an_error_away() -> None:
    rules = [rule("cause"), rule("effect", "cause")]
    _, effect = related(rules, finding("cause", "a", severity="warning"), finding("effect", "a"))
    assert (effect.severity, effect.consequence_of) == ("error", None)


def test_a_warning_goes_under_an_error() -> None:
    rules = [rule("cause"), rule("effect", "cause")]
    cause, effect = related(rules, finding("cause", "a"), finding("effect", "a", severity="warning"))
    assert (effect.severity, effect.consequence_of) == ("note", cause.fingerprint)


def test_two_rules_that_yield_to_each_other_leave_one_alarm() -> None:
    one, other = related([rule("one", "other"), rule("other", "one")], finding("one", "a"), finding("other", "a"))
    assert (one.severity, one.consequence_of) == ("error", None)
    assert (other.severity, other.consequence_of) == ("note", one.fingerprint)


NAMES = ("p", "q", "r", "s")
RULES = st.fixed_dictionaries({name: st.lists(st.sampled_from(NAMES), max_size=3) for name in NAMES})
FINDINGS = st.lists(
    st.builds(
        lambda name, seats, severity, subject: finding(name, *seats, severity=severity, subject=subject),
        st.sampled_from(NAMES),
        st.lists(st.sampled_from("abc"), max_size=2),
        st.sampled_from(SEVERITIES),
        st.sampled_from("xyz"),
    ),
    max_size=6,
    unique_by=lambda f: f.fingerprint,
)


@given(RULES, FINDINGS)
def test_the_worst_alarm_survives_and_causes_are_alarms(
    yields_to: dict[str, list[str]], findings: list[Finding]
) -> None:
    after = related([rule(name, *causes) for name, causes in yields_to.items()], *findings)
    assert len(after) == len(findings)
    worst = min((SEVERITIES.index(f.severity) for f in findings), default=None)
    assert min((SEVERITIES.index(f.severity) for f in after), default=None) == worst
    primary = {f.fingerprint for f in after if f.consequence_of is None and f.severity != "note"}
    assert {f.consequence_of for f in after if f.consequence_of} <= primary
