"""Sets that go together: on old and new GPUs and drivers, on every Python, beside what is installed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from gpu_doctor.errors import UsageError
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.architecture import verdict
from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.pins.choose import choose_pins
from gpu_doctor.pins.pinset import STACK, PinSet
from tests.kit import dist, driver, gpu, host, interpreter, inventory

FACTS = Facts.load()
T4, OLD, NEW = gpu("Tesla T4", (7, 5)), gpu("GeForce GTX 1080", (6, 1)), gpu("GeForce RTX 5090", (12, 0))
CPU = dist("torch", "2.9.1+cpu", built="2.9.1+cpu")


def python(version: str) -> Any:
    return interpreter(version=Version(version))


def choose(seen: Inventory, *names: str, complete: bool = False) -> PinSet:
    return proven(choose_pins(seen, FACTS, names, complete), seen)


def pinned(pins: PinSet) -> dict[str, str]:
    return {pin.name: pin.version for pin in pins.pins if not pin.name.startswith("nvidia-")}


# --- What makes a set consistent, said again apart from the code that chooses ---------------------------------------


def proven(pins: PinSet, seen: Inventory) -> PinSet:
    """Prove a set against the facts alone, and return it."""
    versions = {pin.name: Version(pin.version) for pin in pins.pins}
    releases = {name: Version(version.public) for name, version in versions.items()}
    gpus = () if isinstance(seen.gpus, Unknown) else seen.gpus
    major = pins.cuda.major if pins.cuda else None
    assert len(versions) == len(pins.pins)
    _prove_torch(pins, releases, seen, gpus)
    for name, release in releases.items():
        if name in ("ctranslate2", "onnxruntime-gpu"):
            row = FACTS.ctranslate2(release) if name == "ctranslate2" else FACTS.onnxruntime(release)
            assert row is not None
            assert major in (None, row.cuda_major)
            assert row.sass is None or all(verdict(row.sass, row.ptx or (), g.capability) != "none" for g in gpus)
            assert fits_python(row.pythons, seen)
            minimum = FACTS.minimum_driver(row.cuda)
            assert not isinstance(minimum, Unknown)
            assert pins.place.driver is None or pins.place.driver >= minimum.minor
        if name.startswith("nvidia-"):
            assert major is None or FACTS.cuda_generation(name) in (None, major)
    if "ctranslate2" in releases:
        assert FACTS.ctranslate2(releases["ctranslate2"]).bundled_cudnn is None  # type: ignore[union-attr]
    if "onnxruntime-gpu" in releases:
        assert FACTS.onnxruntime(releases["onnxruntime-gpu"]).cudnn_major == 9  # type: ignore[union-attr]
    _prove_agreement(pins, releases, seen)
    return pins


def _prove_torch(pins: PinSet, releases: dict[str, Version], seen: Inventory, gpus: tuple[Gpu, ...]) -> None:
    torch = releases.get("torch")
    if torch is None or pins.cuda is None:
        return
    build = next(b for b in FACTS.torch_builds(torch, seen.host.machine) if b.cuda == pins.cuda)
    belonging = FACTS.torch_companions(torch)
    assert belonging is not None
    assert all(build.runs_natively_on(g.capability) for g in gpus)
    assert not {g.capability for g in gpus} & {limit.capability for limit in FACTS.cufft_limits(pins.cuda)}
    assert fits_python(build.pythons, seen)
    minimum = FACTS.minimum_driver(pins.cuda)
    assert not isinstance(minimum, Unknown)
    assert pins.place.driver is None or pins.place.driver >= minimum.minor
    local = next(Version(pin.version).local for pin in pins.pins if pin.name == "torch")
    assert (local is None and build.default) or local == build.tag == pins.backend
    assert releases.get("torchvision", belonging.torchvision) == belonging.torchvision
    assert releases.get("torchaudio", belonging.torchaudio) == belonging.torchaudio
    if "torchcodec" in releases:
        codec = FACTS.torchcodec(releases["torchcodec"])
        assert codec is not None
        assert codec.fits(torch)
        assert codec.cuda in (None, pins.cuda.major)
        assert fits_python(codec.pythons, seen)
    if build.default and build.tag == f"cu{pins.cuda.major}{pins.cuda.minor}":
        asked = {need.name: need for need in map(Requirement, build.pins)}
        for name in (name for name in releases if name.startswith("nvidia-") and name in asked):
            assert asked[name].specifier.contains(releases[name])


def _prove_agreement(pins: PinSet, releases: dict[str, Version], seen: Inventory) -> None:
    for name in set(STACK[6:]) & set(releases):
        row = next((r for r in FACTS.audio_releases(name) if r.version == releases[name]), None)
        if row is None:
            installed = seen.distribution(name)
            assert installed is not None
            assert installed.version == releases[name]
            continue
        version = seen.interpreter.version
        assert isinstance(version, Unknown) or row.has_wheel_for(version)
        for need in row.requires:
            assert need.name not in {item.name for item in pins.left_out}, f"{name} needs what is left out: {need}"
            if need.name in releases:
                assert need.specifier.contains(releases[need.name]), f"{name} asks for {need}"


def fits_python(pythons: tuple[Version, Version], seen: Inventory) -> bool:
    version = seen.interpreter.version
    return isinstance(version, Unknown) or pythons[0].release <= version.release[:2] <= pythons[1].release


# --- Every GPU, driver and Python ------------------------------------------------------------------------------------

CAPABILITIES = sorted({FACTS.find_gpu(f"sm_{major}{minor}").capability for major, minor in FACTS._gpus._capabilities})
DRIVERS = (
    "418.39",
    "450.80.02",
    "470.57.02",
    "510.47",
    "525.60.13",
    "535.104.05",
    "550.54.14",
    "570.86.10",
    "580.65.06",
    "610.43.02",
)
PYTHONS = ("3.8.10", "3.9.2", "3.10.0", "3.11.7", "3.12.1", "3.13.0", "3.14.0", "3.15.0")


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda c: f"sm_{c[0]}{c[1]}")
def test_every_set_for_this_gpu_is_consistent_or_says_what_is_missing(capability: tuple[int, int]) -> None:
    # One Python for each driver, another one on every GPU: all of them, and all steps between them, are taken.
    offset = CAPABILITIES.index(capability)
    for number, version in enumerate(DRIVERS):
        for where in PYTHONS[(number * 3 + offset) % 8 :: 8]:
            seen = inventory(gpus=(gpu("X", capability),), driver=driver(version), interpreter=python(where))
            pins = choose(seen, complete=True)
            missing = set(STACK) - set(pinned(pins))
            assert missing == {item.name for item in pins.left_out} or (not pins.pins and pins.notes)
            assert all(remark.endswith(".") for remark in pins.remarks)


@pytest.mark.parametrize("release", sorted({b.release for b in FACTS.torch_builds()}), ids=str)
def test_whatever_torch_is_installed_its_set_is_consistent(release: Version) -> None:
    belonging = FACTS.torch_companions(release)
    assert belonging is not None
    for build in FACTS.torch_builds(release):
        full = f"{release}+{build.tag}"
        torch = dist("torch", str(release) if build.default else full, cuda=str(build.cuda), built=full)
        vision = dist("torchvision", "0.20.0")
        for card in (T4, OLD, NEW, gpu()):
            for more in ((), (dist("ctranslate2", "4.4.0"), dist("faster-whisper", "1.0.3"))):
                seen = inventory(torch, vision, *more, gpus=(card,), interpreter=python("3.11.7"))
                pins = choose(seen)
                assert set(pinned(pins)) | {i.name for i in pins.left_out} == {d.name for d in seen.distributions}


# --- Fresh environments ----------------------------------------------------------------------------------------------


def test_the_whole_stack_for_a_new_gpu() -> None:
    pins = choose(inventory(gpus=(NEW,)), complete=True)
    assert pinned(pins) == {
        "torch": "2.8.0",
        "torchvision": "0.23.0",
        "torchaudio": "2.8.0",
        "torchcodec": "0.7.0",
        "ctranslate2": "4.8.1",
        "onnxruntime-gpu": "1.26.0",
        "whisperx": "3.8.6",
        "pyannote-audio": "4.0.7",
        "coqui-tts": "0.28.0",
        "faster-whisper": "1.2.1",
        "transformers": "4.57.6",
    }
    assert (pins.backend, pins.left_out) == (None, ())
    assert "nvidia-cudnn-cu12==9.10.2.21" in pins.requirements
    assert all(pin.reason and pin.source for pin in pins.pins)


def test_an_old_gpu_takes_the_same_release_as_another_build() -> None:
    pins = choose(inventory(gpus=(OLD,), driver=driver("525.85.12")), complete=True)
    assert (pinned(pins)["torch"], pinned(pins)["torchaudio"], pins.backend) == ("2.8.0+cu126", "2.8.0+cu126", "cu126")
    assert pinned(pins)["whisperx"] == "3.8.6"


def test_gpus_of_two_generations_need_a_build_that_has_both() -> None:
    pins = choose(inventory(gpus=(T4, NEW)), "torch", "ctranslate2")
    assert pinned(pins) == {"torch": "2.10.0", "ctranslate2": "4.8.1"}
    both = choose(inventory(gpus=(OLD, NEW)), "torch")
    assert both.pins == ()
    assert "no build of torch has code for GeForce GTX 1080 (sm_61) and GeForce RTX 5090 (sm_120)" in both.notes[0]


@pytest.mark.parametrize(("where", "torch", "runtime"), [("3.10.4", "2.8.0", "1.23.2"), ("3.13.1", "2.8.0", "1.26.0")])
def test_each_python_has_its_wheels(where: str, torch: str, runtime: str) -> None:
    pins = pinned(choose(inventory(gpus=(T4,), interpreter=python(where)), complete=True))
    assert (pins["torch"], pins["onnxruntime-gpu"]) == (torch, runtime)


def test_what_a_python_is_too_new_for_is_left_out_and_said() -> None:
    pins = choose(inventory(interpreter=python("3.14.0")), complete=True)
    assert [item.name for item in pins.left_out] == ["whisperx"]
    assert pinned(pins)["torch"] == "2.10.0"
    assert pins.remarks[0].startswith("whisperx is not pinned: no release for Python 3.14")


def test_names_bring_what_an_installer_would_bring() -> None:
    pins = choose(inventory(), "WhisperX")
    assert set(pinned(pins)) == set(STACK) - {"onnxruntime-gpu", "coqui-tts"}
    assert pinned(choose(inventory(), "torch", "torchaudio")) == {"torch": "2.15.0", "torchaudio": "2.11.0"}


def test_a_driver_that_does_not_know_the_gpu_is_no_invented_set() -> None:
    pins = choose(inventory(gpus=(NEW,), driver=driver("525.85.12")), complete=True)
    assert pins.pins == ()
    assert pins.notes == ("Driver 525.85.12 does not know the GeForce RTX 5090 (sm_120), which needs 570.26.",)


def test_a_driver_that_is_too_new_for_the_gpu() -> None:
    pins = choose(inventory(gpus=(OLD,), driver=driver("590.10")), complete=True)
    assert pins.notes == ("No driver after branch 580 supports the GeForce GTX 1080 (sm_61).",)


def test_an_old_driver_takes_an_old_cuda_and_leaves_out_what_has_none() -> None:
    pins = choose(inventory(gpus=(T4,), driver=driver("470.57.02")), "torch", "ctranslate2")
    assert pins.cuda is not None
    assert pins.cuda.major == 11
    assert "driver 470.57.02 is too old for the releases without a cuDNN" in pins.left_out[0].reason


def test_ptx_needs_a_driver_as_new_as_its_cuda() -> None:
    hopper = gpu("H100", (9, 0))
    old = choose(inventory(gpus=(hopper,), driver=driver("535.104.05")), "torch", "ctranslate2")
    assert "no release without a cuDNN of its own has code that reaches H100" in old.left_out[0].reason
    assert "ctranslate2" in pinned(
        choose(inventory(gpus=(hopper,), driver=driver("570.86.10")), "torch", "ctranslate2")
    )


# --- What is not known -----------------------------------------------------------------------------------------------


def test_nothing_known_of_the_hardware_is_said() -> None:
    seen = inventory(gpus=Unknown("NVML is gone"), driver=Unknown("no module"), interpreter=python("3.11.7"))
    pins = choose(seen, "torch")
    assert pinned(pins) == {"torch": "2.15.0"}
    assert [
        word for word in ("NVML is gone", "no module", "needs driver 580") if word not in " ".join(pins.notes)
    ] == []


def test_an_unknown_python_is_said() -> None:
    seen = inventory(interpreter=interpreter(version=Unknown("no pyvenv.cfg")))
    assert "no pyvenv.cfg" in " ".join(choose(seen, "torch").notes)


def test_a_torch_that_the_facts_do_not_know_is_not_moved() -> None:
    pins = choose(inventory(dist("torch", "9.9.0", cuda="13.2"), dist("torchvision", "0.30.0")))
    assert pins.pins == ()
    assert "torch 9.9.0 is not in the facts" in pins.notes[0]


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (inventory(replace(CPU, built_for=replace(CPU.built_for, rocm="6.4"))), "ROCm"),  # type: ignore[type-var, arg-type]
        (inventory(dist("torch", Unknown("METADATA is damaged"))), "METADATA is damaged"),
        (inventory(CPU, host=host(system="Darwin")), "not for Darwin"),
        (inventory(), "No package is installed that could be pinned"),
    ],
)
def test_where_nothing_can_be_chosen_the_reason_is_said(seen: Inventory, says: str) -> None:
    pins = choose(seen)
    assert pins.pins == ()
    assert says in pins.notes[0]


def test_another_machine_has_fewer_facts() -> None:
    seen = inventory(host=host(machine="aarch64"), gpus=(gpu("GH200", (9, 0)),), interpreter=python("3.12.1"))
    pins = choose(seen, "torch", "ctranslate2")
    assert "torch" in pinned(pins)
    assert "not for aarch64" in pins.left_out[0].reason


def test_a_strange_name_is_refused() -> None:
    with pytest.raises(UsageError, match="there are no pins for 'requests'"):
        choose_pins(inventory(), FACTS, ("requests",))


# --- The smallest change ---------------------------------------------------------------------------------------------


def test_what_is_installed_and_consistent_stays() -> None:
    here = (
        dist(
            "torch",
            "2.8.0",
            cuda="12.8",
            built="2.8.0+cu128",
            requires=("nvidia-cudnn-cu12==9.10.2.21; platform_system == 'Linux'",),
        ),
        dist("torchvision", "0.23.0", cuda="12.8", built="0.23.0+cu128"),
        dist("torchcodec", "0.6.0"),
        dist("ctranslate2", "4.7.0"),
        dist("onnxruntime-gpu", "1.22.0"),
        dist("transformers", "4.50.3"),
        dist("nvidia-cudnn-cu12", "9.10.2.21"),
    )
    pins = choose(inventory(*here))
    assert {pin.name: pin.version for pin in pins.pins} == {item.name: str(item.version) for item in here}
    assert not any(pin.moves for pin in pins.pins)


def test_a_cpu_build_is_replaced_by_name() -> None:
    seen = inventory(CPU, dist("torchvision", "0.24.1+cpu", built="0.24.1+cpu"), dist("torchaudio", "2.9.1"))
    pins = choose(seen)
    assert pinned(pins) == {"torch": "2.9.1+cu128", "torchvision": "0.24.1+cu128", "torchaudio": "2.9.1+cu128"}
    assert pins.backend == "cu128"


def test_without_a_gpu_a_cpu_build_stays() -> None:
    seen = inventory(CPU, dist("torchvision", "0.24.1+cpu"), dist("torchcodec", "0.10.0"), gpus=(), driver=None)
    pins = choose(seen)
    assert pinned(pins) == {"torch": "2.9.1+cpu", "torchvision": "0.24.1+cpu", "torchcodec": "0.9.1"}
    assert (pins.cuda, pins.backend) == (None, "cpu")


def test_a_companion_of_another_build_is_named_by_its_tag() -> None:
    torch = dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128")
    pins = choose(inventory(torch, dist("torchvision", "0.23.0+cpu", built="0.23.0+cpu")))
    assert (pinned(pins), pins.backend) == ({"torch": "2.8.0", "torchvision": "0.23.0+cu128"}, "cu128")


def test_cuda_majors_do_not_mix() -> None:
    torch = dist("torch", "2.15.0", cuda="13.2", built="2.15.0+cu132")
    here = (torch, dist("torchaudio", "2.11.0"), dist("ctranslate2", "4.8.5"), dist("onnxruntime-gpu", "1.31.1"))
    pins = choose(inventory(*here, dist("nvidia-cudnn-cu13", "9.26.0.51")))
    assert pinned(pins) == {
        "torch": "2.15.0+cu126",
        "torchaudio": "2.11.0",
        "ctranslate2": "4.8.5",
        "onnxruntime-gpu": "1.26.0",
    }
    assert any("nvidia-cudnn-cu13: of another CUDA" in note for note in pins.notes)
    assert any("import torch before it" in note for note in pins.notes)


def test_a_bundled_cudnn_goes_and_what_pins_it_moves_along() -> None:
    here = (
        dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128"),
        dist("torchaudio", "2.8.0"),
        dist("ctranslate2", "4.4.0"),
        dist("whisperx", "3.4.3"),
        dist("faster-whisper", "1.1.1"),
        dist("pyannote-audio", "3.3.2"),
        dist("transformers", "4.48.3"),
    )
    pins = choose(inventory(*here))
    moved = {pin.name: pin.version for pin in pins.pins if pin.moves}
    assert moved.pop("ctranslate2") == "4.8.1"
    assert Version(moved["whisperx"]) >= Version("3.5")


def test_without_torch_the_major_of_what_is_installed_decides() -> None:
    seen = inventory(
        dist("ctranslate2", "4.4.0"),
        dist("faster-whisper", "1.1.1"),
        dist("nvidia-cudnn-cu12", "8.9.7.29"),
        dist("nvidia-cublas-cu12", "12.4.5.8"),
    )
    pins = choose(seen)
    assert pinned(pins) == {"ctranslate2": "4.8.5", "faster-whisper": "1.1.1"}
    wheels = {pin.name: pin.version for pin in pins.pins if pin.name.startswith("nvidia-")}
    assert wheels["nvidia-cublas-cu12"] == "12.4.5.8"
    assert wheels["nvidia-cudnn-cu12"].startswith("9.")


def test_what_others_ask_for_is_heeded_or_said() -> None:
    torch = dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128")
    served = dist("vllm", "0.11.0", requires=("torch==2.8.0", "transformers<4.56"))
    pins = choose(inventory(torch, served, dist("ctranslate2", "4.4.0")), "transformers")
    assert pinned(pins) == {"ctranslate2": "4.8.1", "transformers": "4.55.4"}
    vision = dist("torchvision", "0.20.0")
    assert pinned(choose(inventory(torch, replace(served, requires=("torchvision==0.20.0",)), vision))) == {
        "torch": "2.5.0",
        "torchvision": "0.20.0",
    }
    torn = choose(inventory(torch, replace(served, requires=("torch==2.8.0", "torchvision==0.20.0")), vision))
    assert "vllm 0.11.0 asks for torchvision==0.20.0, which this set does not give it." in torn.notes


def test_the_cpu_runtime_beside_the_gpu_one_is_said() -> None:
    pins = choose(
        inventory(dist("onnxruntime-gpu", "1.22.0"), dist("faster-whisper", "1.2.1"), dist("ctranslate2", "4.8.1"))
    )
    assert any("the onnxruntime that faster-whisper asks for write the same files" in note for note in pins.notes)


def test_a_release_that_the_facts_do_not_know_is_judged_by_its_own_words() -> None:
    torch = dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128")
    own = dist("transformers", "4.57.1", requires=("huggingface-hub<1.0,>=0.34", "torch>=2.2; extra == 'torch'"))
    assert pinned(choose(inventory(torch, own)))["transformers"] == "4.57.1"
    torn = replace(own, requires=("torch<2",))
    assert pinned(choose(inventory(torch, torn)))["transformers"] == "4.57.6"


def test_a_derived_build_is_not_chosen_but_may_stay() -> None:
    kept = dist("torch", "2.13.0+cu129", cuda="12.9", built="2.13.0+cu129")
    assert pinned(choose(inventory(kept)))["torch"] == "2.13.0+cu129"
    pins = choose(inventory(dist("torch", "2.13.0", cuda="13.0"), dist("ctranslate2", "4.8.1"), gpus=(NEW,)))
    assert pinned(pins)["torch"] == "2.11.0+cu128"
    assert any("was read in PyTorch RELEASE.md" in note for note in pins.notes)
