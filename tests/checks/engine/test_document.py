"""The pages in docs/rules are what the rules say; .ci/run asks for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gpu_doctor.checks.engine.document import _ASKS, FOLDER, main, pages, remedies, stale, write
from gpu_doctor.checks.engine.registry import LoadedRule, load_rules
from gpu_doctor.model.finding import Rule
from gpu_doctor.model.probes import KINDS

DOC = """It is ill.

What it finds. This and that,
on two lines.

Why it matters. It hurts.

What does not heal it. Wishing.

What to do. Rest."""


def loaded(rule_id: str = "my-rule", *yields_to: str, broken: str = "") -> LoadedRule:
    rule = Rule(rule_id, "A | B", "warning", "libraries", yields_to, (r"cannot open \S+",))
    return LoadedRule(rule, DOC, lambda _inventory, _facts: (), "gpu_doctor.checks.my_rule", broken)


def test_a_page_is_the_rules_own_words() -> None:
    page = pages([loaded()])["my-rule.md"]
    assert page.startswith("# my-rule\n")
    assert "**A | B.** Severity: warning at worst. Stage: libraries." in page
    assert "\nIt is ill.\n" in page
    assert "## What it finds\n\nThis and that,\non two lines.\n" in page
    for heading in ("Why it matters", "What does not heal it", "What to do"):
        assert f"\n## {heading}\n\n" in page
    assert "```text\ncannot open \\S+\n```" in page
    assert "Causes and consequences" not in page


def test_a_page_names_what_the_rule_asks_live() -> None:
    assert "live interpreter" not in pages([loaded()])["my-rule.md"]
    asks = loaded()
    asks = replace(asks, rule=replace(asks.rule, probes=("import", "cufft")))
    page = pages([asks])["my-rule.md"]
    assert "## What it asks the live interpreter\n" in page
    assert "\n- `import`: each package of the GPU stack is imported\n- `cufft`: where a transform fails" in page


def test_every_kind_of_question_has_words() -> None:
    assert tuple(_ASKS) == KINDS


def test_causes_and_consequences_are_linked_both_ways() -> None:
    found = pages([loaded(), loaded("effect", "my-rule")])
    assert "this is its consequence: [my-rule](my-rule.md)." in found["effect.md"]
    assert "these in the same place are its consequences: [effect](effect.md)." in found["my-rule.md"]


def test_the_index_lists_every_rule_under_its_stage() -> None:
    index = pages([loaded(), loaded("other")])["README.md"]
    assert "## Stage libraries\n\n| rule | severity | title |" in index
    assert "| [my-rule](my-rule.md) | warning | A \\| B |" in index
    assert "[other](other.md)" in index
    assert "## Stage host" not in index


def test_a_rule_that_does_not_load_has_no_page() -> None:
    with pytest.raises(ValueError, match="gone"):
        pages([loaded(broken="gone")])


def test_stale_pages_are_named_and_written(tmp_path: Path) -> None:
    wanted = {"README.md": "index\n", "a.md": "a\n", "b.md": "b\n"}
    assert stale(wanted, tmp_path / "none") == ("README.md", "a.md", "b.md")
    write(wanted, tmp_path)
    assert stale(wanted, tmp_path) == ()
    (tmp_path / "a.md").write_text("edited by hand\n", encoding="utf-8")
    (tmp_path / "b.md").unlink()
    (tmp_path / "of-a-rule-that-is-gone.md").write_text("old\n", encoding="utf-8")
    assert stale(wanted, tmp_path) == ("a.md", "b.md", "of-a-rule-that-is-gone.md")
    write(wanted, tmp_path)
    assert {p.name: p.read_text(encoding="utf-8") for p in tmp_path.iterdir()} == wanted


def test_the_command_writes_checks_and_fails(tmp_path: Path) -> None:
    places = (tmp_path / "rules", tmp_path / "remedies")
    complaint = main(["--check"], *places)
    assert complaint is not None
    assert "docs/rules/README.md" in complaint
    assert "docs/remedies/README.md" in complaint
    assert list(tmp_path.iterdir()) == []
    assert main([], *places) is None
    assert main(["--check"], *places) is None
    assert all((place / "kernel-image-missing.md").exists() for place in places)


def test_a_remedys_page_says_what_heals_what_does_not_and_how_to_take_it_back() -> None:
    page = remedies(load_rules())["cudnn-unreachable.md"]
    assert "## What to do\n\n`gpu-doctor fix cudnn-unreachable` places links" in page
    assert "## What does not heal it\n\nOne link" in page
    assert "## Why it matters" not in page
    assert "gpu-doctor undo" in page


def test_the_pages_of_this_repository_have_their_place() -> None:
    assert Path(__file__).resolve().parents[3] / "docs" / "rules" == FOLDER
