"""cuda-init-unknown: the driver itself cannot start CUDA."""

from __future__ import annotations

from typing import Any

import pytest
from packaging.version import Version

from gpu_doctor.model.hardware import Variable
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Probe
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import commands, evidence, judge, judge_all, only
from tests.kit import gpu, host, inventory, probe, trial

RULE = "cuda-init-unknown"
FILES = ("/dev/nvidia-uvm", "/dev/nvidia0", "/dev/nvidiactl")
MODULE = Version("580.95.05")
UUID = "GPU-5ebe9d38-0000-0000-0000-000000000000"


def init(code: int, name: str = "CUDA_ERROR_UNKNOWN", step: str = "cuInit") -> Probe:
    failed = trial(step, "failed", f"CudaError: {step} failed with {code} ({name}: …)", code=str(code), error=name)
    return probe("cuda-init", "libcuda.so.1", "answered", trial("load libcuda.so.1"), failed)


def machine(asked: Probe, visible: str | None = None, **changes: Any) -> Inventory:
    gpus = changes.pop("gpus", (gpu(uuid=UUID),))
    variables = () if visible is None else (Variable("CUDA_VISIBLE_DEVICES", visible),)
    base = {"devices": FILES, "kernel_module": MODULE, "variables": variables, **changes}
    return inventory(probes=(asked,), gpus=gpus, host=host(**base))


def test_an_unknown_error_is_mostly_nvidia_uvm() -> None:
    finding = only(judge(RULE, machine(init(999))))
    assert (finding.severity, finding.subject, finding.seats) == ("error", "cuInit", ("driver",))
    assert finding.message == "CUDA does not start: cuInit failed with 999 (CUDA_ERROR_UNKNOWN)."
    assert "sudo rmmod nvidia_uvm && sudo modprobe nvidia_uvm" in commands(finding)
    assert finding.remedy is not None
    assert finding.remedy.safety == "manual"
    assert evidence(finding)["device files"] == ", ".join(FILES)
    assert "cuInit failed with 999" in evidence(finding)["asked live: cuInit of libcuda.so.1"]


def test_a_missing_uvm_is_created() -> None:
    finding = only(judge(RULE, machine(init(999), devices=("/dev/nvidia0", "/dev/nvidiactl"))))
    assert commands(finding) == ["sudo nvidia-modprobe -c=0 -u"]


def test_in_a_container_the_module_is_the_hosts() -> None:
    finding = only(judge(RULE, machine(init(999), container="docker (/.dockerenv)")))
    assert finding.remedy is not None
    assert "on the host" in finding.remedy.summary


def test_under_wsl_there_is_no_module_to_load() -> None:
    assert commands(only(judge(RULE, machine(init(999), wsl=True, devices=("/dev/dxg",))))) == ["wsl --shutdown"]


@pytest.mark.parametrize(
    ("visible", "severity"),
    [("", "warning"), ("-1", "warning"), ("1", "error"), ("7,0", "error"), ("GPU-ffff", "error"), ("all", "error")],
)
def test_a_variable_that_names_no_gpu(visible: str, severity: str) -> None:
    """Empty and -1 hide a GPU on purpose; a number that is not there is a mistake."""
    finding = only(judge(RULE, machine(init(100, "CUDA_ERROR_NO_DEVICE"), visible)))
    assert finding.severity == severity
    assert f"CUDA_VISIBLE_DEVICES is {visible!r}" in finding.message
    assert commands(finding) == ["unset CUDA_VISIBLE_DEVICES"]


@pytest.mark.parametrize("visible", ["0", "0,9", UUID, "GPU-5ebe", "MIG-1"])
def test_a_variable_that_names_a_gpu_is_innocent(visible: str) -> None:
    finding = only(judge(RULE, machine(init(100, "CUDA_ERROR_NO_DEVICE"), visible)))
    assert "names no GPU" not in finding.message
    assert evidence(finding)["CUDA_VISIBLE_DEVICES"] == repr(visible)


def test_an_unknown_count_of_gpus_convicts_no_number() -> None:
    seen = machine(init(100, "CUDA_ERROR_NO_DEVICE"), "3", gpus=Unknown("NVML hangs"))
    assert "names no GPU" not in only(judge(RULE, seen)).message
    seen = machine(init(100, "CUDA_ERROR_NO_DEVICE"), "-1", gpus=Unknown("NVML hangs"))
    assert "names no GPU" in only(judge(RULE, seen)).message


def test_a_container_without_device_files() -> None:
    seen = machine(init(100, "CUDA_ERROR_NO_DEVICE"), devices=(), container="docker (/.dockerenv)")
    assert commands(only(judge(RULE, seen))) == ["docker run --gpus all …"]


def test_a_host_without_device_files() -> None:
    seen = machine(init(100, "CUDA_ERROR_NO_DEVICE"), devices=())
    assert commands(only(judge(RULE, seen))) == ["sudo nvidia-modprobe -c=0 -u"]


def test_a_driver_without_any_gpu_is_no_illness() -> None:
    seen = machine(init(100, "CUDA_ERROR_NO_DEVICE"), devices=(), gpus=(), kernel_module=None)
    run = judge(RULE, seen)
    assert (run.status, run.note) == ("skipped", "no GPU visible")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (46, "sudo nvidia-smi --compute-mode=DEFAULT"),
        (214, "nvidia-smi -q -d ECC,ROW_REMAPPER"),
        (807, "echo quit | nvidia-cuda-mps-control"),
        (201, "sudo dmesg | grep -iE 'nvrm|xid'"),
    ],
)
def test_a_context_that_one_gpu_refuses(code: int, said: str) -> None:
    finding = only(judge(RULE, machine(init(code, step="GPU 1: context"))))
    assert finding.subject == "GPU 1: context"
    assert said in commands(finding)


@pytest.mark.parametrize(
    ("mode", "meaning"),
    [("exclusive process", "Its compute mode is exclusive process."), ("default", "left it in a bad state.")],
)
def test_a_gpu_that_is_not_to_be_had(mode: str, meaning: str) -> None:
    refused = init(46, "CUDA_ERROR_DEVICE_UNAVAILABLE", "GPU 0: context").trials[-1]
    asked = probe("cuda-init", "libcuda.so.1", "answered", trial("GPU 0", compute_mode=mode), refused)
    assert only(judge(RULE, machine(asked))).message.endswith(meaning)


def test_a_start_that_hangs() -> None:
    hung = probe(
        *("cuda-init", "libcuda.so.1", "timed out", trial("cuInit", "died", "did not answer in 90 s")),
        reason="did not answer in 90 s",
        stack=("cuda_init.py:69 in _call",),
    )
    finding = only(judge(RULE, machine(hung)))
    assert finding.message == (
        "CUDA does not start: cuInit did not answer in 90 s. The driver or a GPU hangs, or wakes very slowly."
    )
    assert evidence(finding)["where its Python stood"] == "cuda_init.py:69 in _call"


def test_a_start_that_kills_the_process() -> None:
    died = probe(
        "cuda-init", "libcuda.so.1", "crashed", trial("cuInit", "died", "SIGSEGV"), reason="was killed by SIGSEGV"
    )
    finding = only(judge(RULE, machine(died)))
    assert finding.message.startswith("CUDA does not start: cuInit was killed by SIGSEGV. ")


def test_a_child_that_came_to_no_experiment() -> None:
    finding = only(judge(RULE, machine(probe("cuda-init", "libcuda.so.1", "crashed", reason="was killed by SIGKILL"))))
    assert finding.subject == "libcuda.so.1"


def test_a_libcuda_that_cannot_be_loaded_is_a_consequence_of_the_missing_driver() -> None:
    unloaded = trial("load libcuda.so.1", "failed", "OSError: libcuda.so.1: cannot open shared object file")
    seen = machine(probe("cuda-init", "libcuda.so.1", "answered", unloaded))
    finding = only(judge(RULE, seen))
    assert finding.message.startswith(
        "CUDA does not start: load libcuda.so.1 failed: libcuda.so.1: cannot open shared object file."
    )


@pytest.mark.parametrize("code", [2, 802, 803, 804])
def test_errors_that_have_a_rule_of_their_own(code: int) -> None:
    assert judge(RULE, machine(init(code))).status == "passed"


@pytest.mark.parametrize("code", [2, 46, 100, 201, 802, 803, 804, 999])
def test_every_error_has_one_rule(code: int) -> None:
    step = "GPU 0: memory" if code == 2 else "cuInit"
    described = trial("GPU 0", uuid=UUID)
    asked = init(code, step=step)
    asked = probe("cuda-init", "libcuda.so.1", "answered", described, *asked.trials)
    case = judge_all(machine(asked))
    assert [finding.severity for finding in case.findings if finding.severity == "error"] == ["error"]


def test_a_healthy_start() -> None:
    started = probe("cuda-init", "libcuda.so.1", "answered", trial("cuInit", code="0"), trial("GPU 0: context"))
    assert judge(RULE, machine(started)).status == "passed"


@pytest.mark.parametrize(
    ("probes", "why"),
    [
        (Unknown("only files were read"), "only files were read"),
        ((probe("cuda-init", "libcuda.so.1", "skipped", reason="no GPU visible"),), "no GPU visible"),
    ],
)
def test_what_was_not_asked_is_not_known(probes: Any, why: str) -> None:
    run = judge(RULE, inventory(probes=probes))
    assert (run.status, run.applies, run.note) == ("skipped", True, why)
