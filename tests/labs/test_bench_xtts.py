"""The XTTS workload with the real coqui-tts, at the true size, on a CPU: with random weights, and with stored ones."""

from __future__ import annotations

import dataclasses
import os
import shutil
import textwrap
import wave
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gpu_doctor.model.bench import BenchWish
from gpu_doctor.probe.ask import SCRIPTS, Answer, ask
from tests.labs.recipes import RECIPES, Install, Recipe

pytestmark = pytest.mark.lab

REQUIREMENTS = ("torch==2.8.0", "torchaudio==2.8.0", "coqui-tts==0.27.2", "faster-whisper==1.2.1")
STAGES = ["stage conditioning", "stage GPT", "stage vocoder"]
# 1024 samples at 22050 Hz; the vocoder drops what is no whole frame.
TOKEN_SECONDS = 1024 / 22050
DEADLINE = 3600.0
# Beside other tests, threads that wait for each other's core take ten times as long as one.
ENVIRON = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def python(lab: Callable[[str], Path]) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RECIPES, "xtts", Recipe((Install(REQUIREMENTS),)))
        yield str(lab("xtts") / "bin/python")


def speak(python: str, **wish: Any) -> Answer:
    argument = {**dataclasses.asdict(BenchWish("xtts", "cpu", repeat=1, **wish)), "gpu": None}
    return ask("bench_xtts.py", python, argument=argument, deadline=DEADLINE, environ=ENVIRON, options=("-B",))


def sound(path: Path) -> list[float]:
    """Return the samples of what was synthesized, which is mono, 16 bit, 24 kHz."""
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24000, 1, 2)
        samples = array("h", file.readframes(file.getnframes()))
    return [value / 32768 for value in samples]


@pytest.fixture(scope="module")
def spoken(python: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[float]]:
    """Return what is measured with random weights, two texts at once too, and the sound."""
    path = tmp_path_factory.mktemp("random") / "out.wav"
    answer = speak(python, text="Hello.", batches=(2,), output=str(path))
    assert (answer.ending, answer.reason) == ("answered", ""), answer.log
    return answer.value, sound(path)


def test_random_weights_speak(spoken: tuple[dict[str, Any], list[float]]) -> None:
    told, samples = spoken
    assert told["model"] == "XTTS v2, 467 M parameters, random weights"
    assert (told["dtype"], told["ran_on"]) == ("float32", "cpu")
    assert told["device_name"]
    assert set(told["versions"]) == {"torch", "torchaudio", "coqui-tts", "transformers"}
    assert told["tokens"] == 33  # the fewest that make 1.5 seconds
    assert told["audio_seconds"] == len(samples) / 24000 >= 1.5


def test_the_sound_is_sound(spoken: tuple[dict[str, Any], list[float]]) -> None:
    told, samples = spoken
    assert told["audio"] == {"not_finite": 0}
    assert 0.02 < (sum(value * value for value in samples) / len(samples)) ** 0.5 < 0.5
    assert sum(abs(value) > 0.999 for value in samples) / len(samples) < 0.001
    for begin in range(0, len(samples) - 2400, 2400):  # no tenth of a second is silent
        assert max(map(abs, samples[begin : begin + 2400])) > 0.01


def test_what_takes_time_is_told(spoken: tuple[dict[str, Any], list[float]]) -> None:
    told, _ = spoken
    assert len(told["runs"]) == 1
    assert [figure["name"] for figure in told["figures"]] == STAGES
    assert min(figure["value"] for figure in told["figures"]) > 0
    assert sum(figure["value"] for figure in told["figures"]) <= told["runs"][0]
    assert told["load_seconds"] > 0
    assert told["jit_seconds"] >= 0
    # A chunk is 20 of 33 tokens, of a voice that is known.
    assert told["first_chunk_seconds"] > 0
    assert told["peak_rss_bytes"] > 4 * 467_000_000  # bytes of float32


def test_two_texts_are_spoken_at_once(spoken: tuple[dict[str, Any], list[float]]) -> None:
    (batch,) = spoken[0]["batches"]
    assert (batch["size"], batch.get("reason", "")) == (2, "")
    assert batch["items_per_second"] == 2 / batch["seconds"]


@pytest.fixture(scope="module")
def stored(python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield a folder of weights as coqui-tts stores them, whose sentences end soon, and what was seen in making it."""
    folder = tmp_path_factory.mktemp("weights")
    question = folder / "question.py"
    question.write_text(
        textwrap.dedent(f"""
            import os
            import runpy

            import torch

            def answer(argument, notes):
                build = runpy.run_path({str(SCRIPTS / "_xtts_random.py")!r})["build"]
                first, other, model = seen(build(7)), seen(build(8)), build(7)
                config, folder = model.config, argument
                with torch.no_grad():
                    model.gpt.mel_head.bias[config.model_args.gpt_stop_audio_token] = 3.5
                torch.save({{"model": model.state_dict()}}, os.path.join(folder, "model.pth"))
                config.save_json(os.path.join(folder, "config.json"))
                model.tokenizer.tokenizer.save(os.path.join(folder, "vocab.json"))
                return {{"same": first == seen(model), "different": first != other}}

            def seen(model):
                return [values.flatten()[-50:].tolist() for values in model.parameters() if values.dim() > 1]
        """)
    )
    answer = ask(str(question), python, argument=str(folder), deadline=DEADLINE, environ=ENVIRON, options=("-B",))
    assert (answer.ending, answer.reason) == ("answered", ""), answer.log
    yield folder, answer.value
    shutil.rmtree(folder)


def test_the_seed_decides_the_weights(stored: tuple[Path, dict[str, Any]]) -> None:
    assert stored[1] == {"same": True, "different": True}


def test_stored_weights_are_loaded_and_end_by_themselves(
    python: str, stored: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    voice, output = tmp_path / "voice.wav", tmp_path / "out.wav"
    with wave.open(str(voice), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(array("h", (8000 * (number % 100 < 50) - 4000 for number in range(32000))).tobytes())
    answer = speak(python, weights=str(stored[0]), speaker_wav=str(voice), output=str(output))
    assert (answer.ending, answer.reason) == ("answered", ""), answer.log
    told = answer.value
    assert told["model"] == f"XTTS v2, 467 M parameters, weights of {stored[0]}"
    assert 0 < told["tokens"] < 602  # as many as it can
    assert told["audio_seconds"] == len(sound(output)) / 24000
    assert told["audio_seconds"] == pytest.approx(told["tokens"] * TOKEN_SECONDS, abs=2 * 256 / 22050)
