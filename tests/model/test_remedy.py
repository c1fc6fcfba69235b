from __future__ import annotations

import shlex

import pytest

from gpu_doctor.model.remedy import (
    ClearExecutableStack,
    EditPins,
    InstallPackages,
    ListInRecord,
    MakeLink,
    Remedy,
    RemoveFile,
    RemovePackages,
    RestoreFile,
    RunByHand,
    Safety,
    SetVariable,
    Step,
    command,
    verb,
)

PYTHON = "/opt/my app/bin/python"
UV, PIP = ("uv", "pip"), (PYTHON, "-m", "pip")
CONDA = ("conda",)


@pytest.mark.parametrize(
    ("step", "line"),
    [
        (
            InstallPackages(UV, PYTHON, ("torch==2.8.0",)),
            "uv pip install --python '/opt/my app/bin/python' torch==2.8.0",
        ),
        (InstallPackages(PIP, PYTHON, ("a>=1,<2", "b")), "'/opt/my app/bin/python' -m pip install 'a>=1,<2' b"),
        (
            InstallPackages(UV, "p", ("torch==2.8.0+cu128",), torch_backend="cu128"),
            "uv pip install --python p --torch-backend=cu128 torch==2.8.0+cu128",
        ),
        (InstallPackages(UV, "p", ("a",), reinstall=True), "uv pip install --python p --reinstall --no-deps a"),
        (
            InstallPackages(("p", "-m", "pip"), "p", ("a",), reinstall=True),
            "p -m pip install --force-reinstall --no-deps a",
        ),
        (RemovePackages(UV, "p", ("a", "b")), "uv pip uninstall --python p a b"),
        (RemovePackages(("p", "-m", "pip"), "p", ("a",)), "p -m pip uninstall -y a"),
        (
            InstallPackages(CONDA, PYTHON, ("pytorch==2.8.0",)),
            "conda install --yes --prefix '/opt/my app' pytorch==2.8.0",
        ),
        (
            InstallPackages(CONDA, "/c/bin/python", ("numpy<2",), reinstall=True),
            "conda install --yes --prefix /c --force-reinstall --no-deps 'numpy<2'",
        ),
        (RemovePackages(CONDA, "/c/bin/python", ("a", "b")), "conda remove --yes --prefix /c a b"),
        (MakeLink("/x/a b.so", "../y/c.so"), "ln -sfn ../y/c.so '/x/a b.so'"),
        (RemoveFile("/x/a b.so", "it is stale"), "rm '/x/a b.so'"),
        (RestoreFile("/x/a.so", "/x/a b.so.bak"), "mv '/x/a b.so.bak' /x/a.so"),
        (ListInRecord("/x/RECORD", ("a",), ("b",)), ""),
        (ClearExecutableStack("/x/a.so"), ""),
        (EditPins("/x/pyproject.toml", ("torch==2.8.0",)), ""),
        (SetVariable("LD_LIBRARY_PATH", None), "unset LD_LIBRARY_PATH"),
        (SetVariable("LD_LIBRARY_PATH", "/a b:/c"), "export LD_LIBRARY_PATH='/a b:/c'"),
        (RunByHand("wsl --update", "in Windows"), "wsl --update"),
    ],
    ids=lambda value: verb(value) if not isinstance(value, str) else "",
)
def test_a_step_is_one_shell_line(step: Step, line: str) -> None:
    assert command(step) == line


@pytest.mark.parametrize("evil", ["a; rm -rf ~", "$(reboot)", "`reboot`", "a\nb", "a' 'b", "a && b", "--index-url=x"])
def test_foreign_text_stays_one_word(evil: str) -> None:
    assert shlex.split(command(InstallPackages(UV, "p", (evil,))))[-1] == evil
    assert shlex.split(command(RemovePackages(UV, "p", (evil,))))[-1] == evil
    assert shlex.split(command(MakeLink(evil, "x")))[-1] == evil
    assert shlex.split(command(RemoveFile(evil, "x"))) == ["rm", evil]
    assert shlex.split(command(RestoreFile(evil, "x")))[-1] == evil
    assert shlex.split(command(SetVariable("A", evil)))[-1] == f"A={evil}"


@pytest.mark.parametrize(
    ("step", "name"),
    [
        (InstallPackages(UV, "p", ()), "install-packages"),
        (RemovePackages(UV, "p", ()), "remove-packages"),
        (MakeLink("a", "b"), "make-link"),
        (RemoveFile("a", "b"), "remove-file"),
        (RestoreFile("a", "b"), "restore-file"),
        (ListInRecord("a"), "list-in-record"),
        (ClearExecutableStack("a"), "clear-executable-stack"),
        (EditPins("a", ()), "edit-pins"),
        (SetVariable("a", None), "set-variable"),
        (RunByHand("a", "b"), "run-by-hand"),
    ],
)
def test_a_step_says_what_it_does(step: Step, name: str) -> None:
    assert verb(step) == name


LINK, HAND = MakeLink("a", "b"), RunByHand("reboot", "it is new")


@pytest.mark.parametrize(
    ("safety", "steps", "by_hand"),
    [
        ("safe", (LINK,), False),
        ("ask", (InstallPackages(UV, "p", ("a",)), LINK), False),
        ("safe", (), True),
        ("manual", (LINK,), True),
        ("ask", (LINK, HAND), True),
    ],
)
def test_what_is_left_to_a_person(safety: Safety, steps: tuple[Step, ...], by_hand: bool) -> None:
    assert Remedy("Do it.", safety, steps).by_hand is by_hand
