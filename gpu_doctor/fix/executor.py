"""Do a plan's deeds, each one written down before it is done, and take them back, newest first."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress

from gpu_doctor.fix import snapshot
from gpu_doctor.fix.files import Shelf, expected, put, save, state
from gpu_doctor.fix.ground import Ground, home_of, sync_folder
from gpu_doctor.fix.journal import Deeds, Journal, Line
from gpu_doctor.fix.manager import last_beat_ns, run
from gpu_doctor.fix.steps import Hands, NotDone, deeds
from gpu_doctor.model.change import Change, Command, Deed, Gone, NewFolder, Saved
from gpu_doctor.model.plan import Treatment
from gpu_doctor.model.remedy import Step

_SHOWN = 3


class Executor:
    """Do treatments in one environment under one journal; whoever uses it holds the environment's lock."""

    def __init__(self, hands: Hands, journal: Journal, tell: Callable[[str], None]) -> None:
        self.journal = journal
        self._hands = hands
        self._tell = tell
        self._shelf = Shelf(journal.folder)
        self._shelf.prepare()
        self._number = 0
        self._current: Deeds | None = None

    @property
    def settled(self) -> bool:
        """Tell whether nothing is begun that is neither kept nor taken back."""
        return self._current is None

    def open(self, treatment: Treatment) -> None:
        """Write down for which illness the next deeds are."""
        finding, remedy = treatment.finding, treatment.remedy
        treat = {"rule": finding.rule, "subject": finding.subject, "message": finding.message}
        self.journal.write({"treat": {**treat, "fingerprint": finding.fingerprint, "summary": remedy.summary}})
        self._current = Deeds(treat)

    def do(self, steps: tuple[Step, ...]) -> int:
        """Do the steps in order and return how many deeds that took.

        Raise NotDone for one that cannot be done; what was done before it is then still there: `take_back` it.
        """
        before = self._number
        try:
            for step in steps:
                for deed in deeds(step, self._hands):
                    self._do(deed)
        except OSError as error:
            where = f": {error.filename}" if error.filename else ""
            raise NotDone(f"{error.strerror or error}{where}") from error
        return self._number - before

    def take_back(self, why: str) -> None:
        """Undo the deeds of the current treatment and write down why."""
        assert self._current is not None
        undo(self._hands.ground, self.journal, [self._current], self._tell)
        self.journal.write({"settle": "undone", "why": why})
        self._current = None

    def keep(self) -> None:
        """Write down that the current treatment is proven."""
        self.journal.write({"settle": "kept"})
        self._current = None

    def _do(self, deed: Deed) -> None:
        self._number += 1
        if isinstance(deed, Change):
            self._change(deed)
        else:
            self._run(deed)
        self.journal.write({"done": self._number})

    def _change(self, change: Change) -> None:
        ground, name = self._hands.ground, str(self._number)
        before = state(ground, change.path)
        if before == "folder" and not isinstance(change.new, NewFolder | Gone):
            raise NotDone(f"{change.path} is a folder")
        kept = save(ground, change.path, self._shelf, name)
        sync_folder(self._shelf.saved)
        self._begin({"path": change.path, "saved": kept, "before": before, "after": expected(change, before)})
        self._tell(change.path)
        put(ground, change, self._shelf)

    def _run(self, deed: Command) -> None:
        tree = f"tree-{self._number}"
        snapshot.take(self._hands.ground, os.path.join(self.journal.folder, tree), self._tell)
        self._begin({"run": list(deed.arguments), "tree": tree})
        home = home_of(self._hands.ground.prefix)
        status, lines = run(deed.arguments, self._hands.environ, home, self._tell)
        if status != 0:
            said = "; ".join(lines[-_SHOWN:])
            raise NotDone(
                f"{os.path.basename(deed.arguments[0])} ended with exit code {status}{f': {said}' if said else ''}"
            )
        snapshot.settle(self._hands.ground, os.path.join(self.journal.folder, tree))

    def _begin(self, line: Line) -> None:
        line = {"begin": self._number, **line}
        self.journal.write(line)
        assert self._current is not None
        self._current.begun.append(line)


def conflicts(ground: Ground, journal: Journal, treatments: list[Deeds]) -> list[str]:
    """Return the paths that somebody changed since, so that taking the deeds back would lose their work."""
    allowed: dict[str, set[str]] = {}
    for line in _newest_first(treatments):
        if "path" in line:
            allowed.setdefault(line["path"], set()).update((line["before"], line["after"]))
    folders = [os.path.join(journal.folder, line["tree"]) for line in _newest_first(treatments) if "tree" in line]
    # What one run of a manager left, the next one may have changed: any state of the way is this repair's own. The same
    # holds for a path that was changed both by a deed of its own and with a package.
    found = tuple(d for folder in folders if _settled(folder) for d in snapshot.differences(ground, folder))
    with_packages = {os.path.join(ground.real, item.path) for item in found}
    alone = {path: states for path, states in allowed.items() if os.path.realpath(path) not in with_packages}
    wrong = [path for path, states in alone.items() if path not in with_packages and state(ground, path) not in states]
    return wrong + snapshot.conflicts(ground, found, allowed)


def undo(ground: Ground, journal: Journal, treatments: list[Deeds], tell: Callable[[str], None]) -> None:
    """Take deeds back, newest first; one that was never finished, or is taken back already, is no matter."""
    shelf = Shelf(journal.folder)
    shelf.prepare()
    for line in _newest_first(treatments):
        if "path" in line:
            tell(line["path"])
            _put_back(ground, line, shelf)
        else:
            folder = os.path.join(journal.folder, line["tree"])
            # Of a run that was cut off, what somebody did long after it is not the run's.
            beat = None if _settled(folder) else last_beat_ns(home_of(ground.prefix))
            snapshot.restore(ground, folder, snapshot.differences(ground, folder, beat), shelf)


def throw_away(journal: Journal) -> None:
    """Let go of everything that a repair saved, once nothing of it is left to take back; the journal stays."""
    for name in os.listdir(journal.folder):
        path = os.path.join(journal.folder, name)
        if os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)


def _put_back(ground: Ground, line: Line, shelf: Shelf) -> None:
    if line["before"] == "folder":
        return
    new = Saved(str(line["begin"])) if line["saved"] else Gone()
    with suppress(FileNotFoundError, NotADirectoryError):  # its folder went with a package that brought it
        put(ground, Change(line["path"], new), shelf)


def _settled(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, "changes.json"))


def _newest_first(treatments: list[Deeds]) -> list[Line]:
    """Return the deeds that may still be there; those of a treatment that was not kept are undone already."""
    open_or_kept = (one for one in treatments if one.settled is None or one.settled.get("settle") == "kept")
    return [line for one in reversed(list(open_or_kept)) for line in reversed(one.begun)]
