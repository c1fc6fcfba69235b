"""Packages and GPU architectures, as a table and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema

from gpu_doctor.model.libraries import Library
from gpu_doctor.report import as_archs, as_archs_json
from gpu_doctor.report.paper import Look
from tests import kit

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schema" / "archs-1.json").read_text(encoding="utf-8"))
TARGET = kit.inventory().target
T4 = kit.gpu("Tesla T4", (7, 5))
RTX_5090 = kit.gpu("NVIDIA GeForce RTX 5090", (12, 0))


def libraries() -> tuple[Library, ...]:
    """What torch 2.12.0 promises and one of its libraries lacks, PTX, code that cannot be read, and no code at all."""
    return (
        kit.lib("torch/lib/libc10_cuda.so", "torch", sass="75 80 86 90 100 120"),
        kit.lib("torch/lib/libtorch_cuda.so", "torch", sass="75 80 86 90 100 120", size=10**9),
        kit.lib("torch/lib/libtorch_cuda_linalg.so", "torch", sass="80 86 90 100 120"),
        kit.lib("torch/lib/libtorch_python.so", "torch"),
        kit.lib("ctranslate2.libs/libctranslate2-d3638643.so.4.6.1", "ctranslate2", sass="53 60 70 75 80 86", ptx="86"),
        kit.lib("nvidia/cufft/lib/libcufft.so.12", "nvidia-cufft", sass="52", unknown="stored another way"),
        kit.lib("/opt/a/very/long/name/libthat_nobody_would_give_to_a_library.so", None, sass="90a"),
    )


def test_the_table_shows_each_package_and_where_its_libraries_differ() -> None:
    assert (
        as_archs.render(libraries(), (T4, RTX_5090), TARGET, Look())
        == """\
/opt/app/venv/bin/python — chosen by --python

runs on Tesla T4 (sm_75), then on RTX 5090 (sm_120):

of no package
  libthat_nobody_would_give_to_a_li…  none     none     90a
ctranslate2
  libctranslate2-d3638643.so.4.6.1    native   jit      53 60 70 75 80 86 + PTX
                                                        86
nvidia-cufft
  libcufft.so.12                      unknown  unknown  52 and perhaps more:
                                                        stored another way
torch
  libtorch_cuda.so +1                 native   native   75 80 86 90 100 120
  libtorch_cuda_linalg.so             none     native   80 86 90 100 120

native: runs; jit: the driver compiles it at the first start; none: fails
1 of 7 libraries without GPU code
"""
    )


def test_without_a_gpu_the_table_judges_nothing() -> None:
    assert (
        as_archs.render(libraries()[:4], (), TARGET, Look())
        == """\
/opt/app/venv/bin/python — chosen by --python

torch
  libtorch_cuda.so +1      75 80 86 90 100 120
  libtorch_cuda_linalg.so  80 86 90 100 120

1 of 4 libraries without GPU code
"""
    )


def test_a_named_file_without_gpu_code_is_listed() -> None:
    assert (
        as_archs.render(libraries()[3:4], (T4,), None, Look())
        == """\
runs on Tesla T4 (sm_75):

torch
  libtorch_python.so  -        no GPU code

native: runs; jit: the driver compiles it at the first start; none: fails
"""
    )


def test_no_libraries_are_said() -> None:
    assert as_archs.render((), (), None, Look()) == "no shared libraries here\n"


def shaped(*gpus: Any) -> Any:
    document = json.loads(as_archs_json.render(libraries(), gpus))
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    return document


def test_the_json_lists_every_library_and_follows_the_schema() -> None:
    rows = {Path(row["path"]).name: row for row in shaped()["libraries"]}
    assert len(rows) == 7
    assert rows["libctranslate2-d3638643.so.4.6.1"] == {
        "path": f"{kit.SITE}/ctranslate2.libs/libctranslate2-d3638643.so.4.6.1",
        "package": "ctranslate2",
        "sass": ["sm_53", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86"],
        "ptx": ["compute_86"],
        "status": "read",
        "note": "",
    }
    assert rows["libcufft.so.12"]["status"] == "unknown"
    assert rows["libtorch_python.so"]["status"] == "none"


def test_the_json_answers_for_each_gpu_asked_about() -> None:
    rows = {Path(row["path"]).name: row["runs"] for row in shaped(T4, RTX_5090)["libraries"]}
    assert rows["libtorch_cuda_linalg.so"] == {"sm_75": "none", "sm_120": "native"}
    assert rows["libctranslate2-d3638643.so.4.6.1"] == {"sm_75": "native", "sm_120": "jit"}
    assert rows["libcufft.so.12"] == {"sm_75": "unknown", "sm_120": "unknown"}
    assert rows["libtorch_python.so"] == {"sm_75": None, "sm_120": None}
