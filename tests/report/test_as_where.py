"""The answer of `where`: the file, the rule, and the search as a tree."""

from __future__ import annotations

from gpu_doctor.model.library import Tried
from gpu_doctor.report import as_where
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

after import torch: libcudnn.so.9 of nvidia-cudnn-cu12 opens libcudnn_graph.so.9
  /opt/c/libcudnn_graph.so.9
  rule: LD_LIBRARY_PATH
    DT_RPATH of libtorch_cuda.so
    └─ /opt/app/a/libcudnn_graph.so.9: no such file
    LD_LIBRARY_PATH
    ├─ /opt/b/libcudnn_graph.so.9: for another machine
    └─ /opt/c/libcudnn_graph.so.9: found
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

b.so of pkg needs libx.so
  not found, which it can do without
"""
    )


def test_without_unicode_the_tree_is_ascii() -> None:
    text = as_where.render("libcudnn_graph", (FOUND,), TARGET, Look(unicode=False))
    assert "    |- /opt/b/libcudnn_graph.so.9: for another machine\n" in text
    assert "    `- /opt/c/libcudnn_graph.so.9: found\n" in text


def test_a_very_long_search_is_counted() -> None:
    many = kit.resolution(
        "a.so", None, "libx", found=None, tried=tuple(Tried(f"/{n}", "cache", "no") for n in range(40))
    )
    assert as_where.render("libx", (many,), TARGET, Look()).endswith("    … and 16 more\n")


def test_a_library_that_nobody_asks_for_is_said() -> None:
    assert "nothing in this environment asks for libx" in as_where.render("libx", (), TARGET, Look())
