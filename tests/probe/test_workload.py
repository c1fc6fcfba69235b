"""What a benchmark's child measures of itself, with a workload of the standard library in place of a model."""

from __future__ import annotations

import math
import sys
import wave
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from gpu_doctor.model.bench import BenchWish
from gpu_doctor.probe.ask import SCRIPTS, Answer, ask
from tests.simulated.driver import RTX_4090, simulated_driver, uuid_of

HEAD = f"""
import runpy
helper = runpy.run_path({str(SCRIPTS / "_workload.py")!r})
Work, read_wav = helper["Work"], helper["read_wav"]
"""


def answered(folder: Path, body: str, environ: Mapping[str, str] | None = None, **wish: Any) -> Answer:
    """Run `body`, the lines of `answer(argument, notes)`, in a child."""
    script = folder / "question.py"
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    script.write_text(f"{HEAD}\ndef answer(argument, notes):\n    work = Work(argument, notes)\n{lines}\n")
    argument = {"gpu": None, **asdict(BenchWish("stft", "cpu")), **wish}
    return ask(str(script), sys.executable, argument=argument, deadline=60, environ=environ)


def told(folder: Path, body: str, environ: Mapping[str, str] | None = None, **wish: Any) -> Any:
    answer = answered(folder, body, environ, **wish)
    assert answer.ending == "answered", answer
    return answer.value


def test_the_first_run_warms_up_and_is_no_figure(tmp_path: Path) -> None:
    value = told(
        tmp_path,
        """
import time
seconds = iter([0.3, 0.02, 0.02, 0.02])
work.load(lambda: time.sleep(0.1))
work.repeat(lambda: time.sleep(next(seconds)))
return work.finish(left=len(list(seconds)))
""",
        repeat=3,
    )
    assert value["left"] == 0
    assert len(value["runs"]) == 3
    assert all(0.02 <= seconds < 0.3 for seconds in value["runs"])
    assert value["jit_seconds"] > max(value["runs"])
    assert value["load_seconds"] >= 0.1
    assert value["peak_vram_bytes"] is None


def test_memory_that_was_held_for_a_moment_is_in_the_peak(tmp_path: Path) -> None:
    size = 200 * 2**20
    body = "work.load(lambda: len(b'x' * {}))\nreturn work.finish()"
    plain = told(tmp_path, body.format(1))["peak_rss_bytes"]
    assert told(tmp_path, body.format(size))["peak_rss_bytes"] - plain > size * 0.9


def test_what_was_measured_is_not_lost_with_the_process(tmp_path: Path) -> None:
    answer = answered(
        tmp_path,
        """
import os, time
rounds = iter([1, 1, 0])
work.load(lambda: None)
work.repeat(lambda: time.sleep(0.01) if next(rounds) else os.abort(), "speaking")
""",
    )
    assert answer.ending == "crashed"
    assert len(answer.told.part["runs"]) == 1
    assert answer.told.stage == "speaking 2/3"
    assert answer.told.done == pytest.approx(0.5)


def test_batches_are_tried_until_one_does_not_fit(tmp_path: Path) -> None:
    value = told(
        tmp_path,
        """
def run(size):
    if size > 2:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")
    return size * 10
work.sweep(run)
return work.finish()
""",
        batches=[4, 1, 2, 8],
    )
    assert [(b["size"], b.get("reason")) for b in value["batches"]] == [(1, None), (2, None), (4, "out of memory")]
    for batch in value["batches"][:2]:
        assert batch["items_per_second"] == pytest.approx(batch["size"] * 10 / batch["seconds"])


def test_a_leak_grows_round_by_round_and_what_is_freed_does_not(tmp_path: Path) -> None:
    body = """
kept = []
def run(data):
    if argument["text"] == "leak":
        kept.append(data)
work.reload(lambda: bytearray(b"x" * 32 * 2**20), run)
return work.finish()
"""
    for leak, grown in (("leak", True), ("none", False)):
        rounds = told(tmp_path, body, reload=5, text=leak)["reloads"]
        held = [one["rss_bytes"] for one in rounds]
        assert len(held) == 5
        assert (held[-1] - held[1] > 3 * 30 * 2**20) == grown


def test_a_round_that_fails_is_the_last(tmp_path: Path) -> None:
    rounds = told(
        tmp_path,
        """
turns = iter([1, 0])
def run(_):
    if not next(turns):
        raise RuntimeError("cuFFT error: CUFFT_INTERNAL_ERROR")
work.reload(lambda: None, run)
return work.finish()
""",
        reload=4,
    )["reloads"]
    assert [one["reason"] for one in rounds] == ["", "RuntimeError: cuFFT error: CUFFT_INTERNAL_ERROR"]


def test_speech_is_written_clipped_and_what_is_not_finite_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    value = told(
        tmp_path,
        """
work.write_wav([0.5, -2.0, float("nan"), float("inf")] * 10, 24000)
return work.finish(read=read_wav(argument["output"]))
""",
        output=str(path),
    )
    assert value["audio"] == {"not_finite": 20}
    samples, rate = value["read"]
    assert rate == 24000
    assert samples[:4] == pytest.approx([0.5, -1.0, 0.0, 0.0], abs=1e-4)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_a_voice_of_any_width_is_read_with_its_channels_mixed(tmp_path: Path, width: int) -> None:
    path, full = tmp_path / "voice.wav", 2 ** (8 * width - 1)
    values = [int(0.5 * full * math.sin(at)) for at in range(40)]
    offset = 128 if width == 1 else 0
    frames = b"".join(2 * (value + offset).to_bytes(width, "little", signed=width > 1) for value in values)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(width)
        file.setframerate(16000)
        file.writeframes(frames)
    samples, rate = told(tmp_path, "return list(read_wav(argument['speaker_wav']))", speaker_wav=str(path))
    assert rate == 16000
    assert samples == pytest.approx([value / full for value in values], abs=1e-6)


def test_a_gpu_is_watched_by_its_uuid(tmp_path: Path) -> None:
    environ = simulated_driver(tmp_path, RTX_4090)
    gpu = {"uuid": uuid_of(0), "library": None}
    body = "work.load(lambda: None)\nreturn work.finish(now=work.memory.now())"
    value = told(tmp_path, body, environ, gpu=gpu)
    assert (value["peak_vram_bytes"], value["now"]) == (0, 0)
    value = told(tmp_path, body, environ, gpu={**gpu, "uuid": uuid_of(7)})
    assert (value["peak_vram_bytes"], value["now"]) == (None, None)


def test_versions_of_what_is_installed_are_noted(tmp_path: Path) -> None:
    value = told(tmp_path, "work.versions('pytest', 'no-such-thing')\nreturn work.finish()")
    assert value["versions"] == {"pytest": pytest.__version__}
