"""The small benchmarks on real libraries, on the CPU: what they measure, what they refuse, where they say it ran."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpu_doctor.model.bench import BenchWish
from gpu_doctor.probe.ask import Answer, ask

pytestmark = pytest.mark.lab

Lab = Callable[[str], Path]
TORCH = "ok-4090"


def bench(prefix: Path, script: str, wish: BenchWish, **variables: str) -> Answer:
    unwanted = ("LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONPATH", "CUDA_VISIBLE_DEVICES")
    environ = {key: value for key, value in os.environ.items() if key not in unwanted}
    # One thread does not wait for another one that a busy machine has put aside.
    environ.update(OMP_NUM_THREADS="1", **variables)
    argument = {**dataclasses.asdict(wish), "gpu": None}
    return ask(script, str(prefix / "bin/python"), argument=argument, deadline=500, environ=environ)


def value(answer: Answer) -> dict[str, Any]:
    assert answer.ending == "answered", (answer.reason, answer.log[-2000:])
    told: dict[str, Any] = answer.value
    return told


def measured(told: dict[str, Any]) -> dict[str, str]:
    """Return the kinds of the figures that have a value, by the first words of their names."""
    return {figure["name"]: figure["kind"] for figure in told["figures"] if figure["value"] > 0}


def refused(told: dict[str, Any]) -> dict[str, str]:
    return {figure["name"]: figure["reason"] for figure in told["figures"] if not figure["value"]}


@pytest.fixture(scope="module")
def torch_bench(lab: Lab) -> Callable[..., dict[str, Any]]:
    """Run a workload of torch once, with two batch sizes and two rounds."""
    seen: dict[str, dict[str, Any]] = {}

    def run(workload: Any) -> dict[str, Any]:
        if workload not in seen:
            wish = BenchWish(workload, "cpu", batches=(1, 2), reload=2, repeat=1)
            seen[workload] = value(bench(lab(TORCH), "bench_torch.py", wish))
        return seen[workload]

    return run


def test_products_are_measured_in_every_format_of_the_cpu(torch_bench: Callable[..., dict[str, Any]]) -> None:
    told = torch_bench("matmul")
    assert sorted(measured(told).values()) == ["bfloat16", "float16", "float32"]
    assert set(refused(told).values()) == {"needs a GPU"}
    assert (told["ran_on"], told["dtype"]) == ("cpu", "float32, float16, bfloat16")


def test_both_convolutions_are_measured(torch_bench: Callable[..., dict[str, Any]]) -> None:
    told = torch_bench("conv")
    for layer in ("conv2d", "conv1d"):
        kinds = {kind for name, kind in measured(told).items() if name.startswith(layer)}
        assert kinds == {"float32", "float16", "bfloat16"}


def test_each_backend_of_attention_that_a_cpu_has_is_measured(torch_bench: Callable[..., dict[str, Any]]) -> None:
    told = torch_bench("attention")
    for backend in ("flash", "math"):
        # Two formats, two sizes of a head, causal and not.
        assert len([name for name in measured(told) if name.startswith(f"attention {backend} ")]) == 8
    assert refused(told) == {"attention efficient": "needs a GPU", "attention cudnn": "needs a GPU"}


def test_a_copy_on_the_cpu_is_no_figure_of_a_gpu(torch_bench: Callable[..., dict[str, Any]]) -> None:
    told = torch_bench("copy")
    assert measured(told) == {"copy in memory": ""}
    assert "batches" not in told


def test_transforms_come_back_and_have_a_real_time_factor(torch_bench: Callable[..., dict[str, Any]]) -> None:
    told = torch_bench("stft")
    assert len(measured(told)) == 6
    assert refused(told) == {}
    assert told["audio_seconds"] == 3 * 30 * (1 + 8)
    assert len(told["runs"]) == 1


@pytest.mark.parametrize("workload", ["matmul", "conv", "attention", "stft"])
def test_batches_and_rounds_of_torch_run(torch_bench: Callable[..., dict[str, Any]], workload: str) -> None:
    told = torch_bench(workload)
    assert [(batch["size"], batch.get("reason", "")) for batch in told["batches"]] == [(1, ""), (2, "")]
    assert [one["reason"] for one in told["reloads"]] == ["", ""]


def test_a_transform_that_went_wrong_is_seen(lab: Lab, tmp_path: Path) -> None:
    """A torch whose istft returns something else is caught by the sound that does not come back."""
    (tmp_path / "sitecustomize.py").write_text(BROKEN_ISTFT)
    wish = BenchWish("stft", "cpu", reload=2, repeat=1)
    told = value(bench(lab(TORCH), "bench_torch.py", wish, PYTHONPATH=str(tmp_path)))
    assert measured(told) == {}
    assert all(reason.startswith("wrong result: what comes back differs") for reason in refused(told).values())
    (only_round,) = told["reloads"]
    assert "what comes back differs" in only_round["reason"]


BROKEN_ISTFT = """
import importlib.util, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name != "torch": return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec("torch")
        load = spec.loader.exec_module
        def spoiled(torch):
            load(torch)
            right = torch.istft
            torch.istft = lambda *arguments, **options: right(*arguments, **options) * 1.01
        spec.loader.exec_module = spoiled
        return spec
sys.meta_path.insert(0, Finder())
"""


def test_a_missing_torch_is_named(lab: Lab) -> None:
    answer = bench(lab("ort-gpu-alone"), "bench_torch.py", BenchWish("matmul", "cpu"))
    assert (answer.ending, answer.reason) == ("raised", "ModuleNotFoundError: No module named 'torch'")


def test_the_generated_graph_is_what_numpy_computes(lab: Lab) -> None:
    wish = BenchWish("onnx", "cpu", batches=(1, 3), reload=2)
    told = value(bench(lab("ort-gpu-alone"), "bench_onnx.py", wish))
    assert list(measured(told)) == ["graph CPUExecutionProvider"]
    assert (told["ran_on"], len(told["runs"])) == ("cpu", 3)
    assert [batch["size"] for batch in told["batches"]] == [1, 3]
    assert [one["reason"] for one in told["reloads"]] == ["", ""]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ort-gpu-alone", "fell back to CPUExecutionProvider"),
        ("ort-clash", "this onnxruntime has no CUDAExecutionProvider"),
    ],
)
def test_a_session_that_falls_back_is_seen(lab: Lab, name: str, reason: str) -> None:
    wish = BenchWish("onnx", "cuda:0", repeat=1)
    told = value(bench(lab(name), "bench_onnx.py", wish, CUDA_VISIBLE_DEVICES=""))
    assert refused(told)["graph CUDAExecutionProvider"] == reason
    assert (told["ran_on"], measured(told), len(told["runs"])) == ("cpu", {}, 1)


def test_images_come_out_of_every_way_of_saving_memory(lab: Lab) -> None:
    wish = BenchWish("diffusion", "cpu", batches=(1, 2), reload=1, repeat=1)
    told = value(bench(lab("diffusion"), "bench_diffusion.py", wish))
    ways = ("plain", "attention slicing", "VAE tiling", "plain, 2 images", "VAE slicing, 2 images")
    assert [name for name in measured(told) if ": memory" not in name] == list(ways)
    assert [name for name in measured(told) if ": memory" in name] == [f"{way}: memory" for way in ways]
    assert set(refused(told).values()) == {"needs a GPU"}
    assert told["ran_on"] == "cpu"
    assert [batch["size"] for batch in told["batches"]] == [1, 2]
    assert [one["reason"] for one in told["reloads"]] == [""]
