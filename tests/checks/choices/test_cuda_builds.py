from __future__ import annotations

from packaging.version import Version

from gpu_doctor.checks.choices.cuda_builds import CudaBuild, cuda_builds, wheels_for
from gpu_doctor.model.inventory import Distribution
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import FACTS
from tests.kit import SITE, dist, inventory


def built(*packages: Distribution) -> list[tuple[str, str]]:
    found = [item for item in cuda_builds(inventory(*packages), FACTS) if isinstance(item, CudaBuild)]
    return [(item.distribution.name, str(item.cuda)) for item in found]


def unknown(*packages: Distribution) -> list[str]:
    return [item.reason for item in cuda_builds(inventory(*packages), FACTS) if isinstance(item, Unknown)]


def test_what_a_package_says_of_itself_comes_first() -> None:
    assert built(dist("torch", "2.8.0", cuda="12.8"), dist("onnxruntime-gpu", "1.20.2", cuda="11.8")) == [
        ("torch", "12.8"),
        ("onnxruntime-gpu", "11.8"),
    ]


def test_the_facts_speak_for_packages_that_do_not_say() -> None:
    packages = (dist("ctranslate2", "4.6.1"), dist("ctranslate2-other", "1"), dist("onnxruntime-gpu", "1.20.2"))
    assert built(*packages) == [("ctranslate2", "12.4"), ("onnxruntime-gpu", "12.2")]


def test_cupy_says_it_in_its_name() -> None:
    assert built(dist("cupy-cuda12x", "13.6.0"), dist("cupy-cuda13x", "14.0"), dist("cupy", "13")) == [
        ("cupy-cuda12x", "12"),
        ("cupy-cuda13x", "13"),
    ]


def test_builds_without_cuda_are_left_out() -> None:
    assert built(dist("torch", "2.8.0+cpu", built="2.8.0+cpu"), dist("onnxruntime", "1.20.1")) == []


def test_shadowed_packages_are_left_out() -> None:
    assert built(dist("torch", "2.8.0", cuda="12.8", active=False)) == []


def test_an_unreadable_version_does_not_hide_the_build_record() -> None:
    assert built(dist("torch", Unknown("no METADATA"), cuda="12.8")) == [("torch", "12.8")]


def test_what_nobody_knows_is_said() -> None:
    assert unknown(dist("ctranslate2", "99.0")) == [f"ctranslate2 99.0 is not in the facts of {FACTS.date}"]
    assert unknown(dist("onnxruntime-gpu", Unknown("no METADATA"))) == ["onnxruntime-gpu: no METADATA"]


def test_a_build_is_evidence_with_its_place() -> None:
    (build,) = [
        b for b in cuda_builds(inventory(dist("torch", "2.8.0", cuda="12.8")), FACTS) if isinstance(b, CudaBuild)
    ]
    assert (build.major, build.cuda) == (12, Version("12.8"))
    row = build.evidence()
    assert (row.what, row.value, row.where) == ("torch is built for", "CUDA 12.8", f"{SITE}/torch/version.py")


def test_wheels_are_those_of_the_asking_packages_cuda() -> None:
    here = inventory(dist("torch", "2.12.0", cuda="13.0"), dist("ctranslate2", "4.6.1"))
    assert wheels_for(here, FACTS, "ctranslate2", ["libcudnn.so.9", "libcudnn_ops.so.9"]) == ("nvidia-cudnn-cu12",)
    assert wheels_for(here, FACTS, "torch", ["libcudnn.so.9"]) == ("nvidia-cudnn-cu13",)


def test_a_library_of_several_cudas_has_no_wheel_for_a_package_that_does_not_say() -> None:
    assert wheels_for(inventory(dist("mystery", "1")), FACTS, "mystery", ["libcudnn.so.9"]) == ()
    assert wheels_for(inventory(dist("mystery", "1")), FACTS, "mystery", ["libcublas.so.12"]) == ("nvidia-cublas-cu12",)


def test_an_unheard_of_library_has_no_wheel() -> None:
    assert wheels_for(inventory(), FACTS, "torch", ["libfuture.so.1"]) == ()


def test_jax_tells_its_cuda_major_in_the_name_of_its_plugin() -> None:
    (build,) = cuda_builds(inventory(dist("jax-cuda12-plugin", "0.8.0"), dist("jax-cuda12-pjrt", "0.8.0")), FACTS)
    assert isinstance(build, CudaBuild)
    assert build.major == 12
