"""What brings a cuDNN loader its parts: links beside it, and what folk recipes left there taken away."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable

from packaging.requirements import Requirement
from packaging.version import Version

from gpu_doctor.checks.choices.ctranslate2_choice import upgrade
from gpu_doctor.checks.choices.cuda_builds import wheels_for
from gpu_doctor.checks.loading.links import links_beside, lost_links
from gpu_doctor.checks.loading.reach import Gap
from gpu_doctor.checks.shared.requirements import as_asked
from gpu_doctor.checks.shared.stack import install
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Inventory, StrayLink
from gpu_doctor.model.libraries import Library
from gpu_doctor.model.remedy import MakeLink, Remedy, RemoveFile, RestoreFile, Step
from gpu_doctor.model.unknown import Unknown

# What no wheel calls its parts, and folk recipes call their links: libcudnn_ops.so.9.1.0.
_VERSIONED = re.compile(r"libcudnn_\w+\.so\.\d+\.")
_LOADER = re.compile(r"libcudnn(-[0-9a-f]+)?\.so\.\d")
_LONGEST_WAY = 40


def least(inventory: Inventory, facts: Facts, gap: Gap) -> Remedy | None:
    """Return the least invasive remedy: links to the parts, or what first has to be installed for them."""
    steps = linking(inventory, gap)
    if steps:
        sweeps = " and take away what other recipes left" if any(isinstance(s, RemoveFile) for s in steps) else ""
        owner = gap.package or "the package"
        price = f"the next sync or reinstall of {owner} takes the links away"
        return Remedy(f"Place links to every cuDNN part beside the loader{sweeps}.", "safe", steps, price)
    if gap.missing[0].names[0].endswith("_infer.so.8"):  # no wheel of today's packages brings cuDNN 8
        return upgrade(inventory, facts, together=True)
    names = [name for resolution in gap.missing for name in resolution.names]
    wheels = wheels_for(inventory, facts, gap.package, names)
    if not wheels or inventory.distribution(wheels[0]) is not None:
        return None
    wanted = _fitting(inventory, facts, wheels[0], names)
    then = "" if gap.at_load else ", then check again for its links"
    return Remedy(f"Install {wheels[0]}{then}.", "ask", (install(inventory, wanted),), "downloads cuDNN")


def lasting(inventory: Inventory, facts: Facts, gap: Gap) -> Remedy | None:
    """Return the upgrade that no sync takes back, where it is another remedy than the least invasive one."""
    return upgrade(inventory, facts) if gap.package == "ctranslate2" else None


def affected(inventory: Inventory, gap: Gap) -> tuple[str, ...]:
    """Return the links of other recipes that this remedy changes, or that come right with the parts themselves."""
    changed = {step.path for step in linking(inventory, gap) if isinstance(step, RemoveFile | MakeLink)}
    waiting = lost_links(inventory, gap.consumer, "libcudnn")
    return tuple(link.path for link in inventory.links if link.path in changed or link.path in waiting)


def linking(inventory: Inventory, gap: Gap) -> tuple[Step, ...]:
    """Return the steps that put every part beside the loader; nothing where the parts are not installed."""
    folder = posixpath.dirname(gap.consumer)
    parts = _parts(inventory, folder)
    if not all(any(name in parts for name in resolution.names) for resolution in gap.missing):
        return ()
    placed = {link.path: link.points_to for link in inventory.links}
    files = {library.path for library in inventory.libraries} - placed.keys()
    # The parts open further parts beside themselves, so those that the loader does not ask for need links as well.
    wanted = links_beside(gap.consumer, parts.values())
    links = [step for step in wanted if step.path not in files and placed.get(step.path) != step.points_to]
    loader = loader_beside(inventory, gap.consumer)
    damages = (damage for damage in inventory.damages if damage.path == loader)
    original = next((damage.original for damage in damages if damage.original), None)
    restored = (RestoreFile(loader, original),) if original else ()
    kept = {loader, *(step.path for step in wanted)}
    kept |= set() if original else _on_the_way(inventory, loader)
    made = {*(step.path for step in links), *(step.path for step in restored)}
    gone = _leftovers(inventory, folder, {posixpath.dirname(lib.path) for lib in parts.values()}, kept, made)
    return (*(RemoveFile(link.path, _what(link)) for link in gone), *restored, *links)


def loader_beside(inventory: Inventory, consumer: str) -> str:
    """Return the loader in the folder of one of its parts, which open further parts; else the consumer itself.

    A part is a link there, and its illness is that of the loader: some part is not beside it.
    """
    folder, name = posixpath.split(consumer)
    if not name.startswith("libcudnn_"):
        return consumer
    beside = (lib.path for lib in inventory.libraries if posixpath.dirname(lib.path) == folder)
    return next((path for path in beside if _LOADER.match(posixpath.basename(path))), consumer)


def _parts(inventory: Inventory, folder: str) -> dict[str, Library]:
    """Return the parts of cuDNN that a package brought, by name; links beside the loader are none."""
    placed = {link.path for link in inventory.links}
    parts: dict[str, Library] = {}
    for lib in inventory.libraries:
        brought = lib.package and lib.path not in placed and posixpath.dirname(lib.path) != folder
        if brought and lib.name.startswith("libcudnn_"):
            parts.setdefault(lib.name, lib)
    return parts


def _on_the_way(inventory: Inventory, loader: str) -> set[str]:
    """Return the links that lead to the same file as a loader that is a link: it may lead through them."""
    real = next((lib.real for lib in inventory.libraries if lib.path == loader), loader)
    return {lib.path for lib in inventory.libraries if lib.real == real and lib.path != real}


def _leftovers(
    inventory: Inventory, beside: str, sources: Collection[str], kept: Collection[str], made: Collection[str]
) -> tuple[StrayLink, ...]:
    """Return the stray links of other recipes: any beside the parts; versioned or dangling ones beside the loader.

    One that goes may leave another without a target, so it is looked until nothing is found any more.
    """
    here = {link.path: link for link in inventory.links if posixpath.basename(link.path).startswith("libcudnn")}
    candidates = [link for link in here.values() if link.path not in kept]
    gone = {link.path for link in candidates if posixpath.dirname(link.path) in sources}
    near = [link for link in candidates if posixpath.dirname(link.path) == beside]
    before = -1
    while before != len(gone):
        before = len(gone)
        for link in near:
            if _VERSIONED.match(posixpath.basename(link.path)) or not _leads(link, here, made, gone):
                gone.add(link.path)
    return tuple(link for link in candidates if link.path in gone)


def _leads(link: StrayLink, here: dict[str, StrayLink], made: Collection[str], gone: Collection[str]) -> bool:
    """Tell whether a link leads somewhere once these are made and those are gone."""
    exists, step = link.exists, link
    for _ in range(_LONGEST_WAY):
        target = posixpath.normpath(posixpath.join(posixpath.dirname(step.path), step.points_to))
        if target in made or target in gone:
            return target in made
        if target not in here:
            return exists
        step = here[target]
    return False


def _what(link: StrayLink) -> str:
    to = f"a link to {link.points_to}"
    return f"{to}, which no package brought" if link.exists else f"{to}, which does not exist"


def _fitting(inventory: Inventory, facts: Facts, wheel: str, names: Iterable[str]) -> str:
    """Return a wheel of cuDNN as installed packages ask for it, else the newest that a release of torch was built with.

    It is of the major that is asked for and has code for the GPUs here; a newer one may have parts that nobody tried.
    """
    (asked,) = as_asked(inventory, (wheel,))
    major = next((match[1] for name in names if (match := re.search(r"\.so\.(\d+)$", name))), None)
    if asked != wheel or major is None:
        return asked
    pins = {Requirement(pin) for build in facts.torch_builds() for pin in build.pins if pin.startswith(f"{wheel}==")}
    releases = [Version(spec.version) for pin in pins for spec in pin.specifier]
    capabilities = () if isinstance(inventory.gpus, Unknown) else [gpu.capability for gpu in inventory.gpus]
    fitting = [
        version
        for version in releases
        if str(version.major) == major
        and all(facts.cudnn_has_code_for(wheel, version, capability) is True for capability in capabilities)
    ]
    return f"{wheel}=={max(fitting)}" if fitting else f"{wheel}=={major}.*"
