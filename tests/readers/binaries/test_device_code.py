"""Fat binaries built byte by byte: every kind of entry, and every way to be damaged."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_doctor.model.libraries import NO_GPU_CODE, GpuCode
from gpu_doctor.readers.binaries import device_code
from gpu_doctor.readers.binaries.device_code import LTO_IR, PTX, SASS, read_gpu_code

A, F = 1 << 20, 1 << 21
COMPRESSED, OPTIMISED = 0x2000, 0x11
UNREGISTERED = "it does not register its GPU code with the CUDA runtime and may keep more elsewhere"
NOT_WHOLE = "damaged: its GPU code is not stored in whole fat-binary containers"
CONTRADICTION = "damaged: an entry of its GPU code contradicts its container"


def entry(kind: int, number: int, flags: int = 0, payload: bytes = b"code" * 4, header: int = 64) -> bytes:
    """One entry of a container, its header laid out as nvcc does."""
    head = struct.pack(
        "<HHIQIIHHIIIQ", kind, 0x101, header, len(payload), 0, 0, 8, 7, number, 0, 0, flags | OPTIMISED | COMPRESSED
    )
    return head.ljust(header, b"\0") + payload


def container(*entries: bytes) -> bytes:
    payload = b"".join(entries)
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(payload)) + payload


def library(sections: dict[str, bytes], kind: int = 1) -> bytes:
    """A 64-bit ELF file with these sections and nothing else; `kind` is their type."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in [*sections, ".shstrtab"])
    headers, body = [bytes(64)], bytearray(64)
    for name, content in [*sections.items(), (".shstrtab", names)]:
        at = names.index(b"\0" + name.encode() + b"\0") + 1
        headers.append(struct.pack("<IIQQQQIIQQ", at, kind, 0, 0, len(body), len(content), 0, 0, 8, 0))
        body += content
    body[:64] = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack(
        "<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, len(body), 0, 64, 56, 0, 64, len(headers), len(headers) - 1
    )  # fmt: skip
    return bytes(body) + b"".join(headers)


def registered(*containers: bytes, section: str = ".nv_fatbin") -> bytes:
    return library({".text": b"\xc3", section: b"".join(containers), ".nvFatBinSegment": bytes(24)})


def read(folder: Path, data: bytes) -> GpuCode:
    path = folder / "libkernels.so"
    path.write_bytes(data)
    return read_gpu_code(str(path))


def test_machine_code_and_ptx_are_listed_in_order(tmp_path: Path) -> None:
    data = registered(container(entry(SASS, 120), entry(SASS, 75), entry(SASS, 90), entry(PTX, 120)))
    assert read(tmp_path, data) == GpuCode("read", ("sm_75", "sm_90", "sm_120"), ("compute_120",))


def test_suffixes_are_read_from_the_flags(tmp_path: Path) -> None:
    entries = [entry(kind, 100, flags) for kind in (SASS, PTX) for flags in (A, F, 0)]
    assert read(tmp_path, registered(container(*entries))) == GpuCode(
        "read", ("sm_100", "sm_100a", "sm_100f"), ("compute_100", "compute_100a", "compute_100f")
    )


def test_every_container_counts_and_padding_between_them_does_not(tmp_path: Path) -> None:
    last = container(entry(SASS, 90, A, header=112, payload=bytes(4096)), entry(PTX, 80, header=80))
    data = registered(container(entry(SASS, 70)), bytes(24), container(), last, bytes(40))
    assert read(tmp_path, data) == GpuCode("read", ("sm_70", "sm_90a"), ("compute_80",))


def test_a_library_without_gpu_code_has_none(tmp_path: Path) -> None:
    assert read(tmp_path, library({".text": b"\xc3", ".data": container(entry(SASS, 80))})) == NO_GPU_CODE


@pytest.mark.parametrize("content", [b"", bytes(64), container()], ids=["empty", "padding", "empty-container"])
def test_an_empty_place_for_gpu_code_is_none(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path, registered(content)) == NO_GPU_CODE


def test_a_section_kept_in_another_file_is_none(tmp_path: Path) -> None:
    """Files with debug information alone name the section and hold nothing of it."""
    assert read(tmp_path, library({".nv_fatbin": container(entry(SASS, 80))}, kind=8)) == NO_GPU_CODE


def test_relocatable_code_counts_only_where_there_is_no_linked_code(tmp_path: Path) -> None:
    relocatable = {"__nv_relfatbin": container(entry(SASS, 60)), ".nvFatBinSegment": bytes(24)}
    assert read(tmp_path, library(relocatable)) == GpuCode("read", ("sm_60",))
    linked = relocatable | {".nv_fatbin": container(entry(SASS, 80))}
    assert read(tmp_path, library(linked)) == GpuCode("read", ("sm_80",))


def test_code_that_is_not_registered_is_unknown(tmp_path: Path) -> None:
    data = library({".nv_fatbin": container(entry(SASS, 52)), ".ldata": bytes(1000)})
    assert read(tmp_path, data) == GpuCode("unknown", ("sm_52",), (), UNREGISTERED)


def test_code_for_link_time_is_left_out_beside_other_code(tmp_path: Path) -> None:
    data = registered(container(entry(LTO_IR, 90), entry(SASS, 80)))
    assert read(tmp_path, data) == GpuCode("read", ("sm_80",))


def test_code_for_link_time_alone_is_unknown(tmp_path: Path) -> None:
    code = read(tmp_path, registered(container(entry(LTO_IR, 90)), section="__nv_relfatbin"))
    assert code == GpuCode("unknown", note="it holds only code that is linked for the GPU at run time (LTO-IR)")


def test_a_kind_of_code_from_the_future_is_unknown(tmp_path: Path) -> None:
    code = read(tmp_path, registered(container(entry(SASS, 120), entry(64, 120))))
    assert code == GpuCode("unknown", ("sm_120",), (), "it holds GPU code of an unknown kind (64)")


def test_code_for_amd_gpus_is_unknown(tmp_path: Path) -> None:
    code = read(tmp_path, library({".hip_fatbin": bytes(64), ".hipFatBinSegment": bytes(24)}))
    assert code == GpuCode("unknown", note="its GPU code is for AMD GPUs and is not read")


SOUND = container(entry(SASS, 80))
DAMAGES = {
    "no-container": (b"not a fat binary", (), NOT_WHOLE),
    "rubbish-after-a-container": (SOUND + b"rubbish" * 8, ("sm_80",), NOT_WHOLE),
    "container-larger-than-section": (SOUND[:-8], (), NOT_WHOLE),
    "header-size-0": (struct.pack("<IHHQ", 0xBA55ED50, 1, 0, 64) + entry(SASS, 80), (), NOT_WHOLE),
    "entry-larger-than-container": (container(entry(SASS, 80)[:-8]), (), CONTRADICTION),
    "entry-header-size-0": (container(struct.pack("<HHIQ", 2, 0x101, 0, 0) + bytes(64)), (), CONTRADICTION),
    "architecture-0": (container(entry(SASS, 75), entry(SASS, 0)), ("sm_75",), CONTRADICTION),
    "architecture-out-of-range": (container(entry(SASS, 4711)), (), CONTRADICTION),
    "less-padding-than-alignment": (SOUND + bytes(5) + b"rubbish" * 9, ("sm_80",), NOT_WHOLE),
    "endless-padding": (bytes(1 << 17), (), NOT_WHOLE),
}


@pytest.mark.parametrize(("content", "sass", "note"), DAMAGES.values(), ids=DAMAGES)
def test_damage_is_unknown_and_says_what(tmp_path: Path, content: bytes, sass: tuple[str, ...], note: str) -> None:
    assert read(tmp_path, registered(content)) == GpuCode("unknown", sass, (), note)


def test_a_library_cut_inside_its_code_is_unknown(tmp_path: Path) -> None:
    head = library({"head": b""})
    table = len(head) - 3 * 64
    sections = struct.pack("<IIQQQQIIQQ", 1, 1, 0, 0, 1 << 30, 1 << 20, 0, 0, 8, 0)
    names = b"\0.nv_fatbin\0.shstrtab\0"
    data = bytearray(head[:table]) + bytes(64) + sections
    data += struct.pack("<IIQQQQIIQQ", 12, 3, 0, 0, len(data) + 64, len(names), 0, 0, 8, 0) + names
    struct.pack_into("<Q", data, 40, table)
    code = read(tmp_path, bytes(data))
    assert code == GpuCode("unknown", note="truncated: its GPU code should reach further than the file")


@pytest.mark.parametrize("many", [container(entry(SASS, 80)), container()], ids=["entries", "empty-containers"])
def test_more_headers_than_can_be_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: bytes) -> None:
    monkeypatch.setattr(device_code, "MAX_HEADERS", 100)
    assert read(tmp_path, registered(*[many] * 200)).status == "unknown"


def without_section_table(data: bytes) -> bytes:
    changed = bytearray(data)
    struct.pack_into("<Q", changed, 40, 0)
    struct.pack_into("<HHH", changed, 58, 0, 0, 0)
    return bytes(changed)


def test_without_section_table_gpu_code_is_searched_for(tmp_path: Path) -> None:
    code = read(tmp_path, without_section_table(registered(bytes(3 << 20), SOUND)))
    assert code == GpuCode("unknown", note="it has no section table that says where its GPU code ends")
    assert read(tmp_path, without_section_table(library({".text": bytes(3 << 20)}))) == NO_GPU_CODE


def test_a_large_file_without_section_table_is_not_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_code, "MAX_SEARCH", 1000)
    code = read(tmp_path, without_section_table(library({".text": bytes(1000)})))
    assert code == GpuCode("unknown", note="it has no section table and is too large to search for GPU code")


@pytest.mark.parametrize("content", [b"", b"not a library", b"\x7fELF\x02\x01"])
def test_what_is_no_library_is_unknown(tmp_path: Path, content: bytes) -> None:
    code = read(tmp_path, content)
    assert (code.status, code.sass, code.ptx) == ("unknown", (), ())
    assert code.note


def test_gcc_and_binutils_lay_sections_out_the_same_way(tmp_path: Path) -> None:
    (tmp_path / "code").write_bytes(container(entry(SASS, 86), entry(PTX, 86)))
    source = '.section .nv_fatbin,"a"\n.balign 8\n.incbin "code"\n.section .nvFatBinSegment,"aw"\n.zero 24\n'
    (tmp_path / "code.s").write_text(source)
    command = ["gcc", "-shared", "-nostdlib", "-o", "libreal.so", "code.s"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert read_gpu_code(str(tmp_path / "libreal.so")) == GpuCode("read", ("sm_86",), ("compute_86",))


@settings(deadline=None, max_examples=150)
@given(
    changes=st.lists(st.tuples(st.integers(0, 1 << 12), st.integers(0, 255)), max_size=6),
    length=st.integers(0, 1 << 12),
)
def test_no_damage_raises(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], length: int
) -> None:
    whole = registered(container(entry(SASS, 80), entry(PTX, 90, A)), bytes(16), container(entry(SASS, 120, F)))
    data = bytearray(whole)
    for offset, value in changes:
        data[offset % len(data)] = value
    code = read(tmp_path_factory.getbasetemp(), bytes(data[:length]))
    assert code.status == "read" or not (code.status == "unknown" and code.note == "")
