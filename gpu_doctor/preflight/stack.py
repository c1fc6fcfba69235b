"""Judge requirements about packages that shall use a GPU: by rules' findings, then by what the GPU itself did."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator

from packaging.version import Version

from gpu_doctor.model.finding import CheckRun, Evidence, Finding
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.libraries import Library
from gpu_doctor.model.probes import Kind, Probe, Trial
from gpu_doctor.model.requirement import Judged, Requirement
from gpu_doctor.model.spoken import question
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.preflight.amounts import version_holds
from gpu_doctor.preflight.concerns import of_cudnn, of_packages
from gpu_doctor.preflight.plan import HOST_RULES, KERNEL_RULE, PACKAGES
from gpu_doctor.preflight.seen import Seen, say, visible, without_gpu

# The live question of each requirement, and the experiments of it that must have passed.
_PROOFS: dict[str, tuple[Kind, str, tuple[str, ...]]] = {
    "torch-cuda": ("torch-gpu", "GPU ", ("is available", "launch kernel", "allocate memory", "copy", "matmul fp32")),
    "stft": ("torch-gpu", "GPU ", ("stft", "istft")),
    "ctranslate2-cuda": ("ctranslate2", "GPU ", ("device count", "run cuda float32")),
    "onnxruntime-cuda": ("ort-session", "CUDAExecutionProvider", ("providers of the session", "run")),
    "onnxruntime-tensorrt": ("ort-session", "TensorrtExecutionProvider", ("providers of the session", "run")),
}
# Where files alone decide, these rules must have been able to judge.
_MUST_JUDGE = (KERNEL_RULE, "driver-too-old")
_OF_FILES_ALONE = (*_MUST_JUDGE, "cpu-only-build")
_LIVE_ONLY = ("stft", "matmul", "onnxruntime-tensorrt")
# Formats of tensor cores: asked for one of these, an older GPU multiplies in another, or not at all.
_OF_TENSOR_CORES = {"tf32": "tf32", "fp8": "float8"}
_LOADER = re.compile(r"libcudnn(?:-[0-9a-f]{8})?\.so\.(\d+(?:\.\d+)*)$")


def absent(requirement: Requirement, inventory: Inventory) -> Judged | None:
    """Return that the package is not installed which a requirement is about, or None where it is."""
    names = PACKAGES.get(requirement.name, ())
    if not names or inventory.distribution(names[0]) is not None:
        return None
    other = next((found for name in names[1:] if (found := inventory.distribution(name))), None)
    if other is None:
        return say(requirement, "unmet", f"{names[0]} is not installed")
    row = Evidence("installed", other.label, other.metadata)
    return say(requirement, "unmet", f"{names[0]} is not installed, and {other.label} has no CUDA part", row)


def framework(requirement: Requirement, seen: Seen) -> Judged:
    """Judge whether a package uses a GPU."""
    missing = absent(requirement, seen.inventory)
    if missing is not None:
        return missing
    names = PACKAGES[requirement.name]
    single = requirement.name in ("stft", "matmul")
    answers = _answers(requirement, seen)
    proven = _passed(requirement, answers)
    # One experiment of several is not made worse by what else is wrong.
    if single and proven and not seen.by_files and not _incapable(requirement, seen):
        return say(requirement, "met", _works(requirement, proven), *_rows(proven))
    causes = of_packages(seen, names, transforms=requirement.name == "stft")
    nothing = without_gpu(seen.inventory)
    if nothing:
        return _without(requirement, seen, nothing, causes)
    incapable = _incapable(requirement, seen)
    if incapable:
        return say(requirement, "unmet", incapable, causes=causes)
    if causes and not (single and seen.by_files):
        return say(requirement, "unmet", causes[0].message, causes=causes)
    broken = next((run for run in seen.case.runs if run.status == "crashed"), None)
    if broken is not None:
        return say(requirement, "undetermined", f"The rule {broken.rule} broke: {broken.note}")
    if seen.by_files:
        return _by_files(requirement, seen, names)
    return _by_answers(requirement, seen, answers, proven)


def hopeless(requirement: Requirement, seen: Seen) -> bool:
    """Tell whether no live answer can make a requirement met, so that nothing need be asked for it."""
    if requirement.name not in PACKAGES:
        return False
    if without_gpu(seen.inventory) or _incapable(requirement, seen):
        return True
    # No question reaches hardware that is assumed, so what files say of it stays.
    causes = of_packages(seen, PACKAGES[requirement.name]) if seen.inventory.target.assumes_hardware else ()
    return any(cause.rule in _OF_FILES_ALONE for cause in causes)


def kernels(requirement: Requirement, seen: Seen) -> Judged:
    """Judge whether packages carry code for a GPU, whichever GPU is here."""
    case = seen.kernels[requirement.subject]
    run = next(run for run in case.runs if run.rule == KERNEL_RULE)
    gpu = case.inventory.gpus[0] if isinstance(case.inventory.gpus, tuple) else None
    name = requirement.subject if gpu is None else gpu.label
    causes = tuple(finding for finding in case.findings if seen.counts(finding))
    if causes:
        return say(requirement, "unmet", causes[0].message, causes=causes)
    if run.status == "skipped" and not run.applies:
        return say(requirement, "unmet", f"There is no GPU code for {name}: {run.note}")
    if run.status != "passed" and run.status != "failed":
        return say(requirement, "undetermined", f"Not judged: {run.note}")
    if run.note:
        return say(requirement, "undetermined", f"Not all GPU code could be judged: {run.note}")
    carriers = _carriers(seen.inventory.libraries)
    rows = (Evidence(lib.name, " ".join((*lib.gpu_code.sass, *lib.gpu_code.ptx)), lib.path) for lib in carriers)
    packages = ", ".join(dict.fromkeys(lib.package or "" for lib in carriers))
    slow = "".join(f" {finding.message}" for finding in case.findings[:1])
    return say(requirement, "met", f"{packages} {_verb(carriers)} code for {name}.{slow}", *tuple(rows)[:4])


def cudnn(requirement: Requirement, seen: Seen) -> Judged:
    """Judge the version of every cuDNN that packages find, and whether it works."""
    causes = of_cudnn(seen)
    if causes:
        return say(requirement, "unmet", causes[0].message, causes=causes)
    found = tuple(_cudnns(seen.inventory))
    rows = tuple(dict.fromkeys(row for _, row in found))
    if not found:
        return say(requirement, "unmet", "No package here brings or finds a cuDNN")
    if not requirement.bound:
        return say(requirement, "met", "; ".join(f"{row.what}: {row.value}" for row in rows), *rows)
    for version, row in found:
        if version is not None and not version_holds(version, requirement):
            wish = f"{requirement.operator}{requirement.bound}"
            return say(requirement, "unmet", f"{row.what} is {version}, not {wish}", *rows)
    unknown = next((row for version, row in found if version is None), None)
    if unknown is not None:
        return say(requirement, "undetermined", f"The version of {unknown.where} is not known", *rows)
    return say(requirement, "met", "; ".join(dict.fromkeys(f"{row.what} is {row.value}" for row in rows)), *rows)


def _without(requirement: Requirement, seen: Seen, nothing: str, causes: tuple[Finding, ...]) -> Judged:
    """Say that there is no GPU, with the cause of that first where a rule knows it."""
    first = next((cause for cause in causes if cause.rule in HOST_RULES), None)
    if first is not None:
        return say(requirement, "unmet", first.message, causes=(first, *(c for c in causes if c is not first)))
    hint = " In an image build, name those that it will run on: --gpu and --driver." if not seen.asked else ""
    return say(requirement, "unmet", f"{nothing}{hint}", causes=causes)


def _incapable(requirement: Requirement, seen: Seen) -> str:
    """Return which visible GPU has not the number format that is required, as a sentence, or nothing."""
    dtype = _OF_TENSOR_CORES.get(requirement.subject) if requirement.name == "matmul" else None
    gpus = visible(seen.inventory)
    if dtype is None or isinstance(gpus, Unknown):
        return ""
    formats = seen.facts.formats
    lacking = next((gpu for gpu in gpus if not formats.has("torch", dtype, gpu.capability)), None)
    if lacking is None:
        return ""
    first = ".".join(map(str, formats.since("torch", dtype)))
    return f"{lacking.label} has no {requirement.subject}: compute capability {first} is the first"


def _by_files(requirement: Requirement, seen: Seen, names: tuple[str, ...]) -> Judged:
    inventory = seen.inventory
    if requirement.name in _LIVE_ONLY:
        why = "only files were read" if not seen.asked else "the hardware is assumed, not this machine's"
        return say(requirement, "undetermined", f"Only a live GPU tells: {why}")
    runs = {run.rule: run for run in seen.case.runs}
    for rule in _MUST_JUDGE:
        reason = _open(runs.get(rule), names)
        if reason:
            return say(requirement, "undetermined", f"Not judged: {reason}")
    found = inventory.distribution(names[0])
    label = found.label if found else names[0]
    return say(requirement, "met", f"As far as files tell, {label} runs on {_hardware(inventory)}")


def _open(run: CheckRun | None, names: tuple[str, ...]) -> str:
    """Return what a rule left open about these packages, or nothing where it judged them."""
    if run is None:
        return "Nothing was judged"
    if run.status == "skipped" or any(name in run.note for name in names):
        return run.note
    return ""


def _hardware(inventory: Inventory) -> str:
    names = [gpu.name for gpu in inventory.gpus] if isinstance(inventory.gpus, tuple) else []
    driver = inventory.driver
    label = "" if driver is None or isinstance(driver, Unknown) else f" with driver {driver.label}"
    return f"{', '.join(dict.fromkeys(names))}{label}"


def _answers(requirement: Requirement, seen: Seen) -> tuple[Probe, ...]:
    """Return the live questions that prove a requirement, those that were not asked included."""
    kind, subject, _ = _proof(requirement)
    probes = seen.inventory.probes
    mine = () if isinstance(probes, Unknown) else tuple(probe for probe in probes if probe.kind == kind)
    return tuple(probe for probe in mine if probe.subject.startswith(subject))


def _passed(requirement: Requirement, answers: tuple[Probe, ...]) -> tuple[Probe, ...]:
    """Return the questions whose experiments all passed: of every GPU that was asked, or of one order of imports."""
    _, _, trials = _proof(requirement)
    good = tuple(probe for probe in answers if all(_outcome(probe, name) == "passed" for name in trials))
    taken = tuple(probe for probe in answers if probe.ending != "skipped" or probe.trials)
    enough = bool(good) if requirement.name.startswith("onnxruntime") else len(good) == len(taken)
    return good if enough else ()


def _by_answers(requirement: Requirement, seen: Seen, answers: tuple[Probe, ...], proven: tuple[Probe, ...]) -> Judged:
    if proven:
        return say(requirement, "met", _works(requirement, proven), *_rows(proven))
    probes = seen.inventory.probes
    if isinstance(probes, Unknown):
        return say(requirement, "undetermined", f"Nothing could be asked live: {probes.reason}")
    bad = next(((probe, trial) for probe in answers if (trial := _failure(requirement, probe))), None)
    if bad is not None:
        words = f"{question(*bad)}: {bad[1].detail or bad[1].outcome}"
        return say(requirement, "unmet", words, Evidence(question(*bad), bad[1].outcome, "", bad[0].again))
    reasons = [probe.reason for probe in answers if probe.reason]
    reasons += [f"{trial.name}: {trial.detail}" for p in answers for trial in p.trials if trial.outcome == "skipped"]
    reasons += [probe.reason for probe in probes if probe.kind == "import" and probe.ending != "answered"]
    return say(requirement, "undetermined", f"Not tried: {reasons[0]}" if reasons else "Nothing was asked")


def _failure(requirement: Requirement, probe: Probe) -> Trial | None:
    _, _, names = _proof(requirement)
    wanted = (trial for trial in probe.trials if trial.name in names or trial.outcome == "died")
    return next((trial for trial in wanted if trial.outcome in ("failed", "wrong", "died") or _is_lack(trial)), None)


def _is_lack(trial: Trial) -> bool:
    """Tell whether an experiment was left out because the library or the GPU has not what it tries."""
    return trial.outcome == "skipped" and "have no FP8" in trial.detail.replace("has no", "have no")


def _outcome(probe: Probe, name: str) -> str:
    trial = probe.trial(name)
    return trial.outcome if trial is not None else ""


def _proof(requirement: Requirement) -> tuple[Kind, str, tuple[str, ...]]:
    if requirement.name == "matmul":
        return "torch-gpu", "GPU ", (f"matmul {requirement.subject}",)
    return _PROOFS[requirement.name]


def _works(requirement: Requirement, probes: tuple[Probe, ...]) -> str:
    where = ", ".join(dict.fromkeys(probe.value("device") or question(probe) for probe in probes))
    if requirement.name.startswith("onnxruntime"):
        return f"{requirement.text} works in {question(probes[0])}"
    return f"{requirement.text} works on {where}"


def _rows(probes: Iterable[Probe]) -> Iterator[Evidence]:
    for probe in probes:
        yield Evidence(f"asked live: {question(probe)}", probe.value("device") or probe.ending, "", probe.again)


def _carriers(libraries: Iterable[Library]) -> list[Library]:
    read = [lib for lib in libraries if lib.gpu_code.status == "read" and lib.package]
    return sorted((lib for lib in read if not (lib.package or "").startswith("nvidia-")), key=lambda lib: -lib.size)


def _verb(libraries: list[Library]) -> str:
    return "has" if len({lib.package for lib in libraries}) == 1 else "have"


def _cudnns(inventory: Inventory) -> Iterator[tuple[Version | None, Evidence]]:
    """Yield each cuDNN's version and where it is: as a process told it, else as files do."""
    probes = () if isinstance(inventory.probes, Unknown) else inventory.probes
    told = [(probe, probe.value("version")) for probe in probes if probe.kind == "cudnn"]
    for probe, version in told:
        if version is not None:
            yield Version(version), Evidence(f"cuDNN of {probe.subject.partition(': ')[0]}", version, probe.subject)
    if any(version is not None for _, version in told):
        return
    found = {r.found: r.package for r in inventory.resolutions if r.package and r.found and _is_loader(r.found)}
    paths = found or {lib.path: lib.package for lib in inventory.libraries if lib.package and _is_loader(lib.path)}
    for path, package in paths.items():
        version = _version_of(inventory, path)
        yield Version(version) if version else None, Evidence(f"cuDNN of {package}", version or "unknown", path)


def _is_loader(path: str) -> bool:
    return _LOADER.match(posixpath.basename(path)) is not None


def _version_of(inventory: Inventory, path: str) -> str | None:
    """Return a cuDNN's version from the package that owns it, else from the file's own name."""
    library = inventory.find_library(path)
    owner = inventory.distribution(library.package) if library is not None and library.package else None
    if owner is not None and owner.name.startswith("nvidia-cudnn") and isinstance(owner.version, Version):
        return str(owner.version)
    match = _LOADER.match(posixpath.basename(library.real if library else path))
    return match[1] if match and "." in match[1] else None
