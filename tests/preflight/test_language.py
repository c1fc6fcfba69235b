"""The language of requirements: every word is understood as documented, and everything else is refused helpfully."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_doctor.errors import UsageError
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.requirement import Requirement
from gpu_doctor.preflight.judge import _JUDGES
from gpu_doctor.preflight.language import FORMATS, WORDS, parse, split

FACTS = Facts.load()
DOCS = (Path(__file__).parents[2] / "docs" / "preflight.md").read_text(encoding="utf-8")


def read(text: str) -> Requirement:
    return parse(text, "--require", FACTS)


def parts(text: str) -> tuple[str, str, str, str]:
    found = read(text)
    return found.name, found.subject, found.operator, found.bound


@pytest.mark.parametrize("word", WORDS, ids=lambda word: word.name)
def test_every_word_reads_its_own_example_is_documented_and_is_judged(word: object) -> None:
    assert read(word.example).name == word.name  # type: ignore[attr-defined]
    assert f"`{word.example}`" in DOCS  # type: ignore[attr-defined]
    assert word.name in _JUDGES  # type: ignore[attr-defined]


def test_the_document_lists_the_operators_that_are_accepted() -> None:
    rows = {row.split("`")[1].partition(">")[0]: row for row in DOCS.splitlines() if row.startswith("| `")}
    for word in WORDS:
        if word.bound in ("version", "size", "count"):
            column = rows[word.name].split("|")[3]
            assert [piece for piece in column.split("`") if piece.strip()] == list(word.operators)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("torch-cuda", ("torch-cuda", "", "", "")),
        ("kernels:sm_120", ("kernels", "sm_120", "", "")),
        ("kernels:RTX 5090", ("kernels", "RTX 5090", "", "")),
        (" vram >= 24 GB ", ("vram", "", ">=", "24 GB")),
        ("driver<571", ("driver", "", "<", "571")),
        ("cuda==12", ("cuda", "", "==", "12")),
        ("cudnn", ("cudnn", "", "", "")),
        ("matmul:float16", ("matmul", "fp16", "", "")),
        ("matmul:BF16", ("matmul", "bf16", "", "")),
        ("package:Faster_Whisper", ("package", "faster-whisper", "", "")),
        ("package:torch>=2.4,<2.7,!=2.5.0", ("package", "torch", ">=", "2.4,<2.7,!=2.5.0")),
        ("package:torch~=2.6.0", ("package", "torch", "~=", "2.6.0")),
        ("python>=3.10", ("python", "", ">=", "3.10")),
    ],
)
def test_a_requirement_falls_into_its_parts(text: str, wanted: tuple[str, str, str, str]) -> None:
    assert parts(text) == wanted
    assert read(text).text == text.strip()


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("torch_cuda", "is no requirement", "torch-cuda"),
        ("trch-cuda", "is no requirement", "torch-cuda"),
        ("kernel:sm_89", "is no requirement", "kernels:sm_120"),
        ("no-such-thing", "is no requirement", "known: torch-cuda, "),
        ("torch-cuda>=2", "cannot be compared", "torch-cuda"),
        ("stft:x", "has nothing behind a colon", "stft"),
        ("kernels", "does not say which gpu", "kernels:sm_120"),
        ("kernels:RTX 5O9O", "no GPU is known", "GeForce RTX 5090"),
        ("matmul:fp12", "no number format", "matmul:fp"),
        ("driver", "compares with nothing", "driver>=570"),
        ("driver=570", "is compared by one of >= > <= < ==", "driver>=570"),
        ("driver!=570", "is compared by one of", "driver>=570"),
        ("driver>=new", "a version", "driver>=570"),
        ("vram>=24", "a size with its unit", "vram>=24GB"),
        ("free-vram==3GB", "is compared by one of >= > <= <", "free-vram>=20GB"),
        ("gpus>=2.5", "a number", "gpus>=2"),
        ("package:", "does not say which package", "package:torch>=2.8"),
        ("package:a b", "names no package", "package:torch>=2.8"),
        ("package:torch>>2", "no version specifier", "package:torch>=2.8"),
        ("python", "compares with nothing", "python>=3.10"),
        ("", "is no requirement", "known: "),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_nearest_word(text: str, said: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        read(text)
    assert said in refused.value.message
    assert hint in refused.value.hint
    assert refused.value.exit_code == 2


def test_a_refusal_names_the_line_of_a_file_and_no_line_of_the_command_line() -> None:
    with pytest.raises(UsageError, match=r"^pyproject\.toml:7: 'torchcuda' is no requirement"):
        parse("torchcuda", "pyproject.toml:7", FACTS)
    with pytest.raises(UsageError, match=r"^'torchcuda' is no requirement"):
        read("torchcuda")


@given(st.text(max_size=400))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = read(text)
    except UsageError as refused:
        assert refused.exit_code == 2
    else:
        assert found.name in {word.name for word in WORDS}


def test_commas_separate_requirements_but_not_the_parts_of_a_specifier() -> None:
    assert list(split(["a, package:torch>=2.4,<2.7 ,b", "c", " , "])) == ["a", "package:torch>=2.4,<2.7", "b", "c"]


def test_every_format_is_documented() -> None:
    assert [name for name in FORMATS if f"`{name}`" not in DOCS] == []
