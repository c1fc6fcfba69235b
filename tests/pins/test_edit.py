"""Which file is edited how, and which are left to the tools that own them."""

from __future__ import annotations

import pytest

from gpu_doctor.errors import UsageError
from gpu_doctor.pins.edit import edited

PINS = ("torch==2.8.0",)


@pytest.mark.parametrize("name", ["requirements.txt", "/a/b/constraints.txt", "reqs.in", "constraints"])
def test_lists_of_requirements(name: str) -> None:
    assert edited(name, "torch<2\n", PINS) == "torch==2.8.0\n"


def test_a_project_file() -> None:
    text = '[project]\ndependencies = ["torch<2"]\n'
    assert '"torch==2.8.0"]\n\n[tool.uv]\n' in edited("/srv/app/pyproject.toml", text, PINS)


def test_a_byte_order_mark_stays() -> None:
    assert edited("r.txt", "\ufefftorch<2\n", PINS) == "\ufefftorch==2.8.0\n"
    assert edited("pyproject.toml", "\ufeff[project]\n", PINS).startswith("\ufeff[project]\n\n[tool.uv]")


@pytest.mark.parametrize(
    ("name", "says", "hint"),
    [
        ("Pipfile", "Pipfile is Pipenv's own", "pipenv install torch==2.8.0"),
        ("a/Pipfile.lock", "Pipfile.lock is Pipenv's own", "pipenv install torch==2.8.0"),
        ("poetry.lock", "poetry.lock is Poetry's own", "poetry add torch==2.8.0"),
        ("uv.lock", "uv.lock is written by uv lock", "give the pyproject.toml beside it"),
        ("environment.yml", "environment.yml is no list of requirements", "name a pyproject.toml"),
        ("setup.py", "setup.py is no list of requirements", "name a pyproject.toml"),
    ],
)
def test_what_another_tool_owns_is_refused(name: str, says: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        edited(name, "", PINS)
    assert caught.value.message == says
    assert caught.value.hint.startswith(hint)
