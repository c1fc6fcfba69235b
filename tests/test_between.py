"""The ways that compare, joined: repairs are found as culprits, and sides are asked alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpu_doctor import between
from gpu_doctor.between import Place, difference, document, drifted, take_lock
from gpu_doctor.doctor import Asking
from gpu_doctor.fix import journal
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.target import Target
from gpu_doctor.report import as_lock
from tests import kit
from tests.cli.compared import CPU, healthy, remove


def place(folder: Path) -> Place:
    return Place({}, str(folder), lambda plain: plain)


@pytest.mark.parametrize(("ending", "named"), [("kept", True), ("undone", False)])
def test_a_repair_that_was_kept_is_the_culprit(tmp_path: Path, ending: str, named: bool) -> None:
    made = healthy(tmp_path / "venv")
    target, at = Target(None, str(made.prefix), "--prefix"), place(tmp_path)
    path = tmp_path / "gpu-doctor.lock"
    path.write_text(as_lock.render(take_lock(target, at, Asking(static=True))[0]))
    book = journal.begin(str(made.prefix), "fix torch", "0.1.0", ())
    remove(made, "torch")
    made.install("torch", "2.6.0+cpu", CPU)
    book.write({"end": ending})
    (drift,) = drifted(str(path), target, at)[0].drifts
    assert (f"by the repair {book.id} of gpu-doctor" in drift.by) is named


@pytest.mark.parametrize(("live", "asked"), [(False, True), (True, False)])
def test_an_environment_is_asked_only_where_the_snapshot_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live: bool, asked: bool
) -> None:
    healthy(tmp_path / "venv")
    seen = kit.inventory(probes=()) if live else kit.inventory()
    (tmp_path / "snap.json").write_text(document(seen, lambda plain: plain))
    asks: list[bool] = []

    def look(_target: Target, _environ: Any, asking: Asking, _progress: Any) -> Inventory:
        asks.append(asking.static)
        return seen

    monkeypatch.setattr(between, "take_inventory", look)
    assert difference("venv", "snap.json", place(tmp_path)).same
    assert asks == [asked]


def test_what_is_redacted_on_one_side_is_no_difference(tmp_path: Path) -> None:
    def redact(plain: object) -> Any:
        return json.loads(json.dumps(plain).replace(kit.PREFIX, "~/venv"))

    (tmp_path / "private.json").write_text(document(kit.inventory(), redact))
    (tmp_path / "raw.json").write_text(document(kit.inventory(), lambda plain: plain))
    assert difference("private.json", "raw.json", Place({}, str(tmp_path), redact)).same
