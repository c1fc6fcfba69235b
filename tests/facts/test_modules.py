"""modules.toml: which module tells whether a distribution works, and which comes first."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from gpu_doctor.errors import FactsError
from gpu_doctor.facts.tables import Facts
from tests.facts.slips import slip

MODULES = Facts.load().modules()


def test_names_are_canonical_and_modules_can_be_imported() -> None:
    assert [name for name in MODULES if name != canonicalize_name(name)] == []
    assert [module for module in MODULES.values() if not re.fullmatch(r"[A-Za-z]\w*(\.[A-Za-z]\w*)*", module)] == []


@pytest.mark.parametrize(
    ("below", "above"),
    [
        ("torch", "torchaudio"),
        ("torchcodec", "pyannote-audio"),
        ("ctranslate2", "faster-whisper"),
        ("pyannote-audio", "whisperx"),
        ("transformers", "coqui-tts"),
        ("bitsandbytes", "transformers"),
    ],
)
def test_what_others_are_built_on_comes_first(below: str, above: str) -> None:
    order = list(MODULES)
    assert order.index(below) < order.index(above)


def test_a_distribution_is_named_once(tmp_path: Path) -> None:
    folder = slip(tmp_path, "modules", 'distribution = "torchvision"', 'distribution = "torch"')
    with pytest.raises(FactsError, match="torch"):
        Facts.load(folder).modules()
