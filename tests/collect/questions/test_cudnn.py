"""Which cuDNN loaders are asked, after which imports, and what is asked once more where one died."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpu_doctor.collect.questions.cudnn import cudnn_questions, cudnn_reasons
from gpu_doctor.collect.questions.imports import again
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.libraries import Resolution
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.probe.together import Question
from tests.kit import PREFIX, SITE, dist, inventory, lib, probe, resolution, trial

FACTS = Facts.load()
CT2, TORCH, CUDNN = dist("ctranslate2", "4.6.1"), dist("torch", "2.8.0"), dist("nvidia-cudnn-cu12", "9.10.2.21")
BUNDLED, OWN = "ctranslate2.libs/libcudnn-74a4c495.so.9.1.0", "nvidia/cudnn/lib/libcudnn.so.9"
GRAPH, OPS = "nvidia/cudnn/lib/libcudnn_graph.so.9", "nvidia/cudnn/lib/libcudnn_ops.so.9"
LIBRARIES = (lib(BUNDLED, CT2.name), lib(OWN, CUDNN.name), lib(GRAPH, CUDNN.name), lib(OPS, CUDNN.name))


def part(loader: str, package: str, name: str, *after: str, found: str | None = None) -> Resolution:
    names = (f"libcudnn_{name}.so.9.1.0", f"libcudnn_{name}.so.9", f"libcudnn_{name}.so")
    return resolution(loader, package, *names, found=found, after=after)


ASKED = (
    *(part(BUNDLED, "ctranslate2", name, "ctranslate2") for name in ("graph", "ops")),
    *(part(OWN, "torch", name, "torch", found=GRAPH) for name in ("graph", "ops")),
    part(GRAPH, "torch", "heuristic", "torch", found="nvidia/cudnn/lib/libcudnn_heuristic.so.9"),
    resolution("torch/lib/libtorch_cuda.so", "torch", "libcudnn.so.9", found=OWN, after=("torch",), how="needed"),
)


def environment(*resolutions: Resolution, **changes: Any) -> Inventory:
    return inventory(CT2, TORCH, CUDNN, **{"libraries": LIBRARIES, "resolutions": resolutions, "gpus": (), **changes})


def argument(question: Question) -> dict[str, Any]:
    assert isinstance(question.argument, dict)
    return question.argument


def test_each_loader_is_asked_once_after_the_imports_that_bring_it() -> None:
    bundled, own = cudnn_questions(environment(*ASKED), FACTS, False)
    assert (bundled.name, bundled.needs, bundled.skip) == (
        "cudnn ctranslate2: libcudnn-74a4c495.so.9.1.0 after ctranslate2",
        ("import ctranslate2",),
        "",
    )
    assert argument(bundled) == {
        "loader": f"{SITE}/{BUNDLED}",
        "after": ["ctranslate2"],
        "further": [],
        "torch": False,
        "alone": False,
    }
    assert (own.subject, own.after, argument(own)["torch"]) == ("torch: libcudnn.so.9", ("torch",), True)


def test_the_parts_that_parts_open_are_asked_for_under_their_plain_name() -> None:
    own = cudnn_questions(environment(*ASKED), FACTS, False)[1]
    names = ("libcudnn_heuristic.so.9.1.0", "libcudnn_heuristic.so.9", "libcudnn_heuristic.so")
    assert argument(own)["further"] == [{"name": "libcudnn_heuristic.so.9", "names": names}]


def test_anyone_can_see_the_same() -> None:
    (question,) = cudnn_questions(environment(ASKED[0], libraries=()), FACTS, False)
    code = f"import ctypes; import ctranslate2; print(ctypes.CDLL('{SITE}/{BUNDLED}').cudnnGetVersion())"
    assert question.again == again(f"{PREFIX}/bin/python", code)


def test_a_loader_that_nobody_uses_is_asked_alone() -> None:
    (question,) = cudnn_questions(inventory(CUDNN, libraries=LIBRARIES[1:]), FACTS, False)
    assert (question.name, question.needs) == ("cudnn nvidia-cudnn-cu12: libcudnn.so.9", ())


def test_a_loader_that_is_only_needed_is_asked_after_a_call_that_brings_it() -> None:
    ort = dist("onnxruntime-gpu", "1.22.0")
    after = ("onnxruntime", "onnxruntime.preload_dlls")
    needed = resolution("onnxruntime/capi/x.so", ort.name, "libcudnn.so.10", found="/opt/libcudnn.so.10", after=after)
    (question,) = cudnn_questions(inventory(ort, resolutions=(needed,)), FACTS, False)
    assert question.needs == ("import onnxruntime-gpu",)
    assert "import onnxruntime; onnxruntime.preload_dlls(); print(" in question.again


def test_what_is_not_installed_as_a_known_package_is_not_waited_for() -> None:
    (question,) = cudnn_questions(inventory(resolutions=ASKED[:2]), FACTS, False)
    assert question.needs == ()


def test_thorough_turns_the_order_of_imports() -> None:
    after = [q.after for q in cudnn_questions(environment(*ASKED), FACTS, True) if "ctranslate2:" in q.subject]
    assert after == [("ctranslate2",), ("torch", "ctranslate2"), ("ctranslate2", "torch")]


def test_however_many_orders_there_are_the_questions_are_few() -> None:
    many = [part(OWN, "torch", "graph", "torch", f"module{number}") for number in range(50)]
    assert len(cudnn_questions(environment(*many), FACTS, True)) == 8


DEAD = probe(
    *("cudnn", "torch: libcudnn.so.9", "crashed", trial("cudnnCnnVersionCheck", "died")),
    reason="was killed by SIGABRT (Aborted)",
    after=("torch",),
)


def test_a_loader_that_died_is_asked_for_the_reason_part_by_part() -> None:
    (question,) = cudnn_reasons(environment(*ASKED, probes=(DEAD,)), FACTS, False)
    assert (question.name, question.needs) == ("cudnn torch: libcudnn.so.9, part by part", ())
    assert (argument(question)["alone"], argument(question)["after"]) == (True, [])
    assert "glob" in question.again


@pytest.mark.parametrize(
    "probes",
    [
        (),
        Unknown("only files were read"),
        (replace(DEAD, ending="answered"),),
        (replace(DEAD, trials=()),),
        (replace(DEAD, subject="ctranslate2: libcudnn-74a4c495.so.9.1.0"),),
    ],
    ids=["nothing", "not asked", "it answered", "its import died", "no part lies beside it"],
)
def test_otherwise_there_is_no_reason_to_ask_for(probes: Any) -> None:
    assert cudnn_reasons(environment(*ASKED, probes=probes), FACTS, False) == ()
