"""The way through a gate, once, in order: requirements → only what they need → judgement of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING

from gpu_doctor import __version__
from gpu_doctor.collect.wish import Wish
from gpu_doctor.doctor import Progress, judge, quiet
from gpu_doctor.errors import UsageError
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.case import Case, Report
from gpu_doctor.model.config import Config, Threshold, Written
from gpu_doctor.model.requirement import Ignored, Judged, Requirement
from gpu_doctor.model.target import Target
from gpu_doctor.preflight.ignores import apply
from gpu_doctor.preflight.judge import absent, hopeless, standing
from gpu_doctor.preflight.judge import judge as judge_one
from gpu_doctor.preflight.language import parse, split
from gpu_doctor.preflight.plan import KERNEL_RULE, Need, need, together
from gpu_doctor.preflight.seen import Seen, say
from gpu_doctor.probe.limit import Limit

if TYPE_CHECKING:
    from gpu_doctor.collect.needed import Look
    from gpu_doctor.model.inventory import Inventory


@dataclass(frozen=True, slots=True)
class Manner:
    """Say how to look: `static` asks nothing live, `deadline` is for everything together, in seconds.

    Findings at or above `fail_on` make what they concern unmet; those that `config` ignores do not count.
    """

    static: bool = False
    deadline: float | None = None
    fail_on: Threshold = "error"
    config: Config = field(default_factory=Config)
    today: date = field(default_factory=date.today)


def requirements(texts: Sequence[str], config: Config) -> tuple[Requirement, ...]:
    """Return what the command line requires, else what the project does; raise UsageError for nothing and nonsense."""
    facts = Facts.load()
    asked = [Written(text, "--require") for text in split(texts)] or list(config.require)
    if not asked:
        hint = 'name what must hold: --require torch-cuda, or `require = ["torch-cuda"]` under [tool.gpu-doctor]'
        raise UsageError("nothing is required", hint)
    found = (parse(word.text, word.where, facts) for word in asked)
    # What is asked for twice is answered once.
    return tuple({(item.name, item.subject, item.operator, item.bound): item for item in found}.values())


def preflight(
    target: Target,
    environ: Mapping[str, str],
    required: Sequence[Requirement],
    manner: Manner = Manner(),
    progress: Progress = quiet,
) -> Report:
    """Judge each requirement of a target; only what is required is read, judged and asked, files first."""
    return _Gate(target, environ, tuple(required), manner, progress).passed()


def exit_code(report: Report, fail_on: Threshold) -> int:
    """Return 1 where something is unmet (0 where that is forgiven), 3 where something is undetermined, else 0."""
    where = standing(report.requirements)
    if where == "unmet" and fail_on != "never":
        return 1
    # What could not be determined must not look green, whatever is forgiven.
    return 3 if any(item.standing == "undetermined" for item in report.requirements) else 0


class _Gate:
    def __init__(
        self,
        target: Target,
        environ: Mapping[str, str],
        required: tuple[Requirement, ...],
        manner: Manner,
        progress: Progress,
    ) -> None:
        self.target = target
        self.environ = environ
        self.required = required
        self.manner = manner
        self.progress = progress
        self.began = time.monotonic()
        self.facts = Facts.load()
        self.judged: dict[Requirement, Judged] = {}
        self.ignored: tuple[Ignored, ...] = ()
        self.rules: frozenset[str] = frozenset()

    def passed(self) -> Report:
        """Go from what is fastest to what is slowest, and leave each requirement where it is certain."""
        from gpu_doctor.collect.needed import Look

        self.progress("reading packages")
        look = Look(self.target, self.environ, self.facts, self._limit())
        for requirement in self.required:
            self._keep(absent(requirement, look.inventory))
        needs = together(self._open())
        self.rules = needs.rules
        self._read(look, needs)
        seen = self._seen(look.inventory)
        self._settle(look, seen)
        return Report(
            cases=(self.case,),
            doctor=__version__,
            facts=self.facts.date,
            requirements=tuple(self.judged[requirement] for requirement in self.required),
            ignored=self.ignored,
        )

    def _limit(self) -> Limit | None:
        deadline = self.manner.deadline
        if deadline is None:
            return None
        return Limit(self.began + deadline, f"the {deadline:g} s of --deadline were over")

    def _read(self, look: Look, needs: Need) -> None:
        """Read what is needed; where the time is over before that, leave open what needs it."""
        from gpu_doctor.collect.needed import TimeOver

        if needs.hardware:
            look.begin_hardware()
        try:
            if needs.code:
                look.read_code(self.progress)
        except TimeOver as over:
            self._leave_open(str(over), lambda item: item.code or item.files)
        try:
            if together(self._open()).files:
                look.read_files(self.progress)
        except TimeOver as over:
            self._leave_open(str(over), lambda item: item.files)
        look.end_hardware()

    def _leave_open(self, over: str, lacks: Callable[[Need], bool]) -> None:
        """Leave open what lacks files that were not read in time, and judge by no rule of theirs."""
        for requirement in filter(lambda item: lacks(need(item)), self._open()):
            self._keep(say(requirement, "undetermined", f"Not all files were read: {over}"))
        self.rules = together(self._open()).rules

    def _settle(self, look: Look, seen: Seen) -> None:
        """Judge what files and the driver decide, then what the live interpreter must be asked for."""
        waiting = [item for item in self._open() if need(item).kinds and self._worth_asking(item, seen)]
        for requirement in self._open():
            if requirement not in waiting:
                self._keep(judge_one(requirement, seen))
        if not waiting:
            return
        needs = together(waiting)
        look.ask(Wish(needs.kinds, None, needs.thorough), needs.imports, self.progress)
        seen = self._seen(look.inventory)
        for requirement in waiting:
            self._keep(judge_one(requirement, seen))

    def _worth_asking(self, requirement: Requirement, seen: Seen) -> bool:
        return not self.manner.static and not hopeless(requirement, seen)

    def _seen(self, inventory: Inventory) -> Seen:
        self.progress("judging")
        self.case = self._case(inventory, self.rules) if self.rules else Case(inventory, (), ())
        kernels = {item.subject: self._for_gpu(inventory, item.subject) for item in self._kernels()}
        return Seen(self.case, kernels, not self.manner.static, self.manner.fail_on, self.facts)

    def _case(self, inventory: Inventory, rules: frozenset[str]) -> Case:
        report = apply(judge([inventory], select=sorted(rules)), self.manner.config, self.manner.today)
        self.ignored = tuple(dict.fromkeys((*self.ignored, *report.ignored)))
        (case,) = report.cases
        return case

    def _for_gpu(self, inventory: Inventory, words: str) -> Case:
        from gpu_doctor.doctor import assumed_gpus

        # The driver that is here, or that was named, stays: it compiles PTX, whichever GPU is meant.
        meant = replace(inventory, target=replace(inventory.target, gpus=(words,)), gpus=assumed_gpus([words]))
        return self._case(meant, frozenset((KERNEL_RULE,)))

    def _kernels(self) -> list[Requirement]:
        return [item for item in self._open() if item.name == "kernels"]

    def _open(self) -> list[Requirement]:
        return [item for item in self.required if item not in self.judged]

    def _keep(self, judged: Judged | None) -> None:
        if judged is not None:
            self.judged[judged.requirement] = replace(judged, seconds=round(time.monotonic() - self.began, 3))
