from __future__ import annotations

from gpu_doctor.checks.gpus.kernels import Coverage, coverages
from gpu_doctor.model.libraries import Library
from tests.kit import dist, inventory, lib


def found(*libraries: Library) -> list[Coverage]:
    return list(coverages(inventory(dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128"), libraries=libraries)))


def test_libraries_are_joined_by_package_the_largest_first() -> None:
    (torch, other) = found(
        lib("torch/small.so", "torch", sass="80", size=1),
        lib("x.so", "xformers", sass="80"),
        lib("torch/large.so", "torch", sass="80", size=9),
    )
    assert [item.name for item in torch.libraries] == ["large.so", "small.so"]
    assert (torch.label, other.label) == ("torch 2.8.0+cu128", "xformers")


def test_libraries_without_gpu_code_without_an_owner_or_of_nvidia_do_not_count() -> None:
    assert found(lib("a.so", "torch"), lib("b.so", None, sass="80"), lib("c.so", "nvidia-cublas-cu12", sass="80")) == []


def test_what_could_not_be_read_is_kept_apart() -> None:
    (torch,) = found(lib("a.so", "torch", sass="80"), lib("b.so", "torch", sass="90", unknown="cut short"))
    assert [item.name for item in torch.unreadable] == ["b.so"]
    assert [item.name for item in torch.libraries] == ["a.so"]
    undecided = torch.undecided((8, 0))
    assert undecided is not None
    assert undecided.name == "b.so"
    assert torch.undecided((9, 0)) is None


def test_without_and_shown_tell_the_bare_ones() -> None:
    libraries = [lib(f"{n}.so", "torch", sass="80 90", size=9 - n) for n in range(6)]
    (torch,) = found(*libraries, lib("linalg.so", "torch", sass="80", size=1))
    assert [item.name for item in torch.without((9, 0))] == ["linalg.so"]
    assert torch.shown((9, 0)) == torch.without((9, 0))
    assert torch.without((8, 6)) == ()
    assert [item.name for item in torch.shown((8, 6))] == ["0.so", "1.so", "2.so", "3.so"]


def test_ptx_of_the_largest_library_decides_how_it_starts() -> None:
    (ct2,) = found(
        lib("a.so", "ctranslate2", sass="86", ptx="86", size=9), lib("b.so", "ctranslate2", sass="120", size=1)
    )
    assert ct2.main_is_compiled_at_start((12, 0))
    assert not ct2.main_is_compiled_at_start((8, 9))


def test_code_is_said_in_words() -> None:
    assert Coverage.code_of(lib("a.so", "x", sass="80 90a", ptx="90")) == "sm_80 sm_90a, PTX compute_90"
    assert Coverage.code_of(lib("a.so", "x", ptx="90")) == "no machine code, PTX compute_90"
    assert Coverage.code_of(lib("a.so", "x", sass="80")) == "sm_80, no PTX"


def test_names_begin_a_sentence() -> None:
    (torch,) = found(*(lib(f"{n}.so", "torch", sass="80", size=9 - n) for n in range(5)))
    assert torch.named(torch.libraries[:1]) == "0.so of torch 2.8.0+cu128 has"
    assert torch.named(torch.libraries) == "0.so, 1.so, 2.so and 2 more of torch 2.8.0+cu128 have"


def test_of_the_builds_for_every_cuda_only_that_for_torchs_counts() -> None:
    builds = [lib(f"bitsandbytes/libbitsandbytes_cuda{cuda}.so", "bitsandbytes", sass="80") for cuda in (118, 128, 130)]
    (bitsandbytes,) = found(*builds, lib("bitsandbytes/other.so", "bitsandbytes", sass="80", size=1))
    assert [item.name for item in bitsandbytes.libraries] == ["libbitsandbytes_cuda128.so", "other.so"]


def test_where_none_is_for_torchs_cuda_all_count() -> None:
    builds = [lib(f"bitsandbytes/libbitsandbytes_cuda{cuda}.so", "bitsandbytes", sass="80") for cuda in (118, 130)]
    (bitsandbytes,) = found(*builds)
    assert len(bitsandbytes.libraries) == 2
