"""torch needs a newer driver than the oldest nodes of the cluster have.

What it finds. A torch that is built for a CUDA of which the driver of our oldest nodes is too old.

Why it matters. The environment works on the login node and on new nodes; a job that lands on an old node fails.

What to do. `gpu-doctor pins --driver 570.86` names the versions that go together there.
"""

from __future__ import annotations

from collections.abc import Iterator

from packaging.version import Version

from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Finding, Rule
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import Remedy, RunByHand
from gpu_doctor.model.unknown import CannotKnow, DoesNotApply, known

RULE = Rule(
    id="torch-too-new-for-cluster",
    title="torch needs a newer driver than the oldest nodes have",
    severity="error",
    stage="packages",
)

OLDEST = "570.86"
PINS = RunByHand(f"gpu-doctor pins --driver {OLDEST}", "the versions that go together on the oldest nodes")


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding]:
    """Compare the driver that torch's CUDA needs with that of the oldest nodes."""
    torch = inventory.distribution("torch")
    if torch is None:
        raise DoesNotApply("torch is not installed")
    if torch.built_for is None:
        raise CannotKnow("torch's own files do not say what it is built for")
    if torch.built_for.cuda is None:
        raise DoesNotApply("torch is built without CUDA")
    needs = known(facts.minimum_driver(torch.built_for.cuda))
    if needs.minor > Version(OLDEST):
        yield Finding(
            rule=RULE.id,
            severity="error",
            subject="torch",
            message=f"{torch.label} needs driver {needs.minor_text}; the oldest nodes have {OLDEST}.",
            evidence=(
                Evidence("built for", f"CUDA {torch.built_for.cuda}", torch.built_for.where),
                Evidence("least driver", needs.minor_text, needs.source),
            ),
            remedy=Remedy("Install what runs on the oldest nodes.", "manual", (PINS,)),
            seats=("torch",),
        )
