"""cuda-majors-mixed: two CUDA majors, and one without its libraries."""

from __future__ import annotations

from dataclasses import replace

from packaging.version import Version

from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.libraries import Resolution
from tests.checks.judge import commands, evidence, judge, judge_all, only
from tests.kit import dist, interpreter, inventory, probe, resolution, trial

TORCH_13 = dist("torch", "2.12.0", cuda="13.0", built="2.12.0+cu130")
TORCH_12 = dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128")
CT2 = dist("ctranslate2", "4.8.5")
ORT = dist("onnxruntime-gpu", "1.22.0")
LIBCT2 = "ctranslate2.libs/libctranslate2-a7a60d30.so.4.8.5"
PROVIDER = "onnxruntime/capi/libonnxruntime_providers_cuda.so"


def asks(
    package: str, consumer: str, *names: str, found: str | None = None, after: tuple[str, ...] = ()
) -> tuple[Resolution, ...]:
    return tuple(resolution(consumer, package, name, found=found, after=after) for name in names)


def sick(*packages: Distribution) -> Inventory:
    fresh = asks("ctranslate2", LIBCT2, "libcublas.so.12")
    later = asks("ctranslate2", LIBCT2, "libcublas.so.12", after=("torch",))
    return inventory(*packages, resolutions=fresh + later)


def test_ctranslate2_beside_a_torch_for_cuda_13() -> None:
    finding = only(judge("cuda-majors-mixed", sick(TORCH_13, CT2)))
    assert (finding.severity, finding.subject) == ("error", "torch (CUDA 13) and ctranslate2 (CUDA 12)")
    assert "torch 2.12.0+cu130 brings CUDA 13" in finding.message
    assert "finds no libcublas.so.12" in finding.message
    assert evidence(finding)["torch is built for"] == "CUDA 13.0"
    assert evidence(finding)["ctranslate2 is built for"].startswith("CUDA 12")
    assert {"ctranslate2"} < set(finding.seats)


def test_torch_is_brought_to_the_major_of_the_others() -> None:
    assert commands(only(judge("cuda-majors-mixed", sick(TORCH_13, CT2)))) == [
        "uv pip install --python /opt/app/venv/bin/python --torch-backend=cu126 torch==2.12.0+cu126"
    ]


def test_an_unreachable_cublas_is_its_consequence() -> None:
    case = judge_all(sick(TORCH_13, CT2))
    primary = case.findings[0]
    assert primary.rule == "cuda-majors-mixed"
    assert [f.rule for f in case.consequences(primary)] == ["cublas-unreachable"]
    assert [f for f in case.findings if f.severity != "note"] == [primary]


def test_onnxruntime_is_brought_to_torchs_major() -> None:
    torch = dist("torch", "2.8.0+cu128", cuda="12.8", built="2.8.0+cu128")
    ort = dist("onnxruntime-gpu", "1.27.0", cuda="13.0", built="1.27.0")
    mixed = inventory(torch, ort, resolutions=asks("onnxruntime-gpu", PROVIDER, "libcublasLt.so.13", "libcudnn.so.9"))
    finding = only(judge("cuda-majors-mixed", mixed))
    assert "libcublasLt.so.13" in finding.message
    (line,) = commands(finding)
    assert line.startswith("uv pip install --python /opt/app/venv/bin/python onnxruntime-gpu==1.")


def test_an_onnxruntime_without_a_wheel_for_this_python_is_not_offered() -> None:
    ort = dist("onnxruntime-gpu", "1.27.0", cuda="13.0", built="1.27.0")
    old = inventory(
        TORCH_12, ort, interpreter=interpreter(version=Version("3.9.18")),
        resolutions=asks("onnxruntime-gpu", PROVIDER, "libcublasLt.so.13"),
    )  # fmt: skip
    (line,) = commands(only(judge("cuda-majors-mixed", old)))
    assert Version(line.rpartition("==")[2]) < Version("1.20")


def test_two_majors_with_all_their_libraries_are_no_illness() -> None:
    found = asks("ctranslate2", LIBCT2, "libcublas.so.12", found="nvidia/cublas/lib/libcublas.so.12")
    assert judge("cuda-majors-mixed", inventory(TORCH_13, CT2, resolutions=found)).status == "passed"


def test_a_library_that_some_import_supplies_is_another_rules_matter() -> None:
    fresh = asks("ctranslate2", LIBCT2, "libcublas.so.12")
    later = asks("ctranslate2", LIBCT2, "libcublas.so.12", found="nvidia/cublas/lib/libcublas.so.12", after=("torch",))
    assert judge("cuda-majors-mixed", inventory(TORCH_13, CT2, resolutions=fresh + later)).status == "passed"


def test_one_major_is_healthy_whatever_is_missing() -> None:
    assert judge("cuda-majors-mixed", sick(TORCH_12, CT2)).status == "passed"


def test_torch_alone_is_not_compared() -> None:
    run = judge("cuda-majors-mixed", inventory(TORCH_13))
    assert (run.status, run.applies) == ("skipped", False)


def test_a_cpu_or_rocm_torch_brings_no_cuda() -> None:
    cpu = dist("torch", "2.12.0+cpu", built="2.12.0+cpu")
    run = judge("cuda-majors-mixed", sick(cpu, CT2))
    assert (run.status, run.applies) == ("skipped", False)


def test_a_release_that_the_facts_do_not_know_is_said() -> None:
    run = judge("cuda-majors-mixed", sick(TORCH_13, dist("ctranslate2", "99.0")))
    assert (run.status, run.applies) == ("skipped", True)
    assert "ctranslate2 99.0" in run.note


def test_an_unsearched_environment_accuses_nobody() -> None:
    assert judge("cuda-majors-mixed", replace(sick(TORCH_13, CT2), resolutions=())).status == "passed"


def test_a_missing_cudnn_8_is_not_laid_at_the_door_of_cuda_13() -> None:
    """A torch for CUDA 12 would bring cuDNN 9."""
    old = asks("ctranslate2", "ctranslate2.libs/libcudnn-463fd6d5.so.8.9.7", "libcudnn_ops_infer.so.8")
    here = inventory(TORCH_13, dist("ctranslate2", "4.4.0"), resolutions=old)
    assert judge("cuda-majors-mixed", here).findings == ()


def test_a_torchaudio_of_the_other_major_follows_torch() -> None:
    audio = dist("torchaudio", "2.11.0", cuda="13.0")
    asked = asks("torchaudio", "torchaudio/lib/libtorchaudio.abi3.so", "libcudart.so.13")
    finding = only(judge("cuda-majors-mixed", inventory(TORCH_12, audio, resolutions=asked)))
    assert commands(finding) == ["uv pip install --python /opt/app/venv/bin/python torchaudio==2.8.0"]


def test_a_live_process_that_finds_the_library_clears_it() -> None:
    tried = [
        probe(
            "library", "ctranslate2", "answered", trial("libcublas.so.12", opened="/usr/lib/libcublas.so.12"), after=a
        )
        for a in ((), ("torch",))
    ]
    assert judge("cuda-majors-mixed", replace(sick(TORCH_13, CT2), probes=tuple(tried))).status == "passed"


def test_a_live_process_that_does_not_find_it_testifies() -> None:
    words = "OSError: libcublas.so.12: cannot open shared object file"
    tried = probe("library", "ctranslate2", "answered", trial("libcublas.so.12", "failed", words))
    finding = only(judge("cuda-majors-mixed", replace(sick(TORCH_13, CT2), probes=(tried,))))
    assert words in evidence(finding).values()
