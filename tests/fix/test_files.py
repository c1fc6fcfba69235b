"""One path at a time: told, saved, put and put back in one step each, and no file is ever written into."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from gpu_doctor.fix import files
from gpu_doctor.fix.files import Shelf, expected, put, save, state
from gpu_doctor.fix.ground import Ground
from gpu_doctor.model.change import ABSENT, Change, Gone, New, NewFile, NewFolder, NewLink, Saved

OLD = b"old content"
MOMENT = 10**18 + 5
NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES)


class Place:
    """A folder with one file that a cache shares, and a shelf."""

    def __init__(self, top: Path) -> None:
        self.top = top / "venv"
        self.file, self.cached = self.top / "file", top / "cached"
        self.top.mkdir()
        self.file.write_bytes(OLD)
        self.file.chmod(0o751)
        os.utime(self.file, ns=(MOMENT, MOMENT))
        os.link(self.file, self.cached)
        self.ground = Ground(str(self.top))
        self.shelf = Shelf(str(top / "shelf"))
        self.shelf.prepare()

    def put(self, path: Path, new: New) -> str:
        """Put it there and return the state that it left; the shelf's stage is empty afterwards."""
        put(self.ground, Change(str(path), new), self.shelf)
        assert os.listdir(self.shelf.stage) == []
        return self.state(path)

    def state(self, path: Path) -> str:
        return state(self.ground, str(path))

    def save(self, path: Path, name: str = "1") -> bool:
        return save(self.ground, str(path), self.shelf, name)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# --- Telling ----------------------------------------------------------------------------------------------------------


def test_what_lies_at_a_path_is_one_line(place: Place) -> None:
    (place.top / "folder").mkdir()
    (place.top / "link").symlink_to("../any where")
    os.mkfifo(place.top / "pipe")
    assert place.state(place.file) == f"file 751 {len(OLD)} {digest(OLD)}"
    assert place.state(place.top / "folder") == "folder"
    assert place.state(place.top / "link") == "link ../any where"
    assert place.state(place.top / "pipe") == "special"
    assert place.state(place.top / "nothing") == place.state(place.top / "no/folder") == ABSENT
    assert place.state(place.file / "below a file") == ABSENT


NEW = [NewLink("../x"), NewFile(b"n"), NewFile(b"n", 0o600), NewFile(b"n", None, 7), Gone()]


@pytest.mark.parametrize(
    ("there", "new"), [*(("file", new) for new in NEW), *(("nothing", new) for new in (*NEW, NewFolder()))], ids=repr
)
def test_the_state_that_a_change_leaves_is_known_before(place: Place, there: str, new: New) -> None:
    path = place.top / there
    foretold = expected(Change(str(path), new), place.state(path))
    assert place.put(path, new) == foretold


# --- Putting ----------------------------------------------------------------------------------------------------------


def test_a_new_file_takes_mode_and_time_of_the_one_in_its_place(place: Place) -> None:
    place.put(place.file, NewFile(b"new"))
    status = place.file.stat()
    assert (place.file.read_bytes(), oct(status.st_mode), status.st_mtime_ns) == (b"new", "0o100751", MOMENT)


def test_a_new_file_has_the_mode_and_time_that_were_asked_for(place: Place) -> None:
    place.put(place.file, NewFile(b"new", 0o600, 77))
    assert (oct(place.file.stat().st_mode), place.file.stat().st_mtime_ns) == ("0o100600", 77)


def test_a_file_where_none_was_can_be_read_by_everybody(place: Place) -> None:
    path = place.top / "fresh"
    place.put(path, NewFile(b""))
    assert oct(path.stat().st_mode) == "0o100644"


def test_a_file_in_a_links_place_takes_nothing_from_what_the_link_points_to(place: Place) -> None:
    link = place.top / "link"
    link.symlink_to("file")
    place.put(link, NewFile(b"new"))
    assert (link.is_symlink(), oct(link.stat().st_mode), place.file.read_bytes()) == (False, "0o100644", OLD)
    assert link.stat().st_mtime_ns != MOMENT


@pytest.mark.parametrize("new", [NewFile(b"new"), NewLink("elsewhere"), Gone()], ids=repr)
def test_a_file_that_a_cache_shares_is_never_written_into(place: Place, new: New) -> None:
    before = place.cached.stat()
    place.put(place.file, new)
    after = place.cached.stat()
    assert place.cached.read_bytes() == OLD
    assert (after.st_ino, after.st_mode, after.st_mtime_ns) == (before.st_ino, before.st_mode, before.st_mtime_ns)


def test_a_link_is_exchanged_and_not_followed(place: Place) -> None:
    link = place.top / "link"
    link.symlink_to("file")
    assert place.put(link, NewLink("nowhere")) == "link nowhere"
    assert place.file.read_bytes() == OLD


@pytest.mark.parametrize("new", [NewFile(b"new"), NewLink("x"), NewFolder(), Gone()], ids=repr)
def test_putting_twice_is_putting_once(place: Place, new: New) -> None:
    path = place.top / "fresh"
    assert place.put(path, new) == place.put(path, new)


def test_what_an_earlier_try_left_on_the_stage_is_no_obstacle(place: Place) -> None:
    Path(place.shelf.stage, "new").write_text("half")
    place.put(place.file, NewFile(b"new"))
    assert place.file.read_bytes() == b"new"
    Path(place.shelf.stage, "new").write_text("half")
    place.shelf.prepare()
    assert os.listdir(place.shelf.stage) == []


def test_a_folder_goes_only_when_it_is_empty(place: Place) -> None:
    folder = place.top / "folder"
    (folder / "below").mkdir(parents=True)
    assert place.put(folder, Gone()) == "folder"
    assert place.put(folder / "below", Gone()) == ABSENT
    assert place.put(folder, Gone()) == ABSENT
    assert place.put(folder, Gone()) == ABSENT


def test_a_folder_that_is_there_already_is_left_alone(place: Place) -> None:
    folder = place.top / "folder"
    folder.mkdir(mode=0o700)
    (folder / "file").touch()
    assert place.put(folder, NewFolder()) == "folder"
    assert (oct(folder.stat().st_mode), os.listdir(folder)) == ("0o40700", ["file"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_root_puts_belongs_to_the_owner_of_its_folder(place: Place) -> None:
    os.chown(place.top, 1234, 4321)
    for name, new in (("file", NewFile(b"new")), ("link", NewLink("file")), ("folder", NewFolder())):
        place.put(place.top / name, new)
        status = (place.top / name).lstat()
        assert (status.st_uid, status.st_gid) == (1234, 4321), name


def test_a_mask_of_the_process_does_not_change_what_is_put(place: Place) -> None:
    mask = os.umask(0o077)
    try:
        place.put(place.top / "fresh", NewFile(b""))
        place.put(place.top / "folder", NewFolder())
    finally:
        os.umask(mask)
    assert oct((place.top / "fresh").stat().st_mode) == "0o100644"


# --- Saving and putting back ------------------------------------------------------------------------------------------


def test_what_was_saved_comes_back_as_the_very_file(place: Place) -> None:
    number = place.file.stat().st_ino
    assert place.save(place.file)
    place.put(place.file, NewFile(b"new"))
    assert place.file.stat().st_ino != number
    assert place.put(place.file, Saved("1")) == f"file 751 {len(OLD)} {digest(OLD)}"
    assert place.file.stat().st_ino == number


def test_the_same_file_is_put_back_twice_without_a_trace(place: Place) -> None:
    """Renaming one name of a file onto another name of the same file does nothing and leaves both."""
    place.save(place.file)
    first, second = (place.put(place.file, Saved("1")) for _ in range(2))
    assert first == second
    assert place.file.stat().st_nlink == 3  # its own name, the cache's, the shelf's


def test_a_link_is_saved_as_a_link(place: Place) -> None:
    link = place.top / "link"
    link.symlink_to("/nowhere")
    assert place.save(link)
    place.put(link, Gone())
    assert place.put(link, Saved("1")) == "link /nowhere"


def test_nothing_and_folders_are_not_saved(place: Place) -> None:
    (place.top / "folder").mkdir()
    assert not place.save(place.top / "nothing")
    assert not place.save(place.top / "folder")
    assert os.listdir(place.shelf.saved) == []


def test_saving_again_under_a_name_forgets_what_was_saved_before(place: Place) -> None:
    place.save(place.file)
    place.put(place.file, NewFile(b"new"))
    place.save(place.file)
    assert Path(place.shelf.saved, "1").read_bytes() == b"new"


@pytest.fixture(params=NO_LINKS, ids=errno.errorcode.get)
def without_links(request: pytest.FixtureRequest, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that gives no second name to a file."""

    def refuse(*_args: Any, **_options: Any) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(files.os, "link", refuse)


@pytest.mark.usefixtures("without_links")
def test_where_files_cannot_be_linked_a_copy_keeps_content_mode_and_time(place: Place) -> None:
    place.save(place.file)
    place.put(place.file, NewFile(b"new", 0o600, 1))
    assert Path(place.shelf.saved, "1").read_bytes() == OLD
    place.put(place.file, Saved("1"))
    status = place.file.stat()
    assert (place.file.read_bytes(), oct(status.st_mode), status.st_mtime_ns) == (OLD, "0o100751", MOMENT)


@pytest.mark.usefixtures("without_links")
def test_where_links_cannot_be_linked_they_are_made_again(place: Place) -> None:
    link = place.top / "link"
    link.symlink_to("file")
    place.save(link)
    place.put(link, NewLink("other"))
    assert place.put(link, Saved("1")) == "link file"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.usefixtures("without_links")
def test_a_copy_that_root_makes_keeps_the_owner(place: Place) -> None:
    os.chown(place.file, 1234, 4321)
    place.save(place.file)
    place.put(place.file, NewFile(b"new"))
    place.put(place.file, Saved("1"))
    status = place.file.stat()
    assert (status.st_uid, status.st_gid, oct(status.st_mode)) == (1234, 4321, "0o100751")


def test_other_errors_of_linking_are_errors(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: Any, **_options: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "link", full)
    with pytest.raises(OSError, match="No space left"):
        place.save(place.file)
    assert place.file.read_bytes() == OLD
