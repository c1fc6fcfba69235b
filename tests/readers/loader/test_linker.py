from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from gpu_doctor.model.libraries import Elf
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.loader.cache import LdCache
from gpu_doctor.readers.loader.linker import Linker
from gpu_doctor.readers.loader.system import LdSystem, read_system
from tests.readers.ld_world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def two_of(world: World, name: str) -> None:
    """Put a library of one SONAME into the folders near and far."""
    world.build(f"near/{name}", soname=name)
    world.build(f"far/{name}", soname=name)


@pytest.mark.parametrize(
    ("rpath", "runpath", "folder", "rule"),
    [
        ("$ORIGIN/../near", "", "near", "DT_RPATH of bin/program"),
        ("", "$ORIGIN/../near", "far", "LD_LIBRARY_PATH"),
        ("", "", "far", "LD_LIBRARY_PATH"),
    ],
)
def test_rpath_comes_before_the_variable_and_runpath_after_it(
    world: World, rpath: str, runpath: str, folder: str, rule: str
) -> None:
    two_of(world, "liba.so")
    world.program("near/liba.so", rpath=rpath, runpath=runpath)
    assert world.play(LD_LIBRARY_PATH=str(world.folder / "far")) == [
        f"bin/../{folder}/liba.so" if folder == "near" else f"{folder}/liba.so"
    ]
    assert world.rule("liba.so") == rule


def test_runpath_serves_where_the_variable_does_not(world: World) -> None:
    world.build("near/liba.so", soname="liba.so")
    world.program("near/liba.so", runpath="$ORIGIN/../near")
    assert world.play(LD_LIBRARY_PATH=str(world.folder / "empty")) == ["bin/../near/liba.so"]
    assert world.rule("liba.so") == "DT_RUNPATH of bin/program"


def test_rpath_serves_the_needs_of_needs(world: World) -> None:
    world.build("near/libb.so", soname="libb.so")
    world.build("near/liba.so", "near/libb.so", soname="liba.so")
    world.program("near/liba.so", rpath="$ORIGIN/../near")
    assert world.play() == ["bin/../near/liba.so", "bin/../near/libb.so"]
    assert world.rule("libb.so") == "DT_RPATH of bin/program"


def test_runpath_serves_nobody_else(world: World) -> None:
    world.build("near/libb.so", soname="libb.so")
    world.build("near/liba.so", "near/libb.so", soname="liba.so")
    world.program()
    world.build("top/libtop.so", "near/liba.so", soname="libtop.so", runpath="$ORIGIN/../near")
    assert world.play(str(world.folder / "top/libtop.so")) == []
    assert world.rule("libb.so") == "not found"


def test_runpath_shuts_out_the_rpath_of_who_asked(world: World) -> None:
    world.build("near/libb.so", soname="libb.so")
    world.build("near/liba.so", "near/libb.so", soname="liba.so", runpath="/nowhere")
    world.build("top/libtop.so", "near/liba.so", soname="libtop.so", rpath="$ORIGIN/../near")
    world.program()
    assert world.play(str(world.folder / "top/libtop.so")) == []


def test_rpath_passes_through_one_that_has_runpath(world: World) -> None:
    """top (RPATH) → middle (RUNPATH) → low (neither): low still has the RPATH of top."""
    world.build("near/libx.so", soname="libx.so")
    world.build("low/liblow.so", "near/libx.so", soname="liblow.so")
    world.build("near/libmiddle.so", "low/liblow.so", soname="libmiddle.so", runpath="$ORIGIN/../low")
    world.build("top/libtop.so", "near/libmiddle.so", soname="libtop.so", rpath="$ORIGIN/../near")
    world.program()
    assert world.play(str(world.folder / "top/libtop.so"))[-1] == "top/../near/libx.so"
    assert world.rule("libx.so") == "DT_RPATH of top/libtop.so"


@pytest.mark.parametrize(("rpath", "runpath"), [("$ORIGIN/../near", ""), ("", "$ORIGIN/../near")])
def test_dlopen_searches_for_its_caller(world: World, rpath: str, runpath: str) -> None:
    world.build("near/liba.so", soname="liba.so")
    caller = world.build("top/libtop.so", soname="libtop.so", rpath=rpath, runpath=runpath)
    world.program()
    assert world.play(f"{caller}=liba.so") == ["top/libtop.so", "top/../near/liba.so"]
    assert world.play(str(caller), "liba.so") == ["top/libtop.so"]


def test_origin_is_the_folder_of_the_path_opened_not_of_the_link_s_target(world: World) -> None:
    world.build("real/libpart.so", soname="libpart.so")
    world.build("real/libloader.so", soname="libloader.so", runpath="$ORIGIN")
    link = world.folder / "bundle/libloader-1.so"
    link.parent.mkdir()
    link.symlink_to("../real/libloader.so")
    world.program()
    assert world.play(f"{link}=libpart.so") == ["bundle/libloader-1.so"]
    assert world.events[-1].tried[0].path == str(world.folder / "bundle/libpart.so")
    (link.parent / "libpart.so").symlink_to("../real/libpart.so")
    assert world.play(f"{link}=libpart.so") == ["bundle/libloader-1.so", "bundle/libpart.so"]


def test_origin_of_the_program_is_the_folder_of_its_file(world: World) -> None:
    world.build("near/liba.so", soname="liba.so")
    world.program("near/liba.so", runpath="$ORIGIN/../near")
    (world.folder / "other/bin").mkdir(parents=True)
    (world.folder / "other/bin/python").symlink_to("../../bin/program")
    assert world.play(program="other/bin/python") == ["bin/../near/liba.so"]


def test_soname_that_is_loaded_is_not_searched_again(world: World) -> None:
    two_of(world, "liba.so.1")
    world.program()
    first, second = str(world.folder / "near/liba.so.1"), str(world.folder / "far")
    assert world.play(first, "liba.so.1", LD_LIBRARY_PATH=second) == ["near/liba.so.1"]
    assert world.rule("liba.so.1") == "already loaded"


def test_file_name_is_no_soname(world: World) -> None:
    world.build("near/libplain.so", soname="libother.so.1")
    world.build("far/libplain.so", soname="libother.so.1")
    world.program()
    opened = str(world.folder / "near/libplain.so")
    assert world.play(opened, "libplain.so", LD_LIBRARY_PATH=str(world.folder / "far")) == [
        "near/libplain.so",
        "far/libplain.so",
    ]


def test_same_file_by_another_path_is_the_same_library(world: World) -> None:
    one = world.build("near/liba.so")
    (world.folder / "far").mkdir()
    os.link(one, world.folder / "far/libtwin.so")
    world.program()
    assert world.play(str(one), "libtwin.so", LD_LIBRARY_PATH=str(world.folder / "far")) == ["near/liba.so"]
    assert world.rule("libtwin.so") == "LD_LIBRARY_PATH, the same file as near/liba.so, already loaded"


def test_missing_need_leaves_nothing_loaded(world: World) -> None:
    world.build("near/libgone.so", soname="libgone.so")
    world.build("near/libgood.so", soname="libgood.so")
    top = world.build("near/libtop.so", "near/libgood.so", "near/libgone.so", soname="libtop.so", runpath="$ORIGIN")
    world.program()
    (world.folder / "near/libgone.so").unlink()
    assert world.play(str(top)) == []
    opened = next(event for event in world.events if event.how == "dlopen")
    assert opened.found is None
    assert opened.rule == "not loaded: libgone.so, needed by libtop.so, is not found"
    assert world.play(str(top), str(world.folder / "near/libgood.so")) == ["near/libgood.so"]


def test_what_follows_a_missing_need_is_marked(world: World) -> None:
    world.build("near/libgone.so", soname="libgone.so")
    world.build("near/libgood.so", soname="libgood.so")
    top = world.build("near/libtop.so", "near/libgone.so", "near/libgood.so", soname="libtop.so", runpath="$ORIGIN")
    world.program()
    (world.folder / "near/libgone.so").unlink()
    world.play(str(top))
    assert {event.name: (event.sure, event.found is not None) for event in world.events if "libg" in event.name} == {
        "libgone.so": (True, False),
        "libgood.so": (False, True),
    }


def test_needs_are_loaded_breadth_first(world: World) -> None:
    world.build("n/libd.so", soname="libd.so")
    world.build("n/libc1.so", soname="libc1.so")
    world.build("n/libb.so", "n/libd.so", soname="libb.so", rpath="$ORIGIN")
    world.build("n/liba.so", "n/libb.so", "n/libc1.so", soname="liba.so", rpath="$ORIGIN")
    world.program()
    assert world.play(str(world.folder / "n/liba.so")) == ["n/liba.so", "n/libb.so", "n/libc1.so", "n/libd.so"]


def test_preload_comes_first(world: World) -> None:
    two_of(world, "liba.so")
    world.program("near/liba.so", rpath="$ORIGIN/../near")
    preload = f"{world.folder}/far/liba.so libmissing.so"
    assert world.play(LD_PRELOAD=preload) == ["far/liba.so"]
    assert world.rule("liba.so") == "already loaded by LD_PRELOAD"


def test_file_for_another_machine_is_passed_over(world: World) -> None:
    two_of(world, "liba.so")
    world.program("far/liba.so")
    content = bytearray((world.folder / "near/liba.so").read_bytes())
    content[18:20] = b"\xb7\x00"  # e_machine: aarch64
    (world.folder / "near/liba.so").write_bytes(content)
    assert world.play(LD_LIBRARY_PATH=f"{world.folder}/near:{world.folder}/far") == ["far/liba.so"]


def test_file_that_is_no_library_ends_the_search(world: World) -> None:
    two_of(world, "liba.so")
    (world.folder / "near/liba.so").write_text("INPUT(libother.so)\n")
    world.program()
    assert world.play("liba.so", LD_LIBRARY_PATH=f"{world.folder}/near:{world.folder}/far") == []
    assert world.rule("liba.so").startswith("not found: near/liba.so is unusable: ")


def test_dangling_link_and_missing_folder_are_passed_over(world: World) -> None:
    world.build("far/liba.so", soname="liba.so")
    (world.folder / "near").mkdir()
    (world.folder / "near/liba.so").symlink_to("gone")
    world.program()
    assert world.play("liba.so", LD_LIBRARY_PATH=f"{world.folder}/none:{world.folder}/near:{world.folder}/far") == [
        "far/liba.so"
    ]
    opened = next(event for event in world.events if event.how == "dlopen")
    assert [step.outcome for step in opened.tried] == ["no such folder", "leads to no file", "found"]


def test_subfolders_for_the_cpu_come_first(world: World) -> None:
    best = read_system().hwcaps[0]
    two_of(world, "liba.so")
    world.build(f"far/glibc-hwcaps/{best}/liba.so", soname="liba.so")
    world.program()
    assert world.play("liba.so", LD_LIBRARY_PATH=f"{world.folder}/far") == [f"far/glibc-hwcaps/{best}/liba.so"]


def test_semicolons_slashes_and_tokens_of_the_variable(world: World) -> None:
    two_of(world, "liba.so")
    world.program()
    assert world.play("liba.so", LD_LIBRARY_PATH="/none;$ORIGIN/../far//") == ["bin/../far/liba.so"]


def test_name_with_a_slash_is_not_searched(world: World) -> None:
    two_of(world, "liba.so")
    world.program()
    assert world.play("sub/liba.so", LD_LIBRARY_PATH=f"{world.folder}/far") == []
    caller = world.build("top/libtop.so", soname="libtop.so")
    assert world.play(f"{caller}=$ORIGIN/../near/liba.so") == ["top/libtop.so", "top/../near/liba.so"]


def test_cache_and_default_folders_serve_the_rest(world: World) -> None:
    world.program()
    world.play("libutil.so.1", "libno-such-library.so.1")
    assert world.rule("libutil.so.1") == "ld.so.cache"
    assert {step.rule for step in world.events[-1].tried} == {"ld.so.cache", "default directory"}


# What gcc cannot make everywhere, from values.

BARE = LdSystem("", ("/nowhere",), LdCache("/etc/ld.so.cache", {}))


def values(tmp_path: Path, elves: dict[str, Elf | Unknown]) -> dict[str, Elf | Unknown]:
    for place in elves:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("")
    return {f"{tmp_path}/{place}": elf for place, elf in elves.items()}


def library(needed: tuple[str, ...] = (), rpath: tuple[str, ...] = (), runpath: tuple[str, ...] = ()) -> Elf:
    return Elf("x86_64", None, needed, rpath, runpath, False)


def test_rpath_is_void_beside_runpath(tmp_path: Path) -> None:
    elves = values(
        tmp_path,
        {
            "program": library(("liba.so",), rpath=(f"{tmp_path}/one",), runpath=(f"{tmp_path}/two",)),
            "one/liba.so": library(),
            "two/liba.so": library(),
        },
    )
    process = Linker({}, elves.__getitem__, f"{tmp_path}/program", BARE).start()
    assert [item.path for item in process.loaded[1:]] == [f"{tmp_path}/two/liba.so"]


def test_32_bit_library_is_passed_over(tmp_path: Path) -> None:
    elves = values(tmp_path, {"program": library(("liba.so",), ("/none", f"{tmp_path}/32", f"{tmp_path}/64"))})
    elves |= values(tmp_path, {"32/liba.so": replace(library(), machine="i386"), "64/liba.so": library()})
    process = Linker({}, elves.__getitem__, f"{tmp_path}/program", BARE).start()
    assert [item.path for item in process.loaded[1:]] == [f"{tmp_path}/64/liba.so"]
    assert process.events[-1].tried[1].outcome == "for another machine (i386)"


def test_without_a_program_the_rest_still_loads(tmp_path: Path) -> None:
    elves = values(tmp_path, {"a/liba.so": library(("libb.so",), runpath=("$ORIGIN",)), "a/libb.so": library()})
    process = Linker({}, elves.__getitem__, None, BARE).start()
    assert process.dlopen(f"{tmp_path}/a/liba.so").found is not None
    assert process.find("libb.so") is not None


def test_working_directory_that_is_not_known_is_said(tmp_path: Path) -> None:
    process = Linker({"LD_LIBRARY_PATH": ":rel"}, lambda _path: Unknown("-"), None, BARE).start()
    event = process.dlopen("liba.so")
    assert [(step.path, step.outcome) for step in event.tried[:2]] == [
        ("./liba.so", "depends on the working directory"),
        ("rel/liba.so", "depends on the working directory"),
    ]


def test_needs_in_a_circle_end(tmp_path: Path) -> None:
    elves = values(
        tmp_path,
        {
            "a/liba.so": library(("libb.so",), runpath=("$ORIGIN",)),
            "a/libb.so": library(("liba.so",), runpath=("$ORIGIN",)),
        },
    )
    process = Linker({}, elves.__getitem__, None, BARE).start()
    process.dlopen(f"{tmp_path}/a/liba.so")
    assert [os.path.basename(item.path) for item in process.loaded[1:]] == ["liba.so", "libb.so"]


def test_long_chain_of_hostile_libraries_ends(tmp_path: Path) -> None:
    """Each needs the next and has an own DT_RPATH; the search path of the last would be that of all."""
    count = 3000
    (tmp_path / "a").mkdir()
    for number in range(count):
        (tmp_path / f"a/lib{number}.so").write_text("")

    def read(path: str) -> Elf:
        number = int(os.path.basename(path).removeprefix("lib").removesuffix(".so"))
        return library((f"lib{number + 1}.so",), rpath=(f"/none/{number}", "$ORIGIN"))

    process = Linker({}, read, None, BARE).start()
    process.dlopen(f"{tmp_path}/a/lib0.so")
    assert 1000 < len(process.loaded) < count


def test_fork_does_not_change_its_origin(tmp_path: Path) -> None:
    elves = values(tmp_path, {"a/liba.so": library()})
    process = Linker({}, elves.__getitem__, None, BARE).start()
    fork = process.fork()
    fork.dlopen(f"{tmp_path}/a/liba.so")
    assert (len(fork.loaded), len(process.loaded)) == (2, 1)
    assert process.find(f"{tmp_path}/a/liba.so") is None


def test_library_is_read_once_however_it_is_reached(tmp_path: Path) -> None:
    reads: list[str] = []
    (tmp_path / "a").mkdir()
    (tmp_path / "a/liba.so").write_text("")

    def read(path: str) -> Elf:
        reads.append(path)
        return library()

    linker = Linker({}, read, None, BARE)
    for path in (f"{tmp_path}/a/liba.so", f"{tmp_path}/a/../a/liba.so"):
        linker.start().dlopen(path)
    assert reads == [f"{tmp_path}/a/liba.so"]
