"""Pins in a pyproject.toml: what would not let them in changes, everything else stays as it was written."""

from __future__ import annotations

import sys

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from gpu_doctor.errors import UsageError
from gpu_doctor.pins.pyproject import edit_pyproject

PINS = ("torch==2.8.0+cu126", "torchvision==0.23.0", "ctranslate2==4.8.1")

PROJECT = """\
# my app
[project]
name = "app"  # a name
dependencies = [
    "requests",
    "Torch[opt]==2.9.1 ; python_version < '3.13'",  # why torch
    'torchvision>=0.20',
    "ctranslate2<4.5",
]

[project.optional-dependencies]
old = ["torch~=2.6.0; sys_platform == 'darwin'", "torch~=2.6.0; sys_platform == 'linux'"]

[dependency-groups]
dev = [{include-group = "lint"}, "torchvision==0.22.0"]
lint = ["ruff"]

[tool.uv]
# what wins
override-dependencies = [
    "numpy<2",  # for an old one
    "torch==2.6.0",
]
dev-dependencies = ["ctranslate2==4.4.0"]

[tool.ruff]
line-length = 120
"""

EDITED = """\
# my app
[project]
name = "app"  # a name
dependencies = [
    "requests",
    "Torch[opt]==2.8.0+cu126 ; python_version < '3.13'",  # why torch
    'torchvision>=0.20',
    "ctranslate2==4.8.1",
]

[project.optional-dependencies]
old = ["torch~=2.6.0; sys_platform == 'darwin'", "torch==2.8.0+cu126; sys_platform == 'linux'"]

[dependency-groups]
dev = [{include-group = "lint"}, "torchvision==0.23.0"]
lint = ["ruff"]

[tool.uv]
# what wins
override-dependencies = [
    "numpy<2",  # for an old one
    "torch==2.8.0+cu126",
    "torchvision==0.23.0",
    "ctranslate2==4.8.1",
]
dev-dependencies = ["ctranslate2==4.8.1"]

[tool.ruff]
line-length = 120
"""


def test_everything_that_is_not_a_pin_stays_as_it_was_written() -> None:
    edited, changes = edit_pyproject(PROJECT, PINS)
    assert edited == EDITED
    assert changes == (
        "[project] dependencies: Torch[opt]==2.9.1 ; python_version < '3.13' becomes "
        "Torch[opt]==2.8.0+cu126 ; python_version < '3.13'",
        "[project] dependencies: ctranslate2<4.5 becomes ctranslate2==4.8.1",
        "[project.optional-dependencies] old: torch~=2.6.0; sys_platform == 'linux' becomes "
        "torch==2.8.0+cu126; sys_platform == 'linux'",
        "[dependency-groups] dev: torchvision==0.22.0 becomes torchvision==0.23.0",
        "[tool.uv] dev-dependencies: ctranslate2==4.4.0 becomes ctranslate2==4.8.1",
        "[tool.uv] override-dependencies: torch==2.6.0 becomes torch==2.8.0+cu126",
        "[tool.uv] override-dependencies: torchvision==0.23.0 is new",
        "[tool.uv] override-dependencies: ctranslate2==4.8.1 is new",
    )


def test_a_second_run_changes_nothing() -> None:
    assert edit_pyproject(EDITED, PINS) == (EDITED, ())


def test_line_endings_stay() -> None:
    edited, changes = edit_pyproject(PROJECT.replace("\n", "\r\n"), PINS)
    assert edited == EDITED.replace("\n", "\r\n")
    assert edit_pyproject(edited, PINS) == (edited, ())
    assert len(changes) == 8


NEW = 'override-dependencies = [\n    "torch==2.8.0",\n]\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"[tool.uv]\n{NEW}"),
        ('[project]\nname = "a"\n', f'[project]\nname = "a"\n\n[tool.uv]\n{NEW}'),
        ('[project]\nname = "a"', f'[project]\nname = "a"\n\n[tool.uv]\n{NEW}'),
        ("[tool.uv]\npackage = false\n", f"[tool.uv]\n{NEW}package = false\n"),
        ("[ tool . uv ]  # mine", f"[ tool . uv ]  # mine\n{NEW}"),
        ("[tool.uv.sources]\na = {path = '.'}\n", f"[tool.uv.sources]\na = {{path = '.'}}\n\n[tool.uv]\n{NEW}"),
        ("[[tool.uv.index]]\nname = 'a'\n", f"[[tool.uv.index]]\nname = 'a'\n\n[tool.uv]\n{NEW}"),
        ("[tool.uv]\noverride-dependencies = []\n", '[tool.uv]\noverride-dependencies = ["torch==2.8.0"]\n'),
        (
            "[tool.uv]\noverride-dependencies = ['numpy', 'torch<2']\n",
            "[tool.uv]\noverride-dependencies = ['numpy', 'torch==2.8.0']\n",
        ),
        (
            "[tool.uv]\noverride-dependencies = [\n  'numpy' # last\n]\n",
            "[tool.uv]\noverride-dependencies = [\n  'numpy', # last\n    \"torch==2.8.0\",\n]\n",
        ),
    ],
)
def test_where_the_overrides_go(before: str, after: str) -> None:
    edited, changes = edit_pyproject(before, ("torch==2.8.0",))
    assert tomlkit.parse(edited).unwrap() == tomlkit.parse(after).unwrap()
    assert "# last" in edited or edited == after
    assert len(changes) == 1
    assert edit_pyproject(edited, ("torch==2.8.0",)) == (edited, ())


@pytest.mark.parametrize("spec", ["", ">=2.8", "~=2.8.0", "==2.8.0", "==2.8.*", ">=2,!=2.7", " @ file:///a.whl"])
def test_an_entry_that_lets_the_pin_in_is_left_alone(spec: str) -> None:
    text = f'[project]\ndependencies = ["torch{spec}"]\n[tool.uv]\noverride-dependencies = ["torch==2.8.0+cu126"]\n'
    assert edit_pyproject(text, ("torch==2.8.0+cu126",)) == (text, ())


@pytest.mark.parametrize("spec", ["<2.8", "==2.8.0+cpu", "~=2.9.0", "(>=2.9)", "!=2.8.0", "===2.7"])
def test_an_entry_that_excludes_the_pin_becomes_the_pin(spec: str) -> None:
    edited, _ = edit_pyproject(f'[project]\ndependencies = ["torch{spec}"]\n', ("torch==2.8.0+cu126",))
    assert edited.startswith('[project]\ndependencies = ["torch==2.8.0+cu126"]\n')


def test_no_pins_change_nothing() -> None:
    assert edit_pyproject(PROJECT, ()) == (PROJECT, ())


def test_an_array_of_tables_of_another_tool_stays() -> None:
    text = '[tool.a]\nx = 1\n\n[tool.uv]\nmanaged = true\n\n[[tool.b]]\ny = 2\n\n[tool.uv.workspace]\nmembers = ["m"]\n'
    edited, _ = edit_pyproject(text, ("torch==2.8.0",))
    assert edited == text.replace("[tool.uv]\n", f"[tool.uv]\n{NEW}")


def refused(text: str, *pins: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        edit_pyproject(text, pins or ("torch==2.8.0",))
    return caught.value


@pytest.mark.parametrize("section", ["dependencies", "group.dev.dependencies", "dev-dependencies"])
def test_what_poetry_owns_is_refused_with_its_command(section: str) -> None:
    error = refused(f'[tool.poetry.{section}]\ntorch = "^2.9"\n', "torch==2.8.0", "torchaudio==2.8.0")
    assert error.message.startswith("Poetry owns the dependencies")
    assert error.hint == "poetry add torch==2.8.0 torchaudio==2.8.0"


@pytest.mark.parametrize("text", ["[project\n", '[project]\nname = "a"\nname = "b"\n', "a = 1\n[a]\n"])
def test_what_is_not_toml_is_refused_with_the_line(text: str) -> None:
    assert refused(text).message.startswith("pyproject.toml is not valid TOML: ")
    assert f"line {text.count(chr(10))}" in refused(text).message or "line 1" in refused(text).message


@pytest.mark.parametrize("text", ["[tool]\nuv = {package = false}\n", "[tool]\nuv.package = false\n"])
def test_a_spelling_that_cannot_be_edited_safely_is_refused(text: str) -> None:
    assert "TOML" in refused(text).message or "safely" in refused(text).message


def test_a_head_that_is_only_text_in_a_string_is_not_edited() -> None:
    text = '[project]\ndescription = """\n[tool.uv]\n"""\n'
    assert "safely" in refused(text).message


@pytest.mark.parametrize(
    "entries",
    [
        "[\n\t# first\n\t'torch<2',\n\n\t# second\n\t\"numpy\",\n\t# end\n]",
        "[ 'torch [x] (<2)' , ]",
        "['torch<2', # c\n 'numpy' ] # d",
        "[\"\"\"torch<2\"\"\", '''numpy''']",
    ],
)
def test_lists_in_any_spelling(entries: str) -> None:
    text = f"[project]\ndependencies = {entries}\n\n[tool.uv]\noverride-dependencies = {entries}\n"
    edited, changes = edit_pyproject(text, PINS)
    assert len(changes) == 4
    assert edit_pyproject(edited, PINS) == (edited, ())
    assert all(
        edited.count(word) == text.count(word) for word in ("numpy", "# first", "# second", "# end", "# c", "# d")
    )


def test_a_new_entry_stands_as_far_in_as_the_others() -> None:
    text = "[tool.uv]\noverride-dependencies = [\n\t# why\n\t'numpy',\n]\n"
    edited, _ = edit_pyproject(text, ("torch==2.8.0",))
    assert edited == text.replace("'numpy',\n", "'numpy',\n\t\"torch==2.8.0\",\n")


def test_overrides_that_are_no_list_are_refused() -> None:
    assert "is not a list" in refused("[tool.uv]\noverride-dependencies = 'torch'\n").message


@pytest.mark.parametrize("pin", ["torch", "torch>=2", "torch==2.*", "torch==2; python_version<'3'", "a b", "t @ x:y"])
def test_only_exact_pins_are_written(pin: str) -> None:
    assert refused("", pin).message.startswith("not an exact pin")


ENTRIES = st.lists(
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["torch", "Torch[x]", "torchvision", "numpy", "re-quests", "ctranslate2"]),
        st.sampled_from(["", "==2.6.0", ">=1,<9", " ~= 2.8.0", "<1"]),
        st.sampled_from(["", "; python_version < '3.12'", " ; sys_platform == 'win32'", "; extra == 'a'"]),
    ),
    max_size=4,
)


@given(ENTRIES, ENTRIES, ENTRIES, st.booleans(), st.booleans())
def test_any_project_holds_the_pins_afterwards_and_stays_so(
    wanted: list[str], group: list[str], overrides: list[str], long: bool, windows: bool
) -> None:
    def listed(entries: list[str]) -> str:
        if not long:
            return "[" + ", ".join(f'"{entry}"' for entry in entries) + "]"
        return "[\n" + "".join(f'  "{entry}",  # c{n}\n' for n, entry in enumerate(entries)) + "]"

    text = f"[project]\ndependencies = {listed(wanted)}\n\n[dependency-groups]\ng = {listed(group)}\n"
    text += f"\n[tool.uv]\noverride-dependencies = {listed(overrides)}\n# end\n"
    text = text.replace("\n", "\r\n") if windows else text
    edited, changes = edit_pyproject(text, PINS)
    held = tomlkit.parse(edited)["tool"]["uv"]["override-dependencies"]  # type: ignore[index]
    assert {"torch", "torchvision", "ctranslate2"} <= {str(item).lower().split("[")[0].split("=")[0] for item in held}
    assert edit_pyproject(edited, PINS) == (edited, ())
    assert edited.count("#") == text.count("#")
    assert ("\r\n" in edited) is windows
    assert (edited == text) is (changes == ())


def test_the_editor_is_imported_only_when_it_is_needed() -> None:
    assert "tomlkit" in sys.modules  # by this test
    import gpu_doctor.pins.pyproject as module

    assert not hasattr(module, "tomlkit")
