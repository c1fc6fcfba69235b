"""Blocks in activation scripts, read by the shells themselves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from gpu_doctor.errors import DoctorError
from gpu_doctor.fix.activation import (
    BEGIN,
    END,
    VariableChange,
    applied,
    change_for,
    merged,
    scripts_of,
    with_block,
)
from gpu_doctor.model.remedy import SetVariable

PREFIX = "/opt/app/venv"
CUDNN = f"{PREFIX}/lib/python3.11/site-packages/nvidia/cudnn/lib"
NAME = "LD_LIBRARY_PATH"
SHOWN = (NAME, "PLAIN", "GONE")
NASTY = "a  'b' \"c\" $(touch pwned) `touch pwned` $HOME \\ ! !! %d # ~ * [x] {a,b} ; touch pwned & é"
ASIDE = VariableChange(NAME, prepend=("lib/a b",))
ALL = (ASIDE, VariableChange("PLAIN", value=NASTY), VariableChange("GONE", unset=True))


# --- What a wished value means ----------------------------------------------------------------------------------------


def change(value: str | None, current: str | None, name: str = NAME) -> VariableChange:
    return change_for(SetVariable(name, value), current, PREFIX)


def test_the_environments_folders_are_put_in_front_and_the_rest_is_left_to_the_moment() -> None:
    relative = CUDNN.removeprefix(f"{PREFIX}/")
    assert change(f"{CUDNN}:/opt/x", "/opt/x") == VariableChange(NAME, prepend=(relative,))
    assert change(CUDNN, None) == VariableChange(NAME, prepend=(relative,))
    assert change(f"{CUDNN}:/opt/x", f"{CUDNN}/:/opt/x") == VariableChange(NAME, prepend=(relative,))


def test_a_new_folder_outside_of_the_environment_counts_as_well() -> None:
    assert change("/usr/lib/wsl/lib:/opt/x", "/opt/x") == VariableChange(NAME, prepend=("/usr/lib/wsl/lib",))


def test_what_is_no_longer_wished_is_taken_out_in_every_spelling() -> None:
    assert change("/opt/x", "/bad:/opt/x:/bad//y/") == VariableChange(NAME, remove=("/bad", "/bad/y", "/bad//y"))
    assert change(None, f"{PREFIX}/older") == VariableChange(NAME, remove=("older", f"{PREFIX}/older"))


def test_other_variables_get_their_value_or_none() -> None:
    assert change("1", "0", "CUDA_LAUNCH_BLOCKING") == VariableChange("CUDA_LAUNCH_BLOCKING", value="1")
    assert change(None, "", "CUDA_VISIBLE_DEVICES") == VariableChange("CUDA_VISIBLE_DEVICES", unset=True)
    assert change(None, None) == VariableChange(NAME, unset=True)


def test_nothing_to_do_is_empty() -> None:
    assert change("/opt/x", "/opt/x").empty
    assert not any(item.empty for item in ALL)


@pytest.mark.parametrize(
    ("item", "current", "value"),
    [
        (ASIDE, None, f"{PREFIX}/lib/a b"),
        (ASIDE, f"/x:{PREFIX}/lib/a b/", f"{PREFIX}/lib/a b:/x"),
        (VariableChange(NAME, remove=("/bad",)), "/bad", None),
        (VariableChange(NAME, remove=("/bad",)), "/x:/bad/:/y", "/x:/y"),
        (VariableChange("A", value=""), "1", ""),
        (VariableChange("A", unset=True), "1", None),
        (VariableChange("A"), "1", "1"),
    ],
)
def test_the_value_in_the_activated_environment(item: VariableChange, current: str | None, value: str | None) -> None:
    assert applied(item, current, PREFIX) == value


def test_two_changes_of_one_variable_are_one() -> None:
    first = VariableChange(NAME, prepend=("lib/a", "lib/b"), remove=("/bad",))
    later = VariableChange(NAME, prepend=("/bad", "lib/c"), remove=("lib/a",))
    assert merged(first, later) == VariableChange(NAME, prepend=("/bad", "lib/c", "lib/b"), remove=("lib/a",))
    assert merged(first, VariableChange(NAME, unset=True)) == VariableChange(NAME, unset=True)
    assert merged(first, VariableChange(NAME)) == first


# --- The text ---------------------------------------------------------------------------------------------------------

SCRIPTS = ("bin/activate", "bin/activate.fish", "bin/activate.csh", "bin/Activate.ps1", "bin/activate.ps1")


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("text", ["", "\n", "one", "one\n", "one\r\ntwo\n\n", "\udc80 bytes\n"])
def test_without_variables_the_text_is_what_it_was(script: str, text: str) -> None:
    blocked = with_block(script, text, ALL)
    assert blocked.startswith(text)
    assert (blocked.count(BEGIN), blocked.count(END)) == (1, 1)
    assert with_block(script, blocked, ALL) == blocked
    assert with_block(script, with_block(script, blocked, ALL[:1]), ()) == text
    assert with_block(script, text, (VariableChange("A"),)) == text


def test_what_was_written_behind_a_block_stays() -> None:
    for text in ("one", "one\n"):
        more = with_block("bin/activate", text, ALL) + "more\n"
        assert with_block("bin/activate", more, ()) == "one\nmore\n"


def test_a_block_that_was_cut_off_is_not_guessed_at() -> None:
    with pytest.raises(DoctorError, match="without its last line"):
        with_block("bin/activate", f"one\n{BEGIN}\nA=1\n", ())


@pytest.mark.parametrize(
    "script", ["bin/activate.nu", "bin/activate.bat", "bin/activate.sh", "gpu-doctor.sh", "x.fish"]
)
def test_other_scripts_are_refused(script: str) -> None:
    with pytest.raises(DoctorError, match="cannot be given variables"):
        with_block(script, "", ALL)


@pytest.mark.parametrize(
    "item",
    [
        VariableChange("A", value="one\ntwo"),
        VariableChange("A", value="\x1b[2J"),
        VariableChange("A;id", value="1"),
        VariableChange("", unset=True),
        VariableChange("A_PATH", prepend=("lib/a:b",)),
        VariableChange("A_PATH", remove=("/a\0b",)),
    ],
)
def test_what_no_script_can_be_trusted_with_is_refused(item: VariableChange) -> None:
    for script in SCRIPTS:
        with pytest.raises(DoctorError):
            with_block(script, "", (item,))


def test_nothing_of_this_machine_is_written_for_folders_of_the_environment() -> None:
    for script in SCRIPTS:
        assert PREFIX not in with_block(script, "", (change(CUDNN, None),))


# --- Real shells, real environments -----------------------------------------------------------------------------------

# Shell → the script's name, and what has it stop at errors.
SHELLS = {
    "bash": ("activate", "set -eu\n"),
    "zsh": ("activate", "set -eu\n"),
    "fish": ("activate.fish", ""),
    "tcsh": ("activate.csh", ""),
    "pwsh": ("activate.ps1", ""),
}
here = [pytest.param(shell, marks=pytest.mark.skipif(not shutil.which(shell), reason="not here")) for shell in SHELLS]
each_shell = pytest.mark.parametrize("shell", here)
SHOW = "import json, os; print(json.dumps([os.environ.get(n) for n in {}]))"


@pytest.fixture(scope="module", params=["venv", "uv"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment in a folder with spaces and worse, made once."""
    prefix = tmp_path_factory.mktemp(request.param) / "it's a [n] env"
    uv = shutil.which("uv", path=f"{sys.prefix}/bin{os.pathsep}{os.environ['PATH']}")
    if request.param == "venv":
        command = [sys.executable, "-m", "venv", "--without-pip", str(prefix)]
    elif uv:
        command = [uv, "--quiet", "venv", "--no-config", "--python", sys.executable, str(prefix)]
    else:
        pytest.skip("uv is not here")
    subprocess.run(command, check=True, capture_output=True)
    return prefix


def blocked(prefix: Path, tmp_path: Path, *changes: VariableChange) -> Path:
    """Put a block into a copy of the environment's scripts; their VIRTUAL_ENV stays."""
    for script in scripts_of(str(prefix)):
        copy = tmp_path / Path(script).name
        copy.write_bytes((prefix / script).read_bytes())
        text = copy.read_bytes().decode()
        copy.write_bytes(with_block(script, text, changes).encode())
    return tmp_path


def told(
    shell: str,
    folder: Path,
    words: str,
    environ: Mapping[str, str],
    *,
    strict: bool = False,
    script: str = "",
    names: Sequence[str] = SHOWN,
) -> list[list[str | None]]:
    """Run a script of `activate`, `deactivate` and `show`, and return what each `show` saw of the variables."""
    name, strictness = SHELLS[shell]
    name = next((n for n in (script, name, name.capitalize()) if n and (folder / n).exists()), name)
    sourced = "." if shell == "pwsh" else "source"
    (folder / "show.py").write_text(SHOW.format(list(names)))
    show = f"{'& ' * (shell == 'pwsh')}'{sys.executable}' -I '{folder}/show.py'"
    lines = {"activate": f"{sourced} '{folder}/{name}'", "show": show}
    text = (strictness if strict else "") + ("set prompt='> '\n" if shell == "tcsh" else "")
    file = folder / f"try.{'ps1' if shell == 'pwsh' else 'sh'}"
    file.write_text(text + "\n".join(lines.get(word, word) for word in words.split()) + "\n")
    options = {"bash": ["--norc"], "zsh": ["-f"], "tcsh": ["-f"], "fish": ["--no-config"], "pwsh": ["-NoProfile"]}
    kept = {k: v for k, v in os.environ.items() if k not in (*SHOWN, "VIRTUAL_ENV", "PYTHONPATH")}
    command = [shell, *options[shell], str(file)]
    ended = subprocess.run(command, cwd=folder, env={**kept, **environ}, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert not (folder / "pwned").exists()
    return [json.loads(line) for line in ended.stdout.splitlines()]


@each_shell
@pytest.mark.parametrize("before", [(None, None, None), ("/opt/x y:/z", "old 'value' $HOME", "1")])
def test_the_state_before_comes_back(
    shell: str, made: Path, tmp_path: Path, before: tuple[str | None, str | None, str | None]
) -> None:
    environ = {name: value for name, value in zip(SHOWN, before, strict=True) if value is not None}
    ours = f"{made}/lib/a b"
    active = [f"{ours}:{before[0]}" if before[0] else ours, NASTY, None]
    folder = blocked(made, tmp_path, *ALL)
    assert told(shell, folder, "activate show deactivate show", environ) == [active, list(before)]
    twice = "show activate show activate show deactivate show activate show deactivate show"
    assert told(shell, folder, twice, environ) == [list(before), active, active, list(before), active, list(before)]


@pytest.mark.parametrize("shell", here[:2])
@pytest.mark.parametrize("environ", [{}, {NAME: "/x", "GONE": "1"}])
def test_strict_shells_go_on(shell: str, made: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    folder = blocked(made, tmp_path, *ALL)
    before = [environ.get(name) for name in SHOWN]
    active = [":".join(filter(None, (f"{made}/lib/a b", before[0]))), NASTY, None]
    words = "activate show activate show deactivate show"
    assert told(shell, folder, words, environ, strict=True) == [active, active, before]


VALUES = ("=ls", "", "-n", "~", "it's", "''", "a!b !! !$", "\\", "a\\'b", "‘’", "x" * 4000)


@each_shell
def test_a_value_is_taken_literally(shell: str, made: Path, tmp_path: Path) -> None:
    changes = [VariableChange(f"V{number}", value=value) for number, value in enumerate(VALUES)]
    folder = blocked(made, tmp_path, *changes)
    expected = [None if shell == "pwsh" and not value else value for value in VALUES]
    shown = told(shell, folder, "activate show deactivate show", {}, names=[item.name for item in changes])
    assert shown == [expected, [None] * len(VALUES)]


REMOVALS = (
    ("/bad", None),
    ("/bad:/bad/:/x", "/x"),
    ("/x:/bad:/y z", "/x:/y z"),
    ("/bad:/bad:/badder:/x/bad", "/badder:/x/bad"),
    ("/it's [b]*:/itss b:/x", "/itss b:/x"),
    ("/x y", "/x y"),
    (None, None),
)


@each_shell
def test_folders_are_taken_out_of_what_is_there(shell: str, made: Path, tmp_path: Path) -> None:
    names = [f"V{number}_PATH" for number in range(len(REMOVALS))]
    folder = blocked(made, tmp_path, *(VariableChange(name, remove=("/bad", "/it's [b]*")) for name in names))
    environ = {name: before for name, (before, _) in zip(names, REMOVALS, strict=True) if before}
    shown = told(shell, folder, "activate show deactivate show", environ, names=names)
    assert shown == [[after for _, after in REMOVALS], [before for before, _ in REMOVALS]]


@each_shell
def test_an_environment_of_another_block_takes_over(shell: str, made: Path, tmp_path: Path) -> None:
    for name, item in (("one", ASIDE), ("two", VariableChange("PLAIN", value="two"))):
        (tmp_path / name).mkdir()
        blocked(made, tmp_path / name, item)
    for file in list((tmp_path / "two").iterdir()):
        file.rename(tmp_path / f"two-{file.name}")
    name = SHELLS[shell][0]
    name = name if (tmp_path / f"two-{name}").exists() else name.capitalize()
    sourced = "." if shell == "pwsh" else "source"
    first, second = f"{sourced} '{tmp_path}/one/{name}'", f"{sourced} '{tmp_path}/two-{name}'"
    step = tmp_path / "one" / f"both{Path(name).suffix}"
    step.write_text(f"{first}\n{second}\n")
    shown = told(shell, tmp_path / "one", "activate show deactivate show", {NAME: "/x"}, script=step.name)
    assert shown == [["/x", "two", None], ["/x", None, None]]


def test_a_shell_that_cannot_copy_functions_sets_them_all_the_same(made: Path, tmp_path: Path) -> None:
    folder = blocked(made, tmp_path, *ALL)
    (folder / "show.py").write_text(SHOW.format(SHOWN))
    text = f". '{folder}/activate'\n'{sys.executable}' -I show.py\ndeactivate\necho over\n"
    kept = {k: v for k, v in os.environ.items() if k not in (*SHOWN, "VIRTUAL_ENV")}
    command = ["sh", "-e", "-c", text]  # uv's own script does not bear -u in dash
    ended = subprocess.run(command, cwd=folder, env={**kept, NAME: "/x"}, capture_output=True, text=True, timeout=60)
    shown, over = ended.stdout.splitlines()
    assert (json.loads(shown), over, ended.stderr) == ([f"{made}/lib/a b:/x", NASTY, None], "over", "")


def test_a_relocated_environment_keeps_working(tmp_path: Path) -> None:
    uv = shutil.which("uv", path=f"{sys.prefix}/bin{os.pathsep}{os.environ['PATH']}")
    if not uv:
        pytest.skip("uv is not here")
    prefix = tmp_path / "here"
    command = [uv, "--quiet", "venv", "--no-config", "--relocatable", "--python", sys.executable, str(prefix)]
    subprocess.run(command, check=True, capture_output=True)
    script = prefix / "bin/activate"
    step = SetVariable(NAME, f"{prefix}/lib/a")
    script.write_text(with_block("bin/activate", script.read_text(), (change_for(step, None, str(prefix)),)))
    prefix.rename(tmp_path / "there")
    assert told("bash", tmp_path / "there/bin", "activate show", {})[0][0] == f"{tmp_path}/there/lib/a"


def test_only_the_scripts_that_are_there_are_named(made: Path, tmp_path: Path) -> None:
    assert {"bin/activate", "bin/activate.fish", "bin/activate.csh"} < set(scripts_of(str(made)))
    assert "bin/activate.nu" not in scripts_of(str(made))
    assert scripts_of(str(tmp_path)) == ()


@each_shell
def test_conda_sources_files_of_our_own(shell: str, tmp_path: Path) -> None:
    (tmp_path / "conda-meta").mkdir()
    scripts = scripts_of(str(tmp_path))
    assert {Path(script).stem for script in scripts} == {"gpu-doctor"}
    for script in scripts:
        (tmp_path / script).parent.mkdir(parents=True, exist_ok=True)
        text = with_block(script, "", ALL)
        assert with_block(script, text, ()) == ""
        (tmp_path / script).write_text(text)
    ending = {"fish": "fish", "tcsh": "csh", "pwsh": "ps1"}.get(shell, "sh")
    sourced = "." if shell == "pwsh" else "source"
    for number, folder in enumerate(("activate.d", "deactivate.d")):
        line = f"{sourced} '{tmp_path}/etc/conda/{folder}/gpu-doctor.{ending}'\n"
        (tmp_path / f"step{number}.{ending}").write_text(line)
    environ = {"CONDA_PREFIX": str(tmp_path), NAME: "/x", "GONE": "1"}
    words = "activate show activate show"
    active = [f"{tmp_path}/lib/a b:/x", NASTY, None]
    assert told(shell, tmp_path, words, environ, script=f"step0.{ending}") == [active, active]
    both = (tmp_path / f"step0.{ending}").read_text() + (tmp_path / f"step1.{ending}").read_text()
    (tmp_path / f"both.{ending}").write_text(both)
    assert told(shell, tmp_path, "activate show activate show", environ, script=f"both.{ending}") == [
        ["/x", None, "1"],
        ["/x", None, "1"],
    ]
