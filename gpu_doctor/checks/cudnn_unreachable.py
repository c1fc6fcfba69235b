"""A package opens cuDNN by name at run time, and the loader will not find it.

What it finds. cuDNN 9 is a thin loader that opens its parts (`libcudnn_graph.so.9`, `libcudnn_ops.so.9`, …) by name,
searched beside the loader's own path, on LD_LIBRARY_PATH, and in the system's folders. CTranslate2 wheels before
4.6.3 bundle such a loader in `ctranslate2.libs/` without any of its parts.

Why it matters. The first cuDNN call aborts the process: "Unable to load any of {libcudnn_ops…}", "Invalid handle.
Cannot load symbol cudnnCreateTensorDescriptor". Loading a model works; the first inference kills the program.

What does not heal it. One link from the bundled loader to `nvidia/cudnn/lib/libcudnn.so.9`: the parts are searched
beside the path that was opened first, so it helps only after `import torch`. Setting `os.environ["LD_LIBRARY_PATH"]` in
the program: it is read once, before Python starts. Installing nvidia-cudnn once more.

What to do. `gpu-doctor fix cudnn-unreachable` places links to every part beside the loader (minimal; the next sync or
reinstall takes them away), with `--prefer durable` it upgrades CTranslate2 to a release that bundles no cuDNN.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from gpu_doctor.checks.loading.cudnn_remedies import affected, lasting, least, loader_beside
from gpu_doctor.checks.loading.reach import Gap, gaps_by_package, unless_lost
from gpu_doctor.checks.shared.stack import weight
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Finding, Rule
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import Unknown

RULE = Rule(
    id="cudnn-unreachable",
    title="cuDNN is opened by name and not found",
    severity="error",
    stage="libraries",
    yields_to=("library-path-shadows", "cuda-majors-mixed"),
    symptoms=(
        r"Unable to load any of \{libcudnn_(ops|cnn|graph|adv|engines|heuristic)[^}]*\}",
        r"Invalid handle\. Cannot load symbol cudnn\w+",
        r"Could not load library libcudnn_(ops|cnn)_infer\.so\.8",
        r"Could not locate cudnn_ops64_9\.dll",
        r"libcudnn\S*\.so\.\d+: cannot open shared object file",
    ),
    probes=("cudnn",),
)


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report each consumer, other than ONNX Runtime's providers, that asks for cuDNN and does not get it."""
    told: set[tuple[str, str]] = set()
    for gap in gaps_by_package(inventory, "libcudnn"):
        loader = loader_beside(inventory, gap.consumer)
        if not gap.package.startswith("onnxruntime") and (gap.package, loader) not in told:
            told.add((gap.package, loader))
            yield _finding(inventory, facts, gap, loader)
    if not told:
        unless_lost(inventory, "libcudnn")


def _finding(inventory: Inventory, facts: Facts, gap: Gap, loader: str) -> Finding:
    distribution = inventory.distribution(gap.package)
    owner = distribution.label if distribution else gap.package
    name = posixpath.basename(loader)
    first, count = gap.missing[0].names[0], len(gap.missing)
    links = (lib for lib in inventory.libraries if lib.path == loader != lib.real)
    link = [Evidence("is a link", f"to {lib.real}; its folder is not searched", lib.path) for lib in links]
    message = f"{owner} opens {count} cuDNN part{'s' * (count > 1)} by name ({first}, …), and none is where the loader "
    message += "searches: the first cuDNN call aborts the process."
    if gap.at_load:
        message = f"{owner} needs {first}, which the loader does not find: {name} cannot be loaded."
    remedy, durable = least(inventory, facts, gap), lasting(inventory, facts, gap)
    return Finding(
        rule=RULE.id,
        severity=weight(inventory),
        subject=f"{gap.package}: {name}",
        message=message,
        evidence=(*gap.evidence(), *link),
        remedy=remedy,
        seats=(*dict.fromkeys((loader, gap.consumer)), *affected(inventory, gap)),
        durable=durable if durable != remedy else None,
    )
