"""`import torch` does not succeed in the target's own interpreter.

What it finds. torch is imported in a process of its own. Whether that raises, is killed by a signal, ends without a
word or never ends, the doctor survives and says how: the signal, the exception, the library that was being loaded,
the line where Python stood, the last output, and the shell line that does the same.

Why it matters. Nothing that is built on torch works, and a program that imports it dies before its first line.

What to do. Where the files show the cause (another version of a library than torch asks for, lost files, a foreign
folder on LD_LIBRARY_PATH), that finding leads and carries the remedy. `gpu-doctor fix torch-import-fails` installs a
library that cannot be opened, or writes torch's files again. A time-out says nothing yet: a first import from a cold
disk is slow.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.imports.errors import failed_imports, how, label, seats
from gpu_doctor.checks.imports.remedies import remedy
from gpu_doctor.checks.shared.live import answers, testimony
from gpu_doctor.checks.shared.stack import installed
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Finding, Rule
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import CannotKnow, Unknown

RULE = Rule(
    id="torch-import-fails",
    title="torch cannot be imported",
    severity="error",
    stage="libraries",
    yields_to=(
        *("package-files-damaged", "packages-overwrite", "library-path-shadows", "package-version-conflict"),
        *("cuda-majors-mixed", "cudnn-unreachable", "cublas-unreachable", "cuda-library-unreachable"),
    ),
    symptoms=(
        r"ImportError: \S*libtorch\S*\.so\S*: ",
        r"(?s)from torch\._C import \*.*ImportError",
        r"Error loading \S*torch\S*lib\S+",
    ),
    probes=("import",),
)


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report that torch's import ended in anything but success."""
    torch = installed(inventory, "torch")
    if not any(probe.subject == torch.name for probe in answers(inventory, "import")):
        raise CannotKnow("torch was not imported")
    for probe in failed_imports(inventory):
        if probe.subject == torch.name:
            yield Finding(
                rule=RULE.id,
                severity="error",
                subject=torch.name,
                message=f"{label(inventory, torch.name)} cannot be imported: {how(probe)}.",
                evidence=testimony(probe),
                remedy=remedy(inventory, facts, probe),
                seats=seats(inventory, probe),
            )
