"""The driver does not support this GPU: it is older than the card, or has dropped it.

What it finds. A GPU works from the first driver branch that knows its architecture on (570 for Blackwell), and up to
the last branch that still carries it (580 for Maxwell, Pascal and Volta). Both limits are NVIDIA's, whatever CUDA a
package was built for.

Why it matters. nvidia-smi then prints "No devices were found" or leaves the card out, and torch sees no GPU. No package
can heal that.

What to do. Install a driver of a branch that supports the card; for a card that was dropped, stay on its last branch.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.drivers import system
from gpu_doctor.checks.drivers.cuda_start import started
from gpu_doctor.facts.drivers import DriverSpan
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Finding, Rule
from gpu_doctor.model.hardware import Driver, Gpu, driver_text
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import DoesNotApply, Unknown, known

RULE = Rule(
    id="driver-without-gpu",
    title="The driver does not support this GPU",
    severity="error",
    stage="host",
    symptoms=(r"No devices were found", r"NVRM: The NVIDIA GPU .* is not supported by"),
    probes=("cuda-init",),
)


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Compare the driver with the first and the last branch that support each GPU."""
    gpus = {gpu.capability: gpu for gpu in known(inventory.gpus)}
    driver = known(inventory.driver)
    if not gpus or driver is None:
        raise DoesNotApply("there is no GPU with a driver to compare")
    if inventory.host.wsl and not driver.assumed:
        raise DoesNotApply("the driver is that of Windows, with numbers of its own")
    limited = [(gpu, span) for gpu in gpus.values() if (span := facts.driver_span(gpu.capability))]
    if not limited:
        raise DoesNotApply("no driver of these years is known to lack these GPUs")
    live = started(inventory)
    working = {trial.value("capability") for trial in live.trials if trial.outcome == "passed"} if live else set()
    for gpu, span in limited:
        limit = _limit(driver, span)
        if limit and f"{gpu.capability[0]}.{gpu.capability[1]}" not in working:
            yield _finding(inventory, driver, gpu, span, limit)


def _limit(driver: Driver, span: DriverSpan) -> str | None:
    """Return the sentence's end that names the limit which this driver breaks, or None."""
    if span.first is not None and driver.version < span.first:
        return f"it needs {driver_text(span.first)} or newer"
    if span.last_branch is not None and driver.version.major > span.last_branch:
        return f"{span.last_branch} is the last branch that does"
    return None


def _finding(inventory: Inventory, driver: Driver, gpu: Gpu, span: DriverSpan, limit: str) -> Finding:
    return Finding(
        rule=RULE.id,
        severity="error",
        subject=f"driver {driver.label} and {gpu.sm}",
        message=f"Driver {driver.label} does not support {gpu.label}: {limit}.",
        evidence=(
            Evidence("GPU", gpu.label, gpu.where),
            Evidence("driver", driver.label, driver.where),
            Evidence("supported drivers", limit, span.source),
        ),
        remedy=system.driver(inventory.host, f"Install {_wanted(span)} (needs root and a reboot)."),
        seats=("driver", gpu.sm),
    )


def _wanted(span: DriverSpan) -> str:
    if span.first is not None:
        return f"NVIDIA driver {driver_text(span.first)} or newer"
    return f"an NVIDIA driver of branch {span.last_branch}"
