"""`gpu-doctor history`: what an environment remembers, and nothing is changed by asking."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from tests.cli.test_fix import ROOT, Run, cli, cut_off, healthy, sick
from tests.fix.ground import only_journal, tree

__all__ = ["cli", "healthy", "sick"]

SCHEMA = json.loads((ROOT / "docs/schema/history-1.json").read_text(encoding="utf-8"))


def test_an_environment_that_was_never_repaired_remembers_nothing(cli: Run, healthy: Path) -> None:
    code, out, err = cli("history", "--prefix", str(healthy))
    assert (code, " ".join(out.split()), err) == (0, f"No repair of {healthy} is known.", "")
    code, out, _ = cli("history", "--prefix", str(healthy), "--format", "json")
    assert (code, json.loads(out)) == (0, {"schema": "gpu-doctor/history/1", "repairs": []})
    assert not (healthy / ".gpu-doctor").exists()


@pytest.mark.parametrize("ending", ["kept", "undone", "cut off", "rolled back"])
def test_how_each_repair_ended_is_told(cli: Run, sick: Path, ending: str) -> None:
    if ending in ("kept", "undone"):
        cli("fix", "--prefix", str(sick), "--yes")
    else:
        cut_off(sick)
    if ending in ("undone", "rolled back"):
        cli("undo", "--prefix", str(sick), "--yes")
    before = tree(sick.parent, inodes=True), only_journal(sick).lines()
    code, out, err = cli("history", "--prefix", str(sick))
    assert (code, err) == (0, "")
    assert out.startswith(f"{only_journal(sick).id} · {ending} · ")
    code, out, err = cli("history", "--prefix", str(sick), "--format", "json")
    document = json.loads(out)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    (shown,) = document["repairs"]
    assert (code, err, shown["id"], shown["ending"]) == (0, "", only_journal(sick).id, ending)
    assert shown["treatments"][0]["kept"] is {"kept": True, "undone": True}.get(ending)
    assert (tree(sick.parent, inodes=True), only_journal(sick).lines()) == before


def test_a_check_tells_of_the_repairs_too(cli: Run, sick: Path) -> None:
    cli("fix", "--prefix", str(sick), "--yes")
    _, out, _ = cli("check", "--prefix", str(sick), "--static", "--format", "json")
    (repair,) = json.loads(out)["cases"][0]["repairs"]
    assert (repair["id"], repair["ending"]) == (only_journal(sick).id, "kept")
