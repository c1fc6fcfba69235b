"""cufft-failure: each cause by its own pattern of passed and failed experiments, and the build that fails on Ada."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_doctor.model.finding import Finding
from gpu_doctor.model.hardware import Variable
from gpu_doctor.model.inventory import UNASKED, Inventory
from gpu_doctor.model.probes import Probe, Trial
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import commands, evidence, judge, judge_all, only
from tests.kit import SITE, dist, driver, gpu, host, inventory, lib, probe, resolution, trial

TORCH = dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128", requires=("nvidia-cufft-cu12==11.3.3.83",))
WHEEL = dist("nvidia-cufft-cu12", "11.3.3.83")
OLD = dist("torch", "1.13.1", cuda="11.7", built="1.13.1+cu117")
AMPERE = gpu("NVIDIA GeForce RTX 3080", (8, 6))
INTERNAL = "RuntimeError: cuFFT error: CUFFT_INTERNAL_ERROR"
INVALID = "cuFFT error: CUFFT_INVALID_SIZE"
OWN = f"{SITE}/nvidia/cufft/lib/libcufft.so.11"
FOREIGN = "/usr/local/cuda/lib64/libcufft.so.11"

FRESH = ("rfft", "stft as in Whisper", "stft as in XTTS", "istft")
# The trials of a healthy series on a GPU, as the question's script names them.
HEALTHY = {
    "fresh process": tuple(trial(name, error="1.2e-07") for name in FRESH),
    "library mapped": (trial("path", path=OWN), trial("version", version="11.3.3")),
    "float32 against float64": (trial("float32, size 400"), trial("float64, size 400")),
    "many plans": (trial("cache cleared in between", plans="512"), trial("cache as it is", plans="512")),
    "empty input": (trial("rfft", ended="Invalid number of data points (0) specified"), trial("a usual transform afterwards")),
    "too short input": (trial("stft, padded", ended="Padding size"), trial("a usual transform afterwards")),
    "batch zero": (trial("rfft", ended=INVALID), trial("a usual transform afterwards")),
    "half precision, power of two": (trial("half", ended="worked"), trial("float32 instead")),
    "half precision, other size": (trial("half", ended="powers of two"), trial("float32 instead")),
    "after loading and freeing": (trial("before the first round"), trial("after each round", rounds="6")),
    "nearly full memory": (
        trial("memory nearly full", while_it_is_held=INTERNAL, while_torch_only_keeps_it=INTERNAL),
        trial("after empty_cache"),
    ),
}  # fmt: skip


def failed(*names: str, detail: str = INTERNAL, outcome: Any = "failed", **measured: str) -> tuple[Trial, ...]:
    return tuple(trial(name, outcome, detail, **measured) for name in names)


def series(gpu_name: str = "GPU 0", /, **changed: Any) -> tuple[Probe, ...]:
    """The experiments on one GPU; `many_plans=trials` replaces those of one, None leaves it out."""
    free = changed.pop("free", str(20 * 2**30))
    made = {**HEALTHY, **{name.replace("_", " "): trials for name, trials in changed.items()}}
    return tuple(
        probe("cufft", f"{gpu_name}: {name}", "answered", *trials, measured={"free memory": free})
        for name, trials in made.items()
        if trials is not None
    )


def origin(*bad: Trial, gpu_name: str = "GPU 0") -> Probe:
    passed = (trial(name) for name in ("matmul fp32", "stft", "istft", "fft fp64") if name not in {t.name for t in bad})
    return probe("torch-gpu", gpu_name, "answered", *passed, *bad)


STFT_FAILED = origin(*failed("stft"))


def seen(*probes: Probe, **changes: Any) -> Inventory:
    return inventory(TORCH, WHEEL, probes=probes, **changes)


def found(*probes: Probe, **changes: Any) -> Finding:
    return only(judge("cufft-failure", seen(*probes, **changes)))


def summary(finding: Finding) -> str:
    assert finding.remedy is not None
    return finding.remedy.summary


# --- Each cause by its pattern ----------------------------------------------------------------------------------------


def test_everything_passes() -> None:
    assert judge("cufft-failure", seen(origin(), *series())).status == "passed"


def test_a_gpu_that_was_asked_and_works_needs_no_experiments() -> None:
    assert judge("cufft-failure", seen(origin())).status == "passed"


EVERYTHING = {
    "fresh process": failed(*FRESH),
    "float32 against float64": failed("float32, size 400", "float64, size 400"),
}


def test_every_transform_fails_in_every_process() -> None:
    finding = found(STFT_FAILED, *series(**EVERYTHING))
    assert (finding.severity, finding.subject) == ("error", "GPU 0: always")
    assert "every transform fails" in finding.message
    assert "until then compute this step on the CPU" in summary(finding)
    assert "torch==" in commands(finding)[0]
    assert "--torch-backend=cu128" not in commands(finding)[0], "the build that fails is no remedy"


def test_what_fails_in_one_process_and_works_in_the_next() -> None:
    finding = found(STFT_FAILED, *series(fresh_process=failed(*FRESH)))
    assert finding.subject == "GPU 0: comes and goes"
    assert "on the CPU" in summary(finding)


def test_one_function_fails_in_every_process() -> None:
    finding = found(origin(*failed("istft")), *series(fresh_process=(trial("rfft"), *failed("istft"))))
    assert finding.subject == "GPU 0: always"
    assert "istft fails in a fresh process" in finding.message


def test_float32_alone_fails() -> None:
    precisions = (*failed("float32, size 400"), trial("float64, size 400"))
    finding = found(STFT_FAILED, *series(fresh_process=failed(*FRESH), **{"float32 against float64": precisions}))
    assert finding.subject == "GPU 0: float32"
    assert "x.double()" in summary(finding)


def test_results_are_wrong() -> None:
    wrong = failed("rfft", outcome="wrong", detail="differs from the CPU's by 3.0e-01 of the largest value")
    finding = found(origin(*failed("stft", outcome="wrong")), *series(fresh_process=wrong))
    assert finding.subject == "GPU 0: wrong results"
    assert "3.0e-01" in finding.message


def test_plans_that_are_kept_are_the_cause() -> None:
    plans = (trial("cache cleared in between"), *failed("cache as it is", detail=f"plan 129 of 512: {INTERNAL}"))
    finding = found(STFT_FAILED, *series(many_plans=plans))
    assert finding.subject == "GPU 0: many plans"
    assert "torch.backends.cuda.cufft_plan_cache[0].max_size = 64" in summary(finding)


def test_some_sizes_fail_whatever_is_kept() -> None:
    plans = failed("cache cleared in between", "cache as it is", detail=f"plan 7 of 512: {INTERNAL}")
    assert found(STFT_FAILED, *series(many_plans=plans)).subject == "GPU 0: some sizes"


def test_memory_is_held_by_others() -> None:
    bad = failed(*FRESH)
    finding = found(STFT_FAILED, *series(free=str(90 * 2**20), fresh_process=bad))
    assert finding.subject == "GPU 0: memory"
    assert "90 MiB were free" in finding.message


@pytest.mark.parametrize("words", ["cuFFT error: CUFFT_ALLOC_FAILED", "CUDA out of memory. Tried to allocate 2 MiB"])
def test_out_of_memory_in_its_own_words(words: str) -> None:
    assert found(STFT_FAILED, *series(fresh_process=failed("rfft", detail=words))).subject == "GPU 0: memory"


def test_the_error_is_the_one_that_full_memory_gives() -> None:
    finding = found(STFT_FAILED, *series())
    assert finding.subject == "GPU 0: memory was full"
    assert evidence(finding)["the same error, as expected: nearly full memory, memory nearly full"] == INTERNAL
    assert "expandable_segments:True" in summary(finding)
    assert "torch.cuda.empty_cache()" in summary(finding)


def test_memory_that_does_not_come_back() -> None:
    lost = (trial("memory nearly full"), *failed("after empty_cache"))
    finding = found(STFT_FAILED, *series(**{"nearly full memory": lost}))
    assert finding.subject == "GPU 0: memory stays lost"


def test_models_that_were_loaded_and_freed_leave_it_broken() -> None:
    rounds = (trial("before the first round"), *failed("after each round", detail=f"after round 4 of 6: {INTERNAL}"))
    finding = found(STFT_FAILED, *series(**{"after loading and freeing": rounds}))
    assert finding.subject == "GPU 0: state"
    assert "after round 4 of 6" in finding.message
    assert "a process of its own" in summary(finding)


def test_the_error_of_an_earlier_kernel() -> None:
    words = "RuntimeError: CUDA error: device-side assert triggered"
    finding = found(origin(*failed("stft", detail=words)), *series())
    assert (finding.severity, finding.subject) == ("warning", "GPU 0: earlier kernel")
    assert commands(finding) == ["export CUDA_LAUNCH_BLOCKING=1"]


def test_a_failure_that_no_experiment_repeats() -> None:
    full = (trial("memory nearly full", while_it_is_held="worked"), trial("after empty_cache"))
    finding = found(STFT_FAILED, *series(**{"nearly full memory": full}))
    assert finding.subject == "GPU 0: not again"
    assert "a process of its own" in summary(finding)


def test_a_failure_without_any_experiment() -> None:
    finding = found(STFT_FAILED)
    assert finding.subject == "GPU 0: untold"
    assert "no experiment could be made" in finding.message


def test_half_precision_fails_and_float32_does_not() -> None:
    half = (*failed("half"), trial("float32 instead"))
    finding = found(origin(), *series(**{"half precision, power of two": half}))
    assert (finding.severity, finding.subject) == ("warning", "GPU 0: half precision")
    assert "x.float()" in summary(finding)


@pytest.mark.parametrize("name", ["empty input", "too short input", "batch zero"])
def test_an_input_that_breaks_what_comes_after_it(name: str) -> None:
    finding = found(origin(), *series(**{name: failed("a usual transform afterwards")}))
    assert (finding.severity, finding.subject) == ("warning", "GPU 0: input")
    assert "pad shorter ones to n_fft" in summary(finding)


def test_a_crash_is_a_failure() -> None:
    died = probe("cufft", "GPU 0: many plans", "crashed", trial("cache cleared in between"), *failed("cache as it is", outcome="died", detail="was killed by SIGSEGV"))  # fmt: skip
    probes = (*series(many_plans=None), died)
    finding = found(origin(), *probes)
    assert finding.subject == "GPU 0: many plans"
    assert "SIGSEGV" in finding.message


# --- Which libcufft ---------------------------------------------------------------------------------------------------

OTHER = failed("path", outcome="wrong", detail=f"{FOREIGN} is mapped, not torch's own {OWN}", path=FOREIGN)


def test_another_library_is_mapped_and_fails() -> None:
    probes = (STFT_FAILED, *series(library_mapped=OTHER, fresh_process=failed(*FRESH)))
    path = host(variables=(Variable("LD_LIBRARY_PATH", "/usr/local/cuda/lib64:/opt/lib"),))
    finding = found(*probes, host=path)
    assert (finding.severity, finding.subject) == ("error", "GPU 0: other library")
    assert commands(finding) == ["export LD_LIBRARY_PATH=/opt/lib"]
    assert FOREIGN in finding.seats


def test_another_library_that_works_is_a_warning() -> None:
    assert found(origin(), *series(library_mapped=OTHER)).severity == "warning"


def test_the_folder_on_the_path_is_the_cause() -> None:
    library = lib("nvidia/cufft/lib/libcufft.so.11", WHEEL.name)
    asks = resolution(
        "torch/lib/libtorch_cuda.so", "torch", "libcufft.so.11", found=FOREIGN, how="needed", rule="LD_LIBRARY_PATH"
    )
    path = host(variables=(Variable("LD_LIBRARY_PATH", "/usr/local/cuda/lib64"),))
    case = judge_all(
        seen(origin(), *series(library_mapped=OTHER), libraries=(library,), resolutions=(asks,), host=path)
    )
    mine = next(f for f in case.findings if f.rule == "cufft-failure")
    cause = next(f for f in case.findings if f.rule == "library-path-shadows")
    assert mine.consequence_of == cause.fingerprint


# --- The build that fails on Ada --------------------------------------------------------------------------------------


@pytest.mark.parametrize("probes", [UNASKED, (probe("torch-gpu", "GPU 0", "skipped", reason="no GPU visible"),)])
def test_cuda_11_7_on_ada_is_certain_without_any_experiment(probes: Any) -> None:
    finding = only(judge("cufft-failure", inventory(OLD, probes=probes)))
    assert (finding.severity, finding.subject) == ("error", "torch on sm_89")
    assert "CUDA 11.7" in finding.message
    assert "88038" in evidence_where(finding)
    assert commands(finding) != []
    assert "cu117" not in " ".join(commands(finding))


def evidence_where(finding: Finding) -> str:
    return " ".join(row.where for row in finding.evidence)


def test_the_experiments_on_ada_are_its_evidence() -> None:
    old = inventory(OLD, probes=(STFT_FAILED, *series(fresh_process=failed(*FRESH))))
    finding = only(judge("cufft-failure", old))
    assert finding.subject == "torch on sm_89"
    assert evidence(finding)["asked live: rfft of cuFFT on GPU 0 (fresh process)"] == INTERNAL
    assert "empty input" in evidence(finding)["passed on GPU 0"]


def test_a_transform_that_works_clears_it() -> None:
    assert judge("cufft-failure", inventory(OLD, probes=(origin(),))).status == "passed"


def test_where_a_fresh_process_works_the_build_is_not_the_cause() -> None:
    old = inventory(OLD, probes=(STFT_FAILED, *series()))
    subjects = {finding.subject for finding in judge("cufft-failure", old).findings}
    assert "GPU 0: memory was full" in subjects


def test_ampere_with_the_same_build_is_well() -> None:
    assert judge("cufft-failure", inventory(OLD, gpus=(AMPERE,), probes=(origin(),))).status == "passed"


def test_torch_2_0_brings_the_cufft_of_11_8() -> None:
    """Its tag says cu117, its wheel of cuFFT does not: folklore calls it ill."""
    torch = dist("torch", "2.0.1", cuda="11.7", built="2.0.1+cu117", requires=("nvidia-cufft-cu11 (==10.9.0.58)",))
    well = inventory(torch, dist("nvidia-cufft-cu11", "10.9.0.58"), probes=(origin(),))
    assert judge("cufft-failure", well).status == "passed"
    old_wheel = inventory(torch, dist("nvidia-cufft-cu11", "10.7.2.91"))
    assert only(judge("cufft-failure", old_wheel)).subject == "torch on sm_89"


def test_the_remedy_asks_for_a_newer_cuda_that_the_driver_runs() -> None:
    finding = only(judge("cufft-failure", inventory(OLD, driver=driver("520.61.05", "11.8"))))
    assert finding.remedy is not None
    assert "cu118" in " ".join(commands(finding))


# --- What cannot be known ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "packages", [(), (dist("torch", "2.8.0", built="2.8.0+cpu"),)], ids=["no torch", "a CPU build"]
)
def test_where_there_is_no_cufft_nothing_is_judged(packages: Any) -> None:
    run = judge("cufft-failure", inventory(*packages))
    assert (run.status, run.applies) == ("skipped", False)


def test_an_old_build_without_a_gpu_to_judge_by() -> None:
    run = judge("cufft-failure", inventory(OLD, gpus=(), driver=None))
    assert run.status == "skipped"
    assert "give --gpu" in run.note


def test_gpus_that_are_unknown() -> None:
    run = judge("cufft-failure", inventory(OLD, gpus=Unknown("NVML hangs")))
    assert (run.status, run.note) == ("skipped", "NVML hangs")


def test_a_new_build_that_was_not_tried_is_not_called_healthy() -> None:
    run = judge("cufft-failure", seen(probe("cufft", "", "skipped", reason="no GPU visible")))
    assert (run.status, run.note) == ("skipped", "no GPU visible")
    assert judge("cufft-failure", inventory(TORCH)).status == "skipped"


def test_experiments_that_could_not_be_made_prove_nothing() -> None:
    lost = origin(
        trial("stft", "skipped", "the GPU's context was lost"), trial("istft", "skipped"), trial("fft fp64", "skipped")
    )
    run = judge("cufft-failure", seen(lost))
    assert run.findings == ()
    assert "no transform tells whether cuFFT works on GPU 0" in run.note


def test_missing_code_is_another_rules_affair() -> None:
    words = "RuntimeError: CUDA error: no kernel image is available for execution on the device"
    every = series(fresh_process=failed(*FRESH, detail=words))
    assert (
        judge("cufft-failure", seen(origin(*failed("stft", "istft", "fft fp64", detail=words)), *every)).findings == ()
    )


def test_where_products_are_wrong_as_well_the_gpu_is() -> None:
    wrong = failed("stft", "matmul fp32", outcome="wrong", detail="NaN")
    assert judge("cufft-failure", seen(origin(*wrong), *series())).findings == ()


def test_wrong_transforms_are_one_illness() -> None:
    wrong = failed("stft", outcome="wrong", detail="off by 0.3")
    case = judge_all(seen(origin(*wrong), *series(fresh_process=failed("rfft", outcome="wrong"))))
    primary = [f.rule for f in case.findings if f.consequence_of is None]
    assert primary == ["cufft-failure"]
    assert "gpu-result-wrong" in {f.rule for f in case.findings}


def test_each_gpu_has_its_own_cause() -> None:
    plans = (trial("cache cleared in between"), *failed("cache as it is"))
    probes = (STFT_FAILED, *series(), origin(*failed("stft"), gpu_name="GPU 1"), *series("GPU 1", many_plans=plans))
    subjects = [f.subject for f in judge("cufft-failure", seen(*probes, gpus=(AMPERE, AMPERE))).findings]
    assert subjects == ["GPU 0: memory was full", "GPU 1: many plans"]
