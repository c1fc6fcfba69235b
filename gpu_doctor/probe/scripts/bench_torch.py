"""Measure one of torch's workloads: stft, matmul, conv, attention or copy; Python 3.8, torch only.

Argument: the wish of `_workload.py`. What is run stands in `_torch_WORKLOAD.py` beside this file, how in `_meter.py`.
Answer: that of `Work`, with {"figures": [{"name", "value", "unit", "kind", "reason"}], "device_name",
"multiprocessors", "ran_on": the device that holds the last result, "model": what was run, in words, "dtype"}. A figure
that could not be measured has the value 0.0 and its reason.
"""

from __future__ import annotations

import os
import runpy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WORKLOADS = ("stft", "matmul", "conv", "attention", "copy")


def answer(argument: dict[str, Any], notes: Any) -> dict[str, Any]:
    """Run the workload that the argument names."""
    name = argument["workload"]
    if name not in _WORKLOADS:
        raise ValueError(f"{name} is none of {', '.join(_WORKLOADS)}")
    work = _beside("_workload.py")["Work"](argument, notes)
    bench = _beside("_bench.py")["Bench"]
    workload = _beside(f"_torch_{name}.py")
    return dict(_beside("_meter.py")["run"](work, lambda torch: bench(torch, work.device, notes), workload))


def _beside(name: str) -> dict[str, Any]:
    return runpy.run_path(os.path.join(os.path.dirname(os.path.abspath(__file__)), name))
