"""GPUs that are joined by NVSwitch wait for NVIDIA's fabric manager.

What it finds. On HGX and DGX machines with SXM modules the fabric manager (`nvidia-fabricmanager`) programs the
switches between the GPUs. It must run, and be of the very version of the driver: another one aborts at its start.

Why it matters. Until it has run, CUDA does not start on any GPU: error 802, "system not yet initialized". nvidia-smi
lists all GPUs all the same, so that the fault is looked for in torch. Mostly the driver was upgraded alone.

What to do. Install the fabric manager of the driver's version and start its service, on the host, not in a container.
Without NVSwitch the same error comes from a GPU in confidential-computing mode that was not set ready.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.drivers.cuda_start import SYSTEM_NOT_READY, StartFailure, failed_with, started
from gpu_doctor.checks.drivers.fabric import fabric_problem, fabric_remedy
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Finding, Rule, Severity
from gpu_doctor.model.hardware import Host, driver_text
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import DoesNotApply, Unknown, known

RULE = Rule(
    id="fabric-manager-down",
    title="The fabric manager that the GPUs wait for does not run",
    severity="error",
    stage="host",
    symptoms=(
        r"Error 802: system not yet initialized",
        r"CUDA_ERROR_SYSTEM_NOT_READY|cudaErrorSystemNotReady",
        r"[Ff]abric ?[Mm]anager.{0,80}(version|don't match|mismatch)",
    ),
    probes=("cuda-init",),
)


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report error 802 as proof, and a fabric manager that does not run or fit as a warning."""
    host = inventory.host
    if inventory.target.assumes_hardware:
        raise DoesNotApply("the hardware is assumed, not this machine's")
    failure = failed_with(inventory, SYSTEM_NOT_READY)
    if failure is not None:
        yield _finding(host, "error", _proven(host), failure)
    elif host.fabric_manager is None:
        raise DoesNotApply("no NVSwitch joins GPUs here")
    elif started(inventory) is None and known(host.fabric_manager) and fabric_problem(host):
        message = f"GPUs are joined by NVSwitch, and the fabric manager {fabric_problem(host)}: CUDA may not start."
        yield _finding(host, "warning", message, None)


def _proven(host: Host) -> str:
    begin = "CUDA does not start: the driver says that the system is not ready (802)"
    if host.fabric_manager is None:
        return f"{begin}, and no NVSwitch is visible from here."
    if isinstance(host.fabric_manager, Unknown):
        return f"{begin}; whether the fabric manager runs, only the host can tell."
    return f"{begin}: the fabric manager {fabric_problem(host) or 'runs, and has not joined the GPUs'}."


def _finding(host: Host, severity: Severity, message: str, failure: StartFailure | None) -> Finding:
    state, module = host.fabric_manager, host.kernel_module
    said = state.reason if isinstance(state, Unknown) else state or "no NVSwitch found"
    evidence = [Evidence("fabric manager", said, "/proc and /usr/bin/nv-fabricmanager")]
    if host.fabric_manager_version is not None:
        evidence.append(
            Evidence("its package", driver_text(host.fabric_manager_version), "/var/lib/dpkg/status"),
        )
    if module is not None and not isinstance(module, Unknown):
        evidence.append(Evidence("kernel module", driver_text(module), "/proc/driver/nvidia/version"))
    return Finding(
        rule=RULE.id,
        severity=severity,
        subject="nvidia-fabricmanager",
        message=message,
        evidence=(*(failure.evidence if failure else ()), *evidence),
        remedy=fabric_remedy(host),
        seats=("driver",),
    )
