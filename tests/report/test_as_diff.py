"""Two sides as text and as JSON: whole texts where they are the product."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gpu_doctor.model.difference import Contrast, Differing, Side, Turn, Uncompared
from gpu_doctor.report import as_diff, as_diff_json
from gpu_doctor.report.paper import Look
from tests.compare.sides import against
from tests.patients.test_patients import EXPECTED, recorded

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schema/diff-1.json").read_text(encoding="utf-8"))
LOOK = Look(width=80, home="/home/ada")

LEFT = Side("/home/ada/good.json", "snapshot", "3.11.7", "healthy")
RIGHT = Side("/home/ada/venv", "environment", "3.11.7", "sick")
DIFFERENT = Contrast(
    LEFT,
    RIGHT,
    turns=(
        Turn("kernel-image-missing", "A library has no code", "error", "fails", (), ("torch has no code for sm_120.",)),
        Turn("gpu-out-of-memory", "Memory is taken", "warning", "open", ("GPU 0 is full.",), (), "no answer"),
    ),
    differing=(
        Differing("gpu", "GPUs", "RTX 4090 (sm_89)", "RTX 5090 (sm_120)"),
        Differing("gpu package", "torch", "2.6.0+cu124", "2.4.0+cu118"),
        Differing("gpu package", "triton", "3.2.0", ""),
        Differing("library", "libcufft, libcufftw", "11.2.1.3", "10.9.0.58"),
        Differing("variable", "LD_LIBRARY_PATH", "", "/usr/local/cuda/lib64"),
        Differing("host", "kernel", "6.1.0", "6.8.0"),
        *(Differing("package", f"package-{number}", "1", "2") for number in range(8)),
    ),
    equal=("driver 580.95.05",),
    uncompared=(Uncompared("memory", "not read"),),
)


def test_what_differs_is_told_by_what_it_can_explain() -> None:
    assert as_diff.render(DIFFERENT, LOOK) == (
        "A  ~/good.json (snapshot, Python 3.11.7): healthy\n"
        "B  ~/venv (environment, Python 3.11.7): sick\n"
        "\n"
        "DIFFERENT  1 rule fails in B alone, 1 verdict changed, 1 difference of driver\n"
        "           and GPU, 2 GPU packages differ, 2 GPU libraries differ, 1 variable\n"
        "           differs, 1 difference of interpreter and host, 8 other packages\n"
        "           differ.\n"
        "\n"
        "rules, from A to B\n"
        "  FAILS    kernel-image-missing: A library has no code\n"
        "           B  torch has no code for sm_120.\n"
        "  OPEN     gpu-out-of-memory: Memory is taken\n"
        "           A  GPU 0 is full.\n"
        "           B  not judged: no answer\n"
        "\n"
        "driver and GPU\n"
        "  GPUs  RTX 4090 (sm_89) -> RTX 5090 (sm_120)\n"
        "\n"
        "GPU packages\n"
        "  torch   2.6.0+cu124 -> 2.4.0+cu118\n"
        "  triton  3.2.0 -> -\n"
        "\n"
        "GPU libraries\n"
        "  libcufft, libcufftw  11.2.1.3 -> 10.9.0.58\n"
        "\n"
        "variables\n"
        "  LD_LIBRARY_PATH  - -> /usr/local/cuda/lib64\n"
        "\n"
        "host\n"
        "  kernel  6.1.0 -> 6.8.0\n"
        "\n"
        "8 other packages\n"
        "  package-0 1 -> 2; package-1 1 -> 2; package-2 1 -> 2; package-3 1 -> 2;\n"
        "  package-4 1 -> 2; package-5 1 -> 2; and 2 more: --format json\n"
        "\n"
        "equal: driver 580.95.05\n"
        "not compared: memory (not read)\n"
    )


def test_what_is_equal_is_one_line() -> None:
    text = as_diff.render(Contrast(LEFT, LEFT, equal=("driver 580.95.05", "host")), LOOK)
    assert text.splitlines()[3:] == [
        "EQUAL  Nothing that was compared differs.",
        "",
        "equal: driver 580.95.05, host",
    ]


def test_foreign_text_cannot_steer_the_terminal() -> None:
    evil = Differing("variable", "LD_LIBRARY_PATH", "", "\x1b[2J\u202e/evil")
    text = as_diff.render(Contrast(LEFT, RIGHT, differing=(evil,)), LOOK)
    assert "\\x1b[2J\\u202e/evil" in text
    assert "\x1b" not in text


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "contrast", [DIFFERENT, Contrast(LEFT, LEFT), *map(recorded, EXPECTED)], ids=["different", "equal", *EXPECTED]
)
def test_every_comparison_follows_the_schema(contrast: Any) -> None:
    shown = contrast if isinstance(contrast, Contrast) else against(recorded("ok-4090"), contrast)
    document = json.loads(as_diff_json.render(shown))
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert document["equal"] is shown.same
    assert [turn["rule"] for turn in document["rules"]] == [turn.rule for turn in shown.turns]
