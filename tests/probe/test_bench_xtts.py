"""What the XTTS workload refuses before it speaks, in its words, and how it cuts a text; no real coqui-tts needed.

That the real one speaks is shown by tests/labs/test_bench_xtts.py.
"""

from __future__ import annotations

import dataclasses
import os
import re
import runpy
import sys
import wave
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gpu_doctor.model.bench import BenchWish
from gpu_doctor.probe.ask import SCRIPTS, Answer, ask

TORCH = """
from types import SimpleNamespace
cuda = SimpleNamespace(is_initialized=lambda: False)
"""
CONFIG = """
class XttsConfig:
    languages = ["en", "zh-cn"]
    def load_json(self, path): pass
"""
MODEL = """
class Xtts:
    @staticmethod
    def init_from_config(config): raise RuntimeError("came to the model")
"""


def asked(folder: Path, **wish: Any) -> Answer:
    """Ask the question of an interpreter in which stand-ins take the libraries' places."""
    modules = {"torch": TORCH, "TTS/tts/configs/xtts_config": CONFIG, "TTS/tts/models/xtts": MODEL}
    for name, text in modules.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    argument = {**dataclasses.asdict(BenchWish("xtts", "cpu", **wish)), "gpu": None}
    environ = {**os.environ, "PYTHONPATH": str(folder)}
    return ask("bench_xtts.py", sys.executable, argument=argument, deadline=60, environ=environ, options=("-B",))


def weights(folder: Path, *names: str) -> str:
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    return str(folder)


def test_a_folder_that_lacks_files_is_refused_by_their_names(tmp_path: Path) -> None:
    folder = weights(tmp_path / "weights", "config.json")
    answer = asked(tmp_path, weights=folder)
    assert answer.ending == "raised"
    assert answer.reason == (
        f"FileNotFoundError: {folder} is no folder of XTTS weights: it lacks model.pth, vocab.json"
    )


def test_a_language_that_the_model_does_not_speak(tmp_path: Path) -> None:
    folder = weights(tmp_path / "weights", "config.json", "model.pth", "vocab.json")
    answer = asked(tmp_path, weights=folder, language="tlh")
    assert answer.reason == "ValueError: this model does not speak 'tlh'; its languages are en, zh-cn"


@pytest.mark.parametrize("language", ["en", "zh-cn", "zh"])
def test_a_language_that_it_does(tmp_path: Path, language: str) -> None:
    folder = weights(tmp_path / "weights", "config.json", "model.pth", "vocab.json")
    assert asked(tmp_path, weights=folder, language=language).reason == "RuntimeError: came to the model"


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "it ends too early"), (b"ID3 a song in another format", "file does not start with RIFF id")],
)
def test_a_voice_that_is_no_wav_file(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "voice.wav"
    path.write_bytes(content)
    answer = asked(tmp_path, speaker_wav=str(path))
    assert answer.reason == f"ValueError: {path} is no WAV file of PCM samples: {why}"


def test_a_voice_that_is_one(tmp_path: Path) -> None:
    path = tmp_path / "voice.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(3200))
    answer = asked(tmp_path, speaker_wav=str(path), weights=str(tmp_path / "none"))
    assert "is no folder of XTTS weights" in answer.reason


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPTS / "bench_xtts.py"))


def test_a_text_that_fits_stays_one_piece(script: dict[str, Any]) -> None:
    text = "It costs 3.50 euros. Is that much? No!"
    assert script["_cut"](text, 250) == [text]


def test_a_long_text_is_cut_where_sentences_end(script: dict[str, Any]) -> None:
    text = "One is short. Two is no longer. Three is the last!"
    assert script["_cut"](text, 32) == ["One is short. Two is no longer.", "Three is the last!"]


@pytest.mark.parametrize("text", ["word " * 100, "x" * 500, "这是一个很长的句子。" * 50])
def test_no_piece_is_longer_than_the_model_takes_and_nothing_is_lost(script: dict[str, Any], text: str) -> None:
    pieces = script["_cut"](text, 82)
    assert len(pieces) > 1
    assert max(map(len, pieces)) <= 82
    assert re.sub(r"\s", "", "".join(pieces)) == re.sub(r"\s", "", text)


def model(most: int = 602) -> SimpleNamespace:
    return SimpleNamespace(
        args=SimpleNamespace(input_sample_rate=22050),
        gpt=SimpleNamespace(code_stride_len=1024, max_gen_mel_tokens=most),
    )


def test_random_weights_speak_as_long_as_people_do(script: dict[str, Any]) -> None:
    """15 characters a second, and 22050/1024 tokens a second."""
    tokens = script["_usual_tokens"]
    assert tokens(model(), "x" * 150) == 216
    assert tokens(model(), "x" * 75) == 108


def test_at_least_one_and_a_half_seconds_and_at_most_what_the_model_can(script: dict[str, Any]) -> None:
    tokens = script["_usual_tokens"]
    assert tokens(model(), "Hi") * 1024 / 22050 >= 1.5
    assert tokens(model(), "Hi") == 33
    assert tokens(model(most=100), "x" * 150) == 100


def test_progress_only_rises_and_is_silent_after_the_last_run(
    script: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs, the first to warm up, of two pieces of text each; then a batch, of which `Work` speaks itself."""
    monkeypatch.setitem(script["_cut"].__globals__, "_SAY_SECONDS", -1.0)
    said = []  # type: list[tuple[str, float]]
    work = SimpleNamespace(wish={"repeat": 1}, stage=lambda words, done: said.append((words, done)))
    progress, scores = script["_Progress"](work), SimpleNamespace(device="cpu")
    progress.expected = 8
    for _ in range(3):
        progress.tokens = 0
        for _ in range(2):
            for _ in range(4):
                assert progress(None, scores) is scores
            progress.say("vocoding")
        progress.over()
    shares = [share for _, share in said]
    assert shares == sorted(shares)
    assert 0.1 < shares[0] < shares[9] < 0.5 < shares[10] < shares[-1] < 0.9
    assert list(dict.fromkeys(words for words, _ in said)) == [
        *("sampling to warm up", "vocoding to warm up", "sampling 1/1", "vocoding 1/1"),
    ]
    assert progress.devices == {"cpu"}
