"""`gpu-doctor fix` on a small sick environment: consent, exit codes, and what goes to which stream."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gpu_doctor.cli.app import run
from gpu_doctor.fix import journal
from gpu_doctor.fix.executor import Executor
from gpu_doctor.model.remedy import MakeLink
from tests.collect.environment import Environment
from tests.fix.ground import executor, only_journal, treatment, tree

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs/schema/fix-1.json").read_text(encoding="utf-8"))
LINK = "ctranslate2.libs/libcudnn_ops.so.9"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run one command line without a terminal; return its exit code, stdout and stderr."""
    monkeypatch.setenv("HOME", "/home/ada")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "GPU_DOCTOR_TRACEBACK", "LD_LIBRARY_PATH"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def sick(tmp_path: Path) -> Path:
    """An environment with a link to nothing beside a package's libraries."""
    environment = healthy_in(tmp_path)
    (environment.site / LINK).symlink_to("/nowhere/libcudnn_ops.so.9")
    return environment.prefix


@pytest.fixture
def healthy(tmp_path: Path) -> Path:
    return healthy_in(tmp_path).prefix


def healthy_in(top: Path) -> Environment:
    environment = Environment(top / "venv")
    environment.install("ctranslate2", "4.6.1", {"ctranslate2/__init__.py": "", "ctranslate2.libs/libx-1.so.9": "x"})
    return environment


def link_of(prefix: Path) -> Path:
    return prefix / "lib/python3.11/site-packages" / LINK


def document(out: str) -> Any:
    """Return stdout as JSON: it holds nothing else, and follows the schema."""
    shown = json.loads(out)
    jsonschema.Draft202012Validator(SCHEMA).validate(shown)
    return shown


# --- What makes no sense ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "meant"),
    [("cuddn", "cudnn"), ("onxruntime", "onnxruntime"), ("library-link-stale", "library-links-stale")],
)
def test_an_unknown_topic_is_refused_with_a_suggestion(cli: Run, sick: Path, word: str, meant: str) -> None:
    code, out, err = cli("fix", word, "--prefix", str(sick), "--yes")
    lines = err.splitlines()
    assert (code, out, len(lines)) == (2, "", 2)
    assert lines[0] == f"gpu-doctor: there is no rule {word!r}"
    assert lines[1].startswith("  Did you mean ")
    assert meant in lines[1]
    assert link_of(sick).is_symlink()


@pytest.mark.parametrize("word", ["", ",", " , "])
def test_an_empty_name_is_not_everything(cli: Run, sick: Path, word: str) -> None:
    code, out, err = cli("fix", word, "--prefix", str(sick), "--yes")
    assert (code, out, err.splitlines()[0]) == (2, "", "gpu-doctor: nothing is named to repair")
    assert link_of(sick).is_symlink()


@pytest.mark.parametrize("command", ["fix", "undo", "history"])
def test_an_environment_that_does_not_exist_is_refused(cli: Run, tmp_path: Path, command: str) -> None:
    code, out, err = cli(command, "--prefix", str(tmp_path / "nowhere"))
    assert (code, out) == (2, "")
    assert err.startswith(f"gpu-doctor: --prefix {tmp_path}/nowhere: no such folder\n")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    "options", [("--prefer", "best"), ("--allow", "everything"), ("--format", "xml"), ("--probe-timeout", "0")]
)
def test_options_that_make_no_sense_are_refused(cli: Run, sick: Path, options: tuple[str, str]) -> None:
    code, out, _ = cli("fix", "--prefix", str(sick), "--yes", *options)
    assert (code, out, link_of(sick).is_symlink()) == (2, "", True)


# --- Nothing to do ------------------------------------------------------------------------------------------------------------


def test_where_nothing_is_ill_nothing_is_done(cli: Run, healthy: Path) -> None:
    before = tree(healthy, inodes=True)
    code, out, err = cli("fix", "--prefix", str(healthy), "--yes")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "NOTHING TO DO  there is nothing to repair."
    assert tree(healthy, inodes=True) == before
    assert not (healthy / ".gpu-doctor").exists()


def test_what_was_not_meant_is_left_alone(cli: Run, sick: Path) -> None:
    code, out, err = cli("fix", "onnxruntime", "--prefix", str(sick), "--yes")
    assert (code, err, link_of(sick).is_symlink()) == (0, "", True)
    assert "NOTHING TO DO" in out


def test_nothing_to_do_is_json_too(cli: Run, healthy: Path) -> None:
    code, out, err = cli("fix", "--prefix", str(healthy), "--format", "json")
    shown = document(out)
    assert (code, err, shown["status"], shown["prefix"]) == (0, "", "nothing to do", str(healthy))


# --- Consent ------------------------------------------------------------------------------------------------------------------

NOBODY = """\
gpu-doctor: nobody is here to consent: nothing was changed
  give --yes to apply this plan
"""


def test_without_consent_and_without_a_terminal_the_plan_is_shown_and_nothing_touched(cli: Run, sick: Path) -> None:
    before = tree(sick, inodes=True)
    code, out, err = cli("fix", "--prefix", str(sick))
    assert (code, err) == (1, NOBODY)
    assert out.count("PLAN  1 repair") == 1
    assert "- libcudnn_ops.so.9 (a link that leads to /nowhere/libcudnn_ops.so.9" in out
    assert tree(sick, inodes=True) == before
    assert not (sick / ".gpu-doctor").exists()


@pytest.mark.parametrize("yes", [(), ("--yes",)])
def test_a_dry_run_changes_nothing_even_with_consent(cli: Run, sick: Path, yes: tuple[str, ...]) -> None:
    before = tree(sick, inodes=True)
    code, out, err = cli("fix", "--prefix", str(sick), "--dry-run", *yes)
    assert (code, err) == (1, "")
    assert out.count("PLAN  1 repair") == 1
    assert tree(sick, inodes=True) == before
    assert not (sick / ".gpu-doctor").exists()


def test_with_consent_it_is_healed_and_says_how_to_take_it_back(cli: Run, sick: Path) -> None:
    code, out, err = cli("fix", "--prefix", str(sick), "--yes")
    assert (code, err, link_of(sick).is_symlink()) == (0, "", False)
    assert out.index("PLAN  1 repair") < out.index("HEALED  library-links-stale · ctranslate2.libs")
    id_ = only_journal(sick).id
    assert f"repair {id_}; `gpu-doctor undo --prefix {sick}` takes it back" in " ".join(out.split())
    assert journal.past(only_journal(sick)).ending == "kept"
    code, out, _ = cli("fix", "--prefix", str(sick), "--yes")
    assert (code, "NOTHING TO DO" in out) == (0, True)


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ((), "fix"),
        (("library-links-stale,cudnn", "audio"), "fix library-links-stale cudnn audio"),
        (("all", "--allow", "safe", "--prefer", "durable"), "fix all --prefer durable --allow safe"),
    ],
)
def test_the_journal_says_what_was_asked(cli: Run, sick: Path, options: tuple[str, ...], asked: str) -> None:
    assert cli("fix", *options, "--prefix", str(sick), "--yes")[0] == 0
    assert journal.past(only_journal(sick)).asked == asked


@pytest.mark.parametrize(
    ("options", "code", "status"),
    [(("--yes",), 0, "healed"), (("--dry-run",), 1, "planned"), ((), 1, "refused")],
)
def test_json_is_alone_on_stdout(cli: Run, sick: Path, options: tuple[str, ...], code: int, status: str) -> None:
    ended, out, err = cli("fix", "--prefix", str(sick), "--format", "json", *options)
    shown = document(out)
    assert (ended, shown["status"]) == (code, status)
    assert [item["finding"]["rule"] for item in shown["plan"]["treatments"]] == ["library-links-stale"]
    assert shown["plan"]["treatments"][0]["steps"][0]["do"] == "remove-file"
    assert link_of(sick).is_symlink() is (status != "healed")
    if status == "refused":  # the plan that was asked about, and that nobody answered
        assert "PLAN  1 repair" in err
        assert err.endswith(NOBODY)
    else:
        assert err == ""
    assert (shown["repair"] is not None) is (status == "healed")


def test_what_cannot_be_done_is_said_and_is_exit_code_1(cli: Run, sick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(sick, inodes=True)
    monkeypatch.setattr(Executor, "do", lambda *_: 0)
    code, out, _ = cli("fix", "--prefix", str(sick), "--yes")
    assert code == 1
    assert "NOT HEALED  library-links-stale · ctranslate2.libs\n  the finding is still there afterwards." in out
    assert tree(sick, inodes=True) == before


# --- After a crash ---------------------------------------------------------------------------------------------------------------


def cut_off(prefix: Path) -> str:
    """Leave a repair that a crash cut off, and return its id."""
    doing = executor(prefix)
    wanted = (MakeLink(str(link_of(prefix).with_name("half.so")), "x"),)
    doing.open(treatment(wanted))
    doing.do(wanted)
    return doing.journal.id


def test_what_was_cut_off_needs_consent_too(cli: Run, sick: Path) -> None:
    id_ = cut_off(sick)
    before = tree(sick, inodes=True)
    code, out, err = cli("fix", "--prefix", str(sick))
    assert (code, out) == (1, "")
    assert f"was cut off ({id_}): what it had not proven is taken back first" in err
    assert err.endswith("  `gpu-doctor undo` does that\n")
    assert tree(sick, inodes=True) == before


def test_with_consent_it_is_taken_back_first(cli: Run, sick: Path) -> None:
    cut_off(sick)
    code, out, err = cli("fix", "--prefix", str(sick), "--yes", "--format", "json")
    assert (code, document(out)["status"]) == (0, "healed")
    assert "was cut off" in err
    assert not link_of(sick).with_name("half.so").is_symlink()


# --- A person at a terminal --------------------------------------------------------------------------------------------------------


class Person:
    """A terminal on stdin and stderr of a command whose stdout is a pipe."""

    def __init__(self, *arguments: str) -> None:
        self.terminal, theirs = os.openpty()
        clean = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "COLUMNS", "LD_LIBRARY_PATH")}
        self.child = subprocess.Popen(
            [sys.executable, "-m", "gpu_doctor", *arguments],
            cwd=ROOT,
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
            env={**clean, "TERM": "xterm"},
            # A suite started in the background inherits a SIGINT that is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        os.close(theirs)

    def answer(self, question: str, words: str) -> tuple[int, str, str]:
        """Wait for the question, answer it, and return exit code, stdout and what was on the terminal."""
        seen = b""
        while question.encode() not in seen and (block := self._read()):
            seen += block
        os.write(self.terminal, words.encode())
        out, _ = self.child.communicate(timeout=60)
        while block := self._read():
            seen += block
        os.close(self.terminal)
        return self.child.returncode, out.decode(), seen.decode()

    def _read(self) -> bytes:
        try:
            return os.read(self.terminal, 4096)
        except OSError:  # the other end is closed
            return b""


@pytest.mark.parametrize("words", ["y\n", "YES\n"])
def test_a_person_who_agrees_gets_it_healed(sick: Path, words: str) -> None:
    code, out, seen = Person("fix", "--prefix", str(sick)).answer("Apply this? [y/N] ", words)
    assert (code, link_of(sick).is_symlink()) == (0, False), seen
    assert out.index("PLAN  1 repair") < out.index("HEALED  library-links-stale")
    assert "Apply this?" not in out
    assert "HEALED" not in seen


@pytest.mark.parametrize("words", ["n\n", "\n", "yess\n", "\x04"], ids=["n", "enter", "typo", "end of file"])
def test_anything_else_is_no(sick: Path, words: str) -> None:
    before = tree(sick, inodes=True)
    code, out, _ = Person("fix", "--prefix", str(sick)).answer("Apply this? [y/N] ", words)
    assert (code, "PLAN  1 repair" in out, "HEALED" in out) == (1, True, False)
    assert tree(sick, inodes=True) == before
    assert not (sick / ".gpu-doctor").exists()


def test_control_c_at_the_question_ends_with_130_and_touches_nothing(sick: Path) -> None:
    before = tree(sick, inodes=True)
    person = Person("fix", "--prefix", str(sick))
    seen = b""
    while b"[y/N] " not in seen:
        seen += person._read()
    person.child.send_signal(2)
    code, _, after = person.answer("", "")
    assert code == 130
    assert "gpu-doctor: interrupted" in after
    assert tree(sick, inodes=True) == before


def test_the_plan_of_a_json_run_is_shown_on_the_terminal(sick: Path) -> None:
    code, out, seen = Person("fix", "--prefix", str(sick), "--format", "json").answer("Apply this? [y/N] ", "y\n")
    assert (code, document(out)["status"]) == (0, "healed")
    assert "PLAN  1 repair" in seen
