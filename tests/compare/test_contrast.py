"""Two inventories against each other: what differs, in which order, what is equal, and what cannot be said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from packaging.version import Version

from gpu_doctor.compare.contrast import contrast
from gpu_doctor.model.difference import AREAS
from gpu_doctor.model.hardware import Variable
from gpu_doctor.model.inventory import PathEntry
from gpu_doctor.model.unknown import Unknown
from tests import kit
from tests.compare.sides import against, rows, side
from tests.patients.test_patients import EXPECTED, recorded

TORCH = kit.dist("torch", "2.6.0", cuda="12.4", built="2.6.0+cu124")
OLD = kit.dist("torch", "2.4.0", cuda="11.8", built="2.4.0+cu118")
CUFFT = kit.dist("nvidia-cufft-cu12", "11.2.1.3")
CUFFT_FILE = kit.lib("nvidia/cufft/lib/libcufft.so.11", "nvidia-cufft-cu12")
OTHER_PREFIX = "/srv/other"


@pytest.mark.parametrize("name", EXPECTED)
def test_a_patient_equals_itself(name: str) -> None:
    found = against(recorded(name), recorded(name))
    assert (found.same, found.turns, found.differing) == (True, (), ())
    assert found.equal[0] == "the verdicts of all rules"


def test_two_patients_differ_by_the_gpu_and_the_rule_that_it_fails() -> None:
    found = against(recorded("ok-4090"), recorded("torch26-5090"))
    assert (found.turns[0].kind, found.turns[0].rule) == ("fails", "kernel-image-missing")
    assert rows(found)[0] == ("gpu", "GPUs", "RTX 4090 (sm_89, 24 GiB)", "RTX 5090 (sm_120, 32 GiB)")
    assert rows(found)[1] == ("gpu package", "torch", "2.8.0+cu128", "2.6.0+cu124")
    assert "driver 580.95.05" in found.equal
    back = against(recorded("torch26-5090"), recorded("ok-4090"))
    assert {turn.kind for turn in back.turns} == {"passes"}
    areas = [AREAS.index(one.area) for one in found.differing]
    assert areas == sorted(areas)


def test_builds_and_library_versions_are_told() -> None:
    left = kit.inventory(TORCH, CUFFT, libraries=(CUFFT_FILE,))
    right = kit.inventory(OLD, replace(CUFFT, version=Version("10.9.0.58")), libraries=(CUFFT_FILE,))
    assert rows(against(left, right)) == [
        ("gpu package", "torch", "2.6.0+cu124", "2.4.0+cu118"),
        ("gpu package", "nvidia-cufft-cu12", "11.2.1.3", "10.9.0.58"),
        ("library", "libcufft", "11.2.1.3", "10.9.0.58"),
    ]


def test_a_cpu_build_without_a_tag_is_told_from_one_for_cuda() -> None:
    cpu = kit.dist("torch", "2.6.0", built="2.6.0")
    cuda = kit.dist("torch", "2.6.0", cuda="12.4", built="2.6.0")
    assert rows(against(kit.inventory(cuda), kit.inventory(cpu)))[0][2:] == (
        "2.6.0 (CUDA 12.4)",
        "2.6.0 (without CUDA)",
    )


def test_the_exact_version_in_a_file_name_counts_before_the_packages() -> None:
    bundled = kit.lib("ctranslate2.libs/libcudnn-74a4c495.so.9.1.0", "ctranslate2")
    moved = kit.lib("ctranslate2.libs/libcudnn-0badcafe.so.9.5.1", "ctranslate2")
    found = against(kit.inventory(libraries=(bundled,)), kit.inventory(libraries=(moved,)))
    assert rows(found) == [("library", "libcudnn", "9.1.0", "9.5.1")]


def test_a_library_that_comes_from_elsewhere_is_a_difference() -> None:
    def loaded(found: str | None) -> object:
        one = kit.resolution("torch/lib/libtorch_cuda.so", "torch", "libcudnn.so.9", found=found)
        own = kit.lib("nvidia/cudnn/lib/libcudnn.so.9", "nvidia-cudnn-cu12")
        return kit.inventory(TORCH, resolutions=(one,), libraries=(own,))

    found = against(loaded("nvidia/cudnn/lib/libcudnn.so.9"), loaded("/usr/local/cuda/lib64/libcudnn.so.9"))
    assert rows(found) == [("library", "libcudnn.so.9", "of nvidia-cudnn-cu12", "in /usr/local/cuda/lib64")]
    assert found.differing[0].detail == "for torch"
    lost = against(loaded("nvidia/cudnn/lib/libcudnn.so.9"), loaded(None))
    assert rows(lost)[0][3] == "not found"


def test_the_environments_own_folder_is_no_difference() -> None:
    def at(prefix: str, library_path: str) -> object:
        interpreter = kit.interpreter(prefix=prefix)
        variables = (Variable("LD_LIBRARY_PATH", library_path), Variable("VIRTUAL_ENV", prefix))
        return kit.inventory(interpreter=interpreter, host=kit.host(variables=variables))

    left = at(kit.PREFIX, f"{kit.PREFIX}/lib:/usr/lib")
    assert against(left, at(OTHER_PREFIX, f"{OTHER_PREFIX}/lib:/usr/lib")).same
    found = against(left, at(OTHER_PREFIX, f"{OTHER_PREFIX}2/lib:/usr/lib"))
    values = (f"{kit.PREFIX}/lib:/usr/lib", f"{OTHER_PREFIX}2/lib:/usr/lib")
    assert rows(found) == [("variable", "LD_LIBRARY_PATH", *values)]


def test_a_variable_that_is_empty_is_not_one_that_is_absent() -> None:
    hidden = kit.inventory(host=kit.host(variables=(Variable("CUDA_VISIBLE_DEVICES", ""),)))
    assert rows(against(kit.inventory(), hidden)) == [("variable", "CUDA_VISIBLE_DEVICES", "", '""')]


def test_what_is_unknown_on_a_side_is_not_compared_and_said_so() -> None:
    blind = kit.inventory(driver=Unknown("NVML does not answer"), gpus=Unknown("NVML does not answer"))
    found = against(kit.inventory(), blind)
    assert not [row for row in rows(found) if row[0] in ("driver", "gpu")]
    whys = {one.why: one.what for one in found.uncompared}
    assert whys["NVML does not answer"] == "driver, GPUs, gpu-out-of-memory"
    assert "driver 580.95.05" not in found.equal


def test_a_rule_that_cannot_judge_any_more_has_not_healed() -> None:
    sick = kit.inventory(
        kit.dist("onnxruntime", "1.20.1"), kit.dist("onnxruntime-gpu", "1.20.2"), gpus=(kit.gpu(free_bytes=1),)
    )
    blind = replace(sick, gpus=Unknown("NVML does not answer"))
    kinds = {turn.rule: turn for turn in against(sick, blind).turns}
    assert (kinds["gpu-out-of-memory"].kind, kinds["gpu-out-of-memory"].note) == ("open", "NVML does not answer")
    healed = {
        turn.rule: turn.kind for turn in against(sick, replace(sick, gpus=(kit.gpu(free_bytes=20 * 2**30),))).turns
    }
    assert healed["gpu-out-of-memory"] == "passes"


def test_surroundings_and_layers_are_told_last() -> None:
    user_site = PathEntry("/opt/app/.local/lib/python3.11/site-packages", "user-site", "/opt/app/.local")
    layered = kit.interpreter(search_path=(*kit.interpreter().search_path, user_site), version=Version("3.12.1"))
    host = kit.host(kernel="6.8.0", glibc=Version("2.28"), container="docker (/.dockerenv)", shm_bytes=64 * 2**20)
    found = against(kit.inventory(kit.dist("numpy", "2.0.0")), kit.inventory(interpreter=layered, host=host))
    assert rows(found) == [
        ("interpreter", "Python", "3.11.7", "3.12.1"),
        ("interpreter", "also on its path", "", f"user-site {user_site.path}"),
        ("host", "kernel", "6.1.0", "6.8.0"),
        ("host", "glibc", "2.36", "2.28"),
        ("host", "container", "none", "docker"),
        ("host", "/dev/shm", "32.0 GiB", "64 MiB"),
        ("package", "numpy", "2.0.0", ""),
    ]


def test_an_image_is_not_judged() -> None:
    # An image's host is not told.
    image = kit.inventory(
        TORCH, driver=Unknown("an image has no driver"), gpus=Unknown("an image has no GPU"), host=kit.host(kernel="")
    )
    found = contrast(side(kit.inventory(TORCH)), side(image, "image.tar", "image"))
    assert (found.same, found.right.verdict) == (True, None)
    assert "the rules" in {one.what for one in found.uncompared}
    assert "the verdicts of all rules" not in found.equal
