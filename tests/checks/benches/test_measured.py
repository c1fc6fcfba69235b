"""Which benchmarks are judged, which GPU they concern, and what may be ill."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_doctor.checks.benches.measured import gpu_number, latest, package, ran_elsewhere, seats, subject
from gpu_doctor.model.bench import Workload
from gpu_doctor.model.hardware import Variable
from gpu_doctor.model.probes import Measure
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from tests.checks.benched import bench, rounds
from tests.kit import dist, gpu, host, inventory

TWO = (gpu("A", uuid="GPU-a"), gpu("B", uuid="GPU-b"))


def test_the_latest_of_the_same_work_on_each_device() -> None:
    old, other, new = bench("stft", "cuda:0", 1.0), bench("stft", "cpu", 5.0), bench("stft", "cuda:0", 2.0)
    again = bench("stft", "cuda:0", 3.0, wish={"repeat": 9, "seed": 5, "batches": (1, 2), "output": "x.wav"})
    assert set(latest(inventory(benches=(old, other, new)))) == {other, new}
    assert latest(inventory(benches=(old, new, again))) == (again,)


@pytest.mark.parametrize(
    "wish", [{"model_size": "base"}, {"weights": "x"}, {"text": "x"}, {"language": "de"}, {"audio": "x"}], ids=str
)
def test_another_model_or_input_is_other_work(wish: dict[str, Any]) -> None:
    both = (bench("whisper", "cuda:0", 1.0), bench("whisper", "cuda:0", 1.0, wish=wish))
    assert latest(inventory(benches=both)) == both


def test_reloading_is_a_measurement_of_its_own() -> None:
    both = (bench("xtts", "cuda:0", reloads=rounds(1, 2)), bench("xtts", "cuda:0", 1.0))
    assert latest(inventory(benches=both)) == both


@pytest.mark.parametrize(
    ("device", "visible", "number"),
    [("cuda:0", None, 0), ("cuda:1", None, 1), ("cuda", None, 0), ("cuda:0", "1", 1), ("cuda:1", "1", None),
     ("cuda:0", "GPU-b,GPU-a", 1), ("cuda:0", "MIG-1", None), ("cpu", None, None), ("cuda:7", None, None)],
)  # fmt: skip
def test_which_gpu_a_device_is(device: str, visible: str | None, number: int | None) -> None:
    variables = () if visible is None else (Variable("CUDA_VISIBLE_DEVICES", visible),)
    seen = inventory(gpus=TWO, host=host(variables=variables))
    assert gpu_number(seen, bench("stft", device, 1.0)) == number


def test_a_gpu_of_another_name_or_none_is_not_it() -> None:
    seen = inventory(gpus=TWO)
    assert gpu_number(seen, bench("stft", "cuda:1", 1.0, device_name="B")) == 1
    assert gpu_number(seen, bench("stft", "cuda:0", 1.0, device_name="B")) is None
    assert gpu_number(inventory(gpus=Unknown("NVML hangs")), bench("stft", "cuda:0", 1.0)) is None
    assumed = inventory(gpus=TWO, target=Target("python", None, "--python", ("sm_89",)))
    assert gpu_number(assumed, bench("stft", "cuda:0", 1.0)) is None


@pytest.mark.parametrize(
    ("ran_on", "elsewhere"),
    [("cpu", "all"), ("CPUExecutionProvider", "all"), ("cpu, cuda:0", "part"), ("cuda:0", ""), ("", "")],
)
def test_where_the_work_was_done(ran_on: str, elsewhere: str) -> None:
    assert ran_elsewhere(bench("onnx", "cuda:0", 1.0, ran_on=ran_on)) == elsewhere
    assert ran_elsewhere(bench("onnx", "cpu", 1.0, ran_on=ran_on)) == ""


@pytest.mark.parametrize(
    ("workload", "name"),
    [("xtts", "torch"), ("whisper", "ctranslate2"), ("onnx", "onnxruntime-gpu"), ("conv", "torch"), ("copy", "torch")],
)
def test_what_computes(workload: Workload, name: str) -> None:
    assert package(bench(workload, "cpu")) == name


def test_seats_are_what_is_there_and_took_part() -> None:
    seen = inventory(dist("ctranslate2", "4.6.3"), dist("numpy", "2.2.6"), dist("torch", "2.8.0"))
    versions = (Measure("numpy", "2.2.6"), Measure("whisperx", "3"))
    on_gpu = seats(seen, bench("whisper", "cuda:0", 1.0, versions=versions))
    assert on_gpu == ("ctranslate2", "numpy", "driver", "GPU 0", "cuFFT on GPU 0")
    assert seats(seen, bench("whisper", "cpu", 1.0)) == ("ctranslate2",)


def test_subjects_tell_models_apart() -> None:
    assert subject(bench("whisper", "cuda:0", wish={"model_size": "base"})) == "whisper base on cuda:0"
    assert subject(bench("xtts", "cpu", wish={"weights": "/opt/app/xtts"})) == "xtts with /opt/app/xtts on cpu"
