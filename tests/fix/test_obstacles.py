"""What would stop a repair half way is found before anything is touched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpu_doctor.fix import obstacles as module
from gpu_doctor.fix.ground import Ground
from gpu_doctor.fix.obstacles import obstacles, signature
from gpu_doctor.fix.steps import Hands
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import (
    ClearExecutableStack,
    InstallPackages,
    ListInRecord,
    MakeLink,
    RemoveFile,
    RestoreFile,
    SetVariable,
    Step,
)
from tests import kit
from tests.fix.ground import LOADER, SITE, environment, steps, tree

UV = ("uv", "pip")


class Patient:
    """An environment on disk, and the inventory that says so."""

    def __init__(self, top: Path) -> None:
        self.prefix = environment(top)
        self.site = self.prefix / SITE
        self.libs = self.site / "ctranslate2.libs"
        self.tools = top / "tools"
        self.tools.mkdir()
        (self.tools / "uv").write_text("#!/bin/sh\n")
        (self.tools / "uv").chmod(0o755)

    def inventory(self, **changes: Any) -> Inventory:
        owner = kit.dist(
            "ctranslate2", "4.6.1", location=str(self.site), metadata=f"{self.site}/ctranslate2-4.6.1.dist-info"
        )
        return kit.inventory(owner, interpreter=kit.interpreter(prefix=str(self.prefix), **changes))

    def hands(self, **environ: str) -> Hands:
        variables = {"PATH": str(self.tools), **environ}
        return Hands(Ground(str(self.prefix)), variables, lambda _name, text, _pins: text)

    def against(self, *wanted: Step, seen: Inventory | None = None, **environ: str) -> tuple[str, ...]:
        before = tree(self.prefix, inodes=True)
        found = obstacles(wanted, seen or self.inventory(), self.hands(**environ))
        assert tree(self.prefix, inodes=True) == before
        return found

    @property
    def link(self) -> MakeLink:
        return MakeLink(f"{self.libs}/libcudnn_adv.so.9", "../nvidia/cudnn/lib/libcudnn_adv.so.9")

    @property
    def install(self) -> InstallPackages:
        return InstallPackages(UV, f"{self.prefix}/bin/python", ("ctranslate2>=4.6.3",))


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return Patient(tmp_path)


def test_a_sound_environment_has_none(patient: Patient) -> None:
    assert patient.against(*steps(patient.prefix), patient.install, SetVariable("LD_LIBRARY_PATH", None)) == ()


def test_the_same_obstacle_is_said_once(patient: Patient) -> None:
    wanted = MakeLink(f"{patient.site}/nowhere/a.so", "b.so")
    other = RemoveFile(f"{patient.site}/nowhere/c.so", "it is old")
    assert patient.against(wanted, other) == (f"{patient.site}/nowhere does not exist",)


# --- The environment --------------------------------------------------------------------------------------------------


def test_a_pythons_own_wish_to_be_left_alone_is_heard_before_all_else(patient: Patient) -> None:
    (said,) = patient.against(patient.install, patient.link, seen=patient.inventory(externally_managed=True))
    assert said == f"{patient.prefix} is marked as externally managed: make a virtual environment and repair that"


def test_a_read_only_environment_cannot_be_repaired(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = os.access
    monkeypatch.setattr(module.os, "access", lambda path, mode: path != str(patient.prefix) and allowed(path, mode))
    assert patient.against(patient.link, patient.install) == (f"{patient.prefix} is read-only",)


def test_a_read_only_site_cannot_be_installed_into(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = os.access
    monkeypatch.setattr(module.os, "access", lambda path, mode: path != str(patient.site) and allowed(path, mode))
    assert patient.against(patient.install) == (f"{patient.site} is read-only",)


Mount = Callable[..., None]


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mount an empty file system on a folder; without the right to do so the test is skipped."""
    mounted: list[Path] = []

    def act(folder: Path, *options: str) -> None:
        if shutil.which("mount") is None:
            pytest.skip("needs mount")
        ended = subprocess.run(["mount", "-t", "tmpfs", *options, "none", folder], capture_output=True)
        if ended.returncode:
            pytest.skip("needs the right to mount")
        mounted.append(folder)

    yield act
    for folder in reversed(mounted):
        subprocess.run(["umount", folder], check=True)


def test_a_real_read_only_file_system_is_one(tmp_path: Path, mount: Mount) -> None:
    mount(tmp_path)
    patient = Patient(tmp_path)
    assert patient.against(patient.link) == ()
    subprocess.run(["mount", "-o", "remount,ro", tmp_path], check=True)
    assert patient.against(patient.link) == (f"{patient.prefix} is read-only",)


def test_a_read_only_folder_in_it_is_one_too(patient: Patient, mount: Mount) -> None:
    folder = patient.site / "mounted.libs"
    folder.mkdir()
    mount(folder, "-o", "ro")
    assert patient.against(MakeLink(f"{folder}/a.so", "b.so")) == (f"{folder} is read-only",)


def test_another_file_system_in_it_is_none_of_ours(patient: Patient, mount: Mount) -> None:
    folder = patient.site / "mounted.libs"
    folder.mkdir()
    mount(folder)
    assert patient.against(MakeLink(f"{folder}/a.so", "b.so")) == (
        f"{folder} is on another file system than the environment",
    )


@pytest.mark.parametrize(("packages", "least"), [(False, 16), (True, 256)])
def test_little_room_is_said_with_numbers(
    patient: Patient, monkeypatch: pytest.MonkeyPatch, packages: bool, least: int
) -> None:
    step = patient.install if packages else patient.link

    def free(mebibytes: int) -> None:
        real = os.statvfs_result((4096, 4096, 0, 0, mebibytes * 256, 0, 0, 0, 0, 255))
        monkeypatch.setattr(module.os, "statvfs", lambda _folder: real)

    free(least - 1)
    assert patient.against(step) == (f"the disk has {least - 1} MiB left, and the repair may need {least} MiB",)
    free(least)
    assert patient.against(step) == ()


# --- Paths ------------------------------------------------------------------------------------------------------------


def test_a_file_where_a_link_is_to_be_belongs_to_somebody(patient: Patient) -> None:
    path = f"{patient.libs}/{LOADER}.bak"
    assert patient.against(MakeLink(path, "x")) == (
        f"{path} is a file, no link: who placed it there must take it away",
    )
    assert patient.against(MakeLink(f"{patient.libs}/{LOADER}", "x")) == ()  # a link, even one that leads somewhere
    assert patient.against(MakeLink(f"{patient.libs}/libcudnn_ops.so.9", "x")) == ()  # a link to nothing
    assert patient.against(RemoveFile(path, "it is old")) == ()


@pytest.mark.parametrize("kind", ["link", "removal", "restore from", "restore to", "record", "stack"])
def test_every_kind_of_step_is_kept_inside(patient: Patient, kind: str) -> None:
    outside = f"{patient.prefix.parent}/cache/0"
    wanted: dict[str, Step] = {
        "link": MakeLink(outside, "x"),
        "removal": RemoveFile(outside, "it is old"),
        "restore from": RestoreFile(f"{patient.libs}/{LOADER}", outside),
        "restore to": RestoreFile(outside, f"{patient.libs}/{LOADER}.bak"),
        "record": ListInRecord(outside, ("a",)),
        "stack": ClearExecutableStack(outside),
    }
    assert patient.against(wanted[kind]) == (f"{outside} leads out of {patient.prefix}",)


def test_a_folder_that_is_a_link_out_is_refused(patient: Patient) -> None:
    (patient.site / "away.libs").symlink_to(patient.prefix.parent / "cache")
    path = f"{patient.site}/away.libs/a.so"
    assert patient.against(MakeLink(path, "x")) == (f"{path} leads out of {patient.prefix}",)


# --- Package managers -------------------------------------------------------------------------------------------------


def test_a_package_manager_that_is_nowhere_is_said(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(patient.prefix.parent))
    monkeypatch.setattr(sys, "prefix", str(patient.prefix.parent / "nowhere"))
    assert patient.against(patient.install, PATH="") == ("uv is not found, and it owns this environment",)
    python = f"{patient.prefix}/bin/python"
    pip = InstallPackages((python, "-m", "pip"), python, ("ctranslate2",))
    assert patient.against(pip) == (f"{python} is not found, and it owns this environment",)


@pytest.mark.parametrize(
    "line",
    [
        "/usr/lib/libcudnn.so.9,,",
        '"/usr/share/a, b",,',
        "../../../../etc/passwd,sha256=abc,3",
        '"../../../../home/ada/a, b",sha256=abc,3',
    ],
)
def test_a_record_that_lists_what_lies_outside_stops_a_package_manager(patient: Patient, line: str) -> None:
    record = patient.site / "ctranslate2-4.6.1.dist-info/RECORD"
    record.write_text(f"ctranslate2/__init__.py,,\n{line}\n")
    said = "the RECORD of ctranslate2 lists files outside of the environment, which its removal would take away"
    assert patient.against(patient.install) == (said,)
    assert patient.against(patient.link) == ()  # no manager reads it then


def test_a_record_may_list_commands_and_man_pages(patient: Patient) -> None:
    record = patient.site / "ctranslate2-4.6.1.dist-info/RECORD"
    record.write_text('../../../bin/ct2,,\n"../../../share/man/a, b",,\nx/..//../../../a,,\n')
    assert patient.against(patient.install) == ()


def test_a_package_outside_of_the_environment_is_not_the_managers(patient: Patient) -> None:
    away = patient.prefix.parent / "system/foreign-1.dist-info"
    away.mkdir(parents=True)
    (away / "RECORD").write_text("/etc/passwd,,\n")
    foreign = kit.dist("foreign", "1", location=str(away.parent), metadata=str(away))
    seen = patient.inventory()
    assert patient.against(patient.install, seen=replace(seen, distributions=(*seen.distributions, foreign))) == ()


# --- Programs at work -------------------------------------------------------------------------------------------------

MAP = "import mmap, sys\nf = open(sys.argv[1], 'rb')\nm = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)\nprint(flush=True)\nsys.stdin.read()"


@pytest.fixture
def using() -> Iterator[Callable[[Path], str]]:
    """Start a program that maps a file, and return how it is named to people."""
    children: list[subprocess.Popen[bytes]] = []

    def start(file: Path) -> str:
        child = subprocess.Popen(
            [sys.executable, "-c", MAP, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PATH": os.defpath}
        )
        children.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == b"\n"
        return f"{Path(f'/proc/{child.pid}/comm').read_text().strip()} (process {child.pid})"

    yield start
    for child in children:
        child.communicate()


Using = Callable[[Path], str]


def test_a_program_that_uses_the_libraries_stops_a_package_manager(patient: Patient, using: Using) -> None:
    who = using(patient.libs / f"{LOADER}.bak")
    assert patient.against(patient.install) == (f"{who} uses libraries of {patient.site}: end it first",)
    assert patient.against(patient.link) == ()  # nothing that it uses is exchanged


def test_a_program_that_uses_a_library_keeps_it_from_being_exchanged(patient: Patient, using: Using) -> None:
    saved = f"{patient.libs}/{LOADER}.bak"
    who = using(Path(saved))
    assert patient.against(ClearExecutableStack(saved)) == (f"{who} has {saved} in use: end it first",)
    assert patient.against(RestoreFile(f"{patient.libs}/{LOADER}", saved)) == (
        f"{who} has {saved} in use: end it first",
    )


def test_a_library_whose_name_only_begins_so_is_another_one(patient: Patient, using: Using) -> None:
    libcudnn = patient.libs / "libcudnn.so"
    libcudnn.write_bytes(b"x")
    longer = patient.libs / "libcudnn.so.9"
    longer.write_bytes(b"x")
    using(longer)
    assert patient.against(ClearExecutableStack(str(libcudnn))) == ()


def test_a_neighbour_whose_name_only_begins_so_is_another_environment(patient: Patient, using: Using) -> None:
    other = Path(f"{patient.site}-2")
    other.mkdir()
    (other / "lib.so").write_bytes(b"x")
    using(other / "lib.so")
    assert patient.against(patient.install) == ()


# --- Whether the environment is still the one that was looked at ---------------------------------------------------------


def signed(patient: Patient) -> tuple[object, ...]:
    return signature([str(patient.site)])


def exchange_record(patient: Patient) -> None:
    record = patient.site / "ctranslate2-4.6.1.dist-info/RECORD"
    draft = record.with_name("RECORD.new")
    shutil.copy2(record, draft)
    draft.replace(record)


def rewrite_record(patient: Patient) -> None:
    (patient.site / "ctranslate2-4.6.1.dist-info/RECORD").write_text("")


def new_link(patient: Patient) -> None:
    (patient.libs / "libcudnn_adv.so.9").symlink_to("x")


def link_gone(patient: Patient) -> None:
    (patient.libs / "libcudnn_ops.so.9").unlink()


def new_package(patient: Patient) -> None:
    (patient.site / "numpy-2.0.dist-info").mkdir()


def package_gone(patient: Patient) -> None:
    shutil.rmtree(patient.site / "ctranslate2-4.6.1.dist-info")


def new_pth(patient: Patient) -> None:
    (patient.site / "extra.pth").write_text("/opt\n")


@pytest.mark.parametrize(
    "change", [exchange_record, rewrite_record, new_link, link_gone, new_package, package_gone, new_pth]
)
def test_what_a_package_manager_or_a_person_does_changes_the_signature(
    patient: Patient, change: Callable[[Patient], None]
) -> None:
    before = signed(patient)
    assert signed(patient) == before
    change(patient)
    assert signed(patient) != before


def test_bytecode_and_what_is_in_a_package_do_not(patient: Patient) -> None:
    (patient.site / "ctranslate2").mkdir()
    (patient.site / "six.py").touch()
    before = signed(patient)
    for folder in (patient.site, patient.site / "ctranslate2"):
        (folder / "__pycache__").mkdir()
        (folder / "__pycache__/six.cpython-311.pyc").write_bytes(b"x")
    assert signed(patient) == before


def test_a_folder_that_is_not_there_has_a_signature_too(patient: Patient, tmp_path: Path) -> None:
    away = str(tmp_path / "nowhere")
    assert signature([away]) == signature([away])
    assert signature([away]) != signature([])
