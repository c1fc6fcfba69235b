"""Which names are tried in a real process: those that the model misses, and a few that it finds."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_doctor.collect.questions.libraries import library_questions
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.libraries import Resolution, Tried
from gpu_doctor.probe.together import Question
from tests.kit import SITE, dist, elf, inventory, lib, resolution

FACTS = Facts.load()
CT2, TORCH = dist("ctranslate2", "4.8.5"), dist("torch", "2.8.0")
LIBCT2 = "ctranslate2.libs/libctranslate2-a7a60d30.so.4.8.5"


def ask(*after: str, found: str | None = None, **changes: Any) -> Resolution:
    changes = {"names": ("libcublas.so.12",), "package": "ctranslate2", **changes}
    return resolution(LIBCT2, changes.pop("package"), *changes.pop("names"), found=found, after=after, **changes)


def questions(*resolutions: Resolution, thorough: bool = False, **changes: Any) -> tuple[Question, ...]:
    return library_questions(inventory(CT2, TORCH, resolutions=resolutions, **changes), FACTS, thorough)


def wanted(question: Question) -> list[dict[str, Any]]:
    assert isinstance(question.argument, dict)
    return list(question.argument["wanted"])


def test_what_is_missing_is_tried_and_what_is_said_to_supply_it() -> None:
    fresh, later = questions(ask("ctranslate2"), ask("torch", "ctranslate2", found="/opt/libcublas.so.12"))
    assert (fresh.name, fresh.needs) == ("library ctranslate2 after ctranslate2", ("import ctranslate2",))
    assert (later.after, later.needs) == (("torch", "ctranslate2"), ("import torch", "import ctranslate2"))
    assert wanted(fresh) == [
        {"name": "libcublas.so.12", "names": ("libcublas.so.12",), "rpath": [], "runpath": []},
    ]
    assert "import ctranslate2; import ctypes; ctypes.CDLL(" in fresh.again


def test_the_consumers_own_folders_are_searched_too() -> None:
    library = lib(LIBCT2, "ctranslate2", elf=elf(rpath=("$ORIGIN/../nvidia/cublas/lib", "relative")))
    tried = (
        Tried("/opt/handed/down/libcublas.so.12", "DT_RPATH of _ext.so", "no such file"),
        Tried("/etc/ld.so.cache", "ld.so.cache", "not listed"),
    )
    (question,) = questions(ask("ctranslate2", tried=tried), libraries=(library,))
    assert wanted(question)[0]["rpath"] == [f"{SITE}/nvidia/cublas/lib", "/opt/handed/down"]


def test_a_runpath_silences_the_rpath() -> None:
    library = lib(LIBCT2, "ctranslate2", elf=elf(rpath=("/opt/a",), runpath=("${ORIGIN}",)))
    (question,) = questions(ask("ctranslate2"), libraries=(library,))
    assert (wanted(question)[0]["rpath"], wanted(question)[0]["runpath"]) == ([], [f"{SITE}/ctranslate2.libs"])


def test_where_the_model_finds_something_by_a_path_it_is_held_to_it() -> None:
    found = ask("ctranslate2", found="/opt/lib/libcublas.so.12", rule="DT_RUNPATH of libctranslate2")
    (question,) = questions(found)
    assert wanted(question)[0]["runpath"] == ["/opt/lib"]
    assert "/opt/lib/libcublas.so.12" in question.again


def test_what_is_missing_is_tried_before_what_is_found() -> None:
    """What is found brings its own libraries into the process, and could supply the missing one."""
    found = ask("ctranslate2", names=("libnvrtc.so.12",), found="/opt/libnvrtc.so.12")
    (question,) = questions(found, ask("ctranslate2"))
    assert [item["name"] for item in wanted(question)] == ["libcublas.so.12", "libnvrtc.so.12"]


@pytest.mark.parametrize(
    "other",
    [
        ask("ctranslate2", names=("libcuda.so.1",)),
        ask("torch", names=("libnvidia-ml.so.1",), package="torch"),
        ask("torch", names=("libcudnn_graph.so.9",), package="torch"),
        ask("onnxruntime", package="onnxruntime-gpu"),
        ask("ctranslate2", optional=True),
        ask("torch", names=("/opt/libtorch_global_deps.so",), package="torch"),
        ask("torch", how="needed", package="torch"),
        ask("torch", package=None),
    ],
    ids=["driver", "NVML", "cuDNN", "ONNX Runtime", "optional", "a path", "needed at load", "nobody's"],
)
def test_what_others_ask_or_nobody_needs_is_left_alone(other: Resolution) -> None:
    assert questions(other) == ()


def test_of_what_is_found_a_few_processes_are_enough() -> None:
    found = [ask(f"module{n}", found="/opt/libcublas.so.12", package=f"package{n}") for n in range(20)]
    assert len(questions(*found)) == 2
    assert len(questions(*found, thorough=True)) == 8
