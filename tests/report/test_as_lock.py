"""A lock as TOML: what is written is what is read, whatever names hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpu_doctor.collect.locks import _toml, read_lock
from gpu_doctor.errors import UsageError
from gpu_doctor.model.lock import Lock, LockedLibrary, LockedPackage
from gpu_doctor.report import as_lock
from tests.compare.test_drifting import lock

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schema/lock-1.json").read_text(encoding="utf-8"))

ANY = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
PACKAGES = st.builds(
    LockedPackage,
    name=st.text("abc-0", min_size=1, max_size=8),
    version=ANY,
    cuda=st.just(""),
    installer=ANY,
    direct_url=ANY,
    damaged=st.integers(0, 9),
)


def read(text: str, folder: Path) -> Lock:
    path = folder / "gpu-doctor.lock"
    path.write_text(text, encoding="utf-8")
    return read_lock(str(path))


def test_a_lock_is_read_as_it_was_written_and_follows_the_schema(tmp_path: Path) -> None:
    written = lock()
    text = as_lock.render(written)
    assert read(text, tmp_path) == written
    document = _toml.loads(text)
    document["package"] = [{**one, "record": "sha256:" + "0" * 64} for one in document["package"]]
    jsonschema.Draft202012Validator(SCHEMA).validate(document)


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_a_person_can_review_it() -> None:
    lines = as_lock.render(lock()).splitlines()
    start = lines.index('name = "torch"')
    assert lines[start - 1 : start + 5] == [
        "[[package]]",
        'name = "torch"',
        'version = "2.6.0+cu124"',
        'cuda = "12.4"',
        'installer = "uv"',
        'record = "sha256:torch"',
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.lists(PACKAGES, max_size=4), st.dictionaries(ANY, st.lists(ANY, max_size=3).map(tuple), max_size=3))
def test_whatever_texts_hold_is_kept(
    tmp_path: Path, packages: list[LockedPackage], libraries: dict[str, tuple[str, ...]]
) -> None:
    named = tuple(LockedLibrary(name, versions) for name, versions in libraries.items())
    written = Lock("0", "1", "healthy", "live", "3", "x86_64", "", tuple(packages), named)
    assert read(as_lock.render(written), tmp_path) == written


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not a lock"),
        ("", "its schema is ''"),
        ('schema = "gpu-doctor/lock/2"', "update gpu-doctor"),
        ('schema = "gpu-doctor/lock/1"\nverdict = "fine"', "verdict or asked"),
        ('schema = "gpu-doctor/lock/1"\nverdict = "sick"\nasked = "live"\npackage = 3', "package is not a list"),
        ('schema = "gpu-doctor/lock/1"\nverdict = "sick"\nasked = "live"\n[[package]]\nversion = "1"', "has no name"),
        ('schema = "gpu-doctor/lock/1"\nverdict = "sick"\nasked = "live"\npython = 3.11', "python is not text"),
        ('schema = "gpu-doctor/lock/1"\nverdict = "sick"\nasked = "live"\nlibraries = 1', "libraries is not a table"),
        ('schema = "gpu-doctor/lock/1"\nverdict = "sick"\nasked = "live"\n[libraries]\na = "1"', "list of versions"),
    ],
)
def test_a_damaged_lock_is_refused_with_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        read(text, tmp_path)
    assert says in refused.value.message


def test_a_lock_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "none", "No such file"), (tmp_path, "no file that may be read")):
        with pytest.raises(UsageError) as refused:
            read_lock(str(path))
        assert why in refused.value.message


def test_what_is_not_known_is_not_written() -> None:
    bare: Any = Lock("0", "1", "healthy", "files", "", "", "", (LockedPackage("torch", ""),))
    assert as_lock.render(bare).splitlines()[2:] == [
        'schema = "gpu-doctor/lock/1"',
        'doctor = "0"',
        'facts = "1"',
        'verdict = "healthy"',
        'asked = "files"',
        "",
        "[[package]]",
        'name = "torch"',
    ]
