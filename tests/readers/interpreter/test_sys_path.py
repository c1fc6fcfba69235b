"""The search path worked out from files is the one that Python builds when it starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from gpu_doctor.model.target import Target
from gpu_doctor.readers.interpreter.layout import find_layout
from gpu_doctor.readers.interpreter.sys_path import SearchPath, search_path
from tests.readers import patient


def ours(prefix: Path, **environ: str) -> SearchPath:
    return search_path(find_layout(Target(None, str(prefix), "test")), environ)


def paths(found: SearchPath, kind: str | None = None) -> list[str]:
    return [entry.path for entry in found.entries if kind in (None, entry.kind)]


def real_sys_path(python: Path | str, **environ: str) -> list[str]:
    """Ask an interpreter; leave out its standard library and what is no folder, which hold no distributions."""
    code = "import json, sys, sysconfig; print(json.dumps([sys.path, sysconfig.get_path('stdlib')]))"
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")} | environ
    answer = subprocess.run([str(python), "-c", code], env=clean, capture_output=True, text=True, check=True, cwd="/")
    entries, stdlib = json.loads(answer.stdout)
    library = {stdlib, os.path.join(stdlib, "lib-dynload")}
    return [entry for entry in entries if entry and entry not in library and os.path.isdir(entry)]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real environment without pip, whose site-packages hold .pth files of all sorts."""
    folder = tmp_path_factory.mktemp("real") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    site = next((folder / "lib").glob("python3*/site-packages"))
    for name in ("late", "early", "inside"):
        (folder / name).mkdir()
    (site / "inside").mkdir()
    (site / "z.pth").write_text(f"# comment\n{folder}/late\n\n{folder}/absent\n{folder}/early\n")
    (site / "a.pth").write_text(f"{folder}/early\ninside\n{folder}/early\n")
    (site / "code.pth").write_text("import os; os.environ.get('NOTHING')\n")
    (site / "ignored.txt").write_text(f"{folder}/absent\n")
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder with a user site that has a .pth file of its own."""
    site = tmp_path / "home" / ".local" / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    site.mkdir(parents=True)
    (tmp_path / "shared").mkdir()
    (site / "user.pth").write_text(f"{tmp_path}/shared\n")
    return tmp_path / "home"


@pytest.mark.parametrize("system_site", ["false", "true"])
@pytest.mark.parametrize("variables", [{}, {"PYTHONNOUSERSITE": "1"}, {"PYTHONPATH": "first:second:absent"}])
def test_a_real_environment(
    environment: Path, home: Path, system_site: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = environment / "pyvenv.cfg"
    lines = [line for line in cfg.read_text().splitlines() if not line.startswith("include-system")]
    cfg.write_text("\n".join([*lines, f"include-system-site-packages = {system_site}", ""]))
    if "PYTHONPATH" in variables:
        entries = [home / name for name in variables["PYTHONPATH"].split(":")]
        for entry in entries[:2]:
            entry.mkdir()
        variables = {"PYTHONPATH": ":".join(map(str, entries))}
    environ = {"HOME": str(home), **variables}
    expected = real_sys_path(environment / "bin" / "python", **environ)
    assert paths(ours(environment, **environ)) == expected
    assert any(str(home) in entry for entry in expected) == (
        "PYTHONPATH" in variables or (system_site == "true" and not variables)
    )


def test_the_running_interpreters_installation(home: Path) -> None:
    python = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    found = search_path(find_layout(Target(str(python), None, "test")), {"HOME": str(home)})
    assert paths(found) == real_sys_path(python, HOME=str(home))


@pytest.mark.skipif(not os.path.isdir("/usr/lib/python3/dist-packages"), reason="this system is not Debian")
def test_debians_own_interpreter(home: Path) -> None:
    found = search_path(find_layout(Target("/usr/bin/python3", None, "test")), {"HOME": str(home)})
    assert paths(found) == real_sys_path("/usr/bin/python3", HOME=str(home))


def test_debian_looks_in_dist_packages_only(tmp_path: Path) -> None:
    usr = patient.installation(tmp_path / "usr")
    for folder in ("lib/python3/dist-packages", "local/lib/python3.11/dist-packages"):
        (usr / folder).mkdir(parents=True)
    assert paths(ours(usr)) == [f"{usr}/local/lib/python3.11/dist-packages", f"{usr}/lib/python3/dist-packages"]
    environment = patient.venv(tmp_path / "venv", usr, cfg={"include-system-site-packages": "true"})
    assert paths(ours(environment), "system-site") == paths(ours(usr))


def test_every_entry_says_what_put_it_there(tmp_path: Path) -> None:
    environment = patient.venv(tmp_path / "venv", patient.installation(tmp_path / "usr"))
    site = patient.site_of(environment)
    (tmp_path / "project").mkdir()
    (tmp_path / "path").mkdir()
    (site / "_editable_impl_project.pth").write_text(f"{tmp_path}/project")
    assert [(e.path, e.kind, e.where) for e in ours(environment, PYTHONPATH=f"{tmp_path}/path").entries] == [
        (f"{tmp_path}/path", "pythonpath", "PYTHONPATH"),
        (str(site), "site-packages", f"{environment}/pyvenv.cfg"),
        (f"{tmp_path}/project", "pth", f"{site}/_editable_impl_project.pth"),
    ]


def test_the_user_site_of_an_installation_comes_first_and_can_be_moved(tmp_path: Path) -> None:
    usr = patient.installation(tmp_path / "usr")
    user = tmp_path / "base" / "lib" / "python3.11" / "site-packages"
    user.mkdir(parents=True)
    found = ours(usr, PYTHONUSERBASE=f"{tmp_path}/base")
    assert next((e.path, e.kind, e.where) for e in found.entries) == (str(user), "user-site", "PYTHONUSERBASE")
    assert paths(ours(usr, PYTHONUSERBASE=f"{tmp_path}/base", PYTHONNOUSERSITE="1")) == [str(patient.site_of(usr))]


def test_one_folder_under_two_names_counts_once(tmp_path: Path) -> None:
    environment = patient.venv(tmp_path / "venv", patient.installation(tmp_path / "usr"))
    (environment / "lib64").symlink_to("lib")
    (tmp_path / "again").symlink_to(patient.site_of(environment))
    (patient.site_of(environment) / "again.pth").write_text(f"{tmp_path}/again\n")
    assert paths(ours(environment)) == [str(patient.site_of(environment))]


def test_a_real_lib64_comes_before_lib(tmp_path: Path) -> None:
    environment = patient.venv(tmp_path / "venv", patient.installation(tmp_path / "usr"))
    other = environment / "lib64" / "python3.11" / "site-packages"
    other.mkdir(parents=True)
    assert paths(ours(environment)) == [str(other), str(patient.site_of(environment))]


def test_code_in_a_pth_file_is_not_run_and_told_unless_it_is_known(tmp_path: Path) -> None:
    environment = patient.venv(tmp_path / "venv", patient.installation(tmp_path / "usr"))
    site = patient.site_of(environment)
    code = f"import pathlib; pathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
    for name in ("distutils-precedence.pth", "__editable___project_finder.pth", "google-nspkg.pth", "strange.pth"):
        (site / name).write_text(code)
    found = ours(environment)
    assert found.notes == [f"{site}/strange.pth runs code at start; what it adds to the search path is not known"]
    assert not (tmp_path / "ran").exists()


def test_a_pth_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    environment = patient.venv(tmp_path / "venv", patient.installation(tmp_path / "usr"))
    (patient.site_of(environment) / "broken.pth").symlink_to("gone")
    assert ours(environment).notes == [f"{patient.site_of(environment)}/broken.pth cannot be read"]


def test_code_in_many_lines_is_one_note(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "strange.pth").write_text("import os\n" * 1000)
    found = SearchPath()
    found.add_site(str(site), "site-packages", "test")
    assert found.notes == [f"{site}/strange.pth runs code at start; what it adds to the search path is not known"]
