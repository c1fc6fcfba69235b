"""dtype-unsupported-by-gpu: what a GPU refuses to compute in, and what to compute in instead."""

from __future__ import annotations

import pytest

from gpu_doctor.model.finding import Severity
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Probe, Trial
from tests.checks.judge import evidence, judge, only
from tests.kit import dist, gpu, inventory, probe, trial

UNSUPPORTED = "RuntimeError: CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling `cublasGemmEx`"
BF16, FP16 = trial("matmul bf16", "failed", UNSUPPORTED), trial("matmul fp16", "failed", UNSUPPORTED)
ONLY_ON = "RuntimeError: torch._scaled_mm is only supported on CUDA devices with compute capability >= 9.0 or 8.9"
FP8 = trial("matmul fp8", "failed", ONLY_ON)


def torch_on(capability: str, *trials: Trial) -> Inventory:
    answered = probe("torch-gpu", "GPU 0", "answered", *trials, measured={"device": "a GPU", "capability": capability})
    return inventory(dist("torch", "2.8.0", cuda="12.8"), probes=(answered,))


def ctranslate2_on(capability: tuple[int, int], types: str) -> Inventory:
    answered = probe("ctranslate2", "GPU 0", "answered", trial("compute types", types=types))
    return inventory(dist("ctranslate2", "4.6.3"), gpus=(gpu("a GPU", capability),), probes=(answered,))


@pytest.mark.parametrize(
    ("capability", "trials", "severity", "instead"),
    [
        ("7.5", (BF16,), "note", "float16"),
        ("6.0", (BF16,), "note", "float16"),
        ("6.1", (BF16, FP16), "note", "float32"),
        ("5.2", (FP16,), "note", "float32"),
        ("8.9", (BF16,), "warning", "float16"),
        ("8.0", (FP16,), "warning", "bfloat16"),
        ("9.0", (BF16, FP16), "warning", "float32"),
    ],
)
def test_torch_is_told_what_to_compute_in(
    capability: str, trials: tuple[Trial, ...], severity: Severity, instead: str
) -> None:
    finding = only(judge("dtype-unsupported-by-gpu", torch_on(capability, *trials)))
    assert (finding.severity, finding.subject) == (severity, "torch on GPU 0")
    assert finding.remedy is not None
    assert finding.remedy.summary == f"Compute in {instead} on this GPU."
    assert evidence(finding)[f"asked live: {trials[0].name} in torch on GPU 0"] == UNSUPPORTED


def test_a_build_without_float8_is_a_note_even_where_the_gpu_has_it() -> None:
    finding = only(judge("dtype-unsupported-by-gpu", torch_on("8.9", FP8)))
    assert (finding.severity, "refuses float8 to torch" in finding.message) == ("note", True)
    both = only(judge("dtype-unsupported-by-gpu", torch_on("8.9", BF16, FP8)))
    assert both.severity == "warning"
    healthy = torch_on("8.6", trial("matmul fp8", "skipped", "GPUs of compute capability 8.6 have no FP8"))
    assert judge("dtype-unsupported-by-gpu", healthy).status == "passed"


def test_a_gpu_whose_capability_nobody_knows_gets_the_format_that_always_works() -> None:
    sick = torch_on("", BF16)
    finding = only(judge("dtype-unsupported-by-gpu", inventory(*sick.distributions, probes=sick.probes, gpus=())))
    assert finding.remedy is not None
    assert "float32" in finding.remedy.summary
    assert finding.severity == "note"


def test_a_product_that_fails_for_another_reason_is_another_rules_matter() -> None:
    other = trial("matmul bf16", "failed", "RuntimeError: CUDA error: CUBLAS_STATUS_EXECUTION_FAILED")
    assert judge("dtype-unsupported-by-gpu", torch_on("7.5", other)).status == "passed"
    assert (
        judge("dtype-unsupported-by-gpu", torch_on("8.9", trial("matmul bf16"), trial("matmul fp16"))).status
        == "passed"
    )


@pytest.mark.parametrize(
    ("capability", "types", "severity", "words"),
    [
        ((6, 1), "int8_float32, float32, int8", "note", ("no float16", 'compute_type="int8_float32"')),
        ((6, 0), "float32", "note", ("no float16", 'compute_type="float32"')),
        ((5, 2), "float32", "note", ("no float16", 'compute_type="float32"')),
        ((8, 6), "float32, int8, int8_float16, float16", "warning", ("no bfloat16", 'compute_type="float16"')),
        ((8, 6), "float32, int8, int8_float32", "warning", ("no float16 and no bfloat16", 'compute_type="float32"')),
    ],
)
def test_ctranslate2_is_told_what_to_ask_for(
    capability: tuple[int, int], types: str, severity: Severity, words: tuple[str, str]
) -> None:
    finding = only(judge("dtype-unsupported-by-gpu", ctranslate2_on(capability, types)))
    assert (finding.severity, finding.subject) == (severity, "ctranslate2 on GPU 0")
    assert words[0] in finding.message
    assert evidence(finding)["compute types that it offers"] == ", ".join(sorted(types.split(", ")))
    assert finding.remedy is not None
    assert words[1] in finding.remedy.summary


@pytest.mark.parametrize(
    ("capability", "types"),
    [
        ((8, 9), "float32, int8, float16, bfloat16, int8_float16, int8_bfloat16"),
        ((7, 5), "float32, int8, float16, int8_float16"),  # a Turing without bfloat16 is as it was made
        ((7, 5), ""),
    ],
)
def test_ctranslate2_offers_what_such_gpus_have(capability: tuple[int, int], types: str) -> None:
    assert judge("dtype-unsupported-by-gpu", ctranslate2_on(capability, types)).status == "passed"


def test_what_a_cpu_lacks_is_nobodys_illness() -> None:
    cpu = probe("ctranslate2", "CPU", "answered", trial("compute types", types="float32, int8"))
    alone = inventory(dist("ctranslate2", "4.6.3"), probes=(cpu, skipped("ctranslate2")))
    run = judge("dtype-unsupported-by-gpu", alone)
    assert (run.status, run.note, run.applies) == ("skipped", "no GPU visible", True)


def test_each_gpu_is_judged_by_its_own_generation() -> None:
    """A GTX 1080 beside an RTX 3090."""
    old, new = (
        probe("ctranslate2", f"GPU {n}", "answered", trial("compute types", types="float32, int8_float32"))
        for n in (0, 1)
    )
    both = inventory(
        dist("ctranslate2", "4.6.3"), gpus=(gpu("GTX 1080", (6, 1)), gpu("RTX 3090", (8, 6))), probes=(old, new)
    )
    found = judge("dtype-unsupported-by-gpu", both).findings
    assert [(f.subject, f.severity) for f in found] == [
        ("ctranslate2 on GPU 0", "note"),
        ("ctranslate2 on GPU 1", "warning"),
    ]


def test_compute_types_that_could_not_be_asked_are_not_lacking() -> None:
    failed = probe("ctranslate2", "GPU 0", "answered", trial("compute types", "failed", "CUDA driver is too old"))
    assert (
        judge("dtype-unsupported-by-gpu", inventory(dist("ctranslate2", "4.6.3"), probes=(failed,))).status == "passed"
    )


def skipped(kind: str) -> Probe:
    return probe(kind, "GPU 0", "skipped", reason="no GPU visible")  # type: ignore[arg-type]


def test_without_an_answer_nothing_is_said() -> None:
    run = judge("dtype-unsupported-by-gpu", inventory(dist("torch", "2.8.0"), probes=(skipped("torch-gpu"),)))
    assert (run.status, run.note) == ("skipped", "no GPU visible")
    assert judge("dtype-unsupported-by-gpu", inventory(dist("torch", "2.8.0"))).status == "skipped"
