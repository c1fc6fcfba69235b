"""The environment looked at is the one that the user means, and the report can say why."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gpu_doctor.errors import TargetNotFound, UsageError
from gpu_doctor.readers.interpreter.choose import choose_target, is_environment
from tests.readers.patient import installation, venv


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return installation(tmp_path / "usr")


def test_an_interpreter_keeps_the_path_that_names_its_environment(tmp_path: Path, base: Path) -> None:
    folder = venv(tmp_path / "venv", base)
    target = choose_target(str(folder / "bin" / "python"), None, {}, "/", ("RTX 5090",), "570.86")
    assert (target.python, target.prefix, target.chosen_by) == (str(folder / "bin" / "python"), None, "--python")
    assert (target.gpus, target.driver) == (("RTX 5090",), "570.86")


@pytest.mark.parametrize("option", ["venv/bin/python", "./venv/bin/python", "~/venv/bin/python"])
def test_relative_paths_and_tilde_are_expanded(tmp_path: Path, base: Path, option: str) -> None:
    venv(tmp_path / "venv", base)
    target = choose_target(option, None, {"HOME": str(tmp_path)}, str(tmp_path))
    assert target.python == str(tmp_path / "venv" / "bin" / "python")


def test_a_bare_command_is_looked_up_on_path(base: Path) -> None:
    target = choose_target("python3.11", None, {"PATH": f"/nowhere:{base}/bin"}, "/")
    assert target.python == str(base / "bin" / "python3.11")


def test_an_environments_folder_given_as_interpreter_is_taken_as_prefix(tmp_path: Path, base: Path) -> None:
    folder = venv(tmp_path / "venv", base)
    target = choose_target(str(folder), None, {}, "/")
    assert (target.python, target.prefix) == (None, str(folder))


def test_a_dangling_interpreter_of_an_environment_is_no_error(tmp_path: Path, base: Path) -> None:
    folder = venv(tmp_path / "venv", base)
    (base / "bin" / "python3.11").unlink()
    assert choose_target(str(folder / "bin" / "python"), None, {}, "/").python == str(folder / "bin" / "python")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("absent/python", "no such file"),
        ("no-such-python", "no such file, and no such command on PATH"),
        ("plain", "a folder, and no Python environment"),
        ("usr/bin/ls", "is not a Python interpreter"),
        ("python3", "is not a Python interpreter"),
        ("dangling", "which does not exist"),
    ],
)
def test_what_is_no_interpreter_is_refused_in_one_line(tmp_path: Path, base: Path, option: str, message: str) -> None:
    (tmp_path / "plain").mkdir()
    (base / "bin" / "ls").write_bytes(b"\x7fELF")
    (tmp_path / "python3").write_text("named like an interpreter, in no installation")
    (tmp_path / "dangling").symlink_to("gone")
    with pytest.raises(TargetNotFound) as refused:
        choose_target(option, None, {"PATH": "/nowhere"}, str(tmp_path))
    assert refused.value.message.startswith(f"--python {option}: ")
    assert message in refused.value.message
    assert refused.value.exit_code == 2
    assert "--prefix" in refused.value.hint


def test_a_missing_interpreter_of_an_environment_points_to_the_environment(tmp_path: Path, base: Path) -> None:
    folder = venv(tmp_path / "venv", base)
    (folder / "bin" / "python").unlink()
    with pytest.raises(TargetNotFound) as refused:
        choose_target(str(folder / "bin" / "python"), None, {}, "/")
    assert refused.value.hint == f"Its environment is there: --prefix {folder}"


def test_a_prefix_must_hold_an_environment(tmp_path: Path, base: Path) -> None:
    assert choose_target(None, str(base), {}, "/").prefix == str(base)
    (tmp_path / "plain").mkdir()
    with pytest.raises(TargetNotFound, match="no Python environment in this folder"):
        choose_target(None, str(tmp_path / "plain"), {}, "/")
    with pytest.raises(TargetNotFound, match="no such folder"):
        choose_target(None, str(tmp_path / "absent"), {}, "/")


def test_two_options_are_refused() -> None:
    with pytest.raises(UsageError, match="two targets"):
        choose_target("python3", "/opt/app", {}, "/")


def test_without_options_the_nearest_environment_counts(tmp_path: Path, base: Path) -> None:
    for name in ("active", "project/.venv", "conda"):
        venv(tmp_path / name, base)
    environ = {
        "VIRTUAL_ENV": str(tmp_path / "active"),
        "CONDA_PREFIX": str(tmp_path / "conda"),
        "PATH": str(base / "bin"),
    }
    project, elsewhere = str(tmp_path / "project"), str(tmp_path)

    def chosen(cwd: str) -> tuple[str | None, str]:
        target = choose_target(None, None, environ, cwd)
        return target.prefix or target.python, target.chosen_by

    assert chosen(project) == (str(tmp_path / "active"), "VIRTUAL_ENV")
    del environ["VIRTUAL_ENV"]
    assert chosen(project) == (str(tmp_path / "project/.venv"), "./.venv")
    assert chosen(elsewhere) == (str(tmp_path / "conda"), "CONDA_PREFIX")
    del environ["CONDA_PREFIX"]
    assert chosen(elsewhere) == (str(base / "bin/python3"), "python3 on PATH")


def test_a_stale_variable_is_passed_over_and_told(tmp_path: Path, base: Path) -> None:
    venv(tmp_path / ".venv", base)
    target = choose_target(None, None, {"VIRTUAL_ENV": "/gone"}, str(tmp_path))
    assert target.prefix == str(tmp_path / ".venv")
    assert target.chosen_by == "./.venv (VIRTUAL_ENV is stale: /gone)"


def test_a_script_named_python3_is_passed_over(tmp_path: Path, base: Path) -> None:
    wrapper = tmp_path / "wrappers" / "python3"
    wrapper.parent.mkdir()
    wrapper.write_text('#!/bin/sh\nexec /somewhere/python3 "$@"\n')
    wrapper.chmod(0o755)
    target = choose_target(None, None, {"PATH": f"{wrapper.parent}:{base}/bin"}, str(tmp_path))
    assert target.python == str(base / "bin" / "python3")
    assert f"{wrapper}: is not a Python interpreter" in target.chosen_by


def test_nothing_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TargetNotFound, match="no Python environment found"):
        choose_target(None, None, {"PATH": str(tmp_path)}, str(tmp_path))


@pytest.mark.parametrize(
    "path",
    ["pyvenv.cfg", "conda-meta/history", "lib/python3.13t/site-packages/a", "lib64/python3.9/os.py",
     "lib/python3/dist-packages/a", "Lib/site-packages/a"],
)  # fmt: skip
def test_environments_are_known_by_their_layout(tmp_path: Path, path: str) -> None:
    assert not is_environment(str(tmp_path))
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text("")
    assert is_environment(str(tmp_path))


def test_a_file_named_as_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TargetNotFound, match="--prefix file: not a folder"):
        choose_target(None, "file", {}, str(tmp_path))


@pytest.mark.parametrize("option", ["--prefix", "--python"])
def test_what_may_not_be_read_is_not_called_absent(tmp_path: Path, base: Path, option: str) -> None:
    """In a process of its own, as root may read everything."""
    folder = venv(tmp_path / "closed" / "venv", base)
    path = folder if option == "--prefix" else folder / "bin" / "python"
    code = (
        "import os, sys; from gpu_doctor.errors import TargetNotFound\n"
        "from gpu_doctor.readers.interpreter.choose import choose_target\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "names = {'--python': None, '--prefix': None, sys.argv[1]: sys.argv[2]}\n"
        "try: choose_target(names['--python'], names['--prefix'], {}, '/')\n"
        "except TargetNotFound as refused: print(refused.message)"
    )
    (tmp_path / "closed").chmod(0)
    try:
        command = [sys.executable, "-c", code, option, str(path)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    finally:
        (tmp_path / "closed").chmod(0o755)
    assert ended.stdout.endswith("a folder on its path may not be read\n"), ended.stderr
