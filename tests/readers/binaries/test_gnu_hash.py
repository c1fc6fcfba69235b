"""Symbol questions through the hash tables, against pyelftools and against damaged tables."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_doctor.model.unknown import Unknown, known
from gpu_doctor.readers.binaries.gnu_hash import defines_symbol, gnu_hash, sysv_hash, undefined_symbols
from tests.readers.toolchain import build, python_libraries

SOURCE = """
extern int outside_strong(void);
extern int outside_weak(void) __attribute__((weak));
int sample_data = 7;
__thread int sample_thread = 1;
int sample_weak(void) __attribute__((weak));
int sample_weak(void) { return 1; }
static int sample_static(void) { return 2; }
int sample_hidden(void) __attribute__((visibility("hidden")));
int sample_hidden(void) { return 3; }
int sample(void) { return sample_static() + sample_hidden() + outside_strong() + (outside_weak ? outside_weak() : 0); }
"""
STYLES = {style: f"-Wl,--hash-style={style}" for style in ("gnu", "sysv", "both")}


def exports(path: Path) -> tuple[set[str], set[str]]:
    """What pyelftools says: the names a library defines for others, and those it needs from others."""
    with path.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".dynsym")
        symbols = list(table.iter_symbols()) if isinstance(table, SymbolTableSection) else []
    defined, needed = set(), set()
    for symbol in symbols:
        binding = symbol["st_info"]["bind"]
        if symbol.name and symbol["st_shndx"] == "SHN_UNDEF" and binding not in ("STB_LOCAL", "STB_WEAK"):
            needed.add(symbol.name)
        if symbol["st_shndx"] != "SHN_UNDEF" and binding != "STB_LOCAL":
            defined.add(symbol.name)
    return defined, needed


@pytest.fixture(scope="module", params=STYLES)
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("library"), SOURCE, STYLES[request.param])


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("victim") / "libvictim.so"


@pytest.mark.parametrize("name", ["sample", "sample_data", "sample_weak", "sample_thread"])
def test_what_is_exported_is_defined(library: Path, name: str) -> None:
    assert defines_symbol(str(library), name) is True


@pytest.mark.parametrize(
    "name", ["outside_strong", "outside_weak", "sample_static", "sample_hidden", "sampl", "sample_", "", "nowhere"]
)
def test_what_is_not_exported_is_not_defined(library: Path, name: str) -> None:
    assert defines_symbol(str(library), name) is False


def test_only_what_must_come_from_others_is_undefined(library: Path) -> None:
    assert undefined_symbols(str(library)) == ("outside_strong",)
    assert undefined_symbols(str(library), "outside_s") == ("outside_strong",)
    assert undefined_symbols(str(library), "sample") == ()


def test_a_versioned_symbol_is_found_by_its_name(tmp_path: Path) -> None:
    script = tmp_path / "versions"
    script.write_text("SAMPLE_1 { global: sample; local: *; };")
    library = str(build(tmp_path / "build", "int sample(void) { return 1; }", f"-Wl,--version-script={script}"))
    assert defines_symbol(library, "sample") is True
    assert defines_symbol(library, "sample_1") is False


@pytest.mark.parametrize("style", STYLES)
def test_a_library_that_exports_nothing_still_needs_what_it_needs(tmp_path: Path, style: str) -> None:
    source = 'extern int outside(void); static int f(void) { return outside(); } void *p __attribute__((visibility("hidden"))) = f;'
    library = str(build(tmp_path, source, STYLES[style], "-nostdlib"))
    assert undefined_symbols(library) == ("outside",)
    assert defines_symbol(library, "outside") is False
    assert defines_symbol(library, "p") is False


@pytest.mark.parametrize("style", STYLES)
def test_a_32_bit_library_is_asked_the_same_way(tmp_path: Path, style: str) -> None:
    source = "extern int outside(void); int sample(void) { return outside(); } int other(void) { return 1; }"
    library = str(build(tmp_path, source, "-m32", "-nostdlib", STYLES[style]))
    assert defines_symbol(library, "sample") is True
    assert defines_symbol(library, "other") is True
    assert defines_symbol(library, "outside") is False
    assert "outside" in known(undefined_symbols(library))


def test_symbols_are_the_same_without_section_headers(library: Path, victim: Path) -> None:
    data = bytearray(library.read_bytes())
    struct.pack_into("<Q", data, 40, 0)
    struct.pack_into("<HHH", data, 58, 0, 0, 0)
    victim.write_bytes(data)
    assert defines_symbol(str(victim), "sample") is True
    assert undefined_symbols(str(victim)) == ("outside_strong",)


def test_many_symbols_are_told_apart(tmp_path: Path) -> None:
    """Enough names for long chains and a bloom filter of several words; a third of the questions has no answer."""
    names = [f"sample_{number}" for number in range(3000)]
    library = str(build(tmp_path, "\n".join(f"int {name};" for name in names)))
    assert [n for n in names if defines_symbol(library, n) is not True] == []
    assert [n for n in names if defines_symbol(library, n + "_") is not False] == []


def test_the_libraries_of_the_running_python_answer_as_pyelftools_does() -> None:
    asked = 0
    for path in [path for path in python_libraries() if path.stat().st_size < 1 << 20]:
        defined, needed = exports(path)
        assert undefined_symbols(str(path)) == tuple(sorted(needed)), path
        for name in sorted(defined)[:40]:
            assert defines_symbol(str(path), name) is True, (path, name)
        for name in sorted(needed - defined)[:40]:
            assert defines_symbol(str(path), name) is False, (path, name)
        asked += len(defined) + len(needed)
    assert asked


def test_what_cannot_be_asked_is_unknown(tmp_path: Path) -> None:
    text = tmp_path / "libtext.so"
    text.write_text("hello")
    assert defines_symbol(str(text), "sample") == Unknown("not an ELF file")
    assert undefined_symbols(str(tmp_path / "missing.so")) == Unknown("cannot be read: No such file or directory")


def test_hashes_are_those_of_the_specification() -> None:
    assert [gnu_hash(name) for name in (b"", b"printf", b"syscall")] == [0x1505, 0x156B2BB8, 0xBAC212A0]
    assert [sysv_hash(name) for name in (b"exit", b"printf", b"syscall")] == [0x0006CF04, 0x077905A6, 0x0B09985C]


@settings(deadline=None, max_examples=150)
@given(
    changes=st.lists(st.tuples(st.integers(0x200, 0x900), st.sampled_from([0, 1, 127, 128, 254, 255])), max_size=8),
    length=st.integers(0x100, 1 << 16),
)
def test_no_damage_raises(library: Path, victim: Path, changes: list[tuple[int, int]], length: int) -> None:
    data = bytearray(library.read_bytes())
    for offset, value in changes:
        data[offset] = value
    victim.write_bytes(data[:length])
    assert isinstance(defines_symbol(str(victim), "sample"), bool | Unknown)
    assert isinstance(undefined_symbols(str(victim), "out"), tuple | Unknown)
