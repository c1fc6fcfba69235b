"""Which weights a word means: what lies on the machine, random ones, or one clear refusal; never a silent download."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpu_doctor.collect import weights
from gpu_doctor.collect.weights import find_weights
from gpu_doctor.errors import DoctorError, UsageError
from gpu_doctor.model.bench import Workload
from gpu_doctor.probe.ask import Answer
from tests import kit

XTTS = "tts_models--multilingual--multi-dataset--xtts_v2"


def find(
    workload: Workload, words: str | None, home: Path, size: str = "tiny", download: bool = False, **more: str
) -> str:
    environ = {"HOME": str(home), **more}
    return find_weights(workload, words, size, environ, kit.inventory(), download=download)


def snapshot(hub: Path, name: str = "Systran/faster-whisper-tiny", commit: str = "abc", mark: str = "model.bin") -> str:
    folder = hub / f"models--{name.replace('/', '--')}" / "snapshots" / commit
    folder.mkdir(parents=True)
    (folder / mark).write_bytes(b"x")
    return str(folder)


@pytest.mark.parametrize("workload", ["xtts", "whisper", "matmul"])
def test_where_nothing_lies_weights_are_random(tmp_path: Path, workload: Workload) -> None:
    assert find(workload, None, tmp_path) == "random"
    assert find(workload, "random", tmp_path) == "random"


def test_what_lies_in_the_hubs_cache_is_taken(tmp_path: Path) -> None:
    folder = snapshot(tmp_path / ".cache/huggingface/hub")
    assert find("whisper", None, tmp_path) == folder
    assert find("whisper", "tiny", tmp_path) == folder
    assert find("whisper", "Systran/faster-whisper-tiny", tmp_path) == folder
    assert find("whisper", None, tmp_path, size="base") == "random"
    assert find("whisper", "random", tmp_path) == "random"


@pytest.mark.parametrize(
    ("variable", "place"), [("HF_HUB_CACHE", "it"), ("HF_HOME", "it/hub"), ("XDG_CACHE_HOME", "it/huggingface/hub")]
)
def test_variables_move_the_cache(tmp_path: Path, variable: str, place: str) -> None:
    folder = snapshot(tmp_path / place)
    assert find("whisper", None, tmp_path / "home", **{variable: str(tmp_path / "it")}) == folder


def test_of_several_snapshots_the_newest_is_taken(tmp_path: Path) -> None:
    hub = tmp_path / ".cache/huggingface/hub"
    old, new = snapshot(hub, commit="zzz"), snapshot(hub, commit="aaa")
    os.utime(Path(old, "model.bin"), (1, 1))
    assert find("whisper", None, tmp_path) == new


def test_a_download_that_was_cut_off_is_none(tmp_path: Path) -> None:
    snapshot(tmp_path / ".cache/huggingface/hub", mark="config.json")
    assert find("whisper", None, tmp_path) == "random"


@pytest.mark.parametrize("variable", [None, "TTS_HOME", "XDG_DATA_HOME"])
def test_xtts_is_where_its_library_keeps_it(tmp_path: Path, variable: str | None) -> None:
    base = tmp_path / ("data" if variable else ".local/share")
    folder = base / "tts" / XTTS
    folder.mkdir(parents=True)
    (folder / "model.pth").write_bytes(b"x")
    more = {variable: str(base)} if variable else {}
    assert find("xtts", None, tmp_path, **more) == str(folder)
    assert find("xtts", "xtts_v2", tmp_path, **more) == str(folder)


def test_a_path_is_a_folder_or_a_file_in_it(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"x")
    assert find("whisper", str(tmp_path), tmp_path) == str(tmp_path)
    assert find("whisper", str(tmp_path / "model.bin"), tmp_path) == str(tmp_path)


@pytest.mark.parametrize(
    ("workload", "words", "said"),
    [
        ("whisper", "./nowhere", "no such file or folder"),
        ("whisper", ".", "there is no model.bin in it"),
        ("xtts", ".", "there is no model.pth in it"),
        ("matmul", "tiny", "matmul has random weights only"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workload: Workload, words: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=said):
        find(workload, words, tmp_path)


def test_a_name_that_is_not_here_is_fetched_only_with_consent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def fetch(script: str, python: str, *, argument: object, **_: object) -> Answer:
        asked.append((script, argument))
        return Answer("answered", snapshot(tmp_path / "hub", "owner/model"), "", "", 1.0)

    monkeypatch.setattr(weights, "ask", fetch)
    with pytest.raises(DoctorError, match="owner/model is not on this machine") as refusal:
        find("whisper", "owner/model", tmp_path)
    assert "--download" in refusal.value.hint
    assert asked == []
    assert find("whisper", "owner/model", tmp_path, download=True).endswith("snapshots/abc")
    assert asked == [("fetch_model.py", {"name": "owner/model"})]


def test_a_fetch_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "ask", lambda *_, **__: Answer("raised", None, "OfflineModeIsEnabled", "", 1.0))
    with pytest.raises(DoctorError, match="cannot be fetched: OfflineModeIsEnabled"):
        find("whisper", "tiny", tmp_path, download=True)


def test_a_licence_is_never_agreed_to_for_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "ask", lambda *_, **__: pytest.fail("something was fetched"))
    with pytest.raises(DoctorError, match="licence is yours to agree to"):
        find("xtts", "xtts_v2", tmp_path, download=True)
