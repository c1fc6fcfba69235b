"""Take an image out of the container engine that holds it, as a tar."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from gpu_doctor.errors import DoctorError, UsageError

_ENGINES = ("docker", "podman")
_NAME = re.compile(r"[A-Za-z0-9][\w./:@-]{0,254}", re.ASCII)
# Half an hour: images of GPU software have tens of gigabytes.
_DEADLINE = 1800.0


@dataclass(frozen=True, slots=True)
class Held:
    """Name an image that an engine holds; `program` is the engine's path."""

    engine: str
    program: str
    name: str


def is_held(words: str) -> bool:
    """Tell whether words name an image of an engine, such as `docker:app:1`."""
    return words.partition(":")[0] in _ENGINES and ":" in words


def held(words: str, environ: Mapping[str, str]) -> Held:
    """Return the image that words name; raise UsageError for a name that is none, or an engine that is not here."""
    engine, _, name = words.partition(":")
    if not _NAME.fullmatch(name):
        raise UsageError(f"{words[:80]}: no name of an image", f"write it like {engine}:registry/app:1")
    program = shutil.which(engine, path=environ.get("PATH", os.defpath))
    if program is None:
        raise UsageError(f"{words}: there is no {engine} here", _how(engine, name))
    return Held(engine, program, name)


def save(image: Held, folder: str, environ: Mapping[str, str]) -> str:
    """Let the engine write the image into a folder and return the tar's path; raise DoctorError where it does not."""
    from gpu_doctor.probe.ask import ask

    path = os.path.join(folder, "image.tar")
    argument = {"engine": image.program, "image": image.name, "output": path}
    options = ("-I", "-S")
    answer = ask(
        "save_image.py", sys.executable, argument=argument, deadline=_DEADLINE, environ=environ, options=options
    )
    words = f"cannot read {image.engine}:{image.name}"
    if answer.ending != "answered":
        raise DoctorError(f"{words}: {image.engine} save: {answer.reason}", _how(image.engine, image.name))
    if answer.value["exit"] != 0 or not os.path.isfile(path):
        said = [line.strip() for line in answer.value["said"].splitlines() if line.strip()]
        why = said[-1][:300] if said else f"exit code {answer.value['exit']}"
        raise DoctorError(f"{words}: {why}", _how(image.engine, image.name))
    return path


def _how(engine: str, name: str) -> str:
    file = name.rpartition("/")[2].partition(":")[0] + ".tar"
    inside = f"{engine} run --rm {name} gpu-doctor snapshot > snapshot.json"
    return f"where it is, `{engine} save -o {file} {name}`; or, with gpu-doctor in the image, `{inside}`"
