from __future__ import annotations

import shlex

import pytest

from gpu_doctor.model.remedy import (
    InstallPackages,
    MakeLink,
    RemovePackages,
    RunByHand,
    SetVariable,
    Step,
    command,
    verb,
)

PYTHON = "/opt/my app/bin/python"
UV, PIP = ("uv", "pip"), (PYTHON, "-m", "pip")


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
        (MakeLink("/x/a b.so", "../y/c.so"), "ln -sfn ../y/c.so '/x/a b.so'"),
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
    assert shlex.split(command(SetVariable("A", evil)))[-1] == f"A={evil}"


@pytest.mark.parametrize(
    ("step", "name"),
    [
        (InstallPackages(UV, "p", ()), "install-packages"),
        (RemovePackages(UV, "p", ()), "remove-packages"),
        (MakeLink("a", "b"), "make-link"),
        (SetVariable("a", None), "set-variable"),
        (RunByHand("a", "b"), "run-by-hand"),
    ],
)
def test_a_step_says_what_it_does(step: Step, name: str) -> None:
    assert verb(step) == name
