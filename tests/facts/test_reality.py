"""The facts against the wheels themselves: what a table says of a release, its real files say too."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from gpu_doctor.facts.tables import Facts
from gpu_doctor.facts.torch import TorchBuild
from gpu_doctor.model import architecture
from gpu_doctor.readers.binaries.device_code import read_gpu_code
from gpu_doctor.readers.binaries.elf import read_elf
from tests.labs.build import site_packages

pytestmark = pytest.mark.lab

FACTS = Facts.load()
TORCH_LABS = ["torch26-5090", "torch-2.8", "gpu-code-13"]
CTRANSLATE2_LABS = ["folk-fixed", "gpu-code-13"]
ONNXRUNTIME_LABS = ["ort-gpu-alone", "healthy-whisper"]
PINNED = re.compile(r"^(nvidia-|cuda-|triton$)")


def installed(site: Path) -> dict[str, Distribution]:
    return {canonicalize_name(d.metadata["Name"]): d for d in distributions(path=[str(site)])}


def default_build(site: Path) -> TorchBuild:
    version = Version(re.search(r"__version__ = '(.+)'", (site / "torch/version.py").read_text())[1])
    build = next(build for build in FACTS.torch_builds(version) if build.default)
    assert build.tag == version.local
    return build


@pytest.mark.parametrize("name", TORCH_LABS)
def test_the_default_build_pins_what_its_metadata_pins(lab, name):
    site = site_packages(lab(name))
    pins = {pin.name: pin.specifier for pin in map(Requirement, default_build(site).pins)}
    stated = [need for need in map(Requirement, installed(site)["torch"].requires) if PINNED.match(need.name)]
    assert {need.name: need.specifier for need in stated if pins.get(need.name) != need.specifier} == {}
    assert len(stated) > 5


@pytest.mark.parametrize("name", TORCH_LABS)
def test_every_pin_of_the_default_build_was_installed(lab, name):
    site = site_packages(lab(name))
    versions = {distribution: found.version for distribution, found in installed(site).items()}
    pins = [Requirement(pin) for pin in default_build(site).pins]
    assert [str(pin) for pin in pins if versions.get(pin.name) not in pin.specifier] == []


@pytest.mark.parametrize("name", TORCH_LABS)
def test_the_libraries_have_what_the_build_promises_less_what_is_lacking(lab, name):
    site = site_packages(lab(name))
    build = default_build(site)
    codes = [read_gpu_code(str(path)) for path in sorted((site / "torch/lib").glob("libtorch_cuda*.so"))]
    for promised in build.sass:
        capability, _ = architecture.parse(promised)
        everywhere = all(architecture.verdict(code.sass, (), capability) == "native" for code in codes if code.sass)
        assert everywhere == (promised not in build.lacking), promised
    assert {code.status for code in codes} <= {"read", "none"}


@pytest.mark.parametrize("name", CTRANSLATE2_LABS)
def test_ctranslate2_has_this_code_and_this_cudnn_loader(lab, name):
    site = site_packages(lab(name))
    fact = FACTS.ctranslate2(Version(installed(site)["ctranslate2"].version))
    library = next((site / "ctranslate2.libs").glob("libctranslate2-*.so*"))
    code = read_gpu_code(str(library))
    assert (code.sass, code.ptx) == (fact.sass, fact.ptx)
    content = library.read_bytes()
    assert [soname for soname in fact.loads if soname.encode() not in content] == []
    files = [path.name for path in installed(site)["ctranslate2"].files]
    loaders = [name.partition(".so.")[2] for name in files if name.startswith("libcudnn-")]
    assert loaders == ([str(fact.bundled_cudnn)] if fact.bundled_cudnn else [])


@pytest.mark.parametrize("name", ONNXRUNTIME_LABS)
def test_the_cuda_provider_needs_these_libraries_and_has_this_code(lab, name):
    site = site_packages(lab(name))
    fact = FACTS.onnxruntime(Version(installed(site)["onnxruntime-gpu"].version))
    provider = str(site / "onnxruntime/capi/libonnxruntime_providers_cuda.so")
    of_cuda = [soname for soname in read_elf(provider).needed if re.match(r"lib(cu|nvrtc)", soname)]
    assert sorted(of_cuda) == sorted(fact.needs)
    code = read_gpu_code(provider)
    assert (code.sass, code.ptx) == (fact.sass, fact.ptx)


@pytest.mark.parametrize("name", [*TORCH_LABS, "cudnn-overwritten"])
def test_nvidia_wheels_provide_these_libraries(lab, name):
    site = site_packages(lab(name))
    compared = 0
    for wheel, distribution in installed(site).items():
        files = {path.name for path in distribution.files or () if ".so" in path.name}
        known = FACTS.sonames_of(wheel, Version(distribution.version))
        if wheel.startswith("nvidia-") and files:
            assert set(known) <= files, wheel
            assert known, f"{wheel} is not in wheels.toml"
            compared += 1
    assert compared >= 4
