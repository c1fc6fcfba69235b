"""Live questions as a user meets them: what is asked, what is shown meanwhile, and how it is ended."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpu_doctor import doctor
from gpu_doctor.cli.app import run
from gpu_doctor.doctor import Asking
from tests.report import patients
from tests.simulated import packages
from tests.simulated.packages import Env

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60

Check = Callable[..., Any]


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Check:
    """Run a command at an environment; return the one case of its JSON report."""
    for name in ("PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str) -> Any:
        run(["check", "--format", "json", *arguments])
        out, err = capsys.readouterr()
        assert err == ""
        return json.loads(out)["cases"][0]

    return call


def asked(case: Any) -> set[str]:
    return {probe["kind"] for probe in case["probes"]}


def ended(case: Any) -> set[tuple[Any, ...]]:
    return {(probe["kind"], probe["subject"], *probe["after"], probe["ending"]) for probe in case["probes"]}


def doctor_at(env: Env, *arguments: str, **streams: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "gpu_doctor", *arguments, "--prefix", str(env.prefix)]
    # A suite started in the background inherits a SIGINT that is ignored.
    default = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    environ = packages.environ(PYTHONPATH=str(ROOT), TERM="xterm")
    return subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, **default, **streams)


# --- Options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "how"),
    [
        ([], Asking()),
        (["--static"], Asking(static=True)),
        (["--probe-timeout", "2.5"], Asking(deadline=2.5)),
        (["--thorough"], Asking(thorough=True)),
    ],
)
def test_the_options_say_how_to_ask(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[str], how: Asking
) -> None:
    seen: list[Asking] = []

    def examine(*_: Any, asking: Asking, **__: Any) -> Any:
        seen.append(asking)
        return patients.healthy()

    def take(_target: Any, _environ: Any, asking: Asking, _progress: Any) -> Any:
        seen.append(asking)
        return patients.environment()

    monkeypatch.setattr(doctor, "examine", examine)
    monkeypatch.setattr(doctor, "take_inventory", take)
    assert run(["check", "--python", sys.executable, *options]) == 0
    assert run(["inventory", "--python", sys.executable, *options]) == 0
    assert seen == [how, how]


@pytest.mark.parametrize("command", ["check", "inventory"])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--probe-timeout", "0"], "--probe-timeout must be more than 0"),
        (["--probe-timeout", "-3"], "--probe-timeout must be more than 0"),
        (["--probe-timeout", "nan"], "--probe-timeout must be more than 0"),
        (["--probe-timeout", "inf"], "--probe-timeout must be more than 0"),
        (["--probe-timeout", "1e9"], "--probe-timeout must be more than 0 and at most 86400 seconds, not 1e+09"),
        (["--probe-timeout", "soon"], "Invalid value for '--probe-timeout'"),
        (["--static", "--probe-timeout", "3"], "--static asks nothing"),
        (["--static", "--thorough"], "--static asks nothing"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(
    capsys: pytest.CaptureFixture[str], command: str, options: list[str], said: str
) -> None:
    assert run([command, "--python", sys.executable, *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"gpu-doctor: {said}")


@pytest.mark.parametrize("option", [["--static"], ["--probe-timeout", "3"], ["--thorough"]])
def test_a_saved_inventory_was_asked_before(capsys: pytest.CaptureFixture[str], option: list[str]) -> None:
    assert run(["check", "--from", "x.json", *option]) == 2
    assert capsys.readouterr().err.startswith("gpu-doctor: --from judges what was asked before")


# --- What is asked ----------------------------------------------------------------------------------------------------


def test_only_what_the_chosen_rules_need_is_asked(check: Check, tmp_path: Path) -> None:
    env = packages.environment(tmp_path).torch().onnxruntime()
    where = ("--prefix", str(env.prefix))
    assert check(*where, "--select", "package-files-damaged")["probes"] == {"unknown": "only files were read"}
    assert check(*where, "--static")["probes"] == {"unknown": "only files were read"}
    assert asked(check(*where, "--select", "torch-import-fails")) == {"import"}
    assert {"import", "ort-session"} <= asked(check(*where))


def test_a_saved_inventory_is_judged_as_the_environment_was(check: Check, tmp_path: Path) -> None:
    env = packages.environment(tmp_path).torch(packages.POISONS["segv"].code).ctranslate2()
    file = str(tmp_path / "inventory.json")
    assert run(["inventory", "--prefix", str(env.prefix), "--format", "json", "--output", file]) == 0
    live, saved = check("--prefix", str(env.prefix)), check("--from", file)
    assert live["verdict"] == "sick"
    assert saved["runs"] == live["runs"]
    assert ended(live) <= ended(saved)  # an inventory asks what no rule reads, too


def test_the_deadline_is_that_of_every_question(check: Check, tmp_path: Path) -> None:
    env = packages.environment(tmp_path).torch(packages.POISONS["hang"].code)
    probes = check("--prefix", str(env.prefix), "--probe-timeout", "1")["probes"]
    torch = next(probe for probe in probes if (probe["kind"], probe["subject"]) == ("import", "torch"))
    assert (torch["ending"], torch["reason"]) == ("timed out", "did not answer in 1 s")


def test_an_interpreter_that_does_not_start_is_not_found_healthy(check: Check, tmp_path: Path) -> None:
    env = packages.environment(tmp_path).torch()
    Path(env.python).unlink()
    Path(env.python).write_bytes(b"\x7fELF" + b"\0" * 60)
    Path(env.python).chmod(0o755)
    where = ("--prefix", str(env.prefix))
    assert check(*where)["verdict"] == "undetermined"
    assert check(*where, "--static")["verdict"] != "undetermined"


@pytest.mark.parametrize("command", ["check", "inventory"])
@pytest.mark.parametrize("format_", ["text", "json"])
def test_nothing_that_the_patient_prints_can_steer_the_terminal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str, format_: str
) -> None:
    env = packages.environment(tmp_path).torch(packages.POISONS["escapes"].code)
    run([command, "--prefix", str(env.prefix), "--format", format_])
    out = capsys.readouterr().out
    assert "boom" in out
    assert all(character.isprintable() for line in out.split("\n") for character in line)


# --- Meanwhile --------------------------------------------------------------------------------------------------------


def test_what_is_asked_is_shown_on_a_terminal_and_wiped(tmp_path: Path) -> None:
    env = packages.environment(tmp_path).torch("import time; time.sleep(0.5)")
    ours, theirs = os.openpty()
    with doctor_at(env, "check", stderr=theirs) as child, os.fdopen(ours, "rb", buffering=0) as terminal:
        os.close(theirs)
        out, _ = child.communicate(timeout=PATIENCE)
        shown = terminal.read(1 << 16)
    assert re.search(rb"\r\x1b\[Kasking [^\r]*import torch", shown)
    assert shown.endswith(b"\r\x1b[K")
    assert b"asking" not in out


def test_nothing_is_shown_in_a_pipe(tmp_path: Path) -> None:
    with doctor_at(packages.environment(tmp_path).torch(), "check", stderr=subprocess.PIPE) as child:
        _, err = child.communicate(timeout=PATIENCE)
    assert err == b""


def test_control_c_ends_the_questions_too(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    code = f"import os, time\nopen({str(mark)!r}, 'w').write(str(os.getpid()))\ntime.sleep(10**6)\n"
    with doctor_at(packages.environment(tmp_path).torch(code), "check", stderr=subprocess.PIPE) as child:
        pid = int(_waited(lambda: mark.exists() and mark.read_text()))
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=PATIENCE)
    assert (child.returncode, out, err) == (130, b"", b"gpu-doctor: interrupted\n")
    _waited(lambda: not os.path.exists(f"/proc/{pid}"))


def _waited(look: Callable[[], Any]) -> Any:
    until = time.monotonic() + PATIENCE
    while not (seen := look()):
        assert time.monotonic() < until, "it never came"
        time.sleep(0.01)
    return seen
