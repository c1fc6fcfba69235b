"""Which build of torch to install; the facts are real, so a new row may move the newest releases."""

from __future__ import annotations

from typing import Any

import pytest
from packaging.version import Version

from gpu_doctor.checks.choices.torch_choice import companions, replacement
from gpu_doctor.model.remedy import InstallPackages, RemovePackages, RunByHand, Step, command
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import FACTS
from tests.kit import PREFIX, dist, driver, gpu, host, interpreter, inventory

BLACKWELL = gpu("RTX 5090", (12, 0))
TURING = gpu("Tesla T4", (7, 5))


def chosen(*packages: Any, cuda_major: int | None = None, **changes: Any) -> InstallPackages:
    *_, step = chosen_steps(*packages, cuda_major=cuda_major, **changes)
    assert isinstance(step, InstallPackages)
    return step


def chosen_steps(*packages: Any, cuda_major: int | None = None, **changes: Any) -> tuple[Step, ...]:
    remedy = replacement(inventory(*packages, **changes), FACTS, cuda_major=cuda_major)
    assert remedy is not None
    return remedy.steps


UV = (("uv", "pip"), f"{PREFIX}/bin/python")
CPU = dist("torch", "2.8.0+cpu", built="2.8.0+cpu")


def test_the_same_release_comes_as_another_build_named_by_its_tag() -> None:
    """`torch==2.7.1` is met by the 2.7.1+cu126 that is there: only the tag makes an installer act."""
    step = chosen(dist("torch", "2.7.1+cu126", cuda="12.6"), gpus=(BLACKWELL,))
    assert (step.requirements, step.torch_backend) == (("torch==2.7.1+cu128",), "cu128")


def test_a_cpu_build_goes_before_the_default_build_of_its_release_comes() -> None:
    assert chosen_steps(CPU) == (RemovePackages(*UV, ("torch",)), InstallPackages(*UV, ("torch==2.8.0",)))


def test_companions_move_along_in_the_build_that_belongs() -> None:
    vision, audio = (
        dist("torchvision", "0.23.0+cpu", built="0.23.0+cpu"),
        dist("torchaudio", "2.8.0+cpu", built="2.8.0+cpu"),
    )
    pins = ("torch==2.8.0", "torchvision==0.23.0", "torchaudio==2.8.0")
    gone = ("torch", "torchvision", "torchaudio")
    assert chosen_steps(CPU, vision, audio) == (RemovePackages(*UV, gone), InstallPackages(*UV, pins))
    tagged = chosen(CPU, vision, audio, gpus=(gpu("P100", (6, 0)),))
    assert tagged.requirements == ("torch==2.8.0+cu126", "torchvision==0.23.0+cu126", "torchaudio==2.8.0+cu126")


def test_what_a_plain_requirement_changes_by_itself_is_not_removed_first() -> None:
    here = (dist("torch", "2.6.0+cpu", built="2.6.0+cpu"), dist("torchvision", "0.21.0+cpu", built="0.21.0+cpu"))
    steps = chosen_steps(*here, gpus=(BLACKWELL,))
    assert steps == (InstallPackages(*UV, ("torch==2.8.0", "torchvision==0.23.0")),)


def test_torchcodec_moves_along_where_the_new_torch_needs_another() -> None:
    codec = dist("torchcodec", "0.2.1")
    step = chosen(dist("torch", "2.6.0", cuda="12.4"), codec, gpus=(BLACKWELL,))
    pin = step.requirements[-1]
    fact = FACTS.torchcodec(Version(pin.removeprefix("torchcodec==")))
    assert fact is not None
    assert fact.fits(Version("2.8.0"))
    stays = chosen(CPU, dist("torchcodec", str(fact.version)))
    assert stays.requirements == ("torch==2.8.0",)
    pinned = dist("whisperx", "3.4", requires=("torchcodec==0.2.1",))
    held = chosen(dist("torch", "2.6.0", cuda="12.4"), codec, pinned, gpus=(BLACKWELL,))
    assert held.requirements == ("torch==2.8.0",)


def test_a_release_that_others_accept_comes_before_one_that_they_do_not() -> None:
    here = dist("torch", "2.6.0", cuda="12.4")
    free = chosen(here, gpus=(BLACKWELL,)).requirements
    assert free == ("torch==2.8.0",)
    held = chosen(here, dist("vllm", "0.10", requires=("torch==2.7.1",)), gpus=(BLACKWELL,))
    assert held.requirements == ("torch==2.7.1+cu128",)


def test_conda_chooses_builds_by_a_package_of_its_own() -> None:
    (step,) = chosen_steps(dist("torch", "2.8.0", built="2.8.0", installer="conda"))
    assert command(step) == f"conda install --yes --prefix {PREFIX} pytorch-gpu==2.8.0"


def test_another_release_is_the_plain_default_with_its_companions() -> None:
    step = chosen(dist("torch", "2.6.0", cuda="12.4"), dist("torchvision", "0.21.0", cuda="12.4"), gpus=(BLACKWELL,))
    assert (step.requirements, step.torch_backend) == (("torch==2.8.0", "torchvision==0.23.0"), None)


def test_a_newer_release_is_preferred_to_an_older_one_and_the_driver_limits_both() -> None:
    step = chosen(dist("torch", "2.12.0", cuda="13.0"), gpus=(TURING,), driver=driver("550.54.14", "12.4"))
    assert (step.requirements, step.torch_backend) == (("torch==2.12.0+cu126",), "cu126")


def test_every_gpu_must_be_served() -> None:
    """sm_60 ends with CUDA 12.6 builds and sm_120 begins with 12.8 ones: no build has both."""
    both = inventory(dist("torch", "2.8.0", cuda="12.8"), gpus=(gpu("P100", (6, 0)), BLACKWELL))
    assert replacement(both, FACTS) is None


def test_a_cuda_major_can_be_asked_for() -> None:
    step = chosen(dist("torch", "2.12.0", cuda="13.0"), cuda_major=12)
    assert step.torch_backend == "cu126"


def test_only_builds_with_a_wheel_for_this_python() -> None:
    old = interpreter(version=Version("3.8.20"))
    assert chosen(dist("torch", "2.3.0", cuda="12.1"), gpus=(gpu("H100", (9, 0)),), interpreter=old)
    assert replacement(inventory(dist("torch", "2.4.0"), gpus=(BLACKWELL,), interpreter=old), FACTS) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"gpus": Unknown("no"), "driver": Unknown("no")},
        {"gpus": (), "driver": None},
        {"interpreter": interpreter(version=Unknown("no pyvenv.cfg"))},
    ],
    ids=["hardware", "none", "python"],
)
def test_what_is_unknown_restricts_nothing(changes: dict[str, Any]) -> None:
    assert chosen(dist("torch", "2.8.0+cpu", built="2.8.0+cpu"), **changes).requirements == ("torch==2.8.0",)


def test_a_machine_of_its_own_gets_its_own_builds() -> None:
    grace = gpu("GB200", (10, 0))
    arm = host(machine="aarch64")
    assert chosen(dist("torch", "2.8.0", built="2.8.0+cpu"), gpus=(grace,), host=arm).requirements[0] > "torch==2.11"


@pytest.mark.parametrize(
    "packages",
    [(), (dist("torch", "1.0", cuda="10.0"),), (dist("torch", Unknown("no METADATA")),)],
    ids=["no torch", "a GPU that nothing serves", "no version"],
)
def test_no_advice_is_better_than_a_wrong_one(packages: Any) -> None:
    assert replacement(inventory(*packages, gpus=(gpu("K20", (3, 5)),)), FACTS) is None


def test_poetry_is_told_itself() -> None:
    remedy = replacement(
        inventory(dist("torch", "2.6.0", cuda="12.4"), gpus=(BLACKWELL,), interpreter=interpreter(manager="poetry")),
        FACTS,
    )
    assert remedy is not None
    assert isinstance(remedy.steps[0], RunByHand)
    assert remedy.steps[0].command == "poetry add torch==2.8.0"


def test_downwards_the_nearest_release_beats_a_far_one_that_needs_no_index() -> None:
    """torch 2.0 is the last that a plain install delivers for CUDA 11; 2.6.0 is built for it as well."""
    step = chosen(dist("torch", "2.8.0", cuda="12.8"), gpus=(gpu("A100", (8, 0)),), driver=driver("470.57.02", "11.4"))
    assert (step.requirements, step.torch_backend) == (("torch==2.6.0+cu118",), "cu118")


def test_companions_follow_the_torch_that_is_installed() -> None:
    both = (dist("torchvision", "0.21.0", cuda="12.4"), dist("torchaudio", "2.6.0", cuda="12.4"))
    plain = companions(inventory(dist("torch", "2.8.0", cuda="12.8"), *both), FACTS)
    assert plain is not None
    assert command(plain.steps[0]).endswith(" torchvision==0.23.0 torchaudio==2.8.0")
    tagged = companions(inventory(dist("torch", "2.8.0", cuda="12.6"), both[0]), FACTS)
    assert tagged is not None
    assert "torchvision==0.23.0+cu126" in command(tagged.steps[0])


@pytest.mark.parametrize(
    "packages",
    [
        (dist("torchvision", "0.21.0"),),
        (dist("torchvision", "0.21.0"), dist("torch", "99.0", cuda="12.8")),
        (dist("torchvision", "0.21.0"), dist("torch", "2.8.0")),
        (dist("torch", "2.8.0", cuda="12.8"),),
    ],
    ids=["no torch", "unheard-of release", "build unknown", "no companion"],
)
def test_nothing_follows_a_torch_that_is_not_known(packages: Any) -> None:
    assert companions(inventory(*packages), FACTS) is None


def test_only_builds_that_are_accepted_are_chosen() -> None:
    old = inventory(dist("torch", "1.13.1", cuda="11.7", built="1.13.1+cu117"))
    remedy = replacement(old, FACTS, fits=lambda build: build.cuda is not None and build.cuda >= Version("11.8"))
    assert remedy is not None
    assert "built for CUDA 11.7" not in remedy.summary
    assert replacement(old, FACTS, fits=lambda _build: False) is None
