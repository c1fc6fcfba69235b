"""The experiments of the torch-gpu question, with real torch: right on a CPU, and caught where something is wrong.

A CPU stands in for the GPU: the same experiments run, and what a sick GPU would do is done to them here.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from gpu_doctor.model.probes import Probe, Trial
from gpu_doctor.probe.ask import SCRIPTS
from gpu_doctor.probe.together import Asking, Question

pytestmark = pytest.mark.lab

Lab = Callable[[str], Path]

NAMES = (
    *("is available", "launch kernel", "allocate memory", "copy", "pinned memory"),
    *("matmul fp32", "matmul tf32", "matmul fp16", "matmul bf16", "convolution", "attention"),
    *("stft", "istft", "fft fp64", "linalg solve", "linalg svd", "linalg cholesky", "linalg eigh", "matmul fp8"),
)
NO_IMAGE = "CUDA error: no kernel image is available for execution on the device"
ILLEGAL = "CUDA error: an illegal memory access was encountered"


def asked(prefix: Path, script: Path, device: str = "cpu") -> Probe:
    question = Question("torch-gpu", "GPU 0", str(script), {"device": device}, deadline=300.0)
    with Asking(str(prefix / "bin/python"), {}, workers=1, options=("-B",)) as asking:
        asking.add((question,))
        (probe,) = asking.results(lambda _: None)
    return probe


def spoiled(folder: Path, body: str) -> Path:
    """Write a question that does something to torch and then asks the real one.

    `only(torch.matmul, change)` changes what an operation returns, but not in double precision, in which the reference
    is computed; `refuse(text)` is a change that raises.
    """
    head = f"""
        import runpy
        import torch


        def only(operation, change):
            def spoiled(first, *others, **options):
                result = operation(first, *others, **options)
                wide = first.dtype in (torch.float64, torch.complex128)
                return result if wide else change(result)

            return spoiled


        def refuse(text):
            def change(result):
                raise RuntimeError(text)

            return change


        def answer(argument, notes):
            return runpy.run_path({str(SCRIPTS / "torch_gpu.py")!r})["answer"](argument, notes)


        """
    script = folder / "question.py"
    script.write_text(textwrap.dedent(head) + body + "\n")
    return script


def bad(probe: Probe) -> dict[str, Trial]:
    return {trial.name: trial for trial in probe.trials if trial.outcome not in ("passed", "skipped")}


@pytest.mark.parametrize("name", ["torch26-5090", "torch-2.8", "torch212-t4"])
def test_every_experiment_comes_out_right_on_a_cpu(lab: Lab, name: str) -> None:
    probe = asked(lab(name), SCRIPTS / "torch_gpu.py")
    assert (probe.ending, probe.reason) == ("answered", "")
    assert tuple(trial.name for trial in probe.trials) == NAMES
    left_out = {"pinned memory": "pinned memory serves copies to a GPU"}
    if name == "torch26-5090":
        left_out["matmul fp8"] = "this torch multiplies FP8 on GPUs alone"
    assert {t.name: t.detail for t in probe.trials if t.outcome == "skipped"} == left_out
    assert bad(probe) == {}
    compared = [trial for trial in probe.trials if trial.value("tolerance")]
    assert {trial.name for trial in compared} == set(NAMES[5:]) - left_out.keys()
    for trial in compared:  # far from its bound: the tolerance is no knife's edge
        assert float(trial.value("relative error") or 9) < float(trial.value("tolerance") or 0) / 2, trial
    assert probe.value("device") == "CPU"
    assert probe.value("torch")
    assert (probe.value("libcufft.so") or "").endswith(("libcufft.so.11", "libcufft.so.12"))


@pytest.mark.parametrize(
    ("body", "names", "words"),
    [
        ("torch.matmul = only(torch.matmul, lambda r: r * 1.05)", {"matmul fp32", "matmul tf32", "matmul fp16", "matmul bf16"}, "relative error 5"),
        ("torch.matmul = only(torch.matmul, lambda r: r * 1.0005 if r.dtype == torch.float32 else r)", {"matmul fp32"}, "relative error"),
        ("torch.matmul = only(torch.matmul, lambda r: r * float('nan'))", {"matmul fp32", "matmul tf32", "matmul fp16", "matmul bf16"}, "65536 of 65536 numbers are NaN or infinite"),
        ("torch.matmul = only(torch.matmul, lambda r: r.index_fill(1, torch.tensor([7]), 0))", {"matmul fp32", "matmul tf32", "matmul fp16", "matmul bf16"}, "relative error"),
        ("torch.matmul = only(torch.matmul, lambda r: r[:-1])", {"matmul fp32", "matmul tf32", "matmul fp16", "matmul bf16"}, "the shape is (255, 256) instead of (256, 256)"),
        ("torch._scaled_mm = only(torch._scaled_mm, lambda r: r * 1.1)", {"matmul fp8"}, "256×512×128"),
        ("torch.nn.functional.conv1d = only(torch.nn.functional.conv1d, lambda r: r.flip(-1))", {"convolution"}, "conv1d float32"),
        ("torch.stft = only(torch.stft, lambda r: r.conj().resolve_conj())", {"stft"}, "n_fft 1024"),
        ("torch.istft = only(torch.istft, lambda r: r * 1.001)", {"istft"}, "n_fft 1024"),
        ("torch.fft.rfft = lambda x, real=torch.fft.rfft: real(x.float())", {"fft fp64"}, "size 1024"),
        ("torch.linalg.solve = only(torch.linalg.solve, lambda r: r * 1.001)", {"linalg solve"}, "160×160"),
        ("torch.linalg.eigh = only(torch.linalg.eigh, lambda r: (r[0] * 1.001, r[1]))", {"linalg eigh"}, "160×160"),
        ("real = torch.nn.functional.scaled_dot_product_attention\ntorch.nn.functional.scaled_dot_product_attention = lambda q, k, v: real(q, k, v, is_causal=True)", {"attention"}, "float32"),
    ],
    ids=["5 % off", "TF32", "NaN", "a column lost", "a row lost", "fp8", "reversed", "conjugate", "istft", "single", "solve", "eigh", "causal"],
)  # fmt: skip
def test_a_wrong_result_is_called_wrong_and_nothing_else_is(
    lab: Lab, tmp_path: Path, body: str, names: set[str], words: str
) -> None:
    probe = asked(lab("torch-2.8"), spoiled(tmp_path, body))
    found = bad(probe)
    assert (probe.ending, set(found)) == ("answered", names)
    assert {trial.outcome for trial in found.values()} == {"wrong"}
    assert words in next(iter(found.values())).detail
    assert all(trial.value("relative error") or "shape" in trial.detail for trial in found.values())


@pytest.mark.parametrize(
    ("body", "names", "words"),
    [
        (f"torch.linalg.solve = only(torch.linalg.solve, refuse({NO_IMAGE!r}))", {"linalg solve"}, NO_IMAGE),
        ("torch._scaled_mm = only(torch._scaled_mm, refuse('CUBLAS_STATUS_NOT_SUPPORTED'))", {"matmul fp8"}, "CUBLAS_STATUS_NOT_SUPPORTED"),
        ("torch.stft = only(torch.stft, refuse('cuFFT error: CUFFT_INTERNAL_ERROR'))", {"stft"}, "CUFFT_INTERNAL_ERROR"),
        ("torch.matmul = only(torch.matmul, refuse('CUBLAS_STATUS_NOT_SUPPORTED'))", {"matmul fp32", "matmul tf32", "matmul fp16", "matmul bf16"}, "CUBLAS_STATUS_NOT_SUPPORTED"),
    ],
    ids=["no image", "fp8", "cufft", "cublas"],
)  # fmt: skip
def test_an_operation_that_fails_leaves_the_others_to_be_tried(
    lab: Lab, tmp_path: Path, body: str, names: set[str], words: str
) -> None:
    probe = asked(lab("torch-2.8"), spoiled(tmp_path, body))
    found = bad(probe)
    assert {(trial.name, trial.outcome) for trial in found.values()} == {(name, "failed") for name in names}
    assert all(words in trial.detail for trial in found.values())
    assert tuple(trial.name for trial in probe.trials) == NAMES


@pytest.mark.parametrize(
    ("body", "name", "reason"),
    [
        (f"torch.nn.functional.conv2d = only(torch.nn.functional.conv2d, refuse({ILLEGAL!r}))", "convolution", "the GPU's context was lost in `convolution`"),
        ("torch.full = only(lambda *a, **o: torch.empty(1), refuse('CUDA out of memory. Tried to allocate 16.00 MiB'))\ntorch.full = lambda *a, **o: (_ for _ in ()).throw(RuntimeError('CUDA out of memory'))", "allocate memory", "the GPU has no memory left"),
    ],
    ids=["illegal access", "no memory"],
)  # fmt: skip
def test_after_some_errors_nothing_more_is_tried_and_that_is_said(
    lab: Lab, tmp_path: Path, body: str, name: str, reason: str
) -> None:
    probe = asked(lab("torch-2.8"), spoiled(tmp_path, body))
    assert set(bad(probe)) == {name}
    later = probe.trials[NAMES.index(name) + 1 :]
    assert {(trial.outcome, trial.detail) for trial in later} == {("skipped", reason)}
    assert tuple(trial.name for trial in probe.trials) == NAMES


def test_a_reference_that_the_cpu_cannot_compute_says_nothing_of_the_gpu(lab: Lab, tmp_path: Path) -> None:
    probe = asked(
        lab("torch-2.8"), spoiled(tmp_path, "def broken(*a, **o): raise RuntimeError('no MKL')\ntorch.stft = broken")
    )
    assert bad(probe) == {}
    stft = probe.trial("stft")
    assert stft is not None
    assert (stft.outcome, stft.detail) == ("skipped", "the CPU cannot say what is right: no MKL")


def test_a_crash_names_the_experiment(lab: Lab, tmp_path: Path) -> None:
    body = "import os\ntorch.nn.functional.conv2d = only(torch.nn.functional.conv2d, lambda r: os.abort())"
    probe = asked(lab("torch-2.8"), spoiled(tmp_path, body))
    assert (probe.ending, set(bad(probe))) == ("crashed", {"convolution"})
    assert probe.trials[-1].outcome == "died"
    assert "SIGABRT" in probe.trials[-1].detail


def test_a_machine_without_a_gpu_is_said_once_and_the_rest_is_skipped(lab: Lab) -> None:
    """On a machine that has one, the device asked for does not exist."""
    probe = asked(lab("torch-2.8"), SCRIPTS / "torch_gpu.py", device="cuda:99")
    assert (probe.ending, set(bad(probe))) == ("answered", {"is available"})
    assert {trial.detail for trial in probe.trials[1:]} == {"torch cannot use the GPU"}
