"""How CUDA starts: the very question that is asked of a target, put to a simulated driver."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from gpu_doctor.model.probes import Probe
from gpu_doctor.probe.together import Asking, Question
from tests.probe.processes import left_behind
from tests.simulated.driver import RTX_4090, RTX_5090, SimulatedGpu, simulated_driver, uuid_of


def ask_cuda(
    tmp_path: Path, *gpus: SimulatedGpu, visible: str | None = None, deadline: float = 20, **settings: Any
) -> Probe:
    environ = simulated_driver(tmp_path, *(gpus or (RTX_4090, RTX_5090)), **settings)
    question = Question("cuda-init", "libcuda.so.1", "cuda_init.py", None, deadline)
    variables = {name: value for name, value in environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    if visible is not None:
        variables["CUDA_VISIBLE_DEVICES"] = visible
    with Asking(sys.executable, variables, workers=1) as asking:
        asking.add((question,))
        (probe,) = asking.results(lambda _words: None)
    assert left_behind() == []
    return probe


def outcomes(probe: Probe) -> dict[str, str]:
    return {trial.name: trial.outcome for trial in probe.trials}


def failed(probe: Probe, name: str) -> tuple[str | None, str | None, str]:
    """Return code, name and words of an experiment that failed."""
    trial = probe.trial(name)
    assert trial is not None
    assert trial.outcome == "failed"
    return trial.value("code"), trial.value("error"), trial.detail


def seen(probe: Probe) -> list[str | None]:
    """Return the UUIDs of the GPUs that the program was given."""
    return [trial.value("uuid") for trial in probe.trials if trial.value("uuid")]


def test_a_healthy_machine_starts_on_every_gpu(tmp_path: Path) -> None:
    probe = ask_cuda(tmp_path, cuda="12.8")
    assert probe.ending == "answered"
    assert (probe.value("driver cuda"), probe.value("devices")) == ("12.8", "2")
    assert set(outcomes(probe).values()) == {"passed"}
    assert [trial.name for trial in probe.trials] == [
        *("load libcuda.so.1", "version", "cuInit", "devices"),
        *("GPU 0", "GPU 0: context", "GPU 0: memory", "GPU 1", "GPU 1: context", "GPU 1: memory"),
    ]
    second = probe.trial("GPU 1")
    assert second is not None
    assert (second.value("device"), second.value("capability")) == ("NVIDIA GeForce RTX 5090", "12.0")
    assert (second.value("bytes"), second.value("uuid")) == (str(32 * 2**30), uuid_of(1))
    assert second.value("compute mode") == "default"
    loaded = probe.trial("load libcuda.so.1")
    assert loaded is not None
    assert loaded.value("path") == str(tmp_path / "libcuda.so.570.86.15")


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (100, "CUDA_ERROR_NO_DEVICE"),
        (802, "CUDA_ERROR_SYSTEM_NOT_READY"),
        (803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"),
        (804, "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE"),
        (999, "CUDA_ERROR_UNKNOWN"),
        (12345, "no words for it"),
    ],
)
def test_a_failing_start_has_its_code_and_its_name(tmp_path: Path, code: int, name: str) -> None:
    probe = ask_cuda(tmp_path, cuda_init=code)
    assert probe.ending == "answered"
    assert failed(probe, "cuInit")[:2] == (str(code), name)
    assert failed(probe, "cuInit")[2].startswith(f"CudaError: cuInit failed with {code} ({name}: ")
    assert probe.trials[-1].name == "cuInit"


@pytest.mark.parametrize(("ending", "how", "deadline"), [("hang", "timed out", 2), ("crash", "crashed", 20)])
def test_a_start_that_never_ends_or_kills(tmp_path: Path, ending: str, how: str, deadline: float) -> None:
    probe = ask_cuda(tmp_path, cuda_init=ending, deadline=deadline)
    assert probe.ending == how
    assert outcomes(probe)["cuInit"] == "died"


def test_a_context_that_cannot_be_had_leaves_the_other_gpus_alone(tmp_path: Path) -> None:
    probe = ask_cuda(tmp_path, SimulatedGpu(context=46, mode=3), RTX_5090)
    busy = probe.trial("GPU 0")
    assert busy is not None
    assert busy.value("compute mode") == "exclusive process"
    assert failed(probe, "GPU 0: context")[:2] == ("46", "CUDA_ERROR_DEVICE_UNAVAILABLE")
    assert outcomes(probe)["GPU 0: memory"] == "skipped"
    assert outcomes(probe)["GPU 1: memory"] == "passed"


def test_a_context_that_kills_is_named(tmp_path: Path) -> None:
    probe = ask_cuda(tmp_path, RTX_5090, SimulatedGpu(context="crash"))
    assert (probe.ending, outcomes(probe)["GPU 1: context"]) == ("crashed", "died")


def test_a_full_gpu_gives_no_memory(tmp_path: Path) -> None:
    probe = ask_cuda(tmp_path, SimulatedGpu(free_bytes=1000))
    assert failed(probe, "GPU 0: memory")[:2] == ("2", "CUDA_ERROR_OUT_OF_MEMORY")


def test_what_is_allocated_is_given_back(tmp_path: Path) -> None:
    probe = ask_cuda(tmp_path, SimulatedGpu(free_bytes=2**20))
    memory = probe.trial("GPU 0: memory")
    assert memory is not None
    assert (memory.outcome, memory.value("free")) == ("passed", str(2**20))


@pytest.mark.parametrize(
    ("visible", "numbers"),
    [
        ("0,1", [0, 1]),
        ("1", [1]),
        ("1,0", [1, 0]),
        ("1,7,0", [1]),
        ("GPU-00000001", [1]),
        (f"{uuid_of(1)},{uuid_of(0)}", [1, 0]),
    ],
)
def test_the_program_sees_what_the_variable_names(tmp_path: Path, visible: str, numbers: list[int]) -> None:
    assert seen(ask_cuda(tmp_path, visible=visible)) == [uuid_of(number) for number in numbers]


@pytest.mark.parametrize("visible", ["", "-1", "7", "GPU-ffffffff", "none"])
def test_a_variable_that_hides_every_gpu_is_no_device(tmp_path: Path, visible: str) -> None:
    assert failed(ask_cuda(tmp_path, visible=visible), "cuInit")[0] == "100"


def test_a_library_that_cannot_be_loaded_is_an_answer_too(tmp_path: Path) -> None:
    (tmp_path / "libcuda.so.1").write_bytes(b"no library")
    question = Question("cuda-init", "libcuda.so.1", "cuda_init.py", None, 20)
    with Asking(sys.executable, {"LD_LIBRARY_PATH": str(tmp_path)}, workers=1) as asking:
        asking.add((question,))
        (probe,) = asking.results(lambda _words: None)
    assert [(trial.name, trial.outcome) for trial in probe.trials] == [("load libcuda.so.1", "failed")]
    assert "libcuda.so.1" in probe.trials[0].detail
