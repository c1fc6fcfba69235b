"""gpu-out-of-memory: who holds what another program needs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpu_doctor.model.hardware import Gpu, GpuProcess, Variable
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Probe
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import commands, evidence, judge, only
from tests.kit import gpu, host, inventory, probe, trial

RULE = "gpu-out-of-memory"
GIB = 2**30
VLLM = GpuProcess(4711, "vllm", 22 * GIB)
REFUSED = probe(
    *("torch-gpu", "GPU 0", "answered", trial("launch kernel")),
    trial("allocate memory", "failed", "OutOfMemoryError: CUDA out of memory. Tried to allocate 16.00 MiB."),
)


def card(free: int | None, *processes: GpuProcess, uuid: str = "GPU-a", **changes: Any) -> Gpu:
    return gpu(**{"uuid": uuid, "free_bytes": free, "processes": processes, **changes})


def machine(*gpus: Gpu, probes: tuple[Probe, ...] | None = None, **changes: Any) -> Inventory:
    asked = Unknown("only files were read") if probes is None else probes
    return inventory(gpus=gpus, probes=asked, host=host(**changes))


def test_a_refused_allocation_names_who_holds_the_memory() -> None:
    finding = only(judge(RULE, machine(card(GIB // 10, VLLM, GpuProcess(12, "Xorg", None)), probes=(REFUSED,))))
    assert (finding.severity, finding.subject, finding.seats) == ("error", "GPU 0", ("GPU 0",))
    assert (
        finding.message == "GPU 0 (NVIDIA GeForce RTX 4090) refuses even a little memory: vllm (4711) holds 22.0 GiB."
    )
    seen = evidence(finding)
    assert "OutOfMemoryError" in seen["asked live: allocate memory in torch on GPU 0"]
    assert seen["free memory"] == "0.1 GiB of 24.0 GiB"
    assert seen["held by vllm (4711)"] == "22.0 GiB"
    assert seen["held by Xorg (12)"] == "an unknown amount"
    assert commands(finding) == ["ps -o pid,ppid,user,stat,etime,args -p 4711,12"]
    assert finding.remedy is not None
    assert (finding.remedy.safety, finding.remedy.summary) == (
        "manual",
        "End what you do not need of vllm (4711), Xorg (12).",
    )


def test_nearly_nothing_free_is_a_warning_before_anything_fails() -> None:
    finding = only(judge(RULE, machine(card(GIB, VLLM))))
    assert finding.severity == "warning"
    assert finding.message == "GPU 0 (NVIDIA GeForce RTX 4090) is nearly full: vllm (4711) holds 22.0 GiB."


@pytest.mark.parametrize(
    ("total", "free", "full"),
    [(24 * GIB, int(1.1 * GIB), True), (24 * GIB, int(1.3 * GIB), False), (4 * GIB, 450 * 2**20, True)],
)
def test_what_is_nearly_full(total: int, free: int, full: bool) -> None:
    run = judge(RULE, machine(card(free, memory_bytes=total)))
    assert run.status == ("failed" if full else "passed")


def test_the_order_of_cuda_is_not_that_of_nvml() -> None:
    """The GPU that CUDA calls 0 is told by its UUID."""
    refused = trial("GPU 0: context", "failed", "CudaError: …", code="2", error="CUDA_ERROR_OUT_OF_MEMORY")
    start = probe("cuda-init", "libcuda.so.1", "answered", trial("cuInit"), trial("GPU 0", uuid="GPU-b"), refused)
    finding = only(judge(RULE, machine(card(20 * GIB), card(0, VLLM, uuid="GPU-b"), probes=(start,))))
    assert (finding.subject, finding.severity) == ("GPU 1", "error")
    assert "export CUDA_VISIBLE_DEVICES=GPU-a" in commands(finding)


def test_a_choice_that_was_made_is_not_overruled() -> None:
    chosen = (Variable("CUDA_VISIBLE_DEVICES", "1"),)
    finding = only(judge(RULE, machine(card(20 * GIB), card(0, VLLM, uuid="GPU-b"), variables=chosen)))
    assert len(commands(finding)) == 1


def test_memory_that_nobody_visible_holds() -> None:
    assert commands(only(judge(RULE, machine(card(0))))) == ["sudo fuser -v /dev/nvidia*"]
    assert commands(only(judge(RULE, machine(card(0), container="docker (/.dockerenv)")))) == ["nvidia-smi"]
    wsl = only(judge(RULE, machine(card(0, processes=Unknown("NVML error 3")), wsl=True)))
    assert evidence(wsl)["who holds it"] == "unknown: NVML error 3"
    assert wsl.remedy is not None
    assert "task manager" in wsl.remedy.summary


def test_a_zombie_is_its_parents_business() -> None:
    finding = only(judge(RULE, machine(card(0, GpuProcess(5, "python (a zombie)", 23 * GIB)))))
    assert finding.remedy is not None
    assert finding.remedy.summary.endswith("A zombie's memory is free when its parent has ended.")


def test_a_process_without_a_name_is_named_by_its_number() -> None:
    assert "a process without a name (5)" in only(judge(RULE, machine(card(0, GpuProcess(5, "", None))))).message


def test_many_processes_are_counted_not_listed() -> None:
    finding = only(judge(RULE, machine(card(0, *(GpuProcess(n, "python", GIB) for n in range(20))))))
    assert evidence(finding)["further processes"] == "12"
    assert finding.remedy is not None
    assert finding.remedy.summary.count("python") == 3


def test_a_refusal_with_free_memory_says_so() -> None:
    finding = only(judge(RULE, machine(card(20 * GIB), probes=(REFUSED,))))
    assert "although the driver calls more of it free" in finding.message
    assert commands(finding) == []


def test_cuda_knows_what_nvml_does_not_say() -> None:
    memory = trial("GPU 0: memory", free=str(20 * GIB))
    start = probe("cuda-init", "libcuda.so.1", "answered", trial("cuInit"), trial("GPU 0", uuid="GPU-a"), memory)
    assert judge(RULE, machine(card(None), probes=(start,))).note == ""


def test_a_free_gpu_is_healthy() -> None:
    passed = probe("torch-gpu", "GPU 0", "answered", trial("allocate memory"))
    assert judge(RULE, machine(card(20 * GIB, VLLM), probes=(passed,))).status == "passed"


def test_what_nobody_says_is_not_known() -> None:
    run = judge(RULE, machine(gpu()))
    assert (run.status, run.note) == (
        "passed",
        "how much memory of GPU 0 (NVIDIA GeForce RTX 4090) is free, the driver does not say",
    )
    run = judge(RULE, inventory(gpus=Unknown("NVML hangs")))
    assert (run.status, run.applies, run.note) == ("skipped", True, "NVML hangs")


def test_without_a_gpu_there_is_nothing_to_fill() -> None:
    assert judge(RULE, machine()).applies is False


def test_assumed_hardware_is_not_this_machines() -> None:
    assumed = replace(machine(card(0)), target=Target("python", None, "--python", ("sm_89",)))
    assert judge(RULE, assumed).applies is False
