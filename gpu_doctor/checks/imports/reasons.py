"""Tell why a package cannot be imported, in words that name what is at odds, and what follows from that."""

from __future__ import annotations

import re
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from gpu_doctor.checks.choices.torch_choice import companions
from gpu_doctor.checks.imports.errors import how, label, missing_module, undefined, unopened, words
from gpu_doctor.checks.imports.remedies import remedy
from gpu_doctor.checks.shared.live import asked
from gpu_doctor.checks.shared.placed import written_again
from gpu_doctor.checks.shared.requirements import permitted, requirements
from gpu_doctor.checks.shared.stack import install, remove
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.libraries import Elf
from gpu_doctor.model.probes import Probe
from gpu_doctor.model.remedy import ClearExecutableStack, Remedy
from gpu_doctor.model.unknown import Unknown

_NUMPY_1 = re.compile(r"_ARRAY_API not found|numpy\.core\.multiarray failed to import|compiled using NumPy 1\.x")
_NUMPY_2 = re.compile(r"numpy\.dtype size changed.*Expected 96 from C header, got 88")
_GONE = re.compile(
    r"cannot import name '(?P<name>\w+)' from '(?P<module>[\w.]+)'"
    r"|module '(?P<of>[\w.]+)' has no attribute '(?P<attribute>\w+)'"
)
_OF_TORCH = re.compile(r"_ZNK?\d+(c10|at|torch)|_ZN?K?St.*(c10|torch)|(aoti_)?torch_")
_OTHER_CUDA = re.compile(r"PyTorch and (TorchAudio|torchvision) were compiled with different CUDA", re.IGNORECASE)
_NO_OPERATOR = re.compile(r"operator (torchvision|torchaudio)::\w+ does not exist")
_STACK = re.compile(r"([^\s:'\"]+\.so[\w.]*): cannot enable executable stack as shared object requires")
_GLIBC = re.compile(r"version `(GLIBC(?:XX)?_[\d.]+)' not found")
# Modules whose distribution has another name; of setuptools, later releases have no pkg_resources any more.
_BROUGHT_BY = {
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "pkg_resources": "setuptools<81",
    "setuptools": "setuptools",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
# torchaudio 2.9.0 removed these; pyannote.audio 3 asks for them, 4 does not.
_LEFT_TORCHAUDIO = {"AudioMetaData", "info", "list_audio_backends", "set_audio_backend", "get_audio_backend"}


@dataclass(frozen=True, slots=True)
class Reason:
    """Say why an import failed; findings that share one of the `seats` have the same cause."""

    text: str
    seats: tuple[str, ...]
    remedy: Remedy | None


def reason(inventory: Inventory, facts: Facts, probe: Probe) -> Reason:
    """Return the reason that the words of a failed import give, in the order of how much they say."""
    readers = (_numpy, _other_torch, _removed_name, _absent_module, _absent_library, _executable_stack, _old_system)
    found = (reader(inventory, facts, probe) for reader in readers) if probe.ending == "raised" else iter(())
    return next((item for item in found if item), Reason(how(probe).rstrip("."), (), remedy(inventory, facts, probe)))


def alone_lost(inventory: Inventory, probe: Probe) -> str:
    """Return what alone is lost with a package, a sentence after a space; nothing where all that wants it is."""
    if probe.subject != "triton" or not any(p.ending == "answered" for p in asked(inventory, "import", "torch")):
        return ""
    active = (item for item in inventory.distributions if item.active)
    wanting = {item.name for item in active if any(requirements(item, inventory, "triton".__eq__))}
    return " torch works without it, but for torch.compile." if wanting == {"torch"} else ""


def _numpy(inventory: Inventory, facts: Facts, probe: Probe) -> Reason | None:
    said, numpy = f"{words(probe)}\n{probe.log}", inventory.distribution("numpy")
    if numpy is None or isinstance(numpy.version, Unknown):
        return None
    if _NUMPY_1.search(said) and numpy.version.major >= 2:
        wanted, built = "numpy<2", "NumPy 1"
    elif _NUMPY_2.search(said) and numpy.version.major < 2:
        wanted, built = "numpy>=2", "NumPy 2"
    else:
        return None
    step = install(inventory, wanted)
    text = f"it, or what it imports, was built for {built}, and {numpy.label} is installed"
    return Reason(text, ("numpy",), Remedy(f"Install {wanted}, or what was built for {numpy.label}.", "ask", (step,)))


def _other_torch(inventory: Inventory, facts: Facts, probe: Probe) -> Reason | None:
    symbol, named = undefined(probe), _NO_OPERATOR.search(probe.reason) or _OTHER_CUDA.search(probe.reason)
    if not named and not (symbol and _OF_TORCH.match(symbol.name)):
        return None
    owner = named[1].lower() if named else _owner(inventory, symbol.consumer if symbol else "") or probe.subject
    text = f"{label(inventory, owner)} was built for another torch than {label(inventory, 'torch')}"
    healed = companions(inventory, facts) if owner in ("torchvision", "torchaudio") else None
    return Reason(text, (f"import {owner}", owner), healed)


def _owner(inventory: Inventory, library: str) -> str | None:
    name = library.rpartition("/")[2]
    return next((lib.package for lib in inventory.libraries if lib.name == name), None)


def _removed_name(inventory: Inventory, facts: Facts, probe: Probe) -> Reason | None:
    found = _GONE.search(probe.reason)
    if not found or "partially initialized" in probe.reason:
        return None
    name, module = found["name"] or found["attribute"], found["module"] or found["of"]
    other = canonicalize_name(module.partition(".")[0])
    if inventory.distribution(other) is None or other == probe.subject:
        return None
    text = f"it asks {module} for {name}, which {label(inventory, other)} does not have"
    return Reason(text, (f"{module}.{name}",), _for_removed(inventory, probe, other, name))


def _for_removed(inventory: Inventory, probe: Probe, other: str, name: str) -> Remedy | None:
    if probe.subject == "tts":  # not released since 2023; its successor is installed under another name
        steps = (remove(inventory, "tts"), install(inventory, "coqui-tts"))
        return Remedy("Install coqui-tts, which continues the abandoned TTS, in its place.", "ask", steps)
    pyannote = probe.subject == "pyannote-audio" and other == "torchaudio" and name in _LEFT_TORCHAUDIO
    if pyannote and permitted(inventory, "pyannote-audio", Version("4.0.4")):
        step = install(inventory, "pyannote-audio>=4")
        return Remedy(f"Install pyannote.audio 4, which does not ask torchaudio for {name}.", "ask", (step,))
    return None


def _absent_module(inventory: Inventory, facts: Facts, probe: Probe) -> Reason | None:
    module, package = missing_module(probe), inventory.distribution(probe.subject)
    if module is None or package is None:
        return None
    top = module.partition(".")[0]
    if top == facts.modules().get(probe.subject, "").partition(".")[0]:
        return Reason(f"its own module {module} is not there", (), written_again(inventory, package))
    everyone = (item for item in (package, *inventory.distributions) if item.active)
    wanted = _BROUGHT_BY.get(top) or next(filter(None, (_required(item, top) for item in everyone)), None)
    healed = None
    if wanted:
        healed = Remedy(f"Install {wanted}, which brings the module {top}.", "ask", (install(inventory, wanted),))
    return Reason(f"it imports {module}, which is not installed", (f"module {top}",), healed)


def _required(package: Distribution, module: str) -> str | None:
    """Return the requirement that names a module's distribution, be it one of an extra."""
    for text in package.requires:
        try:
            need = Requirement(text)
        except InvalidRequirement:
            continue
        if canonicalize_name(need.name) == canonicalize_name(module):
            return f"{need.name}{need.specifier}"
    return None


def _absent_library(inventory: Inventory, facts: Facts, probe: Probe) -> Reason | None:
    library = unopened(probe)
    if library is None:
        return None
    name = library.rpartition("/")[2]
    text = f"the loader does not find {name}"
    return Reason(text, (f"library {name}",), remedy(inventory, facts, probe))


def _executable_stack(inventory: Inventory, facts: Facts, probe: Probe) -> Reason | None:
    found = _STACK.search(words(probe))
    if not found:
        return None
    name = found[1].rpartition("/")[2]
    files = (lib for lib in inventory.libraries if lib.name == name)
    library = next((lib for lib in files if isinstance(lib.elf, Elf) and lib.elf.executable_stack), None)
    text = f"{name} wants an executable stack, which this system does not grant"
    if library is None:
        return Reason(text, (f"library {name}",), None)
    owner = library.package or "its package"
    summary = f"Clear the wish for an executable stack in {name}."
    price = f"changes one bit of the file; the next reinstall of {owner} brings it back"
    healed = Remedy(summary, "safe", (ClearExecutableStack(library.path),), price)
    return Reason(text, (f"library {name}", library.path), healed)


def _old_system(inventory: Inventory, facts: Facts, probe: Probe) -> Reason | None:
    found = _GLIBC.search(words(probe))
    if not found:
        return None
    # The C library comes with the system and can be had by no package; the C++ library may be conda's own.
    return Reason(f"it needs {found[1]}, which is newer than what this system has", (found[1],), None)
