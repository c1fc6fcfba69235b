"""Turn a step of a remedy into deeds: changes of single paths, and runs of package managers."""

from __future__ import annotations

import glob
import os
import shlex
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gpu_doctor.errors import DoctorError
from gpu_doctor.fix import execstack, records
from gpu_doctor.fix.files import state
from gpu_doctor.fix.ground import Ground
from gpu_doctor.fix.manager import find_program
from gpu_doctor.fix.scripts import changed_scripts
from gpu_doctor.model.change import ABSENT, Change, Command, Deed, Gone, NewFile, NewLink
from gpu_doctor.model.remedy import (
    ClearExecutableStack,
    EditPins,
    InstallPackages,
    ListInRecord,
    MakeLink,
    RemoveFile,
    RemovePackages,
    RestoreFile,
    SetVariable,
    Step,
    command,
)

EditText = Callable[[str, str, tuple[str, ...]], str]
"""(file name, its text, requirements) → the text with these pins."""

_LARGEST = 4 << 30


class NotDone(Exception):
    """Say in one clause why a step could not be done."""


@dataclass(frozen=True, slots=True)
class Hands:
    """Hold what doing needs: the ground, the variables of the user's process, and who edits a project's pins."""

    ground: Ground
    environ: Mapping[str, str]
    edit_pins: EditText


def deeds(step: Step, hands: Hands) -> Iterator[Deed]:
    """Yield what is to be done for a step as things are now; nothing where they are so already.

    Raise NotDone where it cannot be done, OSError where a file cannot be read.
    """
    if isinstance(step, MakeLink):
        yield from _unless_so(hands, Change(step.path, NewLink(step.points_to)), f"link {step.points_to}")
    elif isinstance(step, RemoveFile):
        yield from _unless_so(hands, Change(step.path, Gone()), ABSENT)
    elif isinstance(step, RestoreFile):
        content, status = _read(hands, step.saved)
        yield Change(step.path, NewFile(content, stat.S_IMODE(status.st_mode), status.st_mtime_ns))
        yield Change(step.saved, Gone())
    elif isinstance(step, InstallPackages | RemovePackages):
        yield Command(arguments(step, hands))
    else:
        yield from _edits(step, hands)


def arguments(step: InstallPackages | RemovePackages, hands: Hands) -> tuple[str, ...]:
    """Return the command line of a package manager; raise NotDone where its program is nowhere."""
    program, *rest = shlex.split(command(step))
    found = find_program(program, hands.ground.prefix, hands.environ)
    if found is None:
        raise NotDone(f"{program} is not found, and it owns this environment")
    return (found, *rest)


def _edits(step: Step, hands: Hands) -> Iterator[Change]:
    if isinstance(step, ListInRecord):
        record = _present_record(step.record)
        content, _ = _read(hands, record)
        new = records.edited(content.decode("utf-8", "surrogateescape"), step.add, step.drop)
        yield from _rewritten(record, content, new.encode("utf-8", "surrogateescape"))
    elif isinstance(step, ClearExecutableStack):
        content, _ = _read(hands, step.path)
        try:
            yield from _rewritten(step.path, content, execstack.cleared(content))
        except ValueError as error:
            raise NotDone(f"{step.path} is {error}") from error
    elif isinstance(step, EditPins):
        yield from _pins(step, hands)
    elif isinstance(step, SetVariable):
        yield from changed_scripts(step, hands.ground, hands.environ)
    else:
        raise NotDone("it is for a person to do")


def _pins(step: EditPins, hands: Hands) -> Iterator[Change]:
    content = _read(hands, step.path)[0] if os.path.lexists(step.path) else b""
    exact = tuple(_exact(text, hands.ground) for text in step.requirements)
    try:
        text = hands.edit_pins(os.path.basename(step.path), content.decode("utf-8"), exact)
    except (DoctorError, UnicodeDecodeError) as error:
        raise NotDone(f"{step.path} cannot be edited: {error}") from error
    yield from _rewritten(step.path, content, text.encode("utf-8"))


def _exact(text: str, ground: Ground) -> str:
    """Return a requirement as an exact pin; one that leaves a choice is pinned to what is installed by now."""
    need = Requirement(text)
    if any(one.operator in ("==", "===") and not one.version.endswith(".*") for one in need.specifier):
        return text
    name = canonicalize_name(need.name).replace("-", "_")
    found = glob.glob(f"{glob.escape(ground.real)}/lib/python3*/site-packages/*.dist-info")
    named = (os.path.basename(path).removesuffix(".dist-info").rpartition("-") for path in found)
    version = next((after for before, _, after in named if canonicalize_name(before).replace("-", "_") == name), None)
    if version is None:
        raise NotDone(f"{need.name} is not installed, so there is no version to pin")
    return f"{need.name}=={version}"


def _present_record(record: str) -> str:
    """Return a RECORD's path, or where it lies now that a step before has brought another release."""
    folder = os.path.dirname(record)
    site, name = os.path.split(folder)
    if os.path.exists(record) or not os.path.isdir(site):
        return record
    beginning = name.partition("-")[0] + "-"
    others = [other for other in os.listdir(site) if other.startswith(beginning) and other.endswith(".dist-info")]
    return os.path.join(site, others[0], "RECORD") if len(others) == 1 else record


def _unless_so(hands: Hands, change: Change, wished: str) -> Iterator[Change]:
    if state(hands.ground, change.path) != wished:
        yield change


def _rewritten(path: str, old: bytes, new: bytes) -> Iterator[Change]:
    if new != old:
        yield Change(path, NewFile(new))


def _read(hands: Hands, path: str) -> tuple[bytes, os.stat_result]:
    """Return the content and state of a regular file of the environment."""
    with hands.ground.folder_of(path) as (folder, name):
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise NotDone(f"{path} is not a regular file")
            return file.read(_LARGEST), status
