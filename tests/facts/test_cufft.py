"""cufft.toml: of which CUDA a cuFFT is, and where it is known to fail."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.version import Version

from gpu_doctor.errors import FactsError
from gpu_doctor.facts.cufft import Cufft
from gpu_doctor.facts.tables import Facts
from tests.facts.slips import slip

FACTS = Facts.load()


@pytest.mark.parametrize(
    ("package", "version", "cuda"),
    [
        ("nvidia-cufft-cu11", "10.7.2.91", "11.7"),
        ("nvidia-cufft-cu11", "10.9.0.58", "11.8"),
        ("nvidia-cufft-cu12", "11.3.3.83", "12.8"),
        ("nvidia-cufft", "12.0.0.61", "13.0"),
    ],
)
def test_the_cuda_release_of_a_wheel(package: str, version: str, cuda: str) -> None:
    release = FACTS.cufft(package, Version(version))
    assert release is not None
    assert str(release.cuda) == cuda


def test_a_wheel_that_is_not_in_the_facts() -> None:
    assert FACTS.cufft("nvidia-cufft-cu12", Version("11.9.9.9")) is None


@pytest.mark.parametrize("cuda", ["11.3", "11.6", "11.7", "11.7.1"])
def test_ada_alone_has_a_limit(cuda: str) -> None:
    (limit,) = FACTS.cufft_limits(Version(cuda))
    assert (limit.capability, str(limit.first_cuda)) == ((8, 9), "11.8")
    assert "88038" in limit.source


@pytest.mark.parametrize("cuda", ["11.8", "12.8", "13.0"])
def test_from_11_8_on_there_is_none(cuda: str) -> None:
    assert FACTS.cufft_limits(Version(cuda)) == ()


def test_every_cufft_that_torch_pins_is_known() -> None:
    """A pin outside the table would make the rule silent about that build."""
    pins = {pin for build in FACTS.torch_builds() for pin in build.pins if pin.startswith("nvidia-cufft")}
    assert pins
    unknown = {pin for pin in pins if FACTS.cufft(pin.partition("==")[0], Version(pin.partition("==")[2])) is None}
    assert unknown == set()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('version = "10.9.0.58"', 'version = "10.7.2.91"', "has the same key"),
        ('cuda = "12.1"', 'cuda = "10.1"', "cuda is lower than in the row before"),
        ('capability = "8.9"', 'capability = "Ada"', "capability does not fit"),
        ('first_cuda = "11.8"', 'since = "11.8"', "first_cuda is missing"),
        ('soname = "libcufft.so.12"', 'name = "libcufft.so.12"', "soname is missing"),
    ],
)
def test_a_slip_in_the_table_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(FactsError, match=rf"cufft\.toml, .*{message}"):
        Cufft(slip(tmp_path, "cufft", old, new))
