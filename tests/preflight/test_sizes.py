"""Sizes: exact units, and what a GPU tells that is sold with so much memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_doctor.preflight.sizes import parse_size, sold_as, words_for

MIB = 2**20


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("24GB", 24 * 10**9),
        ("24 gb", 24 * 10**9),
        ("24GiB", 24 * 2**30),
        ("1.5MiB", 3 * 2**19),
        ("500MB", 5 * 10**8),
        ("1TB", 10**12),
        ("24", None),
        ("24G", None),
        ("GB", None),
        ("-1GB", None),
        ("1e3GB", None),
        ("24GBB", None),
    ],
)
def test_a_size_is_what_its_unit_says(text: str, size: int | None) -> None:
    assert parse_size(text) == size


# What these GPUs tell, in MiB, beside what is printed on the box.
@pytest.mark.parametrize(
    ("sold", "told"),
    [
        ("24GB", 24564),  # RTX 4090
        ("24GB", 22731),  # A10
        ("24GB", 23034),  # L4
        ("16GB", 15109),  # Tesla T4 with error correction
        ("80GB", 81559),  # H100
        ("12GB", 12288),
        ("24GiB", 24564),
    ],
)
def test_a_gpu_is_what_it_is_sold_as(sold: str, told: int) -> None:
    least, most = sold_as(sold)
    assert least <= told * MIB <= most


def test_a_smaller_or_larger_gpu_is_not() -> None:
    least, most = sold_as("24GB")
    assert least > 20475 * MIB  # 20 GB
    assert most < 32607 * MIB  # 32 GB


@given(st.integers(1, 2000))
def test_the_lower_end_is_never_above_the_upper(number: int) -> None:
    for unit in ("GB", "GiB", "MB", "MiB"):
        least, most = sold_as(f"{number}{unit}")
        assert 0 < least < most


def test_words_name_both_units() -> None:
    assert words_for(24564 * MIB) == "25.8 GB (24.0 GiB)"
