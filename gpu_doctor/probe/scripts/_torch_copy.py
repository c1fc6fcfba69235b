"""Copies between the host's memory and the device's, and within each; Python 3.8, torch only.

No question of its own: `bench_torch.py` runs this file. A copy from one memory to another counts once, a copy within a
memory twice, because it reads and writes there.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

DTYPE = "uint8"
# Far more than any cache holds, so that it is the memory that is measured.
_GPU, _HOST = 2**30, 2**28


def add_cases(meter: Any) -> str:
    """Add each way that a copy can take, and say what is run."""
    gigabytes = _HOST / 1e9
    if not meter.on_gpu:
        _add(meter, "copy in memory", "", 2 * gigabytes, _HOST, ("host", "host"))
        return f"copies of {_HOST >> 20} MiB within the host's memory"
    for kind, ways in (("pinned", ("pinned", "device")), ("pageable", ("host", "device"))):
        _add(meter, f"copy device to host {kind}", "", gigabytes, _HOST, ways[::-1])
        _add(meter, f"copy host to device {kind}", "", gigabytes, _HOST, ways)
    _add(meter, "copy device to device", "memory", 2 * _GPU / 1e9, _GPU, ("device", "device"))
    return f"copies of {_HOST >> 20} MiB between host and device, of {_GPU >> 20} MiB within the device"


def _add(meter: Any, name: str, kind: str, gigabytes: float, size: int, ways: tuple[str, str]) -> None:
    case = meter.add(name, "GB/s", kind, gigabytes)
    case.make = _copy(meter, size, *ways)
    case.check = _check(meter, *ways)


def _copy(meter: Any, size: int, source: str, target: str) -> Callable[[], Callable[[], Any]]:
    def make() -> Callable[[], Any]:
        # Written once, because memory that nobody has written to is not there yet.
        here, there = (_memory(meter, size, place).fill_(fill) for place, fill in ((source, 1), (target, 0)))
        return lambda: there.copy_(here, non_blocking=True)

    return make


def _memory(meter: Any, size: int, place: str) -> Any:
    empty, kind = meter.torch.empty, meter.torch.uint8
    if place == "device":
        return empty(size, dtype=kind, device=meter.device)
    # On the device's own machine only memory that is pinned is copied without the CPU.
    return empty(size, dtype=kind, pin_memory=True) if place == "pinned" else empty(size, dtype=kind)


def _check(meter: Any, source: str, target: str) -> Callable[[], None]:
    torch, size = meter.torch, 2**20 + 3

    def check() -> None:
        wanted = torch.randint(0, 256, (size,), dtype=torch.uint8)
        here, there = _memory(meter, size, source), _memory(meter, size, target)
        here.copy_(wanted)
        there.copy_(here, non_blocking=True)
        meter.work.synchronize()
        wrong = int((there.cpu() != wanted).sum())
        if wrong:
            raise meter.work.notes.Wrong(f"{wrong} of {size} bytes come back changed")

    return check
