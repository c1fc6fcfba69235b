"""What a rule may conclude from what the live interpreter answered, and what it must not."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_doctor.checks.shared import live
from gpu_doctor.checks.shared.live import answers, asked, failures, proof
from gpu_doctor.model.inventory import UNASKED
from gpu_doctor.model.probes import Probe
from gpu_doctor.model.unknown import CannotKnow, DoesNotApply, Unknown
from tests.kit import dist, inventory, probe, trial

NO_GPU = {"reason": "no GPU visible"}


def test_the_answers_are_those_of_questions_that_a_child_took_up() -> None:
    torch, cudnn = probe("import", "torch"), probe("cudnn", "torch", "crashed", reason="was killed by SIGSEGV")
    seen = inventory(probes=(torch, cudnn, probe("torch-gpu", "GPU 0", "skipped", **NO_GPU)))
    assert answers(seen, "import") == (torch,)
    assert answers(seen, "import", "cudnn", "torch-gpu") == (torch, cudnn)
    assert asked(seen, "import", "torch") == (torch,)
    assert asked(seen, "import", "jax") == ()


@pytest.mark.parametrize(
    ("probes", "reason"),
    [
        (UNASKED, "only files were read"),
        (Unknown("there is no interpreter to ask"), "there is no interpreter to ask"),
        ((probe("torch-gpu", "GPU 0", "skipped", **NO_GPU),), "no GPU visible"),
        ((probe("torch-gpu", "GPU 0", "unrunnable", reason="python cannot be started"),), "python cannot be started"),
    ],
)
def test_where_no_question_was_taken_up_the_rule_gives_up_with_the_reason(probes: Any, reason: str) -> None:
    with pytest.raises(CannotKnow) as gave_up:
        answers(inventory(probes=probes), "torch-gpu", "cufft")
    assert str(gave_up.value) == reason
    assert not isinstance(gave_up.value, DoesNotApply)


def test_of_several_reasons_the_commonest_is_given() -> None:
    skips = [
        probe("torch-gpu", f"GPU {n}", "skipped", reason=why) for n, why in enumerate(("import torch failed", "x"))
    ]
    seen = inventory(probes=(*skips, probe("cufft", "GPU 0", "skipped", reason="x")))
    with pytest.raises(CannotKnow, match=r"\Ax\Z"):
        answers(seen, "torch-gpu", "cufft")


def test_where_there_is_nothing_to_ask_the_rule_does_not_apply() -> None:
    with pytest.raises(DoesNotApply, match="nothing is installed that could be asked this"):
        answers(inventory(dist("torch", "2.8.0"), probes=(probe("import", "torch"),)), "ort-session")


def test_an_empty_environment_is_called_so() -> None:
    with pytest.raises(DoesNotApply, match="no GPU package is installed"):
        answers(inventory(dist("numpy", "2.2.6"), probes=()), "ort-session")


@pytest.mark.parametrize(
    ("seen", "proves"),
    [
        (probe("import", "torch"), "cleared"),
        (probe("import", "torch", "raised"), "proven"),
        (probe("import", "torch", "timed out"), "proven"),
        (probe("import", "torch", "skipped"), "open"),
        (probe("import", "torch", "unrunnable"), "open"),
        (probe("cudnn", "torch", "answered", trial("create"), trial("run", "skipped")), "cleared"),
        (probe("cudnn", "torch", "answered", trial("create"), trial("run", "wrong")), "proven"),
        (probe("cudnn", "torch", "answered", trial("create", "skipped")), "open"),
    ],
)
def test_a_probe_proves_clears_or_leaves_open(seen: Probe, proves: str) -> None:
    assert proof(seen) == proves


def test_the_testimony_of_a_crash_can_be_read_and_repeated() -> None:
    died = trial("matmul", "died", "was killed by SIGABRT (Aborted)")
    seen = probe(
        "torch-gpu",
        "GPU 0",
        "crashed",
        trial("allocate"),
        died,
        reason="was killed by SIGABRT (Aborted)",
        loading="/opt/app/libcublas.so.12",
        stack=(
            "/opt/gpu_doctor/probe/scripts/torch_gpu.py:9 in launch",
            "torch/functional.py:12 in matmul",
            "<string>:1 in answer",
        ),
        log="one\n\ntwo\nthree\nfour",
        again="~/venv/bin/python -c …",
        after=("onnxruntime",),
    )
    assert failures(seen) == (died,)
    rows = live.testimony(seen, died)
    assert rows[0].what == "asked live: matmul in torch on GPU 0, after import onnxruntime"
    assert (rows[0].value, rows[0].again) == ("killed by SIGABRT (Aborted)", "~/venv/bin/python -c …")
    assert {row.what: row.value for row in rows[1:]} == {
        "the last library that it began to load": "/opt/app/libcublas.so.12",
        "where its Python stood": "torch/functional.py:12 in matmul",
        "its last output": "two\nthree\nfour",
    }


def test_an_experiment_that_failed_in_words_needs_no_log() -> None:
    seen = probe("torch-gpu", "GPU 0", "answered", trial("fp16", "failed", "not supported"), log="chatter")
    assert [row.value for row in live.testimony(seen, seen.trials[0])] == ["not supported"]
