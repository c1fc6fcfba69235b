"""Settings of a project: what is read, from which file, and the line of every mistake."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_doctor.errors import UsageError
from gpu_doctor.facts.load import _toml
from gpu_doctor.model.config import Config, Ignore, Written
from gpu_doctor.readers.project import config
from gpu_doctor.readers.project.config import find_config, read_config
from gpu_doctor.readers.project.lines import Lines

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/schema/config-1.json").read_text(encoding="utf-8"))
WHOLE = """\
[project]
name = "app"

[tool.gpu-doctor]
# ] "no"
require = [
    "torch-cuda",  # ] "not this"
    "vram>=24GB",
]
gpu = "RTX 4090"
driver = 570.86
fail-on = "warning"
select = ["driver-too-old"]
ignore = [
    {rule = "driver-missing", reason = "built without"},
    {rule = "cudnn-broken", subject = "torch", reason = "[see] issue 7", until = 2027-01-31},
]
"""


def read(tmp_path: Path, text: str, name: str = "pyproject.toml") -> Config:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_config(str(path), name)


def plain(value: Any) -> Any:
    """Return a TOML document as JSON has it."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.isoformat()[:10] if isinstance(value, date) else value


def follows(text: str, own: bool = False) -> bool:
    document = _toml.loads(text)
    table = document if own else document["tool"]["gpu-doctor"]
    return bool(jsonschema.Draft202012Validator(SCHEMA).is_valid(plain(table)))


def test_everything_is_read_with_its_line(tmp_path: Path) -> None:
    at = "pyproject.toml:"
    assert read(tmp_path, WHOLE) == Config(
        path="pyproject.toml",
        require=(Written("torch-cuda", f"{at}7"), Written("vram>=24GB", f"{at}8")),
        select=(Written("driver-too-old", f"{at}13"),),
        ignore=(
            Ignore("driver-missing", "built without", f"{at}15"),
            Ignore("cudnn-broken", "[see] issue 7", f"{at}16", "torch", date(2027, 1, 31)),
        ),
        gpu=("RTX 4090",),
        driver="570.86",
        fail_on="warning",
    )
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert follows(WHOLE)


def test_a_file_of_our_own_has_the_keys_at_its_top_and_tables_of_its_own(tmp_path: Path) -> None:
    text = '\ufeffrequire = ["stft"]\n\n[[ignore]]\nrule = "a"\nreason = "b"\n\n[[ignore]]\nrule = "c"\nreason = "d"\n'
    found = read(tmp_path, text, "gpu-doctor.toml")
    assert [item.where for item in found.ignore] == ["gpu-doctor.toml:3", "gpu-doctor.toml:7"]
    assert found.require == (Written("stft", "gpu-doctor.toml:1"),)
    assert follows(text.lstrip("\ufeff"), own=True)


def test_days_may_be_texts_and_moments(tmp_path: Path) -> None:
    text = '[[ignore]]\nrule = "a"\nreason = "b"\nuntil = {}\n'
    days = ['"2027-01-31"', "2027-01-31", datetime(2027, 1, 31, 12).isoformat()]
    found = [read(tmp_path, text.format(day), "gpu-doctor.toml").ignore[0].until for day in days]
    assert found == [date(2027, 1, 31)] * 3


@pytest.mark.parametrize(
    ("body", "said", "hint"),
    [
        ("\nreqire = []", ":3: unknown key 'reqire'", "did you mean require?"),
        ("\nfail_on = 'error'", ":3: unknown key 'fail_on'", "did you mean fail-on?"),
        ("\nxyz = 1", ":3: unknown key 'xyz'", "known: require, "),
        ("require = [\n 'a',\n '',\n]", ":4: require holds texts", ""),
        ("require = 1", ":2: require is a list of texts", ""),
        ("\n\ndriver = []", ":4: driver is a version", ""),
        ("driver = true", ":2: driver is a version", ""),
        ("fail-on = 'bad'", ":2: fail-on is one of error, warning, never, not 'bad'", ""),
        ("fail-on = ['error']", ":2: fail-on is one of", ""),
        ("ignore = 'x'", ":2: ignore is a list of tables", ""),
        ("ignore = [\n 'x']", ":3: an ignore is a table", ""),
        ("ignore = [{rule='a', reason='b'},\n {rule='c'}]", ":3: ignore: reason is missing: say why", ""),
        ("ignore = [{rule='c', reason=' '}]", ":2: ignore: reason is missing", ""),
        ("ignore = [{reason='c'}]", ":2: ignore: rule is missing", ""),
        ("ignore = [{rule=1, reason='c'}]", ":2: ignore: rule is a text", ""),
        ("ignore = [{rule='a', reason='c', untill=2027-01-01}]", ":2: ignore: unknown key 'untill'", "until"),
        ("ignore = [{rule='a', reason='c', until='soon'}]", ":2: ignore: until is a day", ""),
        (
            "[[tool.gpu-doctor.ignore]]\nrule='a'\nreason='b'\n[[tool.gpu-doctor.ignore]]\nrule='a'",
            ":5: ignore: reason",
            "",
        ),
        ("require = [", ":2: ", ""),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, body: str, said: str, hint: str) -> None:
    text = f"[tool.gpu-doctor]\n{body}\n"
    with pytest.raises(UsageError) as refused:
        read(tmp_path, text)
    assert f"pyproject.toml{said}" in refused.value.message
    assert hint in refused.value.hint
    if body != "require = [":
        assert not follows(text)


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"pyproject\.toml:2: .* is a table"):
        read(tmp_path, "[tool]\ngpu-doctor = 3\n")


def test_dotted_keys_and_quotes_are_found(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=":2: fail-on"):
        read(tmp_path, "tool.gpu-doctor.driver = '1'\ntool.gpu-doctor.fail-on = 1\n")
    with pytest.raises(UsageError, match=":3: fail-on"):
        read(tmp_path, '[tool."gpu-doctor"]\ndriver = "1"\n"fail-on" = 1\n')


def test_the_nearest_file_counts_and_our_own_first(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text("[tool.gpu-doctor]\n")
    (below / "pyproject.toml").write_text("[tool.other]\n# gpu-doctor is elsewhere\n")
    assert find_config(str(below)) == str(tmp_path / "pyproject.toml")
    (below / "pyproject.toml").write_text("[tool.gpu-doctor]\n")
    assert find_config(str(below)) == str(below / "pyproject.toml")
    (below / "gpu-doctor.toml").write_text("")
    assert find_config(str(below)) == str(below / "gpu-doctor.toml")


def test_a_broken_pyproject_is_our_business_only_where_it_speaks_of_us(tmp_path: Path) -> None:
    below = tmp_path / "a"
    below.mkdir()
    (tmp_path / "gpu-doctor.toml").write_text("")
    (below / "pyproject.toml").write_text("[project]\ndependencies = ['gpu-doctor']\nbroken\n")
    assert find_config(str(below)) == str(tmp_path / "gpu-doctor.toml")
    (below / "pyproject.toml").write_text("[tool.gpu-doctor]\nbroken\n")
    with pytest.raises(UsageError, match=r"pyproject\.toml:2: "):
        find_config(str(below))


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read nothing\.toml"):
        read_config(str(tmp_path / "nothing.toml"), "nothing.toml")
    with pytest.raises(UsageError, match="cannot read"):
        read_config(str(tmp_path), "folder")


def test_a_pyproject_without_our_table_says_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, "[project]\nname = 'x'\n") == Config(path="pyproject.toml")


@given(st.text(max_size=300))
def test_lines_of_any_text_can_be_asked_for(text: str) -> None:
    for table in ("", "tool.gpu-doctor"):
        lines = Lines(text, table)
        last = text.count("\n") + 1
        assert 1 <= lines.table() <= last
        assert 1 <= lines.key("require") <= last
        assert 1 <= lines.item("require", 3) <= last


def test_the_reader_and_the_schema_know_the_same_keys() -> None:
    assert set(SCHEMA["$defs"]["ignore"]["properties"]) == set(config._IGNORE_KEYS)
    with pytest.raises(UsageError) as refused:
        read_keys()
    assert set(refused.value.hint.removeprefix("known: ").split(", ")) == set(SCHEMA["properties"])


def read_keys() -> Config:
    return config._Reader("x", Lines("", "")).config({"?": 1})
