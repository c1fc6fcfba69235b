"""The parts of an installation are found by their files, whole or broken."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest
from packaging.version import Version

from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.interpreter import layout as layouts
from gpu_doctor.readers.interpreter.layout import Layout, find_layout, parse_cfg
from tests.readers.patient import installation, site_of, venv


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return installation(tmp_path / "usr")


def of(path: Path) -> Layout:
    """The layout of an interpreter, or of an environment's folder."""
    inside = path.parent.name == "bin"
    return find_layout(Target(str(path) if inside else None, None if inside else str(path), "test"))


def test_a_virtual_environment_by_its_interpreter_and_by_its_folder(tmp_path: Path, base: Path) -> None:
    folder = venv(tmp_path / "venv", base)
    by_python, by_folder = of(folder / "bin" / "python"), of(folder)
    assert by_python == by_folder
    assert by_python.prefix == str(folder)
    assert by_python.base == str(base)
    assert by_python.resolved == str(base / "bin" / "python3.11")
    assert by_python.stdlib == str(base / "lib" / "python3.11")
    assert by_python.venv
    assert by_python.notes == ()


def test_an_environment_made_from_an_environment_has_the_installation_beneath_as_its_base(
    tmp_path: Path, base: Path
) -> None:
    outer = venv(tmp_path / "outer", base)
    inner = venv(tmp_path / "inner", base, cfg={"home": str(outer / "bin")})
    assert of(inner).base == str(base)


def test_an_installation_is_its_own_base_also_through_links(tmp_path: Path, base: Path) -> None:
    (tmp_path / "bin").mkdir()
    link = tmp_path / "bin" / "python3"
    link.symlink_to(base / "bin" / "python3")
    layout = of(link)
    assert (layout.prefix, layout.base, layout.venv) == (str(base), str(base), False)


def test_the_running_interpreter_is_described_as_it_describes_itself() -> None:
    layout = find_layout(Target(sys.executable, None, "test"))
    assert layout.prefix == sys.prefix
    assert layout.base == sys.base_prefix
    assert layout.version == Version(platform.python_version())
    assert layout.stdlib == str(Path(platform.__file__).parent)


def test_the_header_of_the_base_tells_the_version_before_pyvenv_cfg(tmp_path: Path, base: Path) -> None:
    folder = venv(tmp_path / "venv", base, cfg={"version": "3.11.2"})
    assert (of(folder).version, of(folder).where) == (Version("3.11.2"), str(folder / "pyvenv.cfg"))
    header = base / "include" / "python3.11" / "patchlevel.h"
    header.parent.mkdir(parents=True)
    header.write_text('#define PY_MAJOR_VERSION 3\n#define PY_VERSION  \t"3.11.9+"\n')
    assert (of(folder).version, of(folder).where) == (Version("3.11.9"), str(header))


def test_virtualenv_and_uv_write_version_info(tmp_path: Path, base: Path) -> None:
    folder = venv(tmp_path / "venv", base, cfg={"version": "", "version_info": "3.11.4.final.0"})
    assert of(folder).version == Version("3.11.4")


def test_condas_package_list_tells_the_version(base: Path) -> None:
    (base / "conda-meta").mkdir()
    for name in ("python-dateutil-2.9.0-py311_0.json", "python-3.11.5-h955ad1f_0.json"):
        (base / "conda-meta" / name).write_text("{}")
    assert of(base).version == Version("3.11.5")


def test_the_binary_tells_the_version_where_no_text_does(base: Path) -> None:
    binary = base / "bin" / "python3.11"
    binary.write_bytes(b"\x7fELF" + b"\0" * 50 + b"3.11\x003.11.06x\x003.11.2+\0")
    assert (of(base).version, of(base).where) == (Version("3.11.2"), str(binary))


def test_the_library_folder_tells_the_series_where_nothing_else_does(base: Path) -> None:
    assert (of(base).version, of(base).where) == (Version("3.11"), str(base / "lib" / "python3.11"))


def test_of_several_series_the_interpreters_own_counts(base: Path) -> None:
    (base / "lib" / "python3.12" / "site-packages").mkdir(parents=True)
    assert of(base / "bin" / "python3.11").lib == "python3.11"
    (base / "bin" / "python3").unlink()
    (base / "bin" / "python3.11").unlink()
    assert of(base).lib == "python3.12"


def test_a_free_threaded_build_has_its_own_folder(tmp_path: Path) -> None:
    base = installation(tmp_path / "usr", "3.13t")
    layout = of(venv(tmp_path / "venv", base, "3.13t"))
    assert (layout.lib, layout.stdlib) == ("python3.13t", str(base / "lib" / "python3.13t"))


def test_a_dangling_interpreter_is_told_with_the_missing_end(tmp_path: Path, base: Path) -> None:
    folder = venv(tmp_path / "venv", base)
    (base / "bin" / "python3.11").unlink()
    layout = of(folder / "bin" / "python")
    assert layout.resolved is None
    assert layout.notes == (f"{folder}/bin/python points to {base}/bin/python3.11, which does not exist",)
    assert layout.lib == "python3.11"


def test_an_environment_whose_base_was_upgraded_is_told(tmp_path: Path) -> None:
    newer = installation(tmp_path / "usr", "3.12")
    folder = venv(tmp_path / "venv", newer, "3.12")
    site_of(folder, "3.12").parent.rename(folder / "lib" / "python3.10")
    layout = of(folder)
    assert layout.lib == "python3.10"
    expected = f"the interpreter is Python 3.12, which does not look in {folder}/lib/python3.10, where the packages lie"
    assert layout.notes == (expected,)


def test_a_base_that_is_gone_is_none_and_the_environment_is_still_read(tmp_path: Path, base: Path) -> None:
    folder = venv(tmp_path / "venv", base)
    base.rename(tmp_path / "elsewhere")
    layout = of(folder)
    assert (layout.base, layout.stdlib, layout.lib) == (None, None, "python3.11")
    assert layout.version == Version("3.11.7")


def test_a_home_of_links_leads_to_the_installation_behind_them(tmp_path: Path, base: Path) -> None:
    links = tmp_path / "local" / "bin"
    links.mkdir(parents=True)
    (links / "python3.11").symlink_to(base / "bin" / "python3.11")
    folder = venv(tmp_path / "venv", base, cfg={"home": str(links)})
    assert of(folder).base == str(base)


def test_a_folder_that_tells_nothing_has_no_version(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    layout = of(tmp_path)
    assert isinstance(layout.version, Unknown)
    assert layout.notes == ("no interpreter in this environment's bin folder",)


@pytest.mark.parametrize(
    "text", ["home = /a\0b\n", f"version = 3.{'9' * 9000}.1\n", "home = \n", f"home = {'/x' * 9000}\n"]
)
def test_a_hostile_pyvenv_cfg_is_survived(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyvenv.cfg").write_text(text)
    layout = of(tmp_path)
    assert (layout.prefix, layout.base) == (str(tmp_path), None)


def test_pyvenv_cfg_is_read_as_python_reads_it() -> None:
    text = "Home = /usr/bin\ninclude-system-site-packages=true\nprompt = 'a = b'\nnonsense\n"
    assert parse_cfg(text) == {"home": "/usr/bin", "include-system-site-packages": "true", "prompt": "'a = b'"}


def test_an_interpreter_that_links_to_itself_is_told(tmp_path: Path, base: Path) -> None:
    folder = venv(tmp_path / "venv", base)
    python = folder / "bin" / "python"
    python.unlink()
    python.symlink_to("python3")
    (folder / "bin" / "python3").symlink_to("python")
    notes = find_layout(Target(str(python), None, "--python")).notes
    assert notes == (f"{python} is a link that leads around in a circle",)


def test_a_configuration_that_cannot_be_read_is_told(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = venv(tmp_path / "venv", base)
    # Root, as whom tests run in containers, may read whatever its mode says.
    monkeypatch.setattr(layouts, "read_text", lambda *_, **__: None)
    assert f"{folder}/pyvenv.cfg cannot be read" in find_layout(Target(None, str(folder), "--prefix")).notes
