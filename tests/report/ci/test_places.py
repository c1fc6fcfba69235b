"""Where a finding was seen, as a file that a program can open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_doctor.model.finding import Evidence
from gpu_doctor.report.ci.places import Place, artifact, main_place, place, seen_at, shown
from tests.report import patients


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        ("/opt/app/x.so", Place("/opt/app/x.so")),
        ("/opt/my app/x.cfg:12", Place("/opt/my app/x.cfg", 12)),
        ("~/venv/pyvenv.cfg", Place("~/venv/pyvenv.cfg")),
        ("pyproject.toml:12", Place("pyproject.toml", 12)),
        ("conf/gpu-doctor.toml", Place("conf/gpu-doctor.toml")),
        ("/usr/lib/libcuda.so.1, by ld.so.cache", Place("/usr/lib/libcuda.so.1")),
        ("/proc and /usr/bin/nv-fabricmanager", Place("/proc")),
        ("", None),
        ("NVML", None),
        ("--gpu", None),
        ("RECORD hashes", None),
        ("statvfs of /dev/shm", None),
        ("2026-11-02T10:00:00Z", None),
        ("facts of 2026-11-20: a wheel", None),
        ("/opt/app/nvidia/*/lib", None),
        ("/opt/a:/opt/b", None),
    ],
)
def test_a_where_is_a_file_or_it_is_words(where: str, wanted: Place | None) -> None:
    assert place(where) == wanted


def test_each_file_is_named_once_with_what_was_first_seen_there() -> None:
    rows = (Evidence("a", "1", "/x"), Evidence("b", "2", "NVML"), Evidence("c", "3", "/x"), Evidence("d", "4", "/y"))
    assert [(at.path, item.what) for at, item in seen_at(rows)] == [("/x", "a"), ("/y", "d")]


def test_a_finding_without_a_file_is_at_the_interpreter_or_at_the_folder() -> None:
    (case,) = patients.sick().cases
    assert main_place(case, patients.CUDNN) == Place(patients.LOADER)
    assert main_place(case, patients.SHADOW) == main_place(case) == Place(patients.PYTHON)
    interpreter = replace(case.inventory.interpreter, executable=None)
    target = replace(case.inventory.target, python=None, prefix=patients.VENV)
    bare = replace(case, inventory=replace(case.inventory, interpreter=interpreter, target=target))
    assert main_place(bare) == Place(patients.VENV)


@pytest.mark.parametrize(
    ("path", "base", "wanted"),
    [
        ("/opt/app/x", "/opt/app", "x"),
        ("/opt/app/x", "/opt/app/", "x"),
        ("/opt/application/x", "/opt/app", "/opt/application/x"),
        ("/opt/app/x", "", "/opt/app/x"),
        ("/opt/app/x", "/", "/opt/app/x"),
    ],
)
def test_a_path_in_the_project_is_relative(path: str, base: str, wanted: str) -> None:
    assert shown(path, base) == wanted


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/opt/ä b%.so", {"uri": "file:///opt/%C3%A4%20b%25.so"}),
        ("/opt/\udcff", {"uri": "file:///opt/%FF"}),
        ("/opt/\ud800", {"uri": "file:///opt/%ED%A0%80"}),
        ("/srv/a:b#c", {"uri": "a%3Ab%23c", "uriBaseId": "%SRCROOT%"}),
        ("~/venv", {"uri": "venv", "uriBaseId": "HOME"}),
        ("~", {"uri": ".", "uriBaseId": "HOME"}),
        ("pyproject.toml", {"uri": "pyproject.toml", "uriBaseId": "%SRCROOT%"}),
    ],
)
def test_a_path_is_a_uri(path: str, wanted: dict[str, str]) -> None:
    assert artifact(path, "/srv") == wanted
