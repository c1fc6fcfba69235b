"""An interpreter is described with its manager, its marks and what could not be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_doctor.model.inventory import Interpreter
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.interpreter.interpreter import read_interpreter
from tests.readers.patient import installation, site_of, venv


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return installation(tmp_path / "usr")


def read(prefix: Path) -> Interpreter:
    return read_interpreter(Target(None, str(prefix), "test"), {})


def touch(path: Path, text: str = "") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def managed(prefix: Path) -> tuple[str, str]:
    found = read(prefix)
    return found.manager, found.manager_evidence


def test_pyvenv_cfg_names_uv(tmp_path: Path, base: Path) -> None:
    folder = venv(tmp_path / "venv", base, cfg={"uv": "0.9.2"})
    assert managed(folder) == ("uv", f"{folder}/pyvenv.cfg: uv = 0.9.2")


def test_a_plain_environment_is_pips(tmp_path: Path, base: Path) -> None:
    folder = venv(tmp_path / "venv", base)
    assert managed(folder) == ("pip", f"{folder}/pyvenv.cfg")


@pytest.mark.parametrize(
    ("place", "manager"),
    [(".cache/pypoetry/virtualenvs/app-x1-py3.11", "poetry"), (".local/share/virtualenvs/app-Ab12", "pipenv")],
)
def test_a_managers_own_folder_tells(tmp_path: Path, base: Path, place: str, manager: str) -> None:
    folder = venv(tmp_path / place, base)
    assert managed(folder) == (manager, str(folder))


@pytest.mark.parametrize(
    ("lock", "manager"), [("poetry.lock", "poetry"), ("Pipfile.lock", "pipenv"), ("uv.lock", "uv")]
)
def test_a_lock_file_beside_dot_venv_tells(tmp_path: Path, base: Path, lock: str, manager: str) -> None:
    folder = venv(tmp_path / "app" / ".venv", base)
    evidence = touch(tmp_path / "app" / lock)
    assert managed(folder) == (manager, evidence)


def test_a_lock_file_beside_another_folder_tells_nothing(tmp_path: Path, base: Path) -> None:
    touch(tmp_path / "app" / "poetry.lock")
    assert managed(venv(tmp_path / "app" / "env", base))[0] == "pip"


def test_pipenvs_mark_inside_an_environment(tmp_path: Path, base: Path) -> None:
    folder = venv(tmp_path / "venv", base)
    assert managed(folder)[0] == "pip"
    assert managed(folder) != ("pipenv", touch(folder / ".project", "/opt/app"))
    assert managed(folder) == ("pipenv", f"{folder}/.project")


def test_conda_by_its_history_but_not_in_an_environment_made_from_it(tmp_path: Path, base: Path) -> None:
    touch(base / "conda-meta" / "history")
    assert managed(base) == ("conda", f"{base}/conda-meta")
    assert managed(venv(tmp_path / "venv", base))[0] == "pip"


def test_colab_by_its_package(base: Path) -> None:
    (site_of(base) / "google" / "colab").mkdir(parents=True)
    assert managed(base) == ("colab", f"{site_of(base)}/google/colab")


@pytest.mark.parametrize(
    ("text", "manager"),
    [("Error=To install packages system-wide, use apt", "system"), ("Error=This Python is managed by uv and …", "uv")],
)
def test_the_marker_forbids_changes_to_the_installation_not_to_environments(
    tmp_path: Path, base: Path, text: str, manager: str
) -> None:
    marker = touch(base / "lib" / "python3.11" / "EXTERNALLY-MANAGED", f"[externally-managed]\n{text}\n")
    assert managed(base) == (manager, marker)
    assert read(base).externally_managed
    assert not read(venv(tmp_path / "venv", base)).externally_managed


def test_an_installation_without_any_mark_is_pips(base: Path) -> None:
    found = read(base)
    assert (found.manager, found.externally_managed) == ("pip", False)


def test_a_whole_environment_has_no_notes(tmp_path: Path, base: Path) -> None:
    folder = venv(tmp_path / "venv", base)
    (site_of(folder) / "pip").mkdir()
    assert read(folder).notes == ()
    assert [entry.path for entry in read(folder).search_path] == [str(site_of(folder))]


def test_a_missing_pip_is_told_where_pip_is_expected(tmp_path: Path, base: Path) -> None:
    assert read(venv(tmp_path / "venv", base)).notes == ("pip is not installed in this environment",)
    assert read(venv(tmp_path / "uv", base, cfg={"uv": "0.9.2"})).notes == ()


def test_a_missing_standard_library_is_told(tmp_path: Path, base: Path) -> None:
    folder = venv(tmp_path / "venv", base, cfg={"uv": "0.9.2"})
    (base / "lib" / "python3.11" / "os.py").unlink()
    assert read(folder).notes == (f"the standard library is missing: no {base}/lib/python3.11/os.py",)


def test_an_interpreter_that_is_gone_is_told_once_with_its_home(tmp_path: Path, base: Path) -> None:
    folder = venv(tmp_path / "venv", base, cfg={"uv": "0.9.2"})
    base.rename(tmp_path / "gone")
    found = read(folder)
    assert found.notes == (
        f"{folder}/bin/python points to {base}/bin/python3.11, which does not exist",
        f"{folder}/pyvenv.cfg: home = {base}/bin, which does not exist",
    )
    assert found.base_prefix == Unknown(f"{folder}/pyvenv.cfg: home = {base}/bin, which does not exist")
    assert (found.executable, found.resolved) == (f"{folder}/bin/python", None)


def test_an_old_python_is_told(tmp_path: Path) -> None:
    base = installation(tmp_path / "usr", "3.7")
    folder = venv(tmp_path / "venv", base, "3.7", cfg={"uv": "0.9.2"})
    assert "Python 3.7.7 is older than 3.8" in read(folder).notes[0]


def test_an_empty_environment_is_described_all_the_same(tmp_path: Path) -> None:
    touch(tmp_path / "venv" / "pyvenv.cfg", "\0\xff garbage")
    found = read(tmp_path / "venv")
    assert found.search_path == ()
    assert found.notes[-1] == f"no site-packages folder under {tmp_path}/venv"
    assert isinstance(found.version, Unknown)
