"""The shell script that heals ctranslate2's cuDNN loader, on environments made of tiny files."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "fix_ctranslate2_cudnn.sh"
BASH = shutil.which("bash") or "bash"
SITE = "lib/python3.11/site-packages"
LIBS = "ctranslate2.libs"
CUDNN = "nvidia/cudnn/lib"
LOADER = "libcudnn-74a4c495.so.9.1.0"
PARTS = tuple(f"libcudnn_{part}.so.9" for part in ("adv", "cnn", "graph", "ops"))
CONTENT = b"the thin loader"

Shape = dict[str, tuple[object, ...]]


# --- Environments -------------------------------------------------------------------------------------------------------


def digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")


def write(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def ctranslate2(site: Path, version: str = "4.6.1", loader: str = LOADER, end: str = "\n") -> None:
    """Put a CTranslate2 there; `loader` may be empty."""
    info = f"ctranslate2-{version}.dist-info"
    lines = ["ctranslate2/__init__.py,sha256=AAAA,0", f"{info}/RECORD,,"]
    write(site / "ctranslate2/__init__.py", "")
    write(site / LIBS / "libgomp-a34b3233.so.1.0.0", "gomp")
    if loader:
        write(site / LIBS / loader, CONTENT)
        lines.insert(0, f"{LIBS}/{loader},sha256={digest(CONTENT)},{len(CONTENT)}")
    write(site / info / "RECORD", "".join(line + end for line in lines))


def cudnn(site: Path, parts: tuple[str, ...] = PARTS) -> None:
    names = (*parts, "libcudnn.so.9")
    for name in names:
        write(site / CUDNN / name, f"this is {name}")
    record = "".join(f"{CUDNN}/{name},sha256=AAAA,1\n" for name in names)
    write(site / "nvidia_cudnn_cu12-9.10.2.21.dist-info/RECORD", record)


def folk(site: Path, backup: str = "") -> None:
    """Follow the widely copied advice, which does not heal; keep the loader under another name if one is given."""
    loader = site / LIBS / LOADER
    if backup:
        loader.rename(loader.with_name(backup))
    else:
        loader.unlink()
    loader.symlink_to(f"../{CUDNN}/libcudnn.so.9")
    (site / CUDNN / "libcudnn_ops.so.9.1.0").symlink_to("libcudnn_ops.so.9")
    (site / LIBS / "libcudnn_ops.so.9.1.0").symlink_to(f"../{CUDNN}/libcudnn_ops.so.9")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return the site-packages of a sick environment: everything is there and no part beside the loader."""
    site = tmp_path / "env" / SITE
    ctranslate2(site)
    cudnn(site)
    return site


def prefix(site: Path) -> Path:
    return site.parents[2]


def shape(folder: Path) -> Shape:
    """Describe everything below a folder: kind, mode, content, where links lead."""
    found: Shape = {}
    for path in sorted(folder.rglob("*")):
        mode = stat.S_IMODE(path.lstat().st_mode)
        if path.is_symlink():
            found[str(path.relative_to(folder))] = ("link", os.readlink(path))
        elif path.is_dir():
            found[str(path.relative_to(folder))] = ("folder", mode)
        else:
            found[str(path.relative_to(folder))] = ("file", mode, path.read_bytes())
    return found


def run(*arguments: str | Path, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **variables}
    command = [BASH, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=cwd,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


def fix(site: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = run("--prefix", prefix(site), *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def one_line(text: str) -> str:
    assert text.startswith("fix_ctranslate2_cudnn: ") and text.count("\n") == 1, text
    return text


def links(folder: Path) -> dict[str, str]:
    return {path.name: os.readlink(path) for path in sorted(folder.iterdir()) if path.is_symlink()}


def record(site: Path) -> Path:
    return next(site.glob("ctranslate2-*.dist-info")) / "RECORD"


HEALED = {name: f"../{CUDNN}/{name}" for name in PARTS}
LINES = [f"{LIBS}/{name},," for name in PARTS]


# --- Healing ------------------------------------------------------------------------------------------------------------


def test_a_sick_environment_is_healed(site: Path) -> None:
    before = record(site).read_text()
    said = fix(site).stdout
    assert links(site / LIBS) == HEALED
    assert links(site / CUDNN) == {}
    assert record(site).read_text() == before + "".join(line + "\n" for line in LINES)
    assert (site / LIBS / LOADER).read_bytes() == CONTENT
    assert "4 of them were not linked there" in said and "healed" in said


def test_a_second_run_changes_nothing_and_says_so(site: Path) -> None:
    fix(site)
    after = shape(prefix(site))
    assert "nothing to do" in fix(site).stdout
    assert shape(prefix(site)) == after
    fix(site, "--check")


def test_only_the_environment_changes_and_only_where_it_must(site: Path) -> None:
    before = shape(prefix(site))
    fix(site)
    after = shape(prefix(site))
    new = {path for path in after if path not in before and not path.startswith(".gpu-doctor")}
    assert new == {f"{SITE}/{LIBS}/{name}" for name in PARTS}
    assert {path for path in before if after.get(path) != before[path]} == {f"{SITE}/{record(site).relative_to(site)}"}
    assert os.listdir(prefix(site).parent) == ["env"]


def test_wrong_links_are_replaced_and_a_file_is_not(site: Path) -> None:
    (site / LIBS / PARTS[0]).symlink_to(site / CUDNN / PARTS[0])
    (site / LIBS / PARTS[1]).symlink_to("nowhere")
    (site / LIBS / PARTS[2]).symlink_to("..")  # a folder, into which a careless mv would move
    write(site / LIBS / PARTS[3], "somebody's own")
    before = shape(prefix(site))
    said = fix(site).stdout
    assert links(site / LIBS) == {name: HEALED[name] for name in PARTS[:3]}
    assert (site / LIBS / PARTS[3]).read_text() == "somebody's own"
    assert f"{PARTS[3]} is no link; it stays" in said
    assert PARTS[3] not in record(site).read_text()
    assert not [path for path in site.iterdir() if "libcudnn" in path.name]
    fix(site, "--undo")
    assert shape(prefix(site)) == before


def test_good_links_by_hand_are_healthy_and_stay_unlisted(site: Path) -> None:
    for name, target in HEALED.items():
        (site / LIBS / name).symlink_to(target)
    before = shape(prefix(site))
    fix(site, "--check")
    fix(site)
    assert shape(prefix(site)) == before


def test_a_line_that_is_there_is_not_added_again(site: Path) -> None:
    with record(site).open("a") as file:
        file.write(f"{LIBS}/{PARTS[1]},,\n")
    fix(site)
    listed = record(site).read_text().splitlines()
    assert [line for line in listed if "libcudnn_" in line] == [LINES[1], LINES[0], *LINES[2:]]


@pytest.mark.parametrize("last_line_is_ended", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_record_keeps_its_line_ending(tmp_path: Path, end: str, last_line_is_ended: bool) -> None:
    site = tmp_path / "env" / SITE
    ctranslate2(site, end=end)
    cudnn(site)
    original = record(site).read_bytes()
    if not last_line_is_ended:
        record(site).write_bytes(original.removesuffix(end.encode()))
    before = shape(prefix(site))
    fix(site)
    assert record(site).read_bytes() == original + "".join(line + end for line in LINES).encode()
    fix(site, "--undo")
    assert shape(prefix(site)) == before


def test_a_shared_record_is_never_written_into(site: Path, tmp_path: Path) -> None:
    """As uv leaves it: the same file in another environment."""
    other = tmp_path / "other"
    os.link(record(site), other)
    content, inode = other.read_bytes(), other.stat().st_ino
    fix(site)
    assert other.read_bytes() == content
    assert record(site).stat().st_ino != inode
    fix(site, "--undo")
    assert other.read_bytes() == content
    assert (other.stat().st_ino, other.stat().st_nlink) == (inode, 2)
    assert record(site).stat().st_ino == inode


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o444])
def test_record_keeps_its_mode_and_owner(site: Path, mode: int) -> None:
    if os.geteuid() == 0:
        os.chown(record(site), 12345, 23456)
    record(site).chmod(mode)
    before = record(site).stat()
    fix(site)
    after = record(site).stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert LINES[0] in record(site).read_text()


def test_without_record_the_links_are_made(site: Path) -> None:
    record(site).unlink()
    before = shape(prefix(site))
    fix(site)
    assert links(site / LIBS) == HEALED
    fix(site, "--undo")
    assert shape(prefix(site)) == before


def test_a_part_that_comes_later_is_linked_too(site: Path) -> None:
    before = shape(prefix(site))
    fix(site)
    shutil.copyfile(site / CUDNN / PARTS[0], site / CUDNN / "libcudnn_new.so.9")
    fix(site, "--check", code=1)
    fix(site)
    assert links(site / LIBS) == {**HEALED, "libcudnn_new.so.9": f"../{CUDNN}/libcudnn_new.so.9"}
    assert record(site).read_text().endswith(f"{LINES[-1]}\n{LIBS}/libcudnn_new.so.9,,\n")
    fix(site, "--undo")
    (site / CUDNN / "libcudnn_new.so.9").unlink()
    assert shape(prefix(site)) == before


def test_every_site_packages_of_the_environment_is_healed(site: Path) -> None:
    second = prefix(site) / "lib/python3/dist-packages"
    ctranslate2(second)
    cudnn(second)
    (prefix(site) / "lib64").symlink_to("lib")
    before = shape(prefix(site))
    said = fix(site).stdout
    assert links(site / LIBS) == links(second / LIBS) == HEALED
    assert said.count("bundles the cuDNN loader") == 2
    fix(site, "--undo")
    assert shape(prefix(site)) == before


def test_one_that_cannot_be_healed_does_not_stop_the_other(site: Path) -> None:
    second = prefix(site) / "lib/python3/dist-packages"
    ctranslate2(second)
    done = fix(site, code=1)
    assert links(site / LIBS) == HEALED
    assert links(second / LIBS) == {}
    assert "lib/python3/dist-packages" in one_line(done.stderr)


# --- What other remedies left -------------------------------------------------------------------------------------------


def test_the_folk_remedy_is_cleared_away(site: Path) -> None:
    folk(site)
    before = shape(prefix(site))
    fix(site, "--check", code=1)
    fix(site)
    assert links(site / LIBS) == {**HEALED, LOADER: f"../{CUDNN}/libcudnn.so.9"}
    assert links(site / CUDNN) == {}
    fix(site, "--check")
    fix(site, "--undo")
    assert shape(prefix(site)) == before


@pytest.mark.parametrize("suffix", [".bak", ".orig", ".ORIG", "_old"])
def test_a_kept_loader_comes_back(site: Path, suffix: str) -> None:
    folk(site, backup=LOADER + suffix)
    write(site / LIBS / f"{LOADER}.another", "not the loader")
    before = shape(prefix(site))
    fix(site)
    assert links(site / LIBS) == HEALED
    assert (site / LIBS / LOADER).read_bytes() == CONTENT
    assert not (site / LIBS / f"{LOADER}{suffix}").exists()
    assert (site / LIBS / f"{LOADER}.another").exists()
    after = shape(prefix(site))
    fix(site)
    assert shape(prefix(site)) == after
    fix(site, "--undo")
    assert shape(prefix(site)) == before


def test_a_loader_linked_to_its_own_copy_comes_back(site: Path) -> None:
    loader = site / LIBS / LOADER
    loader.rename(f"{loader}.bak")
    loader.symlink_to(f"{LOADER}.bak")
    (site / LIBS / "libcudnn.so.9").symlink_to(f"{LOADER}.bak")  # leads nowhere once the copy is back
    before = shape(prefix(site))
    fix(site)
    assert links(site / LIBS) == HEALED
    assert not loader.is_symlink()
    assert "nothing to do" in fix(site).stdout
    fix(site, "--undo")
    assert shape(prefix(site)) == before


def test_a_missing_loader_comes_back_or_is_said(site: Path) -> None:
    loader = site / LIBS / LOADER
    loader.rename(f"{loader}.bak")
    before = shape(prefix(site))
    fix(site)
    assert loader.read_bytes() == CONTENT
    fix(site, "--undo")
    assert shape(prefix(site)) == before
    write(site / LIBS / f"{LOADER}.bak", "not the loader")
    before = shape(prefix(site))
    assert "reinstall ctranslate2" in one_line(fix(site, code=1).stderr)
    assert shape(prefix(site)) == before


def test_a_loader_that_is_a_link_to_nothing_needs_a_reinstallation(site: Path) -> None:
    (site / LIBS / LOADER).unlink()
    (site / LIBS / LOADER).symlink_to("../nvidia/cudnn/lib/libcudnn.so.8")
    before = shape(prefix(site))
    for arguments in ((), ("--check",), ("--dry-run",)):
        assert "reinstall ctranslate2 (pip install" in one_line(fix(site, *arguments, code=1).stderr)
        assert shape(prefix(site)) == before


def test_dangling_and_versioned_links_go_and_living_ones_stay(site: Path) -> None:
    libs, lib = site / LIBS, site / CUDNN
    (libs / "libcudnn_gone.so.9").symlink_to("nowhere")
    (libs / "libcudnn_cnn.so.9.1.0").symlink_to(f"../{CUDNN}/libcudnn_cnn.so.9")
    (libs / "libcudnn.so").symlink_to("libcudnn_cnn.so.9.1.0")  # dangles as soon as that one is gone
    (libs / "libcudnn_foreign.so.9").symlink_to(f"../{CUDNN}/libcudnn_foreign.so.9")
    (libs / "libcudnn.so.9").symlink_to(f"../{CUDNN}/libcudnn.so.9")
    (libs / "libother.so").symlink_to("nowhere")
    (lib / "libcudnn_foreign.so.9").symlink_to("libcudnn_cnn.so.9")
    (lib / "libcudnn.so").symlink_to("libcudnn.so.9")
    with (site / "nvidia_cudnn_cu12-9.10.2.21.dist-info/RECORD").open("a") as file:
        file.write(f"{CUDNN}/libcudnn.so,,\n")
    before = shape(prefix(site))
    fix(site)
    kept = {"libcudnn.so.9": f"../{CUDNN}/libcudnn.so.9", "libother.so": "nowhere"}
    assert links(libs) == {**HEALED, **kept}
    assert links(lib) == {"libcudnn.so": "libcudnn.so.9"}
    after = shape(prefix(site))
    assert "nothing to do" in fix(site).stdout
    assert shape(prefix(site)) == after
    fix(site, "--undo")
    assert shape(prefix(site)) == before


def test_a_link_that_the_loader_leads_through_stays(site: Path) -> None:
    (site / LIBS / LOADER).unlink()
    (site / LIBS / LOADER).symlink_to(f"../{CUDNN}/libcudnn.so.9.1.0")
    (site / CUDNN / "libcudnn.so.9.1.0").symlink_to("libcudnn.so.9")
    fix(site)
    assert links(site / CUDNN) == {"libcudnn.so.9.1.0": "libcudnn.so.9"}
    assert (site / LIBS / LOADER).exists()
    fix(site, "--check")


def test_without_the_wheels_record_nothing_is_removed_beside_the_parts(site: Path) -> None:
    folk(site)
    (site / "nvidia_cudnn_cu12-9.10.2.21.dist-info/RECORD").unlink()
    fix(site)
    assert links(site / CUDNN) == {"libcudnn_ops.so.9.1.0": "libcudnn_ops.so.9"}


def test_strange_names_are_left_and_odd_targets_come_back(site: Path) -> None:
    (site / LIBS / "libcudnn_\n\x1b[31m").symlink_to("nowhere")
    (site / LIBS / "libcudnn_*; $(touch x)\\.so").symlink_to("-no where\n\n")
    before = shape(prefix(site))
    said = fix(site).stdout
    assert "\x1b" not in said
    assert links(site / LIBS) == {**HEALED, "libcudnn_\n\x1b[31m": "nowhere"}
    fix(site, "--undo")
    assert shape(prefix(site)) == before


# --- Nothing to do, or nothing that can be done -------------------------------------------------------------------------


def untouched(site: Path, code: int) -> str:
    """Say what a run answers that must not change anything."""
    before = shape(prefix(site))
    said = ""
    for arguments in (("--check",), ("--dry-run",), ()):
        done = fix(site, *arguments, code=code)
        said = one_line(done.stderr) if code else done.stdout
        assert shape(prefix(site)) == before
    return said


def test_a_newer_ctranslate2_is_healthy(tmp_path: Path) -> None:
    site = tmp_path / "env" / SITE
    ctranslate2(site, "4.6.3", loader="")
    cudnn(site)
    assert "ctranslate2 4.6.3 bundles no cuDNN: nothing to do" in untouched(site, 0)


def test_without_ctranslate2_there_is_nothing_to_do(tmp_path: Path) -> None:
    site = tmp_path / "env" / SITE
    cudnn(site)
    assert "ctranslate2 is not installed here: nothing to do" in untouched(site, 0)


def test_a_loader_for_cudnn_8_cannot_be_healed(tmp_path: Path) -> None:
    site = tmp_path / "env" / SITE
    ctranslate2(site, "4.4.0", loader="libcudnn-463fd6d5.so.8.9.7")
    cudnn(site)
    said = untouched(site, 1)
    assert "cuDNN 8" in said and "ctranslate2>=4.6.3,<4.8.2" in said


@pytest.mark.parametrize("left", ["no wheel", "only the loader", "only links"])
def test_a_missing_wheel_is_named(tmp_path: Path, left: str) -> None:
    site = tmp_path / "env" / SITE
    ctranslate2(site)
    if left != "no wheel":
        cudnn(site, ())
    if left == "only links":
        (site / CUDNN / PARTS[0]).symlink_to("libcudnn.so.9")
    assert "pip install 'nvidia-cudnn-cu12==9.*'" in untouched(site, 1)


@pytest.mark.parametrize("folder", [LIBS, "nvidia", "nvidia/cudnn", CUDNN, "ctranslate2-4.6.1.dist-info"])
def test_a_folder_that_leads_out_is_refused(site: Path, tmp_path: Path, folder: str) -> None:
    outside = tmp_path / "outside"
    (site / folder).rename(outside)
    (site / folder).symlink_to(outside)
    content = shape(outside)
    assert "leads out of the environment" in untouched(site, 1)
    assert shape(outside) == content


def test_site_packages_that_lead_out_are_refused(site: Path, tmp_path: Path) -> None:
    site.rename(tmp_path / "outside")
    site.symlink_to(tmp_path / "outside")
    assert "leads out of the environment" in untouched(site, 1)
    assert links(tmp_path / "outside" / LIBS) == {}


def test_links_that_would_not_lead_there_are_refused(site: Path) -> None:
    """Where ctranslate2.libs is itself a link, `..` is another folder."""
    (site / LIBS).rename(prefix(site) / "elsewhere")
    (site / LIBS).symlink_to("../../../elsewhere")
    assert "would not lead there" in untouched(site, 1)


def test_a_record_that_is_a_link_is_refused(site: Path, tmp_path: Path) -> None:
    record(site).rename(tmp_path / "RECORD")
    record_path = site / "ctranslate2-4.6.1.dist-info/RECORD"
    record_path.symlink_to(tmp_path / "RECORD")
    assert "RECORD is a link or cannot be read" in untouched(site, 1)


@pytest.mark.parametrize("folder", [".gpu-doctor", ".gpu-doctor/script"])
def test_notes_are_not_written_outside(site: Path, tmp_path: Path, folder: str) -> None:
    (tmp_path / "outside").mkdir()
    (prefix(site) / folder).parent.mkdir(exist_ok=True)
    (prefix(site) / folder).symlink_to(tmp_path / "outside")
    one_line(fix(site, code=1).stderr)
    one_line(fix(site, "--undo", code=4).stderr)
    assert links(site / LIBS) == {} and os.listdir(tmp_path / "outside") == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_named(site: Path) -> None:
    (site / LIBS).chmod(0o555)
    assert "cannot be written to" in one_line(fix(site, code=1).stderr)


# --- Check, dry run, undo -----------------------------------------------------------------------------------------------


def test_check_and_dry_run_change_nothing(site: Path) -> None:
    folk(site, backup=f"{LOADER}.bak")
    before = shape(prefix(site))
    assert "needs the repair" in one_line(fix(site, "--check", code=1).stderr)
    said = fix(site, "--dry-run").stdout
    assert all(f"link {LIBS}/{name} -> ../{CUDNN}/{name}\n" in said for name in PARTS)
    assert f"put {LIBS}/{LOADER}.bak back as {LOADER}" in said
    assert f"remove the stale link {CUDNN}/libcudnn_ops.so.9.1.0" in said
    assert "list the links in ctranslate2-4.6.1.dist-info/RECORD" in said
    assert shape(prefix(site)) == before


def test_undo_gives_back_the_same_tree(site: Path) -> None:
    before = shape(prefix(site))
    fix(site)
    during = shape(prefix(site))
    assert "dry run" in fix(site, "--undo", "--dry-run").stdout
    assert shape(prefix(site)) == during
    assert "undone" in fix(site, "--undo").stdout
    assert shape(prefix(site)) == before
    assert "nothing to undo" in fix(site, "--undo").stdout
    assert shape(prefix(site)) == before


def test_undo_works_where_the_environment_was_moved_to(site: Path, tmp_path: Path) -> None:
    before = shape(prefix(site))
    fix(site)
    moved = prefix(site).rename(tmp_path / "moved")
    assert run("--undo", "--prefix", moved).returncode == 0
    assert shape(moved) == before


def test_undo_leaves_what_others_keep_in_the_notes_folder(site: Path) -> None:
    fix(site)
    write(prefix(site) / ".gpu-doctor/journal", "the tool's own")
    fix(site, "--undo")
    assert os.listdir(prefix(site) / ".gpu-doctor") == ["journal"]


def test_undo_leaves_what_was_changed_since(site: Path) -> None:
    folk(site)
    fix(site)
    libs = site / LIBS
    (libs / PARTS[0]).unlink()
    (libs / PARTS[0]).symlink_to("elsewhere")
    (libs / PARTS[1]).unlink()
    write(libs / PARTS[1], "a file now")
    write(libs / "libcudnn_ops.so.9.1.0", "a file where a link was")
    with record(site).open("a") as file:
        file.write("more,,\n")
    changed = record(site).read_bytes()
    done = fix(site, "--undo", code=4)
    assert done.stderr.count("was changed since: left as it is\n") == 4
    assert "Traceback" not in done.stderr and "line " not in done.stderr
    assert links(libs) == {PARTS[0]: "elsewhere", LOADER: f"../{CUDNN}/libcudnn.so.9"}
    assert (libs / PARTS[1]).read_text() == "a file now"
    assert record(site).read_bytes() == changed
    assert (prefix(site) / ".gpu-doctor/script/1/plan").exists()
    (libs / PARTS[0]).unlink()
    (libs / PARTS[1]).unlink()
    (libs / "libcudnn_ops.so.9.1.0").unlink()
    record(site).write_bytes(changed.removesuffix(b"more,,\n"))
    fix(site, "--undo")
    assert not (prefix(site) / ".gpu-doctor").exists()


def test_undo_after_a_reinstallation_has_nothing_left_to_do(site: Path) -> None:
    fix(site)
    for name in PARTS:
        (site / LIBS / name).unlink()
    shutil.rmtree(site / "ctranslate2-4.6.1.dist-info")
    (site / LIBS / LOADER).unlink()
    ctranslate2(site, "4.6.3", loader="")
    after = {path: what for path, what in shape(prefix(site)).items() if not path.startswith(".gpu-doctor")}
    fix(site, "--undo")
    assert shape(prefix(site)) == after


def test_damaged_notes_lead_nowhere(site: Path, tmp_path: Path) -> None:
    write(tmp_path / "victim/ctranslate2.libs/libcudnn_ops.so.9", "")
    target = tmp_path / "victim/ctranslate2.libs/libcudnn_adv.so.9"
    target.symlink_to(f"../{CUDNN}/libcudnn_adv.so.9")
    for line in ("made\t../victim\tlibcudnn_adv.so.9\t-\t-\t-", "removed\tlib\t../x\t..\t-\t0", "nonsense", ""):
        write(prefix(site) / ".gpu-doctor/script/1/plan", line + "\n")
        assert "damaged" in fix(site, "--undo", code=4).stderr
    assert target.is_symlink()


# --- Killed half way ----------------------------------------------------------------------------------------------------

# Every state between two changes is met: the next command that counts finds it.
COMMANDS = {"fails": ("mv", "ln", "cp"), "is killed": ("mv", "ln", "cp", "rm")}
SHIM = """#!/bin/sh
read n < {count}
n=$((n + 1))
echo $n > {count}
if [ $n -eq {nth} ]; then {fate}; fi
exec {real} "$@"
"""
FATES = {"fails": "exit 1", "is killed": "kill -9 $PPID; exit 1"}


def interrupted(tmp_path: Path, site: Path, fate: str, nth: int, *arguments: str) -> bool:
    """Run the script with its nth command failing, or killing it; say whether it came as far as that command."""
    shims = tmp_path / "shims"
    shutil.rmtree(shims, ignore_errors=True)
    shims.mkdir()
    count = tmp_path / "count"
    count.write_text("0\n")
    for name in COMMANDS[fate]:
        real = shutil.which(name)
        shim = shims / name
        shim.write_text(SHIM.format(count=count, nth=nth, real=real, fate=FATES[fate]))
        shim.chmod(0o755)
    path = f"{shims}:{os.environ['PATH']}"
    done = run("--prefix", prefix(site), *arguments, PATH=path)
    reached = int(count.read_text()) >= nth
    assert done.returncode != 0 if reached and fate != "fails" else "bash" not in done.stderr
    return reached


def without_notes(tree: Shape) -> Shape:
    return {path: what for path, what in tree.items() if not path.startswith(".gpu-doctor")}


def copy(site: Path) -> Path:
    """Copy the environment beside itself, in the place of an earlier copy, and return its site-packages."""
    place = prefix(site).with_name("copy")
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(prefix(site), place, symlinks=True)
    return place / SITE


@pytest.fixture
def spoilt(tmp_path: Path) -> Iterator[Path]:
    """Return a small environment in which every kind of change is due."""
    site = tmp_path / "env" / SITE
    ctranslate2(site)
    cudnn(site, PARTS[2:])
    folk(site, backup=f"{LOADER}.bak")
    (site / LIBS / PARTS[2]).symlink_to("wrong")
    return site


@pytest.mark.slow
@pytest.mark.parametrize("fate", FATES)
def test_a_run_that_ends_anywhere_is_completed_or_taken_back(tmp_path: Path, spoilt: Path, fate: str) -> None:
    site = spoilt
    before = shape(prefix(site))
    fix(site)
    healed = without_notes(shape(prefix(site)))
    fix(site, "--undo")
    nth = 1
    while interrupted(tmp_path, site, fate, nth):
        undone = copy(site)
        fix(undone, "--undo")
        assert shape(prefix(undone)) == before, f"undone after command {nth}"
        fix(site)
        assert without_notes(shape(prefix(site))) == healed, f"completed after command {nth}"
        fix(site, "--undo")
        assert shape(prefix(site)) == before, f"completed after command {nth}, then undone"
        nth += 1
    assert nth > 12


@pytest.mark.slow
@pytest.mark.parametrize("fate", FATES)
def test_an_undo_that_ends_anywhere_is_completed_or_healed_again(tmp_path: Path, spoilt: Path, fate: str) -> None:
    site = spoilt
    before = shape(prefix(site))
    fix(site)
    healed = without_notes(shape(prefix(site)))
    nth = 1
    while interrupted(tmp_path, site, fate, nth, "--undo"):
        undone = copy(site)
        fix(undone, "--undo")
        assert shape(prefix(undone)) == before, f"completed after command {nth}"
        fix(site)
        assert without_notes(shape(prefix(site))) == healed, f"healed again after command {nth}"
        nth += 1
    assert nth > 7
    fix(site, "--undo")
    assert shape(prefix(site)) == before


# --- Which environment, and how it is called ----------------------------------------------------------------------------


def test_the_environment_is_found_and_named(site: Path, tmp_path: Path) -> None:
    env, here = prefix(site), tmp_path / "here"
    here.mkdir()
    (env / "bin").mkdir()
    (env / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (env / "bin/python3").symlink_to(shutil.which("true") or "/bin/true")
    named = {
        "from $VIRTUAL_ENV": run("--check", cwd=here, VIRTUAL_ENV=str(env), CONDA_PREFIX="/nonexistent"),
        "from $CONDA_PREFIX": run("--check", cwd=here, CONDA_PREFIX=str(env)),
        "from python3 on PATH": run("--check", cwd=here, PATH=f"{env / 'bin'}:{os.environ['PATH']}"),
    }
    (here / ".venv").symlink_to(env)
    named["from ./.venv"] = run("--check", cwd=here, CONDA_PREFIX="/nonexistent")
    named["from --prefix"] = run("--check", "--prefix=../env", cwd=here, VIRTUAL_ENV="/nonexistent")
    for source, done in named.items():
        assert (done.returncode, done.stdout.splitlines()[0]) == (1, f"environment: {env} ({source})")


def test_a_python_outside_of_a_venv_lies_where_its_links_end(site: Path, tmp_path: Path) -> None:
    (prefix(site) / "bin").mkdir()
    write(prefix(site) / "bin/python3.11", "#!/bin/sh\nexit 1\n")
    (prefix(site) / "bin/python3.11").chmod(0o755)
    (prefix(site) / "bin/python3").symlink_to("python3.11")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").symlink_to("../env/bin/python3")
    done = run("--check", cwd=tmp_path, PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert done.stdout.startswith(f"environment: {prefix(site)} (from python3 on PATH)\n")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--fast",), "unknown argument: --fast"),
        (("env",), "unknown argument: env"),
        (("",), "unknown argument: "),
        (("--prefix",), "--prefix needs a folder"),
        (("--prefix", ""), "--prefix needs a folder"),
        (("--prefix=",), "--prefix needs a folder"),
        (("--prefix", "/nonexistent"), "no such folder: /nonexistent"),
        (("--prefix", "-"), "no such folder: -"),
        (("--prefix", "a\x1bb"), "control characters"),
        (("--prefix", "."), "not a Python environment"),
        (("--check", "--undo"), "exclude each other"),
        (("--check", "--dry-run"), "does not go with it"),
        (("\x1b[31m",), "unknown argument: $'\\E[31m'"),
    ],
)
def test_wrong_usage_is_one_line(tmp_path: Path, arguments: tuple[str, ...], problem: str) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "") or (done.returncode, arguments) == (2, ("--prefix", "."))
    assert problem in one_line(done.stderr)


def test_a_variable_that_leads_nowhere_is_said(tmp_path: Path) -> None:
    done = run(cwd=tmp_path, VIRTUAL_ENV="/nonexistent")
    assert done.returncode == 2
    assert "no such folder: /nonexistent (from $VIRTUAL_ENV)" in one_line(done.stderr)


def test_help_names_every_option_and_exit_code() -> None:
    said = run("--help").stdout
    assert all(
        word in said for word in ("--check", "--undo", "--dry-run", "--prefix DIR", "--help", "0 ", "1 ", "2 ", "4 ")
    )


def test_paths_with_spaces_and_letters(site: Path, tmp_path: Path) -> None:
    odd = prefix(site).rename(tmp_path / "ümlaut $HOME 'and' [space]*")
    assert run("--prefix", odd).returncode == 0
    assert links(odd / SITE / LIBS) == HEALED
    assert run("--undo", "--prefix", odd).returncode == 0


def test_plain_sh_hands_over_to_bash(site: Path) -> None:
    command = ["sh", str(SCRIPT), "--prefix", str(prefix(site))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert links(site / LIBS) == HEALED


def test_the_script_is_read_from_a_pipe(site: Path) -> None:
    with SCRIPT.open("rb") as script:
        done = subprocess.run([BASH, "-s", "--", "--prefix", str(prefix(site))], stdin=script, check=False)
    assert done.returncode == 0
    assert links(site / LIBS) == HEALED


@pytest.mark.skipif(not shutil.which("busybox"), reason="no busybox on PATH")
def test_busybox_is_enough(spoilt: Path, tmp_path: Path) -> None:
    applets = tmp_path / "applets"
    applets.mkdir()
    listing = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split()
    for name in listing:
        (applets / name).symlink_to(str(shutil.which("busybox")))
    before = shape(prefix(spoilt))
    for arguments, code in ((("--check",), 1), ((), 0), (("--check",), 0), (("--undo",), 0)):
        done = run("--prefix", prefix(spoilt), *arguments, PATH=str(applets))
        assert (done.returncode, code or done.stderr) == (code, code or ""), done.stdout + done.stderr
    assert shape(prefix(spoilt)) == before


def test_only_coreutils_are_needed(spoilt: Path, tmp_path: Path) -> None:
    """No grep, no sed, no Python: PATH holds only what is named here."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("cat", "chmod", "cp", "ln", "mkdir", "mv", "readlink", "rm", "rmdir", "sha256sum", "stat", "sync"):
        (tools / name).symlink_to(str(shutil.which(name)))
    before = shape(prefix(spoilt))
    for arguments in ((), ("--undo",)):
        done = run("--prefix", prefix(spoilt), *arguments, PATH=str(tools))
        assert (done.returncode, done.stderr) == (0, "")
    assert shape(prefix(spoilt)) == before


def test_shellcheck_finds_nothing() -> None:
    shellcheck = Path(sys.prefix, "bin", "shellcheck")  # the dev group brings it
    done = subprocess.run([str(shellcheck), str(SCRIPT)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
