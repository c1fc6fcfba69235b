"""The command line in this process: options, exit codes, and one line for whatever goes wrong."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpu_doctor import doctor
from gpu_doctor.cli.app import run
from gpu_doctor.errors import DoctorError
from gpu_doctor.model import plain
from gpu_doctor.model.case import Report
from gpu_doctor.model.inventory import UNASKED
from gpu_doctor.model.target import Target
from tests import kit
from tests.report import patients

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run one command line; return its exit code, stdout and stderr."""
    monkeypatch.setenv("HOME", patients.HOME)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "GPU_DOCTOR_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> Callable[[Report | BaseException], list[dict[str, Any]]]:
    """Let the doctor answer with this report, or fail so; return what it was asked."""

    def answer(with_: Report | BaseException) -> list[dict[str, Any]]:
        asked: list[dict[str, Any]] = []

        def examine(target: Target, environ: Any, **options: Any) -> Report:
            asked.append({"target": target, **options})
            if isinstance(with_, BaseException):
                raise with_
            return with_

        monkeypatch.setattr(doctor, "choose", lambda python, prefix, *_: Target(python, prefix, "--python"))
        monkeypatch.setattr(doctor, "examine", examine)
        return asked

    return answer


WARNED = patients.report((patients.sick().cases[0].runs[1],))


@pytest.mark.parametrize(
    ("report", "options", "code"),
    [
        (patients.healthy(), [], 0),
        (patients.sick(), [], 1),
        (patients.sick(), ["--fail-on", "never"], 0),
        (WARNED, [], 0),
        (WARNED, ["--fail-on", "warning"], 1),
        (WARNED, ["--fail-on", "never"], 0),
        (patients.undetermined(), [], 3),
        (patients.undetermined(), ["--fail-on", "never"], 3),
        (patients.crashed(), [], 3),
    ],
)
def test_the_exit_code_tells_the_verdict(
    cli: Run, examined: Any, report: Report, options: list[str], code: int
) -> None:
    examined(report)
    assert cli("check", "--python", "x", *options)[0] == code


def test_check_prints_the_text_report_and_nothing_else(cli: Run, examined: Any) -> None:
    examined(patients.sick())
    _, out, err = cli("check", "--python", "x", "--static")
    assert out.startswith("~/venv (Python 3.11.7, uv) — chosen by --python\n")
    assert out.endswith("not judged: kernel-image-missing (no GPU known: give --gpu)\n")
    assert err == ""


def test_a_report_of_files_alone_says_whether_that_was_asked_for(cli: Run, examined: Any) -> None:
    examined(patients.healthy(probes=UNASKED))
    assert cli("check", "--python", "x", "--static")[1].endswith("\nfiles only, as asked (--static)\n")
    assert cli("check", "--python", "x")[1].endswith("\nfiles only: the live interpreter was not asked\n")


def test_json_on_stdout_is_one_document(cli: Run, examined: Any) -> None:
    examined(patients.sick())
    code, out, err = cli("check", "--python", "x", "--format", "json")
    assert json.loads(out)["cases"][0]["verdict"] == "sick"
    assert (code, err) == (1, "")


def test_rules_may_be_repeated_or_separated_by_commas(cli: Run, examined: Any) -> None:
    asked = examined(patients.healthy())
    cli("check", "--python", "x", "--select", "a,b", "--select", "c", "--ignore", " d ,")
    assert asked[0]["select"] == ("a", "b", "c")
    assert asked[0]["ignore"] == ("d",)


def test_an_unknown_rule_is_a_usage_error_with_suggestions(cli: Run) -> None:
    code, out, err = cli("check", "--python", sys.executable, "--select", "driver-to-old")
    assert (code, out) == (2, "")
    assert err.startswith("gpu-doctor: there is no rule 'driver-to-old'\n  ")
    assert "driver-too-old" in err.splitlines()[1]


def test_colour_follows_the_environment(cli: Run, examined: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    examined(patients.sick())
    assert "\x1b" not in cli("check", "--python", "x")[1]
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1;31mSICK" in cli("check", "--python", "x")[1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in cli("check", "--python", "x")[1]


def test_columns_set_the_width(cli: Run, examined: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    examined(patients.undetermined())
    monkeypatch.setenv("COLUMNS", "50")
    assert max(map(len, cli("check", "--python", "x")[1].splitlines())) <= 50


# --- Files ------------------------------------------------------------------------------------------------------------


def test_output_replaces_the_file_and_keeps_its_mode(cli: Run, examined: Any, tmp_path: Path) -> None:
    examined(patients.sick())
    file, link = tmp_path / "report.json", tmp_path / "latest"
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to(file.name)
    code, out, _ = cli("check", "--python", "x", "--format", "json", "--output", str(link))
    assert (code, out) == (1, "")
    assert json.loads(file.read_text())["schema"] == "gpu-doctor/report/1"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert link.is_symlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["latest", "report.json"]


def test_a_new_file_gets_the_usual_mode(cli: Run, examined: Any, tmp_path: Path) -> None:
    examined(patients.healthy())
    mask = os.umask(0o027)
    try:
        cli("check", "--python", "x", "--output", str(tmp_path / "new"))
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    assert "\x1b" not in (tmp_path / "new").read_text()


def test_a_device_is_written_to_not_replaced(cli: Run, examined: Any) -> None:
    examined(patients.healthy())
    assert cli("check", "--python", "x", "--output", "/dev/null")[0] == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("place", ["absent/report", "."])
def test_a_file_that_cannot_be_written_is_a_usage_error(cli: Run, examined: Any, tmp_path: Path, place: str) -> None:
    examined(patients.healthy())
    code, out, err = cli("check", "--python", "x", "--output", str(tmp_path / place))
    assert (code, out) == (2, "")
    assert err.startswith("gpu-doctor: cannot write ")
    assert err.count("\n") == 1


def test_a_saved_inventory_is_judged_again(cli: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "inventory.json"
    file.write_text(plain.dumps(kit.inventory()))
    judged: list[Any] = []

    def judge(inventories: Any, **_: Any) -> Report:
        judged.append(inventories)
        return patients.healthy()

    monkeypatch.setattr(doctor, "judge", judge)
    monkeypatch.setattr(doctor, "assume", lambda inventory, gpus, driver: (inventory, gpus, driver))
    assert cli("check", "--from", str(file))[0] == 0
    assert cli("check", "--from", str(file), "--gpu", "RTX 5090", "--driver", "580.65.06")[0] == 0
    assert judged == [[kit.inventory()], [(kit.inventory(), ("RTX 5090",), "580.65.06")]]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--from", "x", "--python", "y"], "--from judges a saved inventory"),
        (["--from", "/nonexistent/x"], "cannot read /nonexistent/x: No such file"),
        (["--from", "/dev/null"], "not an inventory: not JSON"),
    ],
)
def test_a_bad_saved_inventory_is_a_usage_error(cli: Run, arguments: list[str], says: str) -> None:
    code, out, err = cli("check", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"gpu-doctor: {says}")


# --- Failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["bogus"], "No such command 'bogus'"),
        (["check", "--frob"], "No such option"),
        (["check", "--fail-on", "x"], "Invalid value for '--fail-on'"),
        (["check", "--format", "xml"], "Invalid value for '--format'"),
        (["explain"], "Missing argument 'RULE'"),
        (["explain", "driver-to-old"], "there is no rule 'driver-to-old'"),
        (["archs", "--python", "x", "y.so"], "name FILEs or an environment, not both"),
        (["check", "--python", "/nonexistent"], "--python /nonexistent"),
    ],
)
def test_misuse_is_one_line_and_a_hint_and_exit_code_2(cli: Run, arguments: list[str], says: str) -> None:
    code, out, err = cli(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"gpu-doctor: {says}")
    assert err.count("\n") <= 2


def test_no_arguments_show_the_help(cli: Run) -> None:
    code, out, err = cli()
    assert (code, out) == (2, "")
    assert err.startswith("Usage: gpu-doctor")


def test_the_doctors_own_failure_is_one_line_and_a_hint(cli: Run, examined: Any) -> None:
    examined(DoctorError("the facts are\x1b[2J broken", "reinstall"))
    assert cli("check", "--python", "x") == (3, "", "gpu-doctor: the facts are\\x1b[2J broken\n  reinstall\n")


def test_an_unexpected_failure_names_itself_and_asks_for_a_report(
    cli: Run, examined: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    examined(KeyError("sm_90"))
    code, out, err = cli("check", "--python", "x")
    assert (code, out) == (3, "")
    assert err.startswith("gpu-doctor: internal error: KeyError: 'sm_90'\n  please report it")
    monkeypatch.setenv("GPU_DOCTOR_TRACEBACK", "1")
    assert "Traceback (most recent call last)" in cli("check", "--python", "x")[2]


def test_a_want_of_memory_is_no_fault_of_the_doctors(cli: Run, examined: Any) -> None:
    examined(MemoryError())
    code, out, err = cli("check", "--python", "x")
    assert (code, out) == (3, "")
    assert err.startswith("gpu-doctor: there is not enough memory to go on\n")


def test_an_interruption_is_one_line_and_exit_code_130(cli: Run, examined: Any) -> None:
    examined(KeyboardInterrupt())
    assert cli("check", "--python", "x") == (130, "", "gpu-doctor: interrupted\n")


# --- Rules and completion ---------------------------------------------------------------------------------------------


def test_rules_lists_every_rule(cli: Run) -> None:
    code, out, _ = cli("rules")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines() if line[0] != " "] == [r.rule.id for r in doctor.all_rules()]


def test_explain_prints_the_words_of_the_rule(cli: Run) -> None:
    code, out, _ = cli("explain", "driver-too-old")
    assert code == 0
    assert out.startswith("driver-too-old (error at worst; stage: host")
    assert "What to do." in out


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("gpu-doctor explain driver-t", {"driver-too-old"}),
        ("gpu-doctor check --select ort-packages-cl", {"ort-packages-clash"}),
        ("gpu-doctor check --ignore kernel-image-missing,driver-t", {"kernel-image-missing,driver-too-old"}),
    ],
)
def test_the_shell_completes_rule_ids(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str, offered: set[str]
) -> None:
    monkeypatch.setenv("_GPU_DOCTOR_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    assert run([]) == 0
    assert set(capsys.readouterr().out.split()) == offered
