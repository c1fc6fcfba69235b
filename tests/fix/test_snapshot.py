"""A package manager may do what it likes to an environment: what was there comes back, to the number of each file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gpu_doctor.fix import journal, snapshot, workshop
from gpu_doctor.fix.executor import Executor
from gpu_doctor.fix.ground import home_of
from gpu_doctor.fix.manager import BUSY
from gpu_doctor.fix.steps import NotDone
from gpu_doctor.model.remedy import InstallPackages
from tests.fix.faults import PlugPulled, counting, plug_pulled
from tests.fix.ground import SITE, environment, executor, only_journal, quiet, treatment, tree

INFO = f"{SITE}/ctranslate2-4.6.1.dist-info"

# What uv and pip do to an environment, and more of it.
UPGRADE = f"""
cd {SITE}
echo new > nvidia/cudnn/lib/.tmp && mv nvidia/cudnn/lib/.tmp nvidia/cudnn/lib/libcudnn.so.9
rm ctranslate2/__init__.py && echo 'version = 2' > ctranslate2/__init__.py
mv ctranslate2/old.py ctranslate2/renamed.py
mkdir -p ctranslate2/new/deep && echo fresh > ctranslate2/new/deep/file && ln -s deep/file ctranslate2/new/link
chmod 700 ctranslate2/data
ln -sfn elsewhere ctranslate2.libs/libcudnn_ops.so.9
rm ctranslate2.libs/libcudnn-74a4c495.so.9.1.0
rm ../../../bin/ct2 && echo '#!/bin/sh' > ../../../bin/ct3 && chmod 755 ../../../bin/ct3
rm ../../../bin/python3 && ln -s python ../../../bin/python3.12
rm -r gone gone-1.0.dist-info ctranslate2-4.6.1.dist-info
mkdir ctranslate2-4.6.3.dist-info && echo 'ctranslate2/__init__.py,,' > ctranslate2-4.6.3.dist-info/RECORD
"""


def patient(top: Path) -> Path:
    """Make an environment with packages, commands and links."""
    prefix = environment(top)
    site = prefix / SITE
    for name in ("ctranslate2/data", "gone/below", "gone-1.0.dist-info"):
        (site / name).mkdir(parents=True)
    for name in (
        "ctranslate2/__init__.py",
        "ctranslate2/old.py",
        "ctranslate2/data/x",
        "gone/below/y.py",
        "gone-1.0.dist-info/RECORD",
    ):
        (site / name).write_text(name)
    (prefix / "bin").mkdir()
    (prefix / "bin/python").symlink_to("/usr/bin/python3")
    (prefix / "bin/python3").symlink_to("python")
    (prefix / "bin/ct2").write_text("#!/bin/sh\n")
    (prefix / "bin/ct2").chmod(0o755)
    return prefix


def manager(prefix: Path, script: str) -> Executor:
    """Put a package manager on PATH that runs this script in the environment, and return who calls it."""
    tools = prefix.parent / "tools"
    tools.mkdir(exist_ok=True)
    draft = tools / "uv.new"
    draft.write_text(f"#!/bin/sh -e\ncd '{prefix}'\n{script}")
    draft.chmod(0o755)
    draft.rename(tools / "uv")
    return executor(prefix, {"PATH": f"{tools}:{os.defpath}"})


INSTALL = (InstallPackages(("uv", "pip"), "python", ("ctranslate2>=4.6.3",)),)


def apply(prefix: Path, script: str = UPGRADE) -> Executor:
    """Run the manager and keep what it did."""
    doing = manager(prefix, script)
    doing.open(treatment(INSTALL))
    doing.do(INSTALL)
    doing.keep()
    workshop.end(doing.journal, "kept")
    return doing


def take_back(prefix: Path) -> None:
    workshop.take_back(str(prefix), only_journal(prefix), quiet)


def folder_of(prefix: Path) -> Path:
    return Path(only_journal(prefix).folder, "tree-1")


def test_undo_brings_back_the_very_files(tmp_path: Path) -> None:
    prefix = patient(tmp_path)
    before = tree(prefix, inodes=True)
    cache = tree(tmp_path / "cache", inodes=True)
    apply(prefix)
    changed = tree(prefix, inodes=True)
    assert (prefix / SITE / "ctranslate2/new/deep/file").read_text() == "fresh\n"
    assert not (prefix / INFO).exists()
    assert changed != before
    take_back(prefix)
    assert tree(prefix, inodes=True) == before
    assert tree(tmp_path / "cache", inodes=True) == cache


def test_a_run_is_one_deed_that_says_what_was_run(tmp_path: Path) -> None:
    prefix = patient(tmp_path)
    apply(prefix)
    (deed,) = (line for line in only_journal(prefix).lines() if "begin" in line)
    assert deed["run"] == [f"{tmp_path}/tools/uv", "pip", "install", "--python", "python", "ctranslate2>=4.6.3"]


def test_what_the_manager_left_alone_takes_no_room_afterwards(tmp_path: Path) -> None:
    prefix = patient(tmp_path)
    apply(prefix)
    kept = {
        str(path.relative_to(folder_of(prefix) / "files"))
        for path in (folder_of(prefix) / "files").rglob("*")
        if path.is_file()
    }
    assert f"{SITE}/nvidia/cudnn/lib/libcudnn.so.9" in kept
    assert f"{SITE}/nvidia/cudnn/lib/libcudnn_cnn.so.9" not in kept
    assert (prefix / SITE / "nvidia/cudnn/lib/libcudnn_cnn.so.9").stat().st_nlink == 2  # its own name and the cache's


def test_an_undone_repair_keeps_nothing_but_its_journal(tmp_path: Path) -> None:
    prefix = patient(tmp_path)
    apply(prefix)
    take_back(prefix)
    assert os.listdir(only_journal(prefix).folder) == ["journal.jsonl"]


@pytest.mark.parametrize("at", range(1, len(UPGRADE.splitlines())))
def test_a_manager_that_fails_half_way_leaves_nothing(tmp_path: Path, at: int) -> None:
    prefix = patient(tmp_path)
    before = tree(prefix, inodes=True)
    half = "\n".join(UPGRADE.splitlines()[: at + 1])
    doing = manager(prefix, f"{half}\necho one; echo two >&2; echo three; echo 'no space left'\nexit 1\n")
    doing.open(treatment(INSTALL))
    with pytest.raises(NotDone) as failed:
        doing.do(INSTALL)
    assert str(failed.value) == "uv ended with exit code 1: two; three; no space left"
    doing.take_back(str(failed.value))
    workshop.end(doing.journal, "rolled back")
    assert tree(prefix, inodes=True) == before


def test_a_manager_that_dies_is_said_without_words_of_its_own(tmp_path: Path) -> None:
    doing = manager(patient(tmp_path), "kill -9 $$\n")
    doing.open(treatment(INSTALL))
    with pytest.raises(NotDone, match=r"^uv ended with exit code -9$"):
        doing.do(INSTALL)


# --- What managers do seldom --------------------------------------------------------------------------------------------


def undone(prefix: Path, script: str, *, inodes: bool = True) -> None:
    before = tree(prefix, inodes=inodes)
    apply(prefix, script)
    assert tree(prefix, inodes=inodes) != before
    take_back(prefix)
    assert tree(prefix, inodes=inodes) == before


def test_modes_that_were_changed_in_place_are_as_they_were(tmp_path: Path) -> None:
    undone(patient(tmp_path), f"chmod 600 {SITE}/ctranslate2/old.py; chmod 700 bin/ct2 {SITE}/ctranslate2")


@pytest.mark.parametrize(
    "script",
    [
        "rm -r data && ln -s ../gone/below data",
        "rm -r data && echo file > data",
        "rm old.py && mkdir old.py && echo file > old.py/__init__.py",
        "rm old.py && ln -s ../gone/below/y.py old.py",
        "rm link && mkdir link && echo file > link/x",
        "rm link && echo file > link",
        "rm -r data && ln -s /etc data",
    ],
)
def test_what_became_of_another_kind_is_what_it_was(tmp_path: Path, script: str) -> None:
    prefix = patient(tmp_path)
    (prefix / SITE / "ctranslate2/link").symlink_to("data")
    outside = oct(os.stat("/etc").st_mode)
    undone(prefix, f"cd {SITE}/ctranslate2 && {script}\n")
    assert oct(os.stat("/etc").st_mode) == outside


def test_an_empty_folder_and_a_read_only_one_come_back(tmp_path: Path) -> None:
    prefix = patient(tmp_path)
    (prefix / SITE / "gone/empty").mkdir(mode=0o700)
    (prefix / SITE / "gone/below").chmod(0o555)
    try:
        undone(prefix, f"chmod 755 {SITE}/gone/below; rm -r {SITE}/gone\n")
    finally:
        (prefix / SITE / "gone/below").chmod(0o755)


def test_condas_history_which_conda_appends_to_is_as_it_was(tmp_path: Path) -> None:
    prefix = patient(tmp_path)
    (prefix / "conda-meta").mkdir()
    (prefix / "conda-meta/history").write_text("==> then <==\n")
    # What is written into needs a copy, which is another file.
    undone(prefix, f"echo '==> now <==' >> conda-meta/history; rm -r {SITE}/gone/below\n", inodes=False)


def test_names_that_are_no_text_come_back(tmp_path: Path) -> None:
    prefix = patient(tmp_path)
    Path(os.fsdecode(os.fsencode(prefix / SITE) + b"/gone/\xff\xfe name\n")).write_text("odd")
    undone(prefix, f"rm -r {SITE}/gone\n")


def test_bytecode_written_since_is_nobodys_work(tmp_path: Path) -> None:
    prefix = patient(tmp_path)
    before = tree(prefix, inodes=True)
    (prefix / SITE / "gone/__pycache__").mkdir()
    cached = prefix / SITE / "gone/__pycache__/y.pyc"
    cached.write_bytes(b"old")
    with_bytecode = tree(prefix, inodes=True)
    apply(prefix, f"rm -r {SITE}/gone/__pycache__\n")
    cached.parent.mkdir()
    cached.write_bytes(b"new")
    take_back(prefix)
    assert tree(prefix, inodes=True) == with_bytecode != before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_folders_that_root_makes_again_belong_to_whom_they_belonged(tmp_path: Path) -> None:
    prefix = patient(tmp_path)
    for path in (prefix, *prefix.rglob("*")):
        os.chown(path, 1234, 4321, follow_symlinks=False)
    apply(prefix)
    take_back(prefix)
    owners = {(path.lstat().st_uid, path.lstat().st_gid) for path in (prefix / SITE).rglob("*")}
    assert owners == {(1234, 4321)}


# --- What is somebody else's ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("ctranslate2/__init__.py", lambda path: path.write_text("mine")),
        ("ctranslate2/new/deep/file", lambda path: path.write_text("mine")),
        ("ctranslate2/new/link", lambda path: (path.unlink(), path.symlink_to("mine"))),
        ("ctranslate2/old.py", lambda path: path.write_text("made anew")),
    ],
    ids=["changed", "new and changed", "link", "gone and made"],
)
def test_what_somebody_changed_after_the_run_is_a_conflict_with_its_name(
    tmp_path: Path, path: str, change: object
) -> None:
    prefix = patient(tmp_path)
    apply(prefix)
    change(prefix / SITE / path)  # type: ignore[operator]
    before = tree(prefix, inodes=True)
    with pytest.raises(workshop.UndoFailed) as refused:
        take_back(prefix)
    assert f"{prefix}/{SITE}/{path} changed since" in refused.value.message
    assert refused.value.exit_code == 4
    assert tree(prefix, inodes=True) == before


def test_what_somebody_added_after_the_run_stays(tmp_path: Path) -> None:
    prefix = patient(tmp_path)
    before = tree(prefix)
    apply(prefix)
    mine = prefix / SITE / "ctranslate2/mine.py"
    mine.write_text("mine")
    inside = prefix / SITE / "ctranslate2/new/mine.py"
    inside.write_text("mine")
    take_back(prefix)
    assert (mine.read_text(), inside.read_text()) == ("mine", "mine")
    mine.unlink()
    shutil.rmtree(inside.parent)
    assert tree(prefix) == before


def cut_off(prefix: Path, script: str) -> None:
    """Pull the plug right after the manager's run, before what it did is noted."""
    doing = manager(prefix, script)
    doing.open(treatment(INSTALL))

    def gone(*_args: object) -> None:
        raise PlugPulled

    with pytest.MonkeyPatch.context() as patch, pytest.raises(PlugPulled):
        patch.setattr(snapshot, "settle", gone)
        doing.do(INSTALL)


def test_what_somebody_adds_long_after_a_run_that_was_cut_off_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = patient(tmp_path)
    before = tree(prefix)
    cut_off(prefix, UPGRADE)
    beat = Path(home_of(str(prefix)), BUSY)
    os.utime(beat)
    monkeypatch.setattr(snapshot, "_SLACK_NS", 0)  # nobody can set back the time at which a file came to be
    while (prefix / SITE / "mine.py").exists() is False or later(prefix / SITE / "mine.py") <= beat.stat().st_mtime_ns:
        (prefix / SITE / "mine.py").write_text("mine")
        time.sleep(0.01)
    workshop.clean_up(str(prefix), quiet)
    assert (prefix / SITE / "mine.py").read_text() == "mine"
    (prefix / SITE / "mine.py").unlink()
    assert tree(prefix) == before


def later(path: Path) -> int:
    return path.lstat().st_ctime_ns


def test_what_comes_to_be_soon_after_the_last_sign_of_life_is_the_runs(tmp_path: Path) -> None:
    prefix = patient(tmp_path)
    before = tree(prefix, inodes=True)
    cut_off(prefix, UPGRADE)
    (prefix / SITE / "ctranslate2/late.py").write_text("written by a manager that was about to die")
    workshop.clean_up(str(prefix), quiet)
    assert tree(prefix, inodes=True) == before


def test_a_run_whose_last_sign_of_life_is_old_did_not_make_what_is_new(tmp_path: Path) -> None:
    prefix = patient(tmp_path)
    cut_off(prefix, f"rm -r {SITE}/gone\n")
    beat = Path(home_of(str(prefix)), BUSY)
    os.utime(beat, ns=(0, beat.stat().st_mtime_ns - snapshot._SLACK_NS - 10**9))
    (prefix / SITE / "mine.py").write_text("mine")
    workshop.clean_up(str(prefix), quiet)
    assert (prefix / SITE / "mine.py").read_text() == "mine"
    assert (prefix / SITE / "gone/below/y.py").exists()  # what went is brought back all the same


# --- What is left out ----------------------------------------------------------------------------------------------------


def remembered(prefix: Path) -> set[str]:
    return set(json.loads((folder_of(prefix) / "manifest.json").read_text()))


def test_the_repairs_themselves_are_left_out(tmp_path: Path) -> None:
    prefix = patient(tmp_path)
    (prefix / ".gpu-doctor/repairs").mkdir(parents=True)
    (prefix / ".gpu-doctor/variables.json").write_text("{}")
    apply(prefix, "rm .gpu-doctor/variables.json\n")
    assert not any(path.startswith(".gpu-doctor") for path in remembered(prefix))
    take_back(prefix)
    assert not (prefix / ".gpu-doctor/variables.json").exists()


@pytest.mark.parametrize("conda", [True, False])
def test_what_conda_keeps_in_its_base_is_left_out(tmp_path: Path, conda: bool) -> None:
    prefix = patient(tmp_path)
    for folder in ("pkgs/torch", "envs/other", "share/pkgs"):
        (prefix / folder).mkdir(parents=True)
        (prefix / folder / "file").touch()
    if conda:
        (prefix / "conda-meta").mkdir()
    apply(prefix)
    known = remembered(prefix)
    assert {path for path in ("pkgs", "pkgs/torch/file", "envs", "envs/other/file") if path in known} == (
        set() if conda else {"pkgs", "pkgs/torch/file", "envs", "envs/other/file"}
    )
    assert "share/pkgs/file" in known


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """An environment with another file system in it."""
    prefix = patient(tmp_path)
    folder = prefix / "mounted"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "none", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    yield prefix
    subprocess.run(["umount", folder], check=True)


def test_other_file_systems_are_left_out(mounted: Path) -> None:
    (mounted / "mounted/data").write_text("data")
    apply(mounted, f"rm mounted/data; rm -r {SITE}/gone\n")
    take_back(mounted)
    assert os.listdir(mounted / "mounted") == []
    assert (mounted / SITE / "gone/below/y.py").exists()


def test_pipes_and_sockets_are_left_out(tmp_path: Path) -> None:
    prefix = patient(tmp_path)
    os.mkfifo(prefix / "pipe")
    apply(prefix)
    assert "pipe" not in remembered(prefix)
    take_back(prefix)


# --- The plug pulled -----------------------------------------------------------------------------------------------------

SMALL = f"""
cd {SITE}
echo new > gone/below/.tmp && mv gone/below/.tmp gone/below/y.py
rm -r gone-1.0.dist-info
mkdir -p new/deep && echo fresh > new/deep/file && ln -s deep/file new/link
ln -sfn elsewhere ctranslate2.libs/libcudnn_ops.so.9
rm link && mkdir link && echo mine > link/y.py
rm -r was && ln -s gone/below was
"""


def small(top: Path) -> Path:
    """Make an environment in which few calls are made."""
    prefix = top / "venv"
    site = prefix / SITE
    for name in ("gone/below", "gone-1.0.dist-info", "ctranslate2.libs"):
        (site / name).mkdir(parents=True)
    for name in ("gone/below/y.py", "gone-1.0.dist-info/RECORD"):
        (site / name).write_text(name)
    (site / "ctranslate2.libs/libcudnn_ops.so.9").symlink_to("nowhere")
    (site / "link").symlink_to("gone/below")
    (site / "was").mkdir(mode=0o700)
    (site / "was/y.py").write_text("was")
    return prefix


def brought_back(prefix: Path, at: int) -> None:
    """Take back by one of the two ways whatever a crash left."""
    if at % 2:
        workshop.clean_up(str(prefix), quiet)
    for one in journal.journals(str(prefix)):
        if journal.past(one).can_be_undone:  # also one that was written down as proven before the crash
            workshop.take_back(str(prefix), one, quiet)


def test_the_plug_pulled_at_any_moment_of_a_run_loses_nothing(tmp_path: Path) -> None:
    counted = small(tmp_path / "counted")
    with counting() as made:
        apply(counted, SMALL)
        calls = made()
    assert calls > 40
    for at in range(1, calls + 1):
        prefix = small(tmp_path / str(at))
        before = tree(prefix, inodes=True)
        # How often the run gives a sign of life is not the same each time, so the last calls may not come.
        with suppress(PlugPulled), plug_pulled(at):
            apply(prefix, SMALL)
        brought_back(prefix, at)
        assert tree(prefix, inodes=True) == before, f"call {at} of {calls}"
        assert workshop.cut_off(str(prefix)) == ()


def test_the_plug_pulled_at_any_moment_of_its_undoing_loses_nothing(tmp_path: Path) -> None:
    counted = small(tmp_path / "counted")
    apply(counted, SMALL)
    with counting() as made:
        take_back(counted)
        calls = made()
    assert calls > 25
    for at in range(1, calls + 1):
        prefix = small(tmp_path / str(at))
        before = tree(prefix, inodes=True)
        apply(prefix, SMALL)
        with pytest.raises(PlugPulled), plug_pulled(at):
            take_back(prefix)
        brought_back(prefix, at)
        assert tree(prefix, inodes=True) == before, f"call {at} of {calls}"
        assert workshop.cut_off(str(prefix)) == ()


def test_a_doctor_that_is_killed_while_the_manager_works_leaves_what_can_be_taken_back(tmp_path: Path) -> None:
    prefix = patient(tmp_path)
    before = tree(prefix, inodes=True)
    code = (
        "import sys; from pathlib import Path; from tests.fix.test_snapshot import apply, UPGRADE\n"
        "apply(Path(sys.argv[1]), UPGRADE + 'exec sleep 600\\n')\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, prefix], cwd=Path(__file__).parents[2])
    waited = time.monotonic() + 60
    while not (prefix / SITE / "ctranslate2-4.6.3.dist-info/RECORD").exists() and time.monotonic() < waited:
        time.sleep(0.02)
    child.kill()
    child.wait()
    assert tree(prefix, inodes=True) != before
    with workshop.workshop(str(prefix), quiet):
        workshop.clean_up(str(prefix), quiet)
    assert tree(prefix, inodes=True) == before
