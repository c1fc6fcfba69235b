"""Whisper with random weights on a CPU: by faster-whisper, by ctranslate2 alone, and on speech that espeak-ng says.

No real weights come with any package, so nobody understands anything here; what is shown is that all sound goes
through the real libraries, the same work through both, and that the file of random weights is what they expect.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpu_doctor.bench.words import normalized_words, word_error_rate
from gpu_doctor.model.bench import BenchWish
from gpu_doctor.probe.ask import SCRIPTS, Answer, ask

pytestmark = pytest.mark.lab

Lab = Callable[[str], Path]

FASTER, ALONE, AROUND = "bench-whisper", "bench-ctranslate2", "bench-whisperx"
SAID = "The quick brown fox jumps over the lazy dog, and then it sleeps until the evening."
# Threads that wait for each other spin, which on a machine that does something else takes minutes.
CALM = {**os.environ, "OMP_NUM_THREADS": "1"}

SPEAK = """
import ctypes, sys, wave
import espeakng_loader
library = ctypes.CDLL(espeakng_loader.get_library_path())
rate = library.espeak_Initialize(2, 0, espeakng_loader.get_data_path().encode(), 0)
said = []
@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
def hear(samples, count, events):
    said.append(ctypes.string_at(samples, 2 * count) if samples else b"")
    return 0
library.espeak_SetSynthCallback(hear)
library.espeak_SetVoiceByName(b"en")
text = sys.argv[1].encode()
assert library.espeak_Synth(text, len(text) + 1, 0, 0, 0, 1, None, None) == 0
with wave.open(sys.argv[2], "wb") as file:
    file.setparams((1, 2, rate, 0, "NONE", ""))
    file.writeframes(b"".join(said))
"""

COMPARE_FEATURES = """
import json, runpy, sys
import numpy
from faster_whisper.feature_extractor import FeatureExtractor
sound = runpy.run_path(sys.argv[1])
window = sound["speech_like"](0)
for bands in (80, 128):
    theirs = FeatureExtractor(feature_size=bands)(window)[:, :3000]
    print(json.dumps(float(numpy.abs(sound["log_mel"](window, bands) - theirs).max())))
"""

COMPARE_LAYOUT = """
import json, runpy, sys
import numpy
from ctranslate2.specs import WhisperSpec, model_spec
random = runpy.run_path(sys.argv[1])
layers, width, heads, mels, words = random["SIZES"]["tiny"]
ours = {name for name, _ in random["_tensors"](layers, width, mels, words)}
ours |= {name for name, _ in random["_settings"](heads)} | {"decoder/projection/weight"}
required, known = set(), set()
def see(spec, name, value):
    known.add(name)
    if not isinstance(value, str):
        required.add(name)
model_spec.visit_spec(WhisperSpec(layers, heads, layers, heads), see)
print(json.dumps([sorted(required - ours), sorted(ours - known)]))
"""


def asked(prefix: Path, deadline: float = 600.0, **wishes: Any) -> Answer:
    wish = dataclasses.replace(BenchWish("whisper", "cpu", repeat=1), **wishes)
    argument = {**dataclasses.asdict(wish), "gpu": None}
    python = str(prefix / "bin/python")
    return ask("bench_whisper.py", python, argument=argument, deadline=deadline, environ=CALM, options=("-B",))


def answered(prefix: Path, **wishes: Any) -> dict[str, Any]:
    answer = asked(prefix, **wishes)
    assert answer.ending == "answered", answer.reason + answer.log
    return dict(answer.value)


def output(prefix: Path, code: str, *arguments: str) -> str:
    command = [str(prefix / "bin/python"), "-B", "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout


@pytest.fixture(scope="module")
def faster(lab: Lab) -> dict[str, Any]:
    return answered(lab(FASTER), batches=(1, 2), reload=2)


@pytest.fixture(scope="module")
def alone(lab: Lab) -> dict[str, Any]:
    return answered(lab(ALONE))


def test_everything_is_measured(faster: dict[str, Any]) -> None:
    assert (faster["ran_on"], faster["dtype"], faster["audio_seconds"], faster["tokens"]) == (
        "cpu",
        "float32",
        30.0,
        100,
    )
    assert set(faster["versions"]) == {"ctranslate2", "faster-whisper"}
    assert len(faster["runs"]) == 1
    assert 0 < faster["first_chunk_seconds"] <= faster["runs"][0]
    assert faster["load_seconds"] > 0
    parts = {figure["name"]: figure["value"] for figure in faster["figures"]}
    assert list(parts) == ["features of 30 s", "encoder of 30 s", "decoder of 30 s"]
    assert min(parts.values()) > 0
    assert [(batch["size"], batch["seconds"] > 0) for batch in faster["batches"]] == [(1, True), (2, True)]
    assert [(each["reason"], each["rss_bytes"] > 0) for each in faster["reloads"]] == [("", True)] * 2


def test_without_faster_whisper_the_same_is_heard(faster: dict[str, Any], alone: dict[str, Any]) -> None:
    """The same prompts, features and tokens: random weights answer every difference with other words."""
    assert set(alone["versions"]) == {"ctranslate2"}
    assert alone["tokens"] == faster["tokens"]
    assert alone["heard"] == faster["heard"]
    assert len(normalized_words(alone["heard"])) > 50


def test_whisperx_also_finds_speech_and_aligns_words(lab: Lab) -> None:
    """WhisperX brings the model that finds speech; the one that aligns has its true size and random weights."""
    told = answered(lab(AROUND))
    parts = {figure["name"]: (figure["value"] > 0, figure.get("reason", "")) for figure in told["figures"]}
    assert list(parts) == [
        *("features of 30 s", "encoder of 30 s", "decoder of 30 s"),
        *("voice activity of 30 s", "alignment of 30 s"),
    ]
    assert set(parts.values()) == {(True, "")}
    assert set(told["versions"]) >= {"ctranslate2", "faster-whisper", "whisperx"}


def test_another_seed_is_another_model(lab: Lab, alone: dict[str, Any]) -> None:
    other = answered(lab(ALONE), seed=1)
    assert other["heard"] != alone["heard"]


def test_speech_goes_through_with_all_its_length(lab: Lab, tmp_path: Path) -> None:
    path = str(tmp_path / "said.wav")
    output(lab(FASTER), SPEAK, SAID, path)
    with wave.open(path, "rb") as file:
        assert file.getframerate() != 16000
        seconds = file.getnframes() / file.getframerate()
    assert seconds > 3
    told = answered(lab(FASTER), audio=path, text=SAID)
    assert told["audio_seconds"] == pytest.approx(seconds, abs=1e-3)
    assert told["tokens"] == 100
    # Random weights babble: the text is one, and has nothing of what was said.
    assert word_error_rate(SAID, told["heard"]) > 0.9


def test_a_longer_sound_is_more_windows(lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(range(1, 251)) * (4 * 8000 * 40 // 250))
    told = answered(lab(ALONE), audio=str(path))
    assert (told["audio_seconds"], told["tokens"]) == (40.0, 200)
    assert told["first_chunk_seconds"] < told["runs"][0]


def test_what_cannot_be_heard_is_said(lab: Lab, tmp_path: Path) -> None:
    other, empty = tmp_path / "speech.mp3", tmp_path / "empty.wav"
    other.write_bytes(b"no sound at all")
    with wave.open(str(empty), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
    assert "what reads others, faster-whisper, is not installed" in asked(lab(ALONE), audio=str(other)).reason
    assert f"{empty} holds no sound" in asked(lab(ALONE), audio=str(empty)).reason


def test_a_folder_without_a_model_is_none(lab: Lab, tmp_path: Path) -> None:
    answer = asked(lab(ALONE), weights=str(tmp_path))
    assert (answer.ending, answer.reason) == (
        "raised",
        f"FileNotFoundError: {tmp_path} is no CTranslate2 model: it has no model.bin",
    )


def test_a_size_that_there_is_not_is_said(lab: Lab) -> None:
    assert "Whisper has no size 'huge', only tiny, base" in asked(lab(ALONE), model_size="huge").reason


def test_a_folder_of_weights_is_used_as_it_is(lab: Lab, tmp_path: Path) -> None:
    """A model that is found on the disk; it never stops by itself, so all that Whisper may say is said."""
    code = (
        "import runpy, shutil, sys; "
        "file = runpy.run_path(sys.argv[1])['write_model'](sys.argv[2], 'tiny', 0, False); "
        "shutil.copyfile(sys.argv[2] + '/model.bin', sys.argv[2] + '/copy'); "
        "import os; os.replace(sys.argv[2] + '/copy', sys.argv[2] + '/model.bin')"
    )
    output(lab(ALONE), code, str(SCRIPTS / "_whisper_random.py"), str(tmp_path))
    for environment in (ALONE, FASTER):  # without a tokenizer faster-whisper would ask the hub for one
        told = answered(lab(environment), weights=str(tmp_path))
        assert told["model"] == f"{tmp_path}, by ctranslate2"
        assert told["tokens"] > 100


# --- What is made here is what the libraries make ---------------------------------------------------------------------


def test_the_features_are_those_of_faster_whisper(lab: Lab) -> None:
    differences = output(lab(FASTER), COMPARE_FEATURES, str(SCRIPTS / "_whisper_sound.py")).split()
    assert len(differences) == 2
    assert max(map(float, differences)) < 1e-3


def test_the_weights_are_those_that_ctranslate2_asks_for(lab: Lab) -> None:
    told = output(lab(ALONE), COMPARE_LAYOUT, str(SCRIPTS / "_whisper_random.py"))
    assert json.loads(told) == [[], []]
