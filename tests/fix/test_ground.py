"""No path leads out of the environment: not by `..`, not by a link, not by one that is exchanged meanwhile."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

from gpu_doctor.fix import ground as module
from gpu_doctor.fix.files import Shelf, put, state
from gpu_doctor.fix.ground import Ground, OutOfBounds, home_of, own_like, prepare_home, sync_folder
from gpu_doctor.model.change import Change, Gone, NewFile, NewLink
from tests.fix.ground import tree

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """An environment with `lib64 -> lib`, a link that leads out, and a neighbour outside."""
    (tmp_path / "venv/lib/site").mkdir(parents=True)
    (tmp_path / "venv/lib64").symlink_to("lib")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("not yours")
    (tmp_path / "venv/lib/escape").symlink_to(tmp_path / "outside")
    return tmp_path / "venv"


def shelf_of(prefix: Path) -> Shelf:
    (prefix / "shelf").mkdir(exist_ok=True)
    shelf = Shelf(str(prefix / "shelf"))
    shelf.prepare()
    return shelf


def place(ground: Ground, path: Path | str, prefix: Path) -> None:
    put(ground, Change(str(path), NewFile(b"new")), shelf_of(prefix))


def reached(ground: Ground, path: Path | str) -> tuple[str, str]:
    with ground.folder_of(str(path)) as (folder, name):
        return os.readlink(f"/proc/self/fd/{folder}"), name


def test_a_path_is_reached_through_its_folder(prefix: Path) -> None:
    assert reached(Ground(str(prefix)), prefix / "lib/site/file") == (f"{prefix}/lib/site", "file")
    assert reached(Ground(str(prefix)), prefix / "file") == (str(prefix), "file")


def test_a_link_inside_is_no_way_out(prefix: Path) -> None:
    assert reached(Ground(str(prefix)), prefix / "lib64/site/file") == (f"{prefix}/lib/site", "file")
    place(Ground(str(prefix)), prefix / "lib64/site/file", prefix)
    assert (prefix / "lib/site/file").read_text() == "new"


def test_the_environment_may_itself_be_named_by_a_link(prefix: Path) -> None:
    alias = prefix.parent / "alias"
    alias.symlink_to(prefix)
    assert reached(Ground(str(alias)), alias / "lib/file") == (f"{prefix}/lib", "file")


@pytest.mark.parametrize(
    "path",
    [
        "lib/escape/file",
        "lib/../../outside/file",
        "../outside/file",
        "lib/..",
        "lib/.",
        "lib/",
        "../venv-2/file",
    ],
)
def test_a_way_out_is_refused(prefix: Path, path: str) -> None:
    (prefix.parent / "venv-2").mkdir()
    before = tree(prefix.parent)
    with pytest.raises(OutOfBounds) as refused:
        place(Ground(str(prefix)), f"{prefix}/{path}", prefix)
    assert refused.value.exit_code == 1
    assert refused.value.message == f"{prefix}/{path} leads out of {prefix}"
    assert {name: what for name, what in tree(prefix.parent).items() if "shelf" not in name} == before


def test_absolute_paths_elsewhere_are_refused_and_not_even_looked_at(prefix: Path) -> None:
    for act in (state, lambda ground, path: place(ground, path, prefix)):
        with pytest.raises(OutOfBounds):
            act(Ground(str(prefix)), str(prefix.parent / "outside/file"))


def test_dots_that_stay_inside_are_fine(prefix: Path) -> None:
    assert reached(Ground(str(prefix)), prefix / "lib/site/../file") == (f"{prefix}/lib", "file")


def test_a_link_that_leads_out_is_itself_inside_and_can_be_taken_away(prefix: Path) -> None:
    ground = Ground(str(prefix))
    assert state(ground, f"{prefix}/lib/escape") == f"link {prefix.parent}/outside"
    put(ground, Change(f"{prefix}/lib/escape", Gone()), shelf_of(prefix))
    assert not (prefix / "lib/escape").is_symlink()
    assert (prefix.parent / "outside/file").read_text() == "not yours"


def test_a_folder_that_becomes_a_link_after_it_was_resolved_is_not_followed(
    prefix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.path.realpath

    def exchange(path: str) -> str:
        resolved = real(path)
        if path.endswith("lib/site"):
            (prefix / "lib/site").rename(prefix / "lib/was")
            (prefix / "lib/site").symlink_to(prefix.parent / "outside")
        return resolved

    ground = Ground(str(prefix))
    monkeypatch.setattr(module.os.path, "realpath", exchange)
    with pytest.raises(NotADirectoryError):
        place(ground, prefix / "lib/site/file", prefix)
    assert (prefix.parent / "outside/file").read_text() == "not yours"
    assert os.listdir(prefix / "lib/was") == []


def test_a_folder_above_that_becomes_a_link_is_not_followed(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (prefix.parent / "outside/site").mkdir()
    real_open = os.open

    def exchange(path: str, flags: int, *rest: int, dir_fd: int | None = None) -> int:
        if path == "lib" and dir_fd is not None:
            (prefix / "lib").rename(prefix / "was")
            (prefix / "lib").symlink_to(prefix.parent / "outside")
        return real_open(path, flags, *rest, dir_fd=dir_fd)

    monkeypatch.setattr(module.os, "open", exchange)
    with pytest.raises(NotADirectoryError), Ground(str(prefix)).folder_of(f"{prefix}/lib/site/file"):
        pass
    monkeypatch.undo()
    assert os.listdir(prefix.parent / "outside/site") == []


def test_no_descriptor_is_left_open(prefix: Path) -> None:
    ground, before = Ground(str(prefix)), len(os.listdir("/proc/self/fd"))
    for path in ("lib/site/file", "lib/escape/file", "lib/nowhere/file"):
        with suppress(OutOfBounds, FileNotFoundError), ground.folder_of(f"{prefix}/{path}"):
            pass
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_named_file_outside_may_be_changed_and_nothing_beside_it(prefix: Path) -> None:
    pins = prefix.parent / "outside/pyproject.toml"
    ground = Ground(str(prefix), (str(pins),))
    place(ground, pins, prefix)
    assert pins.read_text() == "new"
    for other in (pins.parent / "file", pins.parent / "pyproject.toml.bak", prefix.parent / "pyproject.toml"):
        with pytest.raises(OutOfBounds):
            place(ground, other, prefix)
    assert (pins.parent / "file").read_text() == "not yours"


# --- The folder of the repairs -----------------------------------------------------------------------------------------


def test_the_repairs_live_in_the_environment(prefix: Path) -> None:
    assert prepare_home(str(prefix)) == home_of(str(prefix)) == f"{prefix}/.gpu-doctor"
    assert prepare_home(str(prefix)) == f"{prefix}/.gpu-doctor"
    assert (prefix / ".gpu-doctor").is_dir()


@pytest.mark.parametrize("kind", ["link", "dangling", "file"])
def test_whatever_else_stands_there_is_refused(prefix: Path, kind: str) -> None:
    home = prefix / ".gpu-doctor"
    if kind == "file":
        home.write_text("")
    else:
        home.symlink_to(prefix.parent / ("outside" if kind == "link" else "nowhere"))
    with pytest.raises(OutOfBounds, match="is not a folder"):
        prepare_home(str(prefix))
    assert os.listdir(prefix.parent / "outside") == ["file"]


@as_root
def test_what_root_makes_belongs_to_the_environments_owner(prefix: Path) -> None:
    for path in (prefix, prefix / "lib", prefix / "lib/site"):
        os.chown(path, 1234, 4321)
    home = prepare_home(str(prefix))
    assert owner(Path(home)) == (1234, 4321)
    ground, shelf = Ground(str(prefix)), shelf_of(prefix)
    put(ground, Change(f"{prefix}/lib/site/file", NewFile(b"")), shelf)
    put(ground, Change(f"{prefix}/lib/site/link", NewLink("file")), shelf)
    assert owner(prefix / "lib/site/file") == owner(prefix / "lib/site/link") == (1234, 4321)


@as_root
def test_a_link_gets_an_owner_and_what_it_points_to_keeps_its_own(prefix: Path) -> None:
    os.chown(prefix, 1234, 4321)
    own_like(str(prefix / "lib/escape"), str(prefix))
    assert owner(prefix / "lib/escape") == (1234, 4321)
    assert owner(prefix.parent / "outside") == (0, 0)


def owner(path: Path) -> tuple[int, int]:
    return path.lstat().st_uid, path.lstat().st_gid


def test_only_a_folder_has_entries_to_sync(prefix: Path) -> None:
    sync_folder(str(prefix / "lib"))
    with pytest.raises(NotADirectoryError):
        sync_folder(str(prefix.parent / "outside/file"))


def test_a_folder_that_is_not_there_is_the_systems_error(prefix: Path) -> None:
    with pytest.raises(FileNotFoundError), Ground(str(prefix)).folder_of(f"{prefix}/lib/nowhere/file"):
        pass


def test_the_root_folder_may_be_an_environment_too() -> None:
    with Ground("/").folder_of("/etc/hostname") as (folder, name):
        assert (os.readlink(f"/proc/self/fd/{folder}"), name) == ("/etc", "hostname")
