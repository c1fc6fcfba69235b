"""How many worker processes should load data."""

from __future__ import annotations

from gpu_doctor.advice.hardware import gib
from gpu_doctor.model.advice import Choice
from gpu_doctor.model.hardware import Host

_MOST = 8
# A worker keeps a few batches in shared memory; containers start with 64 MiB of it in all.
_SHARE = 256 * 2**20


def workers(host: Host) -> Choice:
    """Choose the workers of a DataLoader by processors and shared memory; one processor stays for the program."""
    by_cpu = max(0, min(_MOST, host.cpu_count - 1))
    why = (
        f"one processor of {host.cpu_count} stays for the program"
        if by_cpu < _MOST
        else f"of {host.cpu_count} processors"
    )
    if isinstance(host.shm_bytes, int) and host.shm_bytes < by_cpu * _SHARE:
        fewer = host.shm_bytes // _SHARE
        return Choice(str(fewer), f"/dev/shm holds {gib(host.shm_bytes)}, and each worker wants 256 MiB", "estimated")
    return Choice(str(by_cpu), why, "estimated")
