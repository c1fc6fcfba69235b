"""advice.toml: attention kernels, allocator variables, and sizes of models."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.version import Version

from gpu_doctor.errors import FactsError
from gpu_doctor.facts.advice import AdviceFacts
from gpu_doctor.facts.tables import Facts
from tests.facts.slips import slip

FACTS = Facts.load().advice


@pytest.mark.parametrize(("kernel", "turing", "ampere"), [("flash-attn", False, True), ("efficient", True, True)])
def test_attention_by_capability(kernel: str, turing: bool, ampere: bool) -> None:
    assert (FACTS.has_attention(kernel, (7, 5)), FACTS.has_attention(kernel, (8, 0))) == (turing, ampere)


@pytest.mark.parametrize(
    ("torch", "variable", "expandable"),
    [
        ("1.13.1", None, False),
        ("2.0.1", "PYTORCH_CUDA_ALLOC_CONF", False),
        ("2.1.0", "PYTORCH_CUDA_ALLOC_CONF", True),
        ("2.8.0+cu128", "PYTORCH_CUDA_ALLOC_CONF", True),
        ("2.9.1", "PYTORCH_CUDA_ALLOC_CONF", True),
        ("2.10.0", "PYTORCH_ALLOC_CONF", True),
    ],
)
def test_the_allocator_of_a_release(torch: str, variable: str | None, expandable: bool) -> None:
    assert FACTS.allocator_variable(Version(torch)) == variable
    assert ("expandable_segments" in FACTS.allocator_keys(Version(torch))) is expandable


def test_a_key_that_nobody_knows() -> None:
    assert FACTS.allocator_key_since("expandable_segment") is None


def test_parameters_are_those_of_the_published_models() -> None:
    sizes = {fact.size: round(fact.parameters / 1e6) for fact in FACTS.whisper}
    assert sizes == {"tiny": 38, "base": 73, "small": 242, "medium": 764, "large-v2": 1543, "large-v3": 1543}
    assert {fact.model: round(fact.parameters / 1e9, 1) for fact in FACTS.diffusion} == {
        "SD 1.5": 1.1,
        "SDXL": 3.5,
        "FLUX.1": 16.9,
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('kernel = "flash"', 'kernel = "flash-attn"', "has the same key"),
        ('since = "8.0"', 'since = "Ampere"', "since does not fit"),
        ('size = "base"', 'size = "large-v4"', "the sizes are not"),
        ("heads = 6", "heads = 7", "width is no multiple of heads"),
        ("parameters = 72593920", "parameters = 1", "parameters is lower"),
        ("upcast = true", "upcst = true", "upcast is missing"),
        ("mib = 500", "mib = -1", "mib does not fit"),
    ],
)
def test_a_slip_in_the_table_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(FactsError, match=rf"advice\.toml, .*{message}"):
        AdviceFacts(slip(tmp_path, "advice", old, new), Facts.load().formats)
