"""A package opens cuDNN by name at run time, and the loader will not find it.

What it finds. cuDNN 9 is a thin loader that opens its parts (`libcudnn_graph.so.9`, `libcudnn_ops.so.9`, …) by name,
searched beside the loader's own path, on LD_LIBRARY_PATH, and in the system's folders. CTranslate2 wheels before
4.6.3 bundle such a loader in `ctranslate2.libs/` without any of its parts.

Why it matters. The first cuDNN call aborts the process: "Unable to load any of {libcudnn_ops…}", "Invalid handle.
Cannot load symbol cudnnCreateTensorDescriptor". Loading a model works; the first inference kills the program.

What does not heal it. One link from the bundled loader to `nvidia/cudnn/lib/libcudnn.so.9`: the parts are searched
beside the path that was opened first, so it helps only after `import torch`. Setting `os.environ["LD_LIBRARY_PATH"]` in
the program: it is read once, before Python starts. Installing nvidia-cudnn once more.

What to do. Upgrade CTranslate2 to a release that bundles no cuDNN, or place links to every part beside the loader.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from gpu_doctor.checks.choices.ctranslate2_choice import upgrade
from gpu_doctor.checks.choices.cuda_builds import wheels_for
from gpu_doctor.checks.loading.links import links_beside
from gpu_doctor.checks.loading.reach import Gap, gaps_by_package
from gpu_doctor.checks.shared.requirements import as_asked
from gpu_doctor.checks.shared.stack import install, weight
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Finding, Rule
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import MakeLink, Remedy
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
    for gap in gaps_by_package(inventory, "libcudnn"):
        if not gap.package.startswith("onnxruntime"):
            yield _finding(inventory, facts, gap)


def _finding(inventory: Inventory, facts: Facts, gap: Gap) -> Finding:
    distribution = inventory.distribution(gap.package)
    owner = distribution.label if distribution else gap.package
    name = posixpath.basename(gap.consumer)
    first, count = gap.missing[0].names[0], len(gap.missing)
    links = (lib for lib in inventory.libraries if lib.path == gap.consumer != lib.real)
    link = [Evidence("is a link", f"to {lib.real}; its folder is not searched", lib.path) for lib in links]
    message = f"{owner} opens {count} cuDNN part{'s' * (count > 1)} by name ({first}, …), and none is where the loader "
    message += "searches: the first cuDNN call aborts the process."
    if gap.at_load:
        message = f"{owner} needs {first}, which the loader does not find: {name} cannot be loaded."
    return Finding(
        rule=RULE.id,
        severity=weight(inventory),
        subject=f"{gap.package}: {name}",
        message=message,
        evidence=(*gap.evidence(), *link),
        remedy=_remedy(inventory, facts, gap),
        seats=(gap.consumer,),
    )


def _remedy(inventory: Inventory, facts: Facts, gap: Gap) -> Remedy | None:
    better = upgrade(inventory, facts) if gap.package == "ctranslate2" else None
    links = _links(inventory, gap)
    if better or links:
        return better or Remedy("Place links to every cuDNN part beside the loader.", "safe", links)
    if gap.missing[0].names[0].endswith("_infer.so.8"):  # no wheel of today's packages brings cuDNN 8
        return upgrade(inventory, facts, together=True)
    wheels = wheels_for(inventory, facts, gap.package, [n for resolution in gap.missing for n in resolution.names])
    if not wheels or inventory.distribution(wheels[0]) is not None:
        return None
    step = install(inventory, *as_asked(inventory, wheels[:1]))
    then = "" if gap.at_load else ", then check again for its links"
    return Remedy(f"Install {wheels[0]}{then}.", "ask", (step,))


def _links(inventory: Inventory, gap: Gap) -> tuple[MakeLink, ...]:
    parts = {lib.name: lib for lib in inventory.libraries if lib.package and lib.name.startswith("libcudnn_")}
    if not all(any(name in parts for name in resolution.names) for resolution in gap.missing):
        return ()
    # The parts open further parts beside themselves, so those that the loader does not ask for need links as well.
    return links_beside(gap.consumer, parts.values())
