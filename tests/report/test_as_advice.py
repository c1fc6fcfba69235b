"""The faces of `advise`: text of one screen, valid Python, lines that a shell can evaluate."""

from __future__ import annotations

import ast
import shlex
import subprocess
from dataclasses import replace
from typing import Any

import pytest

from gpu_doctor.errors import DoctorError
from gpu_doctor.model.advice import Advice, Setting
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.report import as_advice
from gpu_doctor.report.paper import Look
from tests.advice.kit import CT2, GIB, PATIENTS, TORCH, advised, advised_for, batch, bench, patient
from tests.advice.test_models import checkpoint
from tests.checks.judge import judge_all
from tests.kit import dist, gpu, host, inventory

ONE_SCREEN = 36


def text(seen: Inventory, advice: Advice | None = None) -> str:
    return as_advice.render(judge_all(seen), advice or advised_for(seen), Look())


HEALTHY = inventory(TORCH, CT2, gpus=(gpu(free_bytes=22 * GIB),))


def test_the_device_comes_first_with_its_reason() -> None:
    lines = text(HEALTHY).splitlines()
    assert lines[1] == "USE cuda:0  torch 2.8.0 can use NVIDIA GeForce RTX 4090 (sm_89)."
    assert "  torch        cuda:0 bfloat16" in text(HEALTHY)
    assert "onnxruntime" not in text(HEALTHY)


def test_a_fallback_says_the_reason_and_the_command_that_heals() -> None:
    shown = text(patient("torch26-5090"))
    assert "USE cpu  no kernel image for sm_120 in torch 2.6.0+cu124." in shown
    assert "\n  gpu-doctor fix kernel-image-missing --prefix /opt/app/venv" in shown


@pytest.mark.parametrize("path", sorted(PATIENTS.glob("*.json")), ids=lambda path: path.stem)
def test_one_screen_is_enough(path: Any) -> None:
    seen = patient(path.stem)
    shown = text(seen, advised_for(seen, checkpoint(8.0)))
    assert len(shown.splitlines()) <= ONE_SCREEN
    # A command stays whole, so that it can be copied.
    assert max(len(line) for line in shown.splitlines() if "gpu-doctor fix" not in line) <= 80


def test_measured_and_estimated_are_told_apart() -> None:
    sweep = bench(
        "whisper", "cuda:0", 1.0, size="tiny", batches=(batch(1, 1.0, 1), batch(2, 2.0, 1)), total_vram_bytes=24 * GIB
    )
    shown = " ".join(text(replace(HEALTHY, benches=(sweep,))).split())
    assert "tiny 2, base 64" in shown
    assert "(measured and estimated)" in shown
    assert "(estimated)" in " ".join(text(HEALTHY).split())


def test_a_model_and_its_problems() -> None:
    model = replace(checkpoint(8.0), problems=("Its width 1000 cannot be divided among 12 attention heads.",))
    shown = text(HEALTHY, advised_for(HEALTHY, model))
    assert "FITS  it takes 16.4 GiB of 22.0 GiB of NVIDIA GeForce RTX 4090 (estimated)." in shown
    assert "PROBLEM  Its width 1000 cannot" in shown
    assert "/opt/app/model" in shown


def test_warnings_are_bounded() -> None:
    advice = replace(advised_for(HEALTHY), warnings=tuple(f"warning {n}" for n in range(9)))
    shown = text(HEALTHY, advice)
    assert "NOTE  warning 2\n" in shown
    assert "warning 3" not in shown
    assert "and 6 more: --format json" in shown


def test_what_is_unknown_is_said() -> None:
    shown = " ".join(text(inventory(TORCH, gpus=(gpu(memory_bytes=None),))).split())
    assert "batch unknown — how much memory NVIDIA GeForce RTX 4090 has is not known" in shown


# --- Python -----------------------------------------------------------------------------------------------------------


def evaluated(advice: Advice) -> dict[str, Any]:
    source = as_advice.as_python(advice)
    ast.parse(source)
    found: dict[str, Any] = {}
    exec(compile(source, "advice", "exec"), found)
    return found


@pytest.mark.parametrize("path", sorted(PATIENTS.glob("*.json")), ids=lambda path: path.stem)
def test_the_snippet_is_python_for_every_patient(path: Any) -> None:
    advice = advised_for(patient(path.stem))
    found = evaluated(advice)
    assert (found["device"], found["dtype"], found["whisper"]) == (
        advice.device,
        advice.dtype,
        advice.kwargs("whisper"),
    )


def test_the_snippet_of_a_small_gpu_offloads() -> None:
    found = evaluated(advised(TORCH, CT2, gpus=(gpu(free_bytes=8 * GIB),)))
    assert found["diffusers_calls"]["SDXL"][0] == "pipe.enable_model_cpu_offload()"
    assert found["diffusers_calls"]["SD 1.5"] == ["pipe.to('cuda:0')"]
    poor = advised(TORCH, gpus=(gpu(free_bytes=8 * GIB),), host=host(memory_bytes=8 * GIB))
    assert evaluated(poor)["diffusers_calls"]["FLUX.1"] == []
    assert found["whisper_batch"]["tiny"] == 64


def test_foreign_words_cannot_leave_their_comment() -> None:
    evil = gpu("x\nimport os; raise SystemExit('owned')\r# y", free_bytes=GIB * 20)
    assert evaluated(advised(TORCH, CT2, gpus=(evil,)))["device"] == "cuda:0"
    warned = replace(advised(TORCH), warnings=("a\nraise SystemExit\u2028raise SystemExit",))
    assert evaluated(warned)["device"] == "cuda:0"


# --- Shell ------------------------------------------------------------------------------------------------------------


def test_export_lines_can_be_evaluated() -> None:
    lines = as_advice.as_env(advised_for(HEALTHY))
    assert shlex.split(lines) == ["export", "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True"]
    script = f'{lines}printf %s "$PYTORCH_CUDA_ALLOC_CONF"'
    ended = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, timeout=20)
    assert ended.stdout == "expandable_segments:True"


def test_nothing_to_set_is_nothing() -> None:
    assert as_advice.as_env(advised(dist("torch", "2.8.0", built="2.8.0+cpu"))) == ""


def test_a_value_that_no_shell_can_be_trusted_with() -> None:
    odd = replace(advised_for(HEALTHY), settings=(Setting("A", "'; rm -rf x; $(y) `z`", ""),))
    assert shlex.split(as_advice.as_env(odd)) == ["export", "A='; rm -rf x; $(y) `z`"]
    with pytest.raises(DoctorError):
        as_advice.as_env(replace(odd, settings=(Setting("A", "x\ny", ""),)))
    with pytest.raises(DoctorError):
        as_advice.as_env(replace(odd, settings=(Setting("A;B", "x", ""),)))
