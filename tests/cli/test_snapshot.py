"""`snapshot`: the same bytes twice, nobody's name in it, and the verdict of a live check wherever it is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.compared import Run, caller, healthy, started


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    started(monkeypatch, tmp_path)
    return caller(capsys)


def findings(text: str) -> list[tuple[str, ...]]:
    (case,) = json.loads(text)["cases"]
    keys = ("rule", "severity", "subject", "fingerprint")
    return sorted(tuple(f[key] for key in keys) for run in case["runs"] for f in run["findings"])


def test_two_snapshots_are_the_same_bytes_and_name_no_home(cli: Run, tmp_path: Path) -> None:
    healthy(tmp_path / "venv")
    for name in ("one.json", "two.json"):
        assert cli("snapshot", "--prefix", "venv", "--static", "--output", name) == (0, "", "")
    text = (tmp_path / "one.json").read_text()
    assert text == (tmp_path / "two.json").read_text()
    assert json.loads(text)["schema"] == "gpu-doctor/inventory/1"
    assert str(tmp_path) not in text
    assert json.loads(text)["interpreter"]["prefix"] == "~/venv"


def test_a_snapshot_is_judged_like_the_environment(cli: Run, tmp_path: Path) -> None:
    made = healthy(tmp_path / "venv")
    made.install("onnxruntime", "1.20.1", {"onnxruntime/capi/lib.so": "cpu"})
    made.install("onnxruntime-gpu", "1.20.2", {"onnxruntime/capi/lib.so": "gpu"})
    assumed = ("--gpu", "RTX 4090", "--driver", "580.65.06")
    code, out, _ = cli("snapshot", "--prefix", "venv", "--static", *assumed)
    assert code == 0
    (tmp_path / "snap.json").write_text(out)
    again = cli("check", "--from", "snap.json", "--format", "json")
    live = cli("check", "--prefix", "venv", "--static", *assumed, "--format", "json")
    assert findings(again[1]) == findings(live[1]) != []
    assert again[0] == live[0]


def test_a_snapshot_of_nothing_is_refused(cli: Run) -> None:
    code, out, err = cli("snapshot", "--prefix", "none", "--output", "snap.json")
    assert (code, out) == (2, "")
    assert err.startswith("gpu-doctor: --prefix none: no such folder")
    assert not Path("snap.json").exists()
