"""What `bench` shows: the figure that matters first, whole blocks compared, and the JSON's promise kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gpu_doctor.model.bench import Audio, Batch, Bench, BenchWish, Figure, GpuState, Reload
from gpu_doctor.model.case import Case
from gpu_doctor.model.finding import Evidence, Finding
from gpu_doctor.model.hardware import GpuProcess
from gpu_doctor.model.probes import Measure
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.report.bench import as_bench, as_bench_json
from gpu_doctor.report.paper import Look
from tests import kit

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/schema/bench-1.json").read_text(encoding="utf-8"))
CASE = Case(kit.inventory(), (), ())
MIB, GIB = 2**20, 2**30

CPU = Bench(
    BenchWish("xtts", "cpu"),
    "2026-11-29T12:00:00Z",
    "answered",
    device_name="Xeon",
    ran_on="cpu",
    model="XTTS v2, random weights",
    dtype="float32",
    versions=(Measure("torch", "2.8.0+cu128"),),
    load_seconds=12.25,
    first_chunk_seconds=1.5,
    jit_seconds=0.05,
    runs=(8.0, 10.0, 9.0),
    audio_seconds=4.5,
    tokens=90,
    peak_rss_bytes=3 * GIB,
    audio=Audio("", 24_000, 1, 16, 4.5, 0.5, 0.1, 0.0),
)
GPU = replace(
    CPU,
    wish=replace(CPU.wish, device="cuda:0"),
    device_name="NVIDIA GeForce RTX 4090",
    ran_on="cuda:0",
    runs=(0.45,),
    peak_vram_bytes=2 * GIB,
    total_vram_bytes=24 * GIB,
    before=GpuState(throttled=("its temperature (hardware)",), others=(GpuProcess(41, "python", GIB),)),
    after=GpuState(),
)
MATMUL = Bench(
    BenchWish("matmul", "cuda:0", reload=2),
    "2026-11-29T12:00:00Z",
    "answered",
    figures=(
        Figure("float16 8192", 150.0, "TFLOP/s", "float16", peak=200.0),
        Figure("fp8 8192", 0.0, "TFLOP/s", "fp8", reason="needs compute capability 8.9"),
        Figure("peak", 300.0 * MIB, "bytes"),
    ),
    batches=(Batch(1, 1.0, 4.0, GIB), Batch(2, 1.0, 6.0, 2 * GIB), Batch(4, reason="out of memory")),
    reloads=(Reload(1.0, 400 * MIB), Reload(1.0, 500 * MIB)),
)
DEAD = Bench(
    BenchWish("whisper", "cpu"),
    "2026-11-29T12:00:00Z",
    "crashed",
    reason="was killed by SIGABRT (Aborted)",
    stage="encoding",
    log="Unable to load any of {libcudnn_ops.so.9}",
)
FINDING = Finding("bench-fails", "error", "whisper on cpu", "It fails.", (Evidence("log", "last words", ""),))


def shown(*benches: Bench, findings: tuple[Finding, ...] = (), **look: Any) -> list[str]:
    return as_bench.render(CASE, benches, findings, (), Look(**look)).splitlines()[3:]


def test_the_real_time_factor_comes_first_and_the_gpu_is_compared() -> None:
    assert (
        shown(CPU, GPU)
        == """\
xtts on cpu  Xeon · XTTS v2, random weights · float32
  rtf             2.00 (4.5 s of audio in 9.00 s)
  first chunk     after 1.50 s
  tokens          10.0 a second
  load            12.2 s
  runs            3 after a first one that took 50.0 ms longer; they differ by
                  11.1%
  memory          3.0 GiB of RAM at most
  speech          4.5 s, 24000 Hz, 1 × 16 bit, peak 0.50

xtts on cuda:0  NVIDIA GeForce RTX 4090 · XTTS v2, random weights · float32
  rtf             0.100 (4.5 s of audio in 0.450 s)
  speed-up        20.0 × the CPU
  first chunk     after 1.50 s
  tokens          200 a second
  load            12.2 s
  runs            1 after a first one that took 50.0 ms longer
  memory          2.0 GiB of the GPU's at most, 3.0 GiB of RAM at most
  speech          4.5 s, 24000 Hz, 1 × 16 bit, peak 0.50
  not comparable  throttled before: its temperature (hardware)
  not comparable  shared before with python 41""".splitlines()
    )


def test_figures_are_held_against_theory_and_batches_end_in_advice() -> None:
    text = "\n".join(shown(MATMUL))
    assert "float16 8192: 150 TFLOP/s (75% of 200 in theory)" in text
    assert "fp8 8192: not measured, needs compute capability 8.9" in text
    assert "peak: 300 MiB" in text
    assert "4: out of memory" in text
    assert "recommended     a batch of 2; the largest that ran is 2" in text
    assert "2, held after the first 400 MiB, after the last 500 MiB" in text


def test_what_ended_badly_says_where_and_how() -> None:
    lines = shown(DEAD, findings=(FINDING,))
    assert lines[1] == "  NOT MEASURED  crashed while encoding: was killed by SIGABRT (Aborted)"
    assert "SICK  It fails." in lines


def test_what_was_left_out_is_said_with_the_command() -> None:
    text = as_bench.render(CASE, (CPU,), (), (("diffusion", "diffusers is not installed: uv pip install it"),), Look())
    assert text.endswith("left out: diffusion: diffusers is not installed: uv pip install it\n")


@pytest.mark.parametrize("width", [40, 80, 100])
def test_no_prose_is_wider_than_the_terminal(width: int) -> None:
    assert max(map(len, shown(CPU, GPU, MATMUL, DEAD, findings=(FINDING,), width=width))) <= max(width, 56)


# --- JSON -------------------------------------------------------------------------------------------------------------------


def shaped(*benches: Bench, findings: tuple[Finding, ...] = ()) -> Any:
    text = as_bench_json.render(CASE, benches, findings, (("onnx", "it is not installed"),))
    assert text.isascii()
    document = json.loads(text)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    return document


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_every_bench_follows_the_schema_and_is_read_back_by_compare(tmp_path: Path) -> None:
    from gpu_doctor.bench.baseline import read_baseline

    every = (CPU, GPU, MATMUL, DEAD, replace(GPU, before=Unknown("no NVML"), heard="hello", word_error_rate=0.5))
    document = shaped(*every, findings=(FINDING,))
    path = tmp_path / "bench.json"
    path.write_text(json.dumps(document))
    assert read_baseline(str(path)) == every


def test_the_promised_keys_hold_the_figures() -> None:
    cpu, gpu = shaped(CPU, GPU)["benches"]
    keys = ("name", "workload", "device", "rtf", "seconds", "audio_seconds", "first_chunk_seconds", "speedup")
    assert [cpu[key] for key in keys] == ["xtts on cpu", "xtts", "cpu", 2.0, 9.0, 4.5, 1.5, None]
    assert gpu["speedup"] == 20.0
    assert (gpu["peak_vram_bytes"], gpu["peak_rss_bytes"]) == (2 * GIB, 3 * GIB)
    assert gpu["tokens_per_second"] == 200.0
    assert gpu["not_comparable"] == ["throttled before: its temperature (hardware)", "shared before with python 41"]


def test_what_is_not_there_is_null_and_not_left_out() -> None:
    (dead,) = shaped(DEAD)["benches"]
    assert (dead["rtf"], dead["seconds"], dead["audio"], dead["recommended_batch"]) == (None, None, None, None)
    assert (dead["ending"], dead["stage"]) == ("crashed", "encoding")


def test_a_key_that_nobody_promised_breaks_the_schema() -> None:
    document = shaped(CPU)
    document["benches"][0]["surprise"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(document)
