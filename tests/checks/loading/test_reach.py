from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_doctor.checks.loading.reach import Gap, gaps, gaps_by_package, unless_lost
from gpu_doctor.model.inventory import Damage, Distribution
from gpu_doctor.model.libraries import Library, Resolution, Tried
from gpu_doctor.model.unknown import CannotKnow, DoesNotApply
from tests.kit import SITE, dist, inventory, lib, resolution


def found(*resolutions: Resolution, stem: str = "lib") -> list[Gap]:
    return list(gaps(inventory(resolutions=resolutions), stem))


def test_what_a_fresh_process_does_not_find_is_a_gap() -> None:
    (gap,) = found(resolution("a.so", "pkg", "libx.so.1", found=None))
    assert (gap.consumer, gap.package, gap.always, gap.supplied) == (f"{SITE}/a.so", "pkg", True, ())


def test_what_is_found_is_none() -> None:
    assert found(resolution("a.so", "pkg", "libx.so.1", found="libx.so.1")) == []


def test_an_import_that_supplies_it_is_kept() -> None:
    fresh = resolution("a.so", "pkg", "libx.so.1", found=None)
    later = resolution(
        "a.so", "pkg", "libx.so.1", found="b/libx.so.1", after=("torch",), rule="already loaded by torch"
    )
    (gap,) = found(fresh, later)
    assert (gap.always, gap.supplied) == (False, (later,))
    assert [(e.what, e.value) for e in gap.evidence()][-1] == ("after import torch", "already loaded by torch")


def test_one_of_two_names_that_no_import_supplies_is_always_missing() -> None:
    x, y = (resolution("a.so", "pkg", name, found=None) for name in ("libx.so.1", "liby.so.1"))
    later = resolution("a.so", "pkg", "libx.so.1", found="b/libx.so.1", after=("torch",))
    assert found(x, y, later)[0].always


def test_only_the_shortest_history_of_a_consumer_counts_as_fresh() -> None:
    """A library that only exists after an import is judged from there on."""
    after = resolution("a.so", "pkg", "libx.so.1", found="libx.so.1", after=("ctranslate2",))
    worse = resolution("a.so", "pkg", "libx.so.1", found=None, after=("torch", "ctranslate2"))
    assert found(after, worse) == []


def test_a_name_asked_for_twice_is_one() -> None:
    twice = resolution("a.so", "pkg", "libx.so.1", found=None)
    assert len(found(twice, twice)[0].missing) == 1


def test_a_broken_file_is_no_gap() -> None:
    broken = resolution("a.so", "pkg", "libx.so.1", found=None, rule="not found: /x/libx.so.1 is unusable: cut short")
    assert found(broken) == []


@pytest.mark.parametrize(
    "asked",
    [
        (),
        (resolution("a.so", "pkg", "libother.so.1", found=None),),
        (resolution("a.so", "pkg", "libx.so.1", found=None, optional=True),),
        (resolution("a.so", None, "libx.so.1", found=None),),
    ],
    ids=["nothing", "another name", "optional", "nobody's file"],
)
def test_nobody_who_depends_on_it_asks(asked: tuple[Resolution, ...]) -> None:
    with pytest.raises(DoesNotApply, match="libx"):
        found(*asked, stem="libx")


def test_several_libraries_of_one_package_lack_one_thing_once() -> None:
    asked = (
        resolution("a.so", "pkg", "libx.so.1", found=None),
        resolution("b.so", "pkg", "libx.so.1", found=None),
        resolution("b.so", "other", "libx.so.1", found=None),
        resolution("c.so", "pkg", "liby.so.1", found=None),
    )
    merged = gaps_by_package(inventory(resolutions=asked), "lib")
    assert [(g.package, g.consumer.rpartition("/")[2]) for g in merged] == [("pkg", "a.so"), ("pkg", "c.so")]


def test_evidence_says_where_the_loader_looked() -> None:
    tried = (
        Tried("/x/libx.so.1", "DT_RUNPATH of a.so", "no such file"),
        Tried("/etc/ld.so.cache", "ld.so.cache", "not listed"),
        Tried("/usr/lib/libx.so.1", "default directory", "no such file"),
    )
    needed = resolution("a.so", "pkg", "libx.so.1", found=None, how="needed", tried=tried)
    (gap,) = found(needed)
    (row,) = gap.evidence()
    assert (row.what, row.value) == ("needs libx.so.1", "not in /x (DT_RUNPATH); /etc/ld.so.cache; /usr/lib")
    assert gap.at_load


def test_further_names_are_listed_by_the_name_that_pip_brings() -> None:
    parts = [
        resolution("a.so", "pkg", f"libcudnn_{part}.so.9.1.0", f"libcudnn_{part}.so.9", found=None)
        for part in ("ops", "cnn")
    ]
    (gap,) = found(*parts)
    assert [(e.what, e.value) for e in gap.evidence()] == [
        ("opens libcudnn_ops.so.9", "not in the loader's folders"),
        ("likewise", "libcudnn_cnn.so.9"),
    ]


def test_cupy_opens_the_environments_libraries_by_their_path() -> None:
    """Seen with cupy-cuda12x 14.2.0: cupy_backends.cuda.libs asks cuda-pathfinder before it imports the module."""
    asked = resolution("cupy_backends/cuda/libs/cublas.cpython-311.so", "cupy-cuda12x", "libcublas.so.12", found=None)
    cublas = lib("nvidia/cublas/lib/libcublas.so.12", "nvidia-cublas-cu12")

    def gap(*packages: Distribution, libraries: tuple[Library, ...] = (cublas,)) -> bool:
        try:
            return bool(list(gaps(inventory(*packages, libraries=libraries, resolutions=(asked,)), "libcublas")))
        except DoesNotApply:
            return False

    assert not gap(dist("cuda-pathfinder", "1.9.0"))
    assert gap(dist("cuda-pathfinder", "1.9.0"), libraries=())
    assert gap()


def test_a_library_that_waits_for_the_driver_alone_is_in_its_place() -> None:
    """Parts of cuDNN 9.28 need libcuda.so.1; on a machine without a driver no search of theirs is ill."""
    said = "not loaded: libcuda.so.1, needed by libcudnn_ops.so.9, is not found"
    tried = (Tried(f"{SITE}/a/libcudnn_ops.so.9", "DT_RUNPATH of …", said),)
    waits = resolution("a/libcudnn_graph.so.9", "a", "libcudnn_ops.so.9", found=None, tried=tried)
    assert tuple(gaps(inventory(resolutions=(waits,)), "libcudnn")) == ()
    other = replace(waits, tried=(replace(tried[0], outcome=said.replace("libcuda.so.1", "libz.so.1")),))
    assert len(tuple(gaps(inventory(resolutions=(other,)), "libcudnn"))) == 1


def test_what_was_lost_cannot_be_followed() -> None:
    needs = resolution("a/a.so", "a", "libcudnn-1.so.9", found=None, how="needed")
    lost = Damage(f"{SITE}/a/libcudnn-1.so.9", "a", "missing", "a file", "no such file")
    here = inventory(resolutions=(needs,), damages=(lost,))
    with pytest.raises(CannotKnow, match=r"libcudnn-1\.so\.9 is not where its package put it"):
        unless_lost(here, "libcudnn")
    unless_lost(here, "libcublas")
    unless_lost(replace(here, damages=()), "libcudnn")
