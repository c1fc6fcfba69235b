"""Plug-ins that misbehave in every way: each is a crashed run of its own that can be seen, and the report stands."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gpu_doctor.cli.app import run
from gpu_doctor.model import plain
from tests import kit

MODULE = "somebody_foreign"

HEAD = """
import sys
from gpu_doctor.model.finding import Evidence, Finding, Rule
from gpu_doctor.model.remedy import Remedy
RULE = Rule("foreign", "A rule from elsewhere", "warning", "host")
ILL = Finding("foreign", "warning", "it", "is ill", (Evidence("a", "b", "c"),), Remedy("Do.", "manual"), ("seat",))
"""
WELL = "def check(inventory, facts):\n    yield ILL\n"


@pytest.fixture
def check_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Put one plug-in beside the doctor, check a healthy inventory, and return exit code, stdout and stderr."""
    saved = tmp_path / "inventory.json"
    saved.write_text(plain.dumps(kit.inventory(kit.dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128"))))
    info = tmp_path / "site" / "somebody-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: somebody\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[gpu_doctor.checks]\nforeign = {MODULE}\n")
    monkeypatch.syspath_prepend(info.parent)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)

    def check(code: str, form: str = "json") -> tuple[int, str, str]:
        (info.parent / f"{MODULE}.py").write_text(code)
        ended = run(["check", "--from", str(saved), "--format", form])
        return (ended, *capsys.readouterr())

    yield check
    sys.modules.pop(MODULE, None)


def runs_of(report: str) -> dict[str, Any]:
    (case,) = json.loads(report)["cases"]
    return {run["rule"]: run for run in case["runs"]}


def test_a_plugin_that_behaves_is_one_rule_more(check_with: Any) -> None:
    code, out, err = check_with(HEAD + WELL)
    foreign = runs_of(out)["foreign"]
    assert (foreign["status"], len(foreign["findings"])) == ("failed", 1)
    assert (code, err) == (0, "")


@pytest.mark.parametrize(
    ("code", "note"),
    [
        ("raise RuntimeError('no')", "RuntimeError: no"),
        ("def f(:", "SyntaxError: "),
        ("import sys; sys.exit(0)", "SystemExit: 0"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("x = 1", "must define RULE"),
        (HEAD, "must define RULE"),
        (HEAD + WELL + "RULE = Rule(5, 'x', 'error', 'host')", "impossible `id`"),
        (HEAD + WELL + "RULE = Rule('foreign', 'x', 'fatal', 'host')", "impossible `severity`"),
        (HEAD + WELL + "RULE = Rule('foreign', 'x', 'error', ['host'])", "impossible `stage`"),
        (HEAD + WELL + "RULE = Rule('foreign', 'x', 'error', 'host', yields_to=(1,))", "impossible `yields_to`"),
        (HEAD + "def check(inventory): yield ILL", "TypeError: "),
        (HEAD + "def check(inventory, facts): return None", "TypeError: 'NoneType' object is not iterable"),
        (HEAD + "def check(inventory, facts): yield 'ill'", "yielded str, which is neither a Finding nor Unknown"),
        (HEAD + "def check(inventory, facts): return {ILL.rule: ILL}", "yielded str"),
        (
            HEAD + "def check(inventory, facts): yield Finding('foreign', 'fatal', 'a', 'b', ())",
            "impossible `severity`",
        ),
        (HEAD + "def check(inventory, facts): yield Finding('foreign', 'error', 'a', 5, ())", "impossible `message`"),
        (
            HEAD + "def check(inventory, facts): yield Finding('foreign', 'error', 'a', 'b', [])",
            "impossible `evidence`",
        ),
        (
            HEAD + "def check(inventory, facts): yield Finding('foreign', 'error', 'a', 'b', (Evidence('a', 1, ''),))",
            "impossible `evidence`",
        ),
        (
            HEAD + "def check(inventory, facts):\n"
            "    yield Finding('foreign', 'error', 'a', 'b', (), Remedy('x', 'manual', ('rm',)))",
            "impossible `remedy`",
        ),
        (HEAD + "def check(inventory, facts): yield Finding('driver-missing', 'error', 'a', 'b', ())", "another rule"),
        (HEAD + "def check(inventory, facts): 1 / 0", "ZeroDivisionError"),
        (HEAD + "def check(inventory, facts): sys.exit(0)", "SystemExit: 0"),
        (HEAD + "def check(inventory, facts): return check(inventory, facts)", "RecursionError"),
        (HEAD + "def check(inventory, facts):\n    while True: yield ILL", "more than 1000 findings"),
        (
            HEAD + "class Mute(Exception):\n    def __str__(self): 1 / 0\ndef check(inventory, facts): raise Mute",
            "str() failed",
        ),
    ],
)
def test_a_plugin_that_misbehaves_is_one_crashed_run(check_with: Any, code: str, note: str) -> None:
    ended, out, err = check_with(code)
    runs = runs_of(out)
    assert (runs["foreign"]["status"], note in runs["foreign"]["note"]) == ("crashed", True), runs["foreign"]["note"]
    others = {run["status"] for rule, run in runs.items() if rule != "foreign"}
    assert len(runs) > 10 and "crashed" not in others
    assert (ended, err) == (3, "")


def test_what_was_found_before_the_slip_is_kept(check_with: Any) -> None:
    _, out, _ = check_with(HEAD + "def check(inventory, facts):\n    yield ILL\n    yield None\n")
    assert [finding["message"] for finding in runs_of(out)["foreign"]["findings"]] == ["is ill"]


def test_what_a_plugin_prints_is_not_part_of_the_report(check_with: Any) -> None:
    _, out, err = check_with(
        HEAD + "print('loading')\ndef check(inventory, facts):\n    print('checking')\n    yield ILL\n"
    )
    assert (runs_of(out)["foreign"]["status"], err) == ("failed", "loading\nchecking\n")


def test_what_a_plugin_says_cannot_steer_the_terminal(check_with: Any) -> None:
    _, out, _ = check_with("raise RuntimeError('\\x1b]0;owned\\x07\\u202e')", form="text")
    assert "\\x1b]0;owned\\x07\\u202e" in out
    assert "CRASHED" in out
    assert not {"\x1b", "\x07", "\u202e"} & set(out)
