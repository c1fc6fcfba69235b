"""What the words after `fix` mean, on recorded patients and on findings seated as the rules seat them."""

from __future__ import annotations

import pytest

from gpu_doctor.fix.planner import meant
from gpu_doctor.fix.topics import ALL, TOPICS, concerns
from gpu_doctor.model import plain
from gpu_doctor.model.case import Case
from gpu_doctor.model.finding import Finding
from tests.checks.judge import judge_all
from tests.kit import PREFIX, SITE
from tests.patients.record import HERE


@pytest.fixture(scope="module")
def case_of() -> dict[str, Case]:
    names = ("whisperx-cudnn", "nvjitlink", "cuda13-ct2", "cudnn-overwritten", "torch26-5090", "torch-segv", "ok-4090")
    return {n: judge_all(plain.loads((HERE / f"{n}.json").read_text(encoding="ascii"))) for n in names}


@pytest.mark.parametrize(
    ("patient", "topic", "rules"),
    [
        ("whisperx-cudnn", "cudnn", ["cudnn-unreachable"]),
        ("whisperx-cudnn", "onnxruntime", ["ort-packages-clash"]),
        ("whisperx-cudnn", "torch", []),
        ("whisperx-cudnn", "audio", ["ort-packages-clash", "cudnn-unreachable"]),
        ("whisperx-cudnn", "libraries", ["ort-packages-clash", "cudnn-unreachable"]),
        ("nvjitlink", "torch", ["package-version-conflict"]),
        ("nvjitlink", "cudnn", []),
        ("nvjitlink", "audio", []),
        ("cuda13-ct2", "audio", ["cuda-majors-mixed"]),
        ("cuda13-ct2", "torch", ["cuda-majors-mixed"]),
        ("cuda13-ct2", "onnxruntime", []),
        ("cudnn-overwritten", "cudnn", ["packages-overwrite"]),
        ("cudnn-overwritten", "libraries", ["packages-overwrite"]),
        ("cudnn-overwritten", "onnxruntime", []),
        ("torch26-5090", "torch", ["kernel-image-missing", "package-import-fails"]),
        ("torch26-5090", "audio", []),
        ("torch-segv", "torch", ["torch-import-fails"]),
        ("torch-segv", "cudnn", []),
        *(("ok-4090", topic, []) for topic in TOPICS),
    ],
)
def test_a_topic_means_these_illnesses_of_a_recorded_patient(
    case_of: dict[str, Case], patient: str, topic: str, rules: list[str]
) -> None:
    assert [finding.rule for finding in meant(case_of[patient], (topic,))] == rules


LOADER = f"{SITE}/ctranslate2.libs/libcudnn-74a4c495.so.9.1.0"
PROVIDER = f"{SITE}/onnxruntime/capi/libonnxruntime_providers_cuda.so"


# Seats as the rules in gpu_doctor/checks give them.
@pytest.mark.parametrize(
    ("rule", "seats", "topics"),
    [
        (
            "library-path-shadows",
            ("LD_LIBRARY_PATH", "nvidia-cudnn-cu12", LOADER),
            {"cudnn", "torch", "audio", "libraries"},
        ),
        ("library-path-shadows", ("LD_LIBRARY_PATH",), {"libraries"}),
        ("library-links-stale", (f"{SITE}/nvidia/cudnn/lib/libcudnn.so.8",), {"cudnn", "libraries"}),
        ("cublas-unreachable", ("ctranslate2", f"{SITE}/ctranslate2.libs/libctranslate2.so.4"), {"audio", "libraries"}),
        ("cudnn-broken", (f"{SITE}/torch/lib/libtorch_cuda.so",), {"cudnn", "torch", "libraries"}),
        (
            "ort-provider-unloadable",
            ("onnxruntime", "onnxruntime-gpu", PROVIDER),
            {"onnxruntime", "audio", "libraries"},
        ),
        ("silent-cpu-fallback", ("driver", "onnxruntime-gpu"), {"onnxruntime", "audio"}),
        ("silent-cpu-fallback", ("CUDA_VISIBLE_DEVICES", "driver"), set()),
        ("package-import-fails", ("import faster-whisper", "module requests"), {"audio", "libraries"}),
        ("package-import-fails", ("import torchvision", "torchvision"), {"torch", "libraries"}),
        ("torchcodec-abi-mismatch", ("torchcodec", "torch"), {"audio", "torch"}),
        ("package-run-fails", ("ctranslate2",), {"audio"}),
        ("package-files-damaged", ("torch", f"{SITE}/torch/_C.so"), {"torch", "libraries"}),
        ("package-files-damaged", ("numpy", f"{SITE}/numpy/core/umath.py"), set()),
        ("cpu-only-build", ("torch",), {"torch"}),
        ("kernel-image-missing", ("torch",), {"torch"}),
        ("cufft-failure", ("torch",), {"torch"}),
        ("driver-too-old", ("driver", "torch"), {"torch"}),
        ("driver-missing", ("driver",), set()),
        ("driver-without-gpu", ("driver", "sm_90"), set()),
        ("gpu-out-of-memory", ("GPU 0",), set()),
    ],
)
def test_a_finding_belongs_to_these_topics(rule: str, seats: tuple[str, ...], topics: set[str]) -> None:
    finding = Finding(rule, "error", "it", "It.", (), seats=seats)
    assert {topic for topic in TOPICS if concerns(finding, (topic,), PREFIX)} == topics


FINDING = Finding("driver-missing", "error", "driver", "No driver.", (), seats=("driver",))


def test_no_name_and_all_mean_everything() -> None:
    assert concerns(FINDING, (), PREFIX)
    assert concerns(FINDING, (ALL,), PREFIX)


def test_a_rule_id_means_that_rule() -> None:
    assert concerns(FINDING, ("driver-missing",), PREFIX)
    assert not concerns(FINDING, ("driver-too-old",), PREFIX)
    assert not concerns(FINDING, ("driver",), PREFIX)


def test_any_of_several_names_is_enough() -> None:
    assert concerns(FINDING, ("cudnn", "driver-missing"), PREFIX)
    assert not concerns(FINDING, ("cudnn", "torch"), PREFIX)


@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_the_place_where_somebody_keeps_the_environment_means_no_topic(topic: str) -> None:
    prefix = "/opt/cudnn/onnxruntime/torch/ctranslate2/libx.so"
    finding = Finding("driver-missing", "error", "it", "It.", (), None, seats=(f"{prefix}/share/data",))
    assert not concerns(finding, (topic,), prefix)
