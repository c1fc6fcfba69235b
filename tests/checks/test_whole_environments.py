"""All rules on one inventory: healthy environments stay silent, and nothing unknown ends a rule."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from gpu_doctor.model.hardware import Variable
from gpu_doctor.model.inventory import BuiltFor, Damage, Inventory, Overlap
from gpu_doctor.model.libraries import SymbolNeed
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import judge_all
from tests.kit import SITE, dist, driver, gpu, host, interpreter, inventory, lib, resolution

PINS = ("nvidia-cublas-cu12==12.8.4.1", "nvidia-cudnn-cu12==9.10.2.21", "triton==3.4.0")
TORCH = dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128", requires=PINS)
TORCH_LIBRARIES = (
    lib("torch/lib/libtorch_cuda.so", "torch", sass="70 75 80 86 90 100 120", size=9),
    lib("torch/lib/libtorch_cuda_linalg.so", "torch", sass="70 75 80 86 90 100 120", size=3),
    lib("nvidia/cublas/lib/libcublas.so.12", "nvidia-cublas-cu12", sass="50 60 70 75 80 86 90 100 120"),
    lib("nvidia/cudnn/lib/libcudnn.so.9", "nvidia-cudnn-cu12"),
)
FOUND = (
    resolution(
        "torch/lib/libtorch_cuda.so", "torch", "libcudnn.so.9", found="nvidia/cudnn/lib/libcudnn.so.9", how="needed"
    ),
    resolution(
        "torch/lib/libtorch_cuda.so",
        "torch",
        "libcublas.so.12",
        found="nvidia/cublas/lib/libcublas.so.12",
        how="needed",
    ),
)
OFFICIAL = (
    TORCH,
    dist("nvidia-cublas-cu12", "12.8.4.1"),
    dist("nvidia-cudnn-cu12", "9.10.2.21"),
    dist("triton", "3.4.0"),
)


def official(**changes: Any) -> Inventory:
    return inventory(*OFFICIAL, **{"libraries": TORCH_LIBRARIES, "resolutions": FOUND, **changes})


CPU_WHISPER = (
    dist("faster-whisper", "1.2.1", requires=("ctranslate2<5,>=4.0", "onnxruntime<2,>=1.14")),
    dist("ctranslate2", "4.6.1"),
    dist("onnxruntime", "1.22.0", built="1.22.0"),
)
CT2_CODE = lib("ctranslate2.libs/libctranslate2-1b0cf510.so.4.6.1", "ctranslate2", sass="53 60 70 75 80 86", ptx="86")
CT2_ASKS = (
    resolution("ctranslate2.libs/libctranslate2-1b0cf510.so.4.6.1", "ctranslate2", "libcublas.so.12", found=None),
    resolution("ctranslate2.libs/libcudnn-74a4c495.so.9.1.0", "ctranslate2", "libcudnn_ops.so.9", found=None),
)

HEALTHY = {
    "an RTX 4090 with official wheels": official(),
    "a T4 with torch 2.8": official(gpus=(gpu("Tesla T4", (7, 5)),), driver=driver("535.288.01", "12.2")),
    "the oldest driver of CUDA 12": official(driver=driver("525.60.13", "12.0")),
    "a driver newer than the facts": official(driver=driver("999.99.01", None)),
    "two different cards": official(gpus=(gpu(), gpu("Tesla V100", (7, 0)))),
    "no GPU and no driver": official(gpus=(), driver=None),
    "nothing known of the hardware": official(gpus=Unknown("no answer"), driver=Unknown("no answer")),
    "Whisper on a CPU": inventory(*CPU_WHISPER, libraries=(CT2_CODE,), resolutions=CT2_ASKS, gpus=(), driver=None),
    "a CPU torch on a CPU": inventory(dist("torch", "2.8.0+cpu", built="2.8.0+cpu"), gpus=(), driver=None),
    "NVIDIA's container": inventory(
        dist("torch", "2.5.0a0+872d972e41.nv24.10", cuda="12.6"),
        dist("torchvision", "0.20.0a0", requires=("torch",)),
        dist("accelerate", "1.10", requires=("torch>=2.5",)),
        libraries=(lib("torch/lib/libtorch_cuda.so", "torch", sass="75 80 86 90", ptx="90"),),
    ),
    "a nightly": inventory(
        dist("torch", "2.9.0.dev20250901+cu128", cuda="12.8"),
        dist("torchvision", "0.24.0.dev20250901+cu128", cuda="12.8", requires=("torch==2.9.0.dev20250901",)),
    ),
    "conda": inventory(
        dist("torch", "2.8.0", cuda="12.9", record=False, installer="conda"), interpreter=interpreter(manager="conda")
    ),
    "an editable checkout": official(
        distributions=(*OFFICIAL, dist("vllm", "0.10.0", editable=True, record=False, requires=("torch==2.8.0",)))
    ),
    "ROCm": inventory(
        dist("torch", "2.8.0+rocm6.3", built_for=BuiltFor(None, "2.8.0+rocm6.3", "", rocm="6.3")), gpus=(), driver=None
    ),
    "GB200": official(gpus=(gpu("NVIDIA GB200", (10, 0)),), host=host(machine="aarch64")),
    "a slice of an A100": official(gpus=(gpu("NVIDIA A100-SXM4-40GB MIG 1g.5gb", (8, 0)),)),
    "a Python nobody could tell": official(interpreter=interpreter(version=Unknown("no pyvenv.cfg"))),
    "a version nobody could tell": official(
        distributions=(*OFFICIAL[1:], dist("torch", Unknown("no METADATA"), cuda="12.8"))
    ),
    "a website": inventory(dist("flask", "3.0"), dist("werkzeug", "3.0"), host=host(pci_gpus=("0000:01:00.0",))),
    "nothing installed": inventory(),
    "its own libraries on LD_LIBRARY_PATH": official(
        host=host(variables=(Variable("LD_LIBRARY_PATH", f"{SITE}/nvidia/cudnn/lib"),))
    ),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_environment_raises_no_alarm(name: str) -> None:
    case = judge_all(HEALTHY[name])
    assert [(f.rule, f.severity, f.message) for f in case.findings if f.severity != "note"] == []
    assert case.verdict != "sick"


def test_judged_for_other_hardware_this_machine_is_never_blamed() -> None:
    """No driver, a GPU without one, a container that was promised one, and an old library: all of them elsewhere."""
    here = host(
        pci_gpus=("0000:01:00.0",),
        container="docker (/.dockerenv)",
        kernel_module=Version("470.1"),
        variables=(Variable("NVIDIA_VISIBLE_DEVICES", "all"),),
    )
    target = Target(None, "/opt/app/venv", "--prefix", gpus=("RTX 4090",))
    assumed = (gpu(assumed=True, where="--gpu"),)
    case = judge_all(
        official(target=target, host=here, gpus=assumed, driver=Unknown("the driver is not known: give --driver"))
    )
    assert [f.rule for f in case.findings] == []


SICK = official(
    distributions=(
        *OFFICIAL,
        dist("onnxruntime", "1.20.1"),
        dist("onnxruntime-gpu", "1.20.2"),
        dist("ctranslate2", "4.6.1"),
    ),
    overlaps=(
        Overlap(("onnxruntime", "onnxruntime-gpu"), 9, (f"{SITE}/x.so",), (("onnxruntime-gpu", 3),), "onnxruntime"),
    ),
    damages=(Damage(f"{SITE}/torch/lib/libtorch_cuda.so", "torch", "truncated", "9 bytes", "3 bytes"),),
    resolutions=(*FOUND, *CT2_ASKS),
    symbols=(SymbolNeed("a", "b", "c", "d", False),),
    host=host(variables=(Variable("LD_LIBRARY_PATH", "/usr/local/cuda/lib64"),)),
)
WHY = Unknown("it could not be read")


def forgotten(name: str) -> Inventory:
    """The sick environment, with one thing about it unknown."""
    change: dict[str, Any] = {name.removeprefix("host."): WHY}
    if name in ("gpus", "driver"):
        return replace(SICK, **change)
    if name.startswith("host."):
        return replace(SICK, host=replace(SICK.host, **change))
    if name == "interpreter.version":
        return replace(SICK, interpreter=interpreter(version=WHY))
    if name == "version":
        return replace(SICK, distributions=tuple(replace(d, version=WHY) for d in SICK.distributions))
    if name == "built_for":
        return replace(SICK, distributions=tuple(replace(d, built_for=None) for d in SICK.distributions))
    if name == "elf":
        return replace(SICK, libraries=tuple(replace(item, elf=WHY) for item in SICK.libraries))
    if name == "gpu_code":
        unread = tuple(replace(i, gpu_code=replace(i.gpu_code, status="unknown", note="x")) for i in SICK.libraries)
        return replace(SICK, libraries=unread)
    if name == "winner":
        return replace(SICK, overlaps=tuple(replace(item, winner=WHY) for item in SICK.overlaps))
    return replace(SICK, symbols=tuple(replace(item, defined=WHY) for item in SICK.symbols))


UNKNOWN_IN_HOST = [f"host.{field.name}" for field in fields(type(SICK.host)) if "Unknown" in str(field.type)]


@pytest.mark.parametrize(
    "name",
    [
        "gpus",
        "driver",
        *UNKNOWN_IN_HOST,
        "interpreter.version",
        "version",
        "built_for",
        "elf",
        "gpu_code",
        "winner",
        "defined",
    ],
)
def test_what_is_unknown_ends_no_rule_and_hides_no_other_illness(name: str) -> None:
    case = judge_all(forgotten(name))
    assert case.verdict == "sick"
    assert "cudnn-unreachable" in {f.rule for f in case.findings}


NAMES = st.sampled_from(
    ("torch", "torchvision", "onnxruntime", "onnxruntime-gpu", "ctranslate2", "nvidia-cudnn-cu12", "cupy-cuda12x", "x")
)
VERSIONS = st.sampled_from(("0", "1.20.1", "2.8.0+cpu", "2.8.0+cu128", "2.9.0.dev1", "9.10.2.21", "99!1")) | st.just(
    WHY
)
REQUIRES = st.lists(
    st.text(max_size=30) | st.sampled_from(("torch==2.8.0", "nvidia-cudnn-cu12==9.1", "torch ; os_name ~= 'x'")),
    max_size=3,
)
DISTRIBUTIONS = st.lists(
    st.builds(
        lambda name, version, cuda, requires, record: dist(name, version, cuda=cuda, requires=tuple(requires), record=record),
        NAMES, VERSIONS, st.sampled_from((None, "11.8", "12.8", "13.0", "77.0")), REQUIRES, st.booleans(),
    ),
    max_size=5,
)  # fmt: skip
CARDS = st.lists(
    st.builds(lambda c: gpu("card", c), st.sampled_from(((3, 5), (7, 5), (8, 9), (12, 0), (99, 0)))), max_size=2
)


@settings(max_examples=60, deadline=None)
@given(DISTRIBUTIONS, CARDS, st.sampled_from(("390.1", "525.60.13", "999.1")), st.text(max_size=40))
def test_no_inventory_crashes_a_rule(distributions: list[Any], cards: list[Any], version: str, path: str) -> None:
    judge_all(
        replace(
            SICK,
            distributions=tuple(distributions),
            gpus=tuple(cards),
            driver=driver(version, None),
            host=host(variables=(Variable("LD_LIBRARY_PATH", path),)),
        )
    )
