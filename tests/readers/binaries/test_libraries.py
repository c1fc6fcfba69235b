"""Which libraries an environment has, and which links among them somebody placed by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_doctor.model.inventory import StrayLink
from gpu_doctor.readers.binaries.libraries import find_libraries

PARTS = "nvidia/cudnn/lib"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for folder, name in ((PARTS, "libcudnn_ops.so.9"), ("ctranslate2.libs", "libct2.so.4")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / name).write_bytes(b"")
    return tmp_path


def owners(site: Path, *further: str) -> dict[str, str]:
    listed = (f"{PARTS}/libcudnn_ops.so.9", "ctranslate2.libs/libct2.so.4", *further)
    return {f"{site}/{path}": path.partition("/")[0].removesuffix(".libs") for path in listed}


def test_links_that_no_record_lists_are_strangers(site: Path) -> None:
    target = f"../{PARTS}/libcudnn_ops.so.9"
    (site / "ctranslate2.libs/libcudnn_ops.so.9").symlink_to(target)
    (site / "ctranslate2.libs/libcudnn_ops.so.9.1.0").symlink_to("../nowhere.so.9")
    (site / "ctranslate2.libs/notes.txt").symlink_to("nowhere")
    found = find_libraries(owners(site))
    assert found.links == (
        StrayLink(f"{site}/ctranslate2.libs/libcudnn_ops.so.9", target, exists=True),
        StrayLink(f"{site}/ctranslate2.libs/libcudnn_ops.so.9.1.0", "../nowhere.so.9", exists=False),
    )
    assert found.owners[f"{site}/ctranslate2.libs/libcudnn_ops.so.9"] is None
    assert found.owners[f"{site}/ctranslate2.libs/libct2.so.4"] == "ctranslate2"


def test_a_copy_is_a_stranger_and_no_link(site: Path) -> None:
    (site / "ctranslate2.libs/libcudnn_ops.so.9").write_bytes(b"")
    found = find_libraries(owners(site))
    assert found.links == ()
    assert f"{site}/ctranslate2.libs/libcudnn_ops.so.9" in found.owners


@pytest.mark.parametrize("placed", [True, False])
def test_a_link_that_a_record_lists_counts_where_it_was_added_later(site: Path, placed: bool) -> None:
    """An installer that links into its cache lists its files with their size; a repair lists its links without."""
    path = "ctranslate2.libs/libcudnn_ops.so.9"
    (site / path).symlink_to(f"../{PARTS}/libcudnn_ops.so.9")
    found = find_libraries(owners(site, path), lambda asked: placed and asked == f"{site}/{path}")
    assert [link.path for link in found.links] == [f"{site}/{path}"] * placed
    assert found.owners[f"{site}/{path}"] == "ctranslate2"


def test_folders_outside_of_site_packages_have_links_of_their_own(tmp_path: Path) -> None:
    site, lib = tmp_path / "lib/python3.11/site-packages", tmp_path / "lib"
    site.mkdir(parents=True)
    (lib / "libmkl_rt.so.2").write_bytes(b"")
    (lib / "libz.so").symlink_to("libz.so.1")
    found = find_libraries({f"{site}/../../../lib/libmkl_rt.so.2": "mkl"})
    assert found.links == ()
    assert f"{site}/../../../lib/libz.so" in found.owners


def test_a_folder_that_is_gone_has_no_links(tmp_path: Path) -> None:
    assert find_libraries({f"{tmp_path}/gone/liba.so": "a"}).links == ()
