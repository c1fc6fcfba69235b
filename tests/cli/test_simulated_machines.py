"""The whole path on machines that are not here: a driver that fails in every known way, and what `check` says of it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.simulated import packages
from tests.simulated.driver import RTX_4090, RTX_5090, SimulatedGpu, SimulatedProcess, simulated_driver

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Run:
    """What a check said, and how it ended."""

    code: int
    report: dict[str, Any]

    @property
    def findings(self) -> list[dict[str, Any]]:
        (case,) = self.report["cases"]
        return [finding for run in case["runs"] for finding in run["findings"]]

    def alarms(self, severity: str = "error") -> list[str]:
        return [finding["rule"] for finding in self.findings if finding["severity"] == severity]

    def notes(self) -> dict[str, str]:
        (case,) = self.report["cases"]
        return {run["rule"]: run["note"] for run in case["runs"]}


def check(folder: Path, *gpus: SimulatedGpu, options: tuple[str, ...] = (), **settings: Any) -> Run:
    """Check an empty environment of a machine with these GPUs, as a user would from a shell."""
    prefix = packages.environment(folder).prefix
    driver = folder / "driver"
    driver.mkdir()
    variables = packages.environ(**settings.pop("variables", {}))
    environ = simulated_driver(driver, *(gpus or (RTX_4090,)), environ=variables, **settings)
    command = [sys.executable, "-m", "gpu_doctor", "check", "--prefix", str(prefix), "--format", "json", *options]
    ended = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, timeout=120)
    assert b"Traceback" not in ended.stderr, ended.stderr.decode()
    return Run(ended.returncode, json.loads(ended.stdout))


@pytest.mark.parametrize(
    ("cuda_init", "rule", "said"),
    [
        (46, "cuda-init-unknown", "cuInit failed with 46 (CUDA_ERROR_DEVICE_UNAVAILABLE)"),
        (100, "cuda-init-unknown", "cuInit failed with 100 (CUDA_ERROR_NO_DEVICE)"),
        (802, "fabric-manager-down", "the system is not ready (802)"),
        (803, "driver-library-mismatch", "cuInit failed with 803 (CUDA_ERROR_SYSTEM_DRIVER_MISMATCH)"),
        (804, "driver-library-mismatch", "cuInit failed with 804 (CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE)"),
        (999, "cuda-init-unknown", "cuInit failed with 999 (CUDA_ERROR_UNKNOWN)"),
        ("crash", "cuda-init-unknown", "cuInit was killed by SIGSEGV"),
    ],
)
def test_a_driver_that_cannot_start_is_one_alarm(tmp_path: Path, cuda_init: int | str, rule: str, said: str) -> None:
    run = check(tmp_path, cuda_init=cuda_init)
    assert (run.code, run.alarms()) == (1, [rule])
    (finding,) = run.findings
    assert said in finding["message"]
    assert any(row["what"] == "asked live: cuInit of libcuda.so.1" for row in finding["evidence"])
    assert finding["remedy"]["safety"] == "manual"


def test_a_driver_that_hangs_does_not_hang_the_doctor(tmp_path: Path) -> None:
    run = check(tmp_path, cuda_init="hang", options=("--probe-timeout", "4"))
    assert (run.code, run.alarms()) == (1, ["cuda-init-unknown"])
    assert "cuInit did not answer in 4 s" in run.findings[0]["message"]


def test_a_healthy_machine_is_cleared(tmp_path: Path) -> None:
    run = check(tmp_path, RTX_4090, RTX_5090)
    assert (run.code, run.findings) == (0, [])


def test_a_variable_that_hides_the_gpu_is_named(tmp_path: Path) -> None:
    run = check(tmp_path, variables={"CUDA_VISIBLE_DEVICES": "3"})
    assert (run.code, run.alarms()) == (1, ["cuda-init-unknown"])
    assert "CUDA_VISIBLE_DEVICES is '3'" in run.findings[0]["message"]


def test_a_gpu_that_is_hidden_on_purpose_is_no_failure(tmp_path: Path) -> None:
    run = check(tmp_path, variables={"CUDA_VISIBLE_DEVICES": "-1"})
    assert (run.code, run.alarms("warning")) == (0, ["cuda-init-unknown"])


def test_a_full_gpu_is_named_with_who_fills_it(tmp_path: Path) -> None:
    full = SimulatedGpu(free_bytes=0, processes=(SimulatedProcess("vllm", 23 * 2**30),))
    run = check(tmp_path, RTX_5090, full)
    assert (run.code, run.alarms()) == (1, ["gpu-out-of-memory"])
    (finding,) = run.findings
    assert finding["subject"] == "GPU 1"
    assert "vllm (4194305) holds 23.0 GiB" in finding["message"]


def test_one_gpu_of_two_that_refuses_a_context_is_named(tmp_path: Path) -> None:
    run = check(tmp_path, RTX_5090, SimulatedGpu(context=201))
    assert (run.code, [finding["subject"] for finding in run.findings]) == (1, ["GPU 1: context"])


def test_nvml_and_cuda_say_the_same_once(tmp_path: Path) -> None:
    run = check(tmp_path, nvml_init=18, cuda_init=803)
    assert (run.code, run.alarms()) == (1, ["driver-library-mismatch"])
    whats = [row["what"] for row in run.findings[0]["evidence"]]
    assert whats[:2] == ["asked live: cuInit of libcuda.so.1", "asked live: NVML"]


def test_without_asking_nothing_of_this_is_claimed(tmp_path: Path) -> None:
    run = check(tmp_path, cuda_init=999, options=("--static",))
    assert run.findings == []
    assert run.notes()["cuda-init-unknown"] == "only files were read"
