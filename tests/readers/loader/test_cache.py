from __future__ import annotations

import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from gpu_doctor.readers.loader.cache import read_cache
from gpu_doctor.readers.loader.system import read_system
from tests.readers.ld_world import World

LDCONFIG = shutil.which("ldconfig", path="/sbin:/usr/sbin:/usr/bin")
needs_ldconfig = pytest.mark.skipif(LDCONFIG is None, reason="no ldconfig here")


def made(world: World, *folders: str) -> Path:
    """Let ldconfig write a cache of folders of the world."""
    conf, cache = world.folder / "ld.so.conf", world.folder / "ld.so.cache"
    conf.write_text("".join(f"{world.folder}/{name}\n" for name in folders))
    subprocess.run([str(LDCONFIG), "-X", "-C", str(cache), "-f", str(conf)], check=True, capture_output=True)
    return cache


@needs_ldconfig
def test_cache_holds_what_ldconfig_put_there(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.build("one/liba.so.1", soname="liba.so.1")
    world.build("two/libb.so.2", soname="libb.so.2")
    cache = read_cache(str(made(world, "one", "two")), "x86_64")
    assert cache.lookup("liba.so.1", ()) == f"{tmp_path}/one/liba.so.1"
    assert cache.lookup("libb.so.2", ()) == f"{tmp_path}/two/libb.so.2"
    assert cache.lookup("libc-not-there.so.1", ()) is None


@needs_ldconfig
def test_best_variant_that_the_cpu_supports_is_taken(tmp_path: Path) -> None:
    world = World(tmp_path)
    for folder in ("one", "one/glibc-hwcaps/x86-64-v2", "one/glibc-hwcaps/x86-64-v3"):
        world.build(f"{folder}/liba.so.1", soname="liba.so.1")
    cache = read_cache(str(made(world, "one")), "x86_64")
    assert cache.lookup("liba.so.1", ()) == f"{tmp_path}/one/liba.so.1"
    assert cache.lookup("liba.so.1", ("x86-64-v2",)) == f"{tmp_path}/one/glibc-hwcaps/x86-64-v2/liba.so.1"
    assert cache.lookup("liba.so.1", ("x86-64-v3", "x86-64-v2")) == f"{tmp_path}/one/glibc-hwcaps/x86-64-v3/liba.so.1"


@needs_ldconfig
def test_cache_of_this_machine_is_read_as_ldconfig_prints_it() -> None:
    printed = subprocess.run([str(LDCONFIG), "-p"], check=True, capture_output=True, text=True).stdout
    rows = re.findall(r"^\t(\S+) \(libc6,x86-64(?:, hwcap: \"([^\"]+)\")?\) => (\S+)$", printed, re.MULTILINE)
    cache = read_cache("/etc/ld.so.cache", "x86_64")
    assert {(name, hwcap, path) for name, pairs in cache.variants.items() for hwcap, path in pairs} == set(rows)


def test_another_machine_s_libraries_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "ld.so.cache"
    path.write_bytes(handmade([("liba.so", "/arm/liba.so", 0x0A03), ("liba.so", "/intel/liba.so", 0x0303)]))
    assert read_cache(str(path), "x86_64").lookup("liba.so", ()) == "/intel/liba.so"
    assert read_cache(str(path), "aarch64").lookup("liba.so", ()) == "/arm/liba.so"


def test_old_cache_has_the_new_one_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "ld.so.cache"
    path.write_bytes(b"ld.so-1.7.0\0" + struct.pack("=I", 0) + handmade([("liba.so", "/usr/lib/liba.so", 0x0303)]))
    assert read_cache(str(path), "x86_64").lookup("liba.so", ()) == "/usr/lib/liba.so"


@pytest.mark.parametrize("size", [0, 10, 47, 60, 72, 90])
def test_cut_cache_is_no_failure(tmp_path: Path, size: int) -> None:
    path = tmp_path / "ld.so.cache"
    path.write_bytes(handmade([("liba.so", "/usr/lib/liba.so", 0x0303)])[:size])
    assert read_cache(str(path), "x86_64").lookup("liba.so", ()) in (None, "/usr/lib/liba.so")


def test_missing_cache_is_empty(tmp_path: Path) -> None:
    assert read_cache(str(tmp_path / "none"), "x86_64").variants == {}


def test_this_machine_s_ld_so_is_known() -> None:
    system = read_system()
    printed = subprocess.run([system.loader, "--help"], capture_output=True, text=True).stdout
    folders = re.findall(r"^  (/\S+) \(system search path\)$", printed, re.MULTILINE)
    supported = re.findall(r"^  (x86-64-v\d) \(supported, searched\)$", printed, re.MULTILINE)
    assert (list(system.default_folders), list(system.hwcaps)) == (folders, supported)


def test_machine_without_its_files_has_usual_values(tmp_path: Path) -> None:
    none = str(tmp_path / "none")
    system = read_system(loader=none, cache=none, cpuinfo=none, preload=none)
    assert system.default_folders == ("/lib64", "/usr/lib64")
    assert (system.lib, system.hwcaps, system.subfolders, system.preload) == ("lib64", (), (), ())


def handmade(rows: list[tuple[str, str, int]]) -> bytes:
    """Return a cache in the new format with these names, paths and flags."""
    start = 48 + 24 * len(rows)
    strings, entries = b"", b""
    for name, value, flags in rows:
        key = start + len(strings)
        strings += f"{name}\0{value}\0".encode()
        entries += struct.pack("=iIIIQ", flags, key, key + len(name) + 1, 0, 0)
    header = struct.pack("=20sIIB3xI12x", b"glibc-ld.so.cache1.1", len(rows), len(strings), 2, 0)
    return header + entries + strings
