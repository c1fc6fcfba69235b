"""formats.toml: which number formats GPUs compute in."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_doctor.errors import FactsError
from gpu_doctor.facts.formats import NumberFormats
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.architecture import Capability
from tests.facts.slips import slip

FORMATS = Facts.load().formats


@pytest.mark.parametrize(
    ("engine", "dtype", "capability", "has"),
    [
        ("torch", "bfloat16", (7, 5), False),
        ("torch", "bfloat16", (8, 0), True),
        ("torch", "float16", (6, 0), True),
        ("torch", "float16", (6, 1), False),
        ("torch", "tf32", (7, 5), False),
        ("torch", "tf32", (8, 6), True),
        ("torch", "float8", (8, 6), False),
        ("torch", "float8", (8, 9), True),
        ("torch", "float8", (12, 0), True),
        ("ctranslate2", "float16", (6, 1), False),
        ("ctranslate2", "int8_float32", (6, 1), True),
        ("ctranslate2", "int8_float16", (8, 9), True),
        ("ctranslate2", "int8_float16", (12, 0), False),
    ],
)
def test_formats_by_capability(engine: str, dtype: str, capability: Capability, has: bool) -> None:
    assert FORMATS.has(engine, dtype, capability) is has


def test_the_first_generation_of_a_format() -> None:
    assert [FORMATS.since("torch", name) for name in ("bfloat16", "float8")] == [(8, 0), (8, 9)]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('engine = "torch"', 'engine = "tensorflow"', "engine is not one of torch, ctranslate2"),
        ('dtype = "bfloat16"', 'dtype = "float16"', "has the same key"),
        ('since = "5.3"', 'since = "five"', "since does not fit"),
        ('except = ["6.1"]', 'exept = ["6.1"]', "exept"),
    ],
)
def test_a_slip_in_the_table_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(FactsError, match=rf"formats\.toml, .*{message}"):
        NumberFormats(slip(tmp_path, "formats", old, new))
