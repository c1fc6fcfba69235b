"""The way back to health, once, in order: case → plan → applied → case again, kept only where that proves it."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from gpu_doctor import __version__
from gpu_doctor.collect.target import place_of, project_of
from gpu_doctor.doctor import Asking, examine
from gpu_doctor.errors import DoctorError, UsageError
from gpu_doctor.fix import journal, workshop
from gpu_doctor.fix.executor import Executor
from gpu_doctor.fix.ground import Ground, OutOfBounds
from gpu_doctor.fix.obstacles import obstacles, signature
from gpu_doctor.fix.planner import make_plan, meant, with_pins
from gpu_doctor.fix.proof import proven, worse
from gpu_doctor.fix.scripts import activated
from gpu_doctor.fix.steps import Hands, NotDone
from gpu_doctor.model.case import Case
from gpu_doctor.model.finding import Finding
from gpu_doctor.model.past import PastRepair
from gpu_doctor.model.plan import Plan, Treatment, Wish
from gpu_doctor.model.remedy import EditPins, Remedy, Step
from gpu_doctor.model.repair import Healing, Outcome
from gpu_doctor.model.target import Target

_ROUNDS = 4


@dataclass(frozen=True, slots=True)
class Talk:
    """Hold how to speak with whoever asked: consent to a plan, consent to clean up after a crash, and progress."""

    consent: Callable[[Case, Plan], bool]
    clean_up: Callable[[tuple[PastRepair, ...]], bool]
    progress: Callable[[str], None]


@dataclass(slots=True)
class Healer:
    """Heal one environment; `asked` is the command line that goes into the journal."""

    target: Target
    environ: Mapping[str, str]
    wish: Wish
    asked: str
    talk: Talk
    asking: Asking = field(default_factory=Asking)
    _consented: set[Step] = field(default_factory=set)

    def plan(self) -> Healing:
        """Look, judge and plan; change nothing."""
        case = self._look()
        plan = self._planned(case)
        return Healing(case, plan, case, remaining=_remaining(case, plan, self.wish))

    def heal(self) -> Healing:
        """Plan, ask for consent, apply, and prove; what is not proven is undone before this returns."""
        prefix, sites = place_of(self.target, self.environ)
        if workshop.cut_off(prefix):
            self._clean_up(prefix)
        stamp = signature(sites)
        planned = self.plan()
        if not planned.plan.treatments or not self._agreed(planned.before, planned.plan):
            return planned
        with workshop.workshop(prefix, self.talk.progress):
            if signature(sites) != stamp:  # while it was looked at, or somebody thought about the plan
                planned = self.plan()
                if not planned.plan.treatments or not self._agreed(planned.before, planned.plan):
                    return planned
            return self._apply(prefix, planned.before, planned.plan)

    def _clean_up(self, prefix: str) -> None:
        found = tuple(journal.past(one) for one in workshop.cut_off(prefix))
        if not self.talk.clean_up(found):
            raise workshop.Occupied(
                f"the repair {found[0].id} was cut off and must be taken back first", "`gpu-doctor undo` does that"
            )
        with workshop.workshop(prefix, self.talk.progress):
            workshop.clean_up(prefix, self.talk.progress)

    def _look(self) -> Case:
        environ = activated(place_of(self.target, self.environ)[0], self.environ)
        (case,) = examine(self.target, environ, asking=self.asking, progress=self.talk.progress).cases
        return case

    def _planned(self, case: Case, tried: Collection[str] = ()) -> Plan:
        """Plan; what is to last is pinned in the project from which the environment is synced, too."""
        project = project_of(case.inventory.interpreter.prefix) if self.wish.prefer == "durable" else None
        return with_pins(make_plan(case, self.wish, tried), project)

    def _agreed(self, case: Case, plan: Plan) -> bool:
        """Ask for consent to the steps that were not consented to before."""
        steps = {step for treatment in plan.treatments for step in treatment.steps}
        if steps <= self._consented:
            return True
        if not self.talk.consent(case, plan):
            return False
        self._consented |= steps
        return True

    def _apply(self, prefix: str, case: Case, plan: Plan) -> Healing:
        first, outcomes = (case, plan), list[Outcome]()
        outside = tuple(s.path for t in plan.treatments for s in t.steps if isinstance(s, EditPins))
        hands = Hands(Ground(prefix, outside), self.environ, _edited)
        book = journal.begin(prefix, self.asked, __version__, outside)
        executor = Executor(hands, book, self.talk.progress)
        tried: set[str] = set()
        try:
            while plan.treatments:
                outcome, case = self._treat(plan.treatments[0], case, executor, hands)
                outcomes.append(outcome)
                tried.add(outcome.treatment.finding.fingerprint)
                plan = self._planned(case, tried)
                if plan.treatments and not self._agreed(case, plan):
                    break
        finally:
            kept = any(outcome.healed for outcome in outcomes)
            if executor.settled:  # else the next command takes back what this one could not
                workshop.end(book, "kept" if kept else "rolled back")
        remaining = _remaining(case, make_plan(case, self.wish), self.wish)
        return Healing(*first, case, tuple(outcomes), book.id if kept else None, True, remaining)

    def _treat(self, treatment: Treatment, case: Case, executor: Executor, hands: Hands) -> tuple[Outcome, Case]:
        """Do one treatment, keep it or take it back, and return what became of it and the case that holds then."""
        stopped = obstacles(treatment.steps, case.inventory, hands)
        if stopped:
            return Outcome(treatment, False, "; ".join(stopped)), case
        executor.open(treatment)
        try:
            after = self._rounds(treatment, case, executor, hands)
        except NotDone as error:
            _take_back(executor, str(error))
            return Outcome(treatment, False, str(error)), case
        except BaseException:
            _take_back(executor, "it was interrupted")
            raise
        executor.keep()
        return Outcome(treatment, True), after

    def _rounds(self, treatment: Treatment, case: Case, executor: Executor, hands: Hands) -> Case:
        """Do the steps and look again until the finding is gone.

        Raise NotDone where it stays or something else breaks.
        """
        finding, steps, done = treatment.finding, treatment.steps, set[Step]()
        for _ in range(_ROUNDS):
            executor.do(steps)
            done |= set(steps)
            after = self._look()
            if proven(finding, after):
                worsened = worse(case, after)
                if worsened:
                    # On a busy machine a question may only have come too late; what is broken is so the next time.
                    after = self._look()
                    worsened = worse(case, after) if proven(finding, after) else worsened
                if worsened:
                    raise NotDone(f"it made something else fail: {worsened[0].message}")
                return after
            plan = self._planned(after)
            further = next((t for t in plan.treatments if t.finding.fingerprint == finding.fingerprint), None)
            if further is None or set(further.steps) <= done:
                break
            stopped = obstacles(further.steps, after.inventory, hands)
            if stopped:
                raise NotDone("; ".join(stopped))
            if not self._agreed(after, Plan((further,), ())):
                raise NotDone("its second part was not wished")
            steps = further.steps
        raise NotDone(_still(finding, after))


def _still(finding: Finding, after: Case) -> str:
    """Return why a finding counts as there: unchanged, or what the same illness turned into."""
    now = next((f for f in after.findings if f.fingerprint == finding.fingerprint), finding)
    return "the finding is still there afterwards" if now.message == finding.message else f"afterwards: {now.message}"


def _take_back(executor: Executor, why: str) -> None:
    """Undo the current treatment; raise UndoFailed where that cannot be done now."""
    try:
        executor.take_back(why)
    except (OSError, OutOfBounds) as error:
        raise workshop.not_taken_back(executor.journal, error) from error


def _edited(name: str, text: str, pins: tuple[str, ...]) -> str:
    from gpu_doctor.pins.edit import edited

    return edited(name, text, pins)


def _remaining(case: Case, plan: Plan, wish: Wish) -> tuple[Finding, ...]:
    """Return what is still ill: every error that was meant, and every warning for which there is a treatment."""
    treatable = {treatment.finding.fingerprint for treatment in plan.treatments}
    return tuple(f for f in meant(case, wish.names) if f.severity == "error" or f.fingerprint in treatable)


def write_pins(
    target: Target,
    environ: Mapping[str, str],
    path: str,
    pins: tuple[str, ...],
    agreed: Callable[[str, str], bool],
    progress: Callable[[str], None],
) -> str | None:
    """Write pins into a project's file and return the repair's id; None where it holds them already.

    `agreed` is asked with the text before and after, and nothing is written where it says no. The journal is that of
    the environment for which the pins are. Raise UsageError for a file that cannot hold pins.
    """
    prefix, _ = place_of(target, environ)
    real = os.path.realpath(path)
    old = _read_text(real)
    new = _edited(real, old, pins)
    if new == old or not agreed(old, new):
        return None
    step = EditPins(real, pins)
    remedy = Remedy(f"Pin {len(pins)} versions in {os.path.basename(path)}.", "ask", (step,))
    finding = Finding("pins", "note", real, "Versions that go together are to be pinned.", (), remedy)
    with workshop.workshop(prefix, progress):
        book = journal.begin(prefix, f"pins --write {path}", __version__, (real,))
        executor = Executor(Hands(Ground(prefix, (real,)), environ, _edited), book, progress)
        executor.open(Treatment(finding, remedy, (step,)))
        try:
            executor.do((step,))
        except NotDone as error:
            _take_back(executor, str(error))
            workshop.end(book, "rolled back")
            raise DoctorError(f"{path} was not changed: {error}") from error
        executor.keep()
        workshop.end(book, "kept")
    return book.id


def _read_text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def undo(
    target: Target, environ: Mapping[str, str], name: str | None, progress: Callable[[str], None]
) -> PastRepair | None:
    """Take back the named repair, or the latest one that can be; return it, or None where there is none."""
    prefix, _ = place_of(target, environ)
    if not journal.journals(prefix):
        return None
    with workshop.workshop(prefix, progress):
        found = _chosen(prefix, name)
        if found is None:
            return None
        workshop.take_back(prefix, found, progress)
        return journal.past(found)


def candidate(target: Target, environ: Mapping[str, str], name: str | None) -> PastRepair | None:
    """Return the repair that `undo` would take back, or None where there is none; raise UsageError for a wrong name."""
    found = _chosen(place_of(target, environ)[0], name)
    return journal.past(found) if found is not None else None


def history(target: Target, environ: Mapping[str, str]) -> tuple[PastRepair, ...]:
    """Return every repair that this environment remembers, the latest first."""
    return tuple(journal.past(one) for one in journal.journals(place_of(target, environ)[0]))


def _chosen(prefix: str, name: str | None) -> journal.Journal | None:
    known = journal.journals(prefix)
    if name is None:
        return next((one for one in known if journal.past(one).can_be_undone), None)
    found = next((one for one in known if one.id == name), None)
    if found is None:
        raise UsageError(f"there is no repair {name!r} of this environment", "`gpu-doctor history` lists them")
    return found if journal.past(found).can_be_undone else None
