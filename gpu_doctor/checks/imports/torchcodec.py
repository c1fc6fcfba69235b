"""Tell why torchcodec cannot be loaded: another torch than it was built for, no FFmpeg, or another library missing."""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import Literal

from gpu_doctor.checks.choices import torchcodec_choice
from gpu_doctor.checks.choices.torchcodec_choice import NAME
from gpu_doctor.checks.drivers.system import package_line
from gpu_doctor.checks.imports.errors import words
from gpu_doctor.checks.shared.stack import install
from gpu_doctor.facts.tables import Facts
from gpu_doctor.facts.torchcodec import TorchcodecFact
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Probe
from gpu_doctor.model.remedy import Remedy, RunByHand
from gpu_doctor.model.unknown import Unknown

Illness = Literal["torch", "ffmpeg", "library", "unclear"]

_OURS = "libtorchcodec"
_UNDEFINED = re.compile(rf"{_OURS}\w*\.so: undefined symbol")
_UNOPENED = re.compile(r"([\w.+-]+\.so[\w.]*): cannot open shared object file")
_FFMPEG = re.compile(r"lib(av\w+|sw\w+|postproc)\.so")


def illness(probe: Probe) -> Illness | None:
    """Tell why the import of torchcodec failed, or None where its own libraries had no part in it.

    It tries one set of libraries for each FFmpeg that it knows. Where one set finds its FFmpeg, the words about the
    others mean nothing; so a symbol that torch lacks weighs more than any library that is not found.
    """
    if probe.ending == "crashed":
        return "torch" if "bad_alloc" in probe.log or _OURS in posixpath.basename(probe.loading) else None
    said = words(probe)
    if probe.ending != "raised" or (_OURS not in said and _OURS not in posixpath.basename(probe.loading)):
        return None
    if _UNDEFINED.search(said):
        return "torch"
    if lacking(probe):
        return "library"
    return "ffmpeg" if _FFMPEG.search(said) else "unclear"


def lacking(probe: Probe) -> tuple[str, ...]:
    """Return the libraries other than FFmpeg's that were not found."""
    names = dict.fromkeys(_UNOPENED.findall(words(probe)))
    return tuple(name for name in names if not _FFMPEG.match(name) and not name.startswith(_OURS))


def fitting(inventory: Inventory, facts: Facts) -> Remedy | None:
    """Return the installation of the newest torchcodec that fits torch, CUDA, Python and what other packages ask."""
    torch, now = inventory.distribution("torch"), inventory.distribution(NAME)
    if torch is None or isinstance(torch.version, Unknown):
        return None
    # The CUDA of a torch without a record of its build is unknown: then only what needs none is sure to fit.
    cuda = torch.built_for.cuda if torch.built_for else None
    found = torchcodec_choice.fitting(inventory, facts, torch.version, cuda.major if cuda else None)
    best = next((fact for fact in found if now and fact.version != now.version), None)
    if now is None or best is None:
        return None
    step = install(inventory, f"{NAME}=={best.version}")
    summary = f"Install {NAME} {best.version}, which belongs to torch {torch.version.public}."
    return Remedy(summary, "ask", (step,), f"changes {now.label}; an install that knows nothing of torch takes it back")


def ffmpeg(inventory: Inventory, fact: TorchcodecFact | None, first: Remedy | None = None) -> Remedy:
    """Return how to get FFmpeg's shared libraries, after what has to be done first."""
    versions = f"{fact.ffmpeg[0]} to {fact.ffmpeg[-1]}" if fact else "of a version that it knows"
    why = f"FFmpeg {versions}, its shared libraries and not only the program"
    line = package_line(inventory.host, {"fedora": "ffmpeg-free"}, "ffmpeg")
    if inventory.interpreter.manager == "conda":
        line = f"conda install --yes --prefix {shlex.quote(inventory.interpreter.prefix)} -c conda-forge "
        line += f"'ffmpeg<{fact.ffmpeg[-1] + 1}'" if fact else "ffmpeg"
    summary, steps = (f"{first.summary[:-1]}, then install", first.steps) if first else ("Install", ())
    summary = f"{summary} FFmpeg's shared libraries where the loader searches."
    return Remedy(summary, "manual", (*steps, RunByHand(line, why)))
