"""The answer of `where`: the file, the rule, and where was looked before."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema

from gpu_doctor.model.libraries import Tried
from gpu_doctor.report import as_where, as_where_json
from gpu_doctor.report.paper import Look
from tests import kit

TARGET = kit.inventory().target
TRIED = (
    Tried("/opt/app/a/libcudnn_graph.so.9", "DT_RPATH of libtorch_cuda.so", "no such file"),
    Tried("/opt/b/libcudnn_graph.so.9", "LD_LIBRARY_PATH", "for another machine"),
    Tried("/opt/c/libcudnn_graph.so.9", "LD_LIBRARY_PATH", "found"),
)
FOUND = kit.resolution(
    "nvidia/cudnn/lib/libcudnn.so.9",
    "nvidia-cudnn-cu12",
    "libcudnn_graph.so.9",
    found="/opt/c/libcudnn_graph.so.9",
    rule="LD_LIBRARY_PATH",
    after=("torch",),
    tried=TRIED,
)


def test_the_winner_comes_first_then_its_rule_then_the_search() -> None:
    assert (
        as_where.render("libcudnn_graph", (FOUND,), TARGET, Look())
        == """\
/opt/app/venv/bin/python — chosen by --python

after import torch
  nvidia-cudnn-cu12: libcudnn.so.9 opens libcudnn_graph.so.9
    /opt/c/libcudnn_graph.so.9
    rule: LD_LIBRARY_PATH
    looked before in: /opt/app/a (DT_RPATH); /opt/b (LD_LIBRARY_PATH, for
    another machine)
"""
    )


def test_what_is_not_found_is_said_and_what_is_optional_too() -> None:
    missing = kit.resolution("a.so", None, "libx.so.1", "libx.so", found=None)
    spare = kit.resolution("b.so", "pkg", "libx.so", found=None, optional=True, how="needed")
    assert (
        as_where.render("libx", (missing, spare), TARGET, Look())
        == """\
/opt/app/venv/bin/python — chosen by --python

  a.so opens libx.so.1 or libx.so
    not found

  pkg: b.so needs libx.so
    not found, which it can do without
"""
    )


def test_consumers_that_get_the_same_file_are_one_paragraph_led_by_the_one_that_searched() -> None:
    second = replace(FOUND, consumer="/opt/libcudnn_ops.so.9", rule="already loaded by torch", tried=())
    text = as_where.render("libcudnn_graph", (second, FOUND), TARGET, Look())
    assert text.count("/opt/c/libcudnn_graph.so.9") == 1
    assert "libcudnn.so.9 opens" in text
    assert text.endswith("    likewise for libcudnn_ops.so.9\n")


def test_a_folder_is_named_once_however_many_names_were_tried_there() -> None:
    tried = tuple(Tried(f"/opt/lib/libx.so.{n}", "DT_RUNPATH of a.so", "no such file") for n in range(40))
    missing = kit.resolution("a.so", None, "libx", found=None, tried=tried)
    assert as_where.render("libx", (missing,), TARGET, Look()).endswith("    looked in: /opt/lib (DT_RUNPATH)\n")


def test_json_keeps_every_path_tried() -> None:
    document = json.loads(as_where_json.render("libcudnn_graph", (FOUND,)))
    (answer,) = document["answers"]
    assert (document["schema"], answer["found"]) == ("gpu-doctor/where/1", "/opt/c/libcudnn_graph.so.9")
    assert [step["path"] for step in answer["tried"]] == [step.path for step in TRIED]


def test_a_library_that_nobody_asks_for_is_said() -> None:
    assert "nothing in this environment asks for libx" in as_where.render("libx", (), TARGET, Look())


def test_json_follows_the_published_schema() -> None:
    schema = json.loads((Path(__file__).parents[2] / "docs/schema/where-1.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    missing = kit.resolution("a.so", None, "libx.so.1", "libx.so", found=None, optional=True)
    for answers in ((), (FOUND, missing)):
        jsonschema.validate(json.loads(as_where_json.render("libx", answers)), schema)
