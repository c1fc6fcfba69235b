"""torchcodec.toml: which torch a release belongs to."""

from __future__ import annotations

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from gpu_doctor.errors import FactsError
from gpu_doctor.facts.tables import Facts
from tests.facts.slips import slip

FACTS = Facts.load()


@pytest.mark.parametrize(
    ("version", "torch", "fits"),
    [
        ("0.7.0", "2.8.0+cu128", True),
        ("0.7.0", "2.9.0", False),
        ("0.9.1", "2.9.1", True),
        ("0.12.0", "2.13.0", True),
        ("0.12.0", "2.10.0", False),
        ("0.9.0", "2.9.0a0+git1234", True),
    ],
)
def test_which_torch_a_release_fits(version: str, torch: str, fits: bool) -> None:
    fact = FACTS.torchcodec(Version(version))
    assert fact is not None
    assert fact.fits(Version(torch)) is fits


def test_ffmpegs_library_has_another_number_than_ffmpeg() -> None:
    fact = FACTS.torchcodec(Version("0.7.0"))
    assert fact is not None
    assert fact.avutil == ("libavutil.so.56", "libavutil.so.57", "libavutil.so.58", "libavutil.so.59")


def test_a_release_for_cuda_13_serves_only_a_torch_for_cuda_13() -> None:
    newest = [FACTS.torchcodecs_for(Version("2.12.0"), cuda)[0].version for cuda in (13, 12, None)]
    assert newest == [Version("0.17.0"), Version("0.13.0"), Version("0.13.0")]
    assert FACTS.torchcodecs_for(Version("2.3.0"), 12) == ()


def test_unknown_releases_are_none() -> None:
    assert FACTS.torchcodec(Version("9.0")) is None


def test_the_table_of_torch_says_the_same() -> None:
    """`torch.toml` names for each torch the range of torchcodec; here stands the other direction."""
    for build in FACTS.torch_builds():
        row = FACTS.torch_companions(build.release)
        if build.default and row is not None and row.torchcodec is not None:
            allowed = SpecifierSet(row.torchcodec)
            assert all(fact.version in allowed for fact in FACTS.torchcodecs_for(build.release, 13)[:1])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('cuda = 13\nneeds = ["libcudart.so.13", "libnvrtc.so.13"]', "cuda = 13", "belong together"),
        ("ffmpeg = [4, 5, 6, 7]", "ffmpeg = [5, 4]", "ffmpeg"),
        ("ffmpeg = [4, 5, 6, 7]", 'ffmpeg = "4"', "ffmpeg"),
        ('version = "0.0.2"', 'version = "0.0.1"', "0.0.1"),
    ],
)
def test_a_slip_is_seen(tmp_path, old: str, new: str, words: str) -> None:  # type: ignore[no-untyped-def]
    folder = slip(tmp_path, "torchcodec", old, new)
    with pytest.raises(FactsError, match=words):
        Facts.load(folder).torchcodec(Version("0.7.0"))
