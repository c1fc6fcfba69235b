"""The way back to health on a real folder, with scripted looks: kept only where the second look proves it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpu_doctor import repair
from gpu_doctor.errors import UsageError
from gpu_doctor.fix import executor as executor_module
from gpu_doctor.fix import journal, workshop
from gpu_doctor.model.case import Case, Report
from gpu_doctor.model.finding import CheckRun, Finding, Rule, Severity
from gpu_doctor.model.plan import Plan, Wish
from gpu_doctor.model.remedy import InstallPackages, MakeLink, Remedy, RemoveFile, RestoreFile, RunByHand, Step
from gpu_doctor.model.repair import Healing
from gpu_doctor.model.target import Target
from tests import kit
from tests.fix.ground import LOADER, SITE, environment, only_journal, quiet, tree

NAMES = ("driver-too-old", "ort-packages-clash", "cudnn-unreachable", "kernel-image-missing")
RULES = tuple(Rule(n, n, "error", s) for n, s in zip(NAMES, ("host", "packages", "libraries", "gpu-code"), strict=True))  # type: ignore[arg-type]
LIBS = f"{SITE}/ctranslate2.libs"


class World:
    """An environment, the looks at it in order, and a person who answers."""

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        self.looks: list[Any] = []
        self.seen: list[dict[str, Any]] = []
        self.plans: list[Plan] = []
        self.answers: list[Any] = []
        self.cleaned: list[tuple[str, ...]] = []
        self.may_clean = True
        self.wish = Wish()
        self.target = Target(None, str(prefix), "--prefix")

    def link(self, name: str) -> MakeLink:
        return MakeLink(f"{self.prefix}/{LIBS}/{name}", "x")

    def case(self, *findings: Finding, **statuses: Any) -> Case:
        """A look; `kernel_image_missing="skipped"` is how a rule ended that found nothing."""
        python = kit.interpreter(prefix=str(self.prefix), executable=f"{self.prefix}/bin/python")
        runs = []
        for name in NAMES:
            mine = tuple(finding for finding in findings if finding.rule == name)
            status = "failed" if mine else statuses.get(name.replace("-", "_"), "passed")
            runs.append(CheckRun(name, status, "why" if status in ("skipped", "crashed") else "", mine))
        return Case(kit.inventory(interpreter=python), tuple(runs), RULES)

    def examine(self, *_: Any, **_options: Any) -> Report:
        self.seen.append(tree(self.prefix))
        look = self.looks.pop(0)
        if isinstance(look, BaseException):
            raise look
        return Report((look,), "0", "2026-11-20")

    def consent(self, _case: Case, plan: Plan) -> bool:
        self.plans.append(plan)
        answer = self.answers.pop(0) if self.answers else True
        return bool(answer() if callable(answer) else answer)

    def clean_up(self, found: tuple[Any, ...]) -> bool:
        self.cleaned.append(tuple(one.id for one in found))
        return self.may_clean

    @property
    def healer(self) -> repair.Healer:
        talk = repair.Talk(self.consent, self.clean_up, quiet)
        return repair.Healer(self.target, {"PATH": ""}, self.wish, "fix", talk)

    def heal(self, *looks: Any) -> Healing:
        """Heal, with these looks one after the other; each of them is taken."""
        self.looks = list(looks)
        healing = self.healer.heal()
        assert self.looks == []
        return healing

    def there(self, name: str) -> bool:
        return (self.prefix / LIBS / name).is_symlink()

    def asked_for(self) -> list[list[str]]:
        """The names of the links in each plan that a person was asked about."""
        return [
            [Path(s.path).name for t in p.treatments for s in t.steps if isinstance(s, MakeLink)] for p in self.plans
        ]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(environment(tmp_path))
    monkeypatch.setattr(repair, "examine", made.examine)
    monkeypatch.setattr(repair, "place_of", lambda *_: (str(made.prefix), (f"{made.prefix}/{SITE}",)))
    return made


def ill(rule: str, *steps: Step, severity: Severity = "error", safety: Any = "safe") -> Finding:
    remedy = Remedy("Heal it.", safety, steps) if steps else None
    return Finding(rule, severity, "it", f"{rule}.", (), remedy)


def outcome(healing: Healing) -> list[tuple[str, bool, str]]:
    return [(item.treatment.finding.rule, item.healed, item.why) for item in healing.outcomes]


# --- Kept or undone ---------------------------------------------------------------------------------------------------------


def test_what_is_proven_is_kept(world: World) -> None:
    sick, well = world.case(ill("cudnn-unreachable", world.link("a"))), world.case()
    healing = world.heal(sick, well)
    assert outcome(healing) == [("cudnn-unreachable", True, "")]
    assert (healing.before, healing.after, healing.applied, healing.remaining) == (sick, well, True, ())
    assert world.there("a")
    assert healing.id == only_journal(world.prefix).id
    assert journal.past(only_journal(world.prefix)).ending == "kept"


def test_a_finding_that_stays_is_said_and_nothing_is_left(world: World) -> None:
    before = tree(world.prefix, inodes=True)
    sick = world.case(ill("cudnn-unreachable", world.link("a")))
    healing = world.heal(sick, sick)
    assert outcome(healing) == [("cudnn-unreachable", False, "the finding is still there afterwards")]
    assert (healing.id, healing.applied) == (None, True)
    assert [finding.rule for finding in healing.remaining] == ["cudnn-unreachable"]
    assert tree(world.prefix, inodes=True) == before
    told = journal.past(only_journal(world.prefix))
    assert (told.ending, told.treatments[0].why) == ("rolled back", "the finding is still there afterwards")


def test_what_the_illness_turned_into_is_said(world: World) -> None:
    finding = ill("cudnn-unreachable", world.link("a"))
    healing = world.heal(world.case(finding), world.case(replace(finding, message="It crashes now.")))
    assert outcome(healing) == [("cudnn-unreachable", False, "afterwards: It crashes now.")]
    assert not world.there("a")


def test_what_breaks_something_else_is_undone(world: World) -> None:
    before = tree(world.prefix, inodes=True)
    sick = world.case(ill("cudnn-unreachable", world.link("a")))
    broken = world.case(ill("kernel-image-missing"))
    healing = world.heal(sick, broken, broken)
    assert outcome(healing) == [("cudnn-unreachable", False, "it made something else fail: kernel-image-missing.")]
    assert healing.after == sick
    assert tree(world.prefix, inodes=True) == before


def test_what_only_came_too_late_on_a_busy_machine_is_not_broken(world: World) -> None:
    sick = world.case(ill("cudnn-unreachable", world.link("a")))
    healing = world.heal(sick, world.case(ill("kernel-image-missing")), world.case())
    assert outcome(healing) == [("cudnn-unreachable", True, "")]
    assert world.there("a")


@pytest.mark.parametrize("status", ["skipped", "crashed"])
def test_a_rule_that_cannot_judge_afterwards_proves_nothing(world: World, status: str) -> None:
    healing = world.heal(world.case(ill("cudnn-unreachable", world.link("a"))), world.case(cudnn_unreachable=status))
    assert outcome(healing)[0][1] is False
    assert not world.there("a")


def test_the_second_look_sees_what_was_done(world: World) -> None:
    world.heal(world.case(ill("cudnn-unreachable", world.link("a"))), world.case())
    assert [f"{LIBS}/a" in seen for seen in world.seen] == [False, True]


def test_a_step_that_cannot_be_done_undoes_those_before_it(world: World) -> None:
    before = tree(world.prefix, inodes=True)
    gone = RestoreFile(f"{world.prefix}/{LIBS}/{LOADER}", f"{world.prefix}/{LIBS}/nowhere")
    healing = world.heal(world.case(ill("cudnn-unreachable", world.link("a"), gone)))
    assert outcome(healing) == [("cudnn-unreachable", False, "No such file or directory: nowhere")]
    assert tree(world.prefix, inodes=True) == before


# --- Rounds -----------------------------------------------------------------------------------------------------------------


def test_a_second_part_asks_again_and_both_are_kept_together(world: World) -> None:
    first, second = ill("cudnn-unreachable", world.link("a")), ill("cudnn-unreachable", world.link("b"))
    healing = world.heal(world.case(first), world.case(second), world.case())
    assert world.asked_for() == [["a"], ["b"]]
    assert outcome(healing) == [("cudnn-unreachable", True, "")]
    assert world.there("a")
    assert world.there("b")
    repair.undo(world.target, {}, None, quiet)
    assert not world.there("a")
    assert not world.there("b")


def test_a_second_part_that_is_not_wished_undoes_the_first(world: World) -> None:
    before = tree(world.prefix, inodes=True)
    world.answers = [True, False]
    first, second = ill("cudnn-unreachable", world.link("a")), ill("cudnn-unreachable", world.link("b"))
    healing = world.heal(world.case(first), world.case(second))
    assert outcome(healing) == [("cudnn-unreachable", False, "its second part was not wished")]
    assert tree(world.prefix, inodes=True) == before


def test_a_second_part_with_an_obstacle_undoes_the_first(world: World) -> None:
    before = tree(world.prefix, inodes=True)
    second = ill("cudnn-unreachable", MakeLink(f"{world.prefix}/nowhere/b", "x"))
    healing = world.heal(world.case(ill("cudnn-unreachable", world.link("a"))), world.case(second))
    assert outcome(healing) == [("cudnn-unreachable", False, f"{world.prefix}/nowhere does not exist")]
    assert world.asked_for() == [["a"]]
    assert tree(world.prefix, inodes=True) == before


def test_steps_that_go_round_in_circles_end(world: World) -> None:
    before = tree(world.prefix, inodes=True)
    looks = [world.case(ill("cudnn-unreachable", world.link(f"{n}"))) for n in range(5)]
    healing = world.heal(*looks)
    assert outcome(healing) == [("cudnn-unreachable", False, "the finding is still there afterwards")]
    assert tree(world.prefix, inodes=True) == before


# --- Consent ----------------------------------------------------------------------------------------------------------------


def test_without_consent_nothing_is_touched(world: World) -> None:
    before = tree(world.prefix.parent, inodes=True)
    world.answers = [False]
    healing = world.heal(world.case(ill("cudnn-unreachable", world.link("a"))))
    assert (healing.applied, healing.outcomes, healing.id) == (False, (), None)
    assert [finding.rule for finding in healing.remaining] == ["cudnn-unreachable"]
    assert tree(world.prefix.parent, inodes=True) == before
    assert not (world.prefix / ".gpu-doctor").exists()


def test_a_plan_alone_touches_nothing_and_asks_nobody(world: World) -> None:
    before = tree(world.prefix.parent, inodes=True)
    world.looks = [world.case(ill("cudnn-unreachable", world.link("a")))]
    healing = world.healer.plan()
    assert [item.steps for item in healing.plan.treatments] == [(world.link("a"),)]
    assert (healing.applied, world.plans) == (False, [])
    assert tree(world.prefix.parent, inodes=True) == before


@pytest.mark.parametrize(
    ("finding", "left"),
    [
        (None, []),
        (ill("driver-too-old", RunByHand("apt install driver", "root"), safety="manual"), ["driver-too-old"]),
        (ill("driver-too-old", RunByHand("x", "y"), severity="warning", safety="manual"), []),
    ],
)
def test_where_there_is_nothing_to_do_nobody_is_asked(world: World, finding: Finding | None, left: list[str]) -> None:
    healing = world.heal(world.case(*([finding] if finding else [])))
    assert (world.plans, healing.applied, healing.outcomes) == ([], False, ())
    assert [item.rule for item in healing.remaining] == left
    assert not (world.prefix / ".gpu-doctor").exists()


def test_an_environment_that_changes_while_somebody_thinks_is_planned_anew(world: World) -> None:
    def install() -> bool:
        (world.prefix / SITE / "numpy-2.0.dist-info").mkdir()
        return True

    world.answers = [install, True]
    old, new = ill("cudnn-unreachable", world.link("old")), ill("cudnn-unreachable", world.link("new"))
    healing = world.heal(world.case(old), world.case(new), world.case())
    assert world.asked_for() == [["old"], ["new"]]
    assert (world.there("old"), world.there("new")) == (False, True)
    assert outcome(healing) == [("cudnn-unreachable", True, "")]


def test_a_new_plan_with_the_same_steps_needs_no_second_consent(world: World) -> None:
    world.answers = [lambda: not (world.prefix / SITE / "numpy-2.0.dist-info").mkdir()]
    sick = world.case(ill("cudnn-unreachable", world.link("a")))
    world.heal(sick, sick, world.case())
    assert world.asked_for() == [["a"]]
    assert world.there("a")


def test_a_new_plan_that_is_not_wished_is_not_applied(world: World) -> None:
    world.answers = [lambda: not (world.prefix / SITE / "numpy-2.0.dist-info").mkdir(), False]
    old, new = ill("cudnn-unreachable", world.link("old")), ill("cudnn-unreachable", world.link("new"))
    healing = world.heal(world.case(old), world.case(new))
    assert (healing.applied, world.there("old"), world.there("new")) == (False, False, False)
    assert healing.plan.treatments[0].finding == new


# --- Several illnesses ------------------------------------------------------------------------------------------------------


def test_one_that_fails_does_not_keep_the_others_from_being_healed(world: World) -> None:
    a, b = ill("ort-packages-clash", world.link("a")), ill("cudnn-unreachable", world.link("b"))
    healing = world.heal(world.case(a, b), world.case(a, b), world.case(a))
    assert outcome(healing) == [
        ("ort-packages-clash", False, "the finding is still there afterwards"),
        ("cudnn-unreachable", True, ""),
    ]
    assert (world.there("a"), world.there("b")) == (False, True)
    assert [finding.rule for finding in healing.remaining] == ["ort-packages-clash"]
    told = journal.past(only_journal(world.prefix))
    assert (told.ending, [item.kept for item in told.treatments]) == ("kept", [False, True])
    repair.undo(world.target, {}, None, quiet)
    assert not world.there("b")


def test_a_step_that_two_illnesses_want_is_tried_for_each_of_them(world: World) -> None:
    """What was done for the first, and undone because that was not healed, is not done for the second any more."""
    a, b = ill("ort-packages-clash", world.link("shared")), ill("cudnn-unreachable", world.link("shared"))
    healing = world.heal(world.case(a, b), world.case(a), world.case(a))
    assert outcome(healing) == [
        ("ort-packages-clash", False, "the finding is still there afterwards"),
        ("cudnn-unreachable", True, ""),
    ]
    assert world.there("shared")


def test_an_illness_that_waited_for_a_graver_one_is_tried_when_that_cannot_be_healed(world: World) -> None:
    a = ill("ort-packages-clash", MakeLink(f"{world.prefix}/{LIBS}/it", "one"))
    b = ill("cudnn-unreachable", MakeLink(f"{world.prefix}/{LIBS}/it", "other"))
    healing = world.heal(world.case(a, b), world.case(a, b), world.case(a))
    assert [item[:2] for item in outcome(healing)] == [("ort-packages-clash", False), ("cudnn-unreachable", True)]
    assert os.readlink(world.prefix / LIBS / "it") == "other"


def test_what_shows_itself_only_afterwards_is_asked_about_and_healed_too(world: World) -> None:
    first, next_ = ill("ort-packages-clash", world.link("a")), ill("kernel-image-missing", world.link("b"))
    healing = world.heal(world.case(first, kernel_image_missing="skipped"), world.case(next_), world.case())
    assert world.asked_for() == [["a"], ["b"]]
    assert [item[:2] for item in outcome(healing)] == [("ort-packages-clash", True), ("kernel-image-missing", True)]
    assert (world.there("a"), world.there("b"), healing.remaining) == (True, True, ())


def test_what_shows_itself_only_afterwards_and_is_not_wished_remains(world: World) -> None:
    world.answers = [True, False]
    first, next_ = ill("ort-packages-clash", world.link("a")), ill("kernel-image-missing", world.link("b"))
    healing = world.heal(world.case(first, kernel_image_missing="skipped"), world.case(next_))
    assert outcome(healing) == [("ort-packages-clash", True, "")]
    assert [finding.rule for finding in healing.remaining] == ["kernel-image-missing"]
    assert (world.there("a"), world.there("b")) == (True, False)
    assert journal.past(only_journal(world.prefix)).ending == "kept"


def test_an_obstacle_is_found_before_anything_is_tried(world: World) -> None:
    before = tree(world.prefix, inodes=True)
    path = f"{world.prefix}/{LIBS}/{LOADER}.bak"
    healing = world.heal(world.case(ill("cudnn-unreachable", world.link("a"), MakeLink(path, "x"))))
    assert outcome(healing) == [
        ("cudnn-unreachable", False, f"{path} is a file, no link: who placed it there must take it away")
    ]
    assert tree(world.prefix, inodes=True) == before
    assert journal.past(only_journal(world.prefix)).treatments == ()


def test_a_missing_package_manager_is_an_obstacle(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpu_doctor.fix.steps.find_program", lambda *_: None)
    step = InstallPackages(("uv", "pip"), "python", ("ctranslate2",))
    healing = world.heal(world.case(ill("cudnn-unreachable", step, safety="ask")))
    assert outcome(healing) == [("cudnn-unreachable", False, "uv is not found, and it owns this environment")]


# --- Interruptions ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_undoes_what_is_not_proven_and_goes_on(world: World, what: type[BaseException]) -> None:
    before = tree(world.prefix, inodes=True)
    with pytest.raises(what):
        world.heal(world.case(ill("cudnn-unreachable", world.link("a"))), what())
    assert f"{LIBS}/a" in world.seen[-1]
    assert tree(world.prefix, inodes=True) == before
    told = journal.past(only_journal(world.prefix))
    assert (told.ending, told.treatments[0].why) == ("rolled back", "it was interrupted")


def test_an_interruption_keeps_what_was_proven_before(world: World) -> None:
    a, b = ill("ort-packages-clash", world.link("a")), ill("cudnn-unreachable", world.link("b"))
    with pytest.raises(KeyboardInterrupt):
        world.heal(world.case(a, b), world.case(b), KeyboardInterrupt())
    assert (world.there("a"), world.there("b")) == (True, False)
    assert journal.past(only_journal(world.prefix)).ending == "kept"
    with workshop.workshop(str(world.prefix), quiet, patience=0):
        assert workshop.cut_off(str(world.prefix)) == ()


@pytest.mark.parametrize("proven_before", [False, True])
def test_what_could_not_be_undone_is_said_and_can_be_undone_later(
    world: World, monkeypatch: pytest.MonkeyPatch, proven_before: bool
) -> None:
    before = tree(world.prefix, inodes=True)
    a, b = (
        ill("ort-packages-clash", world.link("a")),
        ill("cudnn-unreachable", RemoveFile(f"{world.prefix}/{LIBS}/{LOADER}", "x")),
    )
    looks = [world.case(a, b), world.case(b), world.case(b)] if proven_before else [world.case(b), world.case(b)]

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device", "/x")

    with monkeypatch.context() as patch:
        patch.setattr(executor_module, "undo", full)
        with pytest.raises(workshop.UndoFailed) as failed:
            world.heal(*looks)
    assert failed.value.exit_code == 4
    assert only_journal(world.prefix).path in failed.value.hint
    assert [one.id for one in workshop.cut_off(str(world.prefix))] == [only_journal(world.prefix).id]
    workshop.clean_up(str(world.prefix), quiet)
    assert world.there("a") is proven_before
    if proven_before:
        workshop.take_back(str(world.prefix), only_journal(world.prefix), quiet)
    assert tree(world.prefix, inodes=True) == before


# --- After a crash --------------------------------------------------------------------------------------------------------------


def crash(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a repair that was cut off."""
    with monkeypatch.context() as patch:
        patch.setattr(repair.Executor, "take_back", lambda *_: None)
        patch.setattr(workshop, "end", lambda *_: None)
        with pytest.raises(KeyboardInterrupt):
            world.heal(world.case(ill("cudnn-unreachable", world.link("lost"))), KeyboardInterrupt())
    assert world.there("lost")
    world.plans.clear()


def test_what_was_cut_off_is_taken_back_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    crash(world, monkeypatch)
    lost = only_journal(world.prefix).id
    healing = world.heal(world.case(ill("cudnn-unreachable", world.link("a"))), world.case())
    assert world.cleaned == [(lost,)]
    assert (world.there("lost"), world.there("a")) == (False, True)
    assert f"{LIBS}/lost" not in world.seen[-2]  # the look on which the plan is made
    assert healing.id != lost


def test_without_leave_to_clean_up_nothing_is_begun(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    crash(world, monkeypatch)
    world.may_clean = False
    before = tree(world.prefix, inodes=True)
    with pytest.raises(workshop.Occupied, match="was cut off and must be taken back first"):
        world.heal(world.case())
    assert tree(world.prefix, inodes=True) == before
    assert world.plans == []


# --- Undo and history -------------------------------------------------------------------------------------------------------------


def test_undo_takes_back_the_latest_and_then_the_one_before(world: World) -> None:
    first, second = healed_twice(world)
    assert [one.id for one in repair.history(world.target, {})] == [second, first]
    for wanted in (second, first):
        candidate = repair.candidate(world.target, {}, None)
        assert candidate is not None
        assert candidate.id == wanted
        done = repair.undo(world.target, {}, None, quiet)
        assert done is not None
        assert (done.id, done.ending) == (wanted, "undone")
    assert repair.candidate(world.target, {}, None) is None
    assert repair.undo(world.target, {}, None, quiet) is None
    assert (world.there("a"), world.there("b")) == (False, False)


def healed_twice(world: World) -> tuple[str, str]:
    """Heal twice, a second apart, since ids are ordered by time."""
    ids = []
    for name in ("a", "b"):
        healing = world.heal(world.case(ill("cudnn-unreachable", world.link(name))), world.case())
        assert healing.id is not None
        ids.append(healing.id)
        moment = time.time()
        while int(time.time()) == int(moment):
            time.sleep(0.02)
    return ids[0], ids[1]


def test_undo_takes_back_the_one_that_is_named(world: World) -> None:
    first, _ = healed_twice(world)
    done = repair.undo(world.target, {}, first, quiet)
    assert done is not None
    assert done.id == first
    assert (world.there("a"), world.there("b")) == (False, True)
    assert repair.undo(world.target, {}, first, quiet) is None


@pytest.mark.parametrize("act", [repair.candidate, lambda *args: repair.undo(*args, quiet)])
def test_a_name_that_no_repair_has_is_refused(world: World, act: Callable[..., Any]) -> None:
    world.heal(world.case(ill("cudnn-unreachable", world.link("a"))), world.case())
    with pytest.raises(UsageError, match="there is no repair 'x' of this environment"):
        act(world.target, {}, "x")
    assert world.there("a")


def test_where_nothing_was_ever_repaired_there_is_nothing_to_take_back(world: World) -> None:
    assert repair.undo(world.target, {}, None, quiet) is None
    assert repair.history(world.target, {}) == ()
    assert not (world.prefix / ".gpu-doctor").exists()
