"""What a package was built for is read from the file of its build, else from its version's tag."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.version import Version

from gpu_doctor.model.inventory import BuiltFor
from gpu_doctor.readers.packages.builds import assignments, from_tag, read_build

TORCH = """from typing import Optional

__all__ = ['__version__', 'debug', 'cuda', 'git_version', 'hip', 'xpu']
__version__ = '{version}'
debug = False
cuda: Optional[str] = {cuda}
git_version = 'a1cb3cc05d46d198467bebbb6e8fba50a325d4e7'
hip: Optional[str] = {hip}
"""


def built(site: Path, name: str, version: str, file: str, text: str) -> BuiltFor | None:
    path = site / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    found = read_build(name, version, str(site), "the metadata")
    assert found is None or found.where in (str(path), "the metadata")
    return found


def torch(site: Path, version: str, cuda: str, hip: str = "None") -> BuiltFor | None:
    text = TORCH.format(version=version, cuda=cuda, hip=hip)
    return built(site, "torch", version.partition("+")[0], "torch/version.py", text)


def test_torch_names_its_cuda_and_its_full_version(tmp_path: Path) -> None:
    where = f"{tmp_path}/torch/version.py"
    assert torch(tmp_path, "2.8.0+cu128", "'12.8'") == BuiltFor(Version("12.8"), "2.8.0+cu128", where)


def test_torch_without_cuda(tmp_path: Path) -> None:
    where = f"{tmp_path}/torch/version.py"
    assert torch(tmp_path, "2.8.0+cpu", "None") == BuiltFor(None, "2.8.0+cpu", where)
    assert torch(tmp_path, "2.8.0+rocm6.3", "None", "'6.3.42131'") == BuiltFor(
        None, "2.8.0+rocm6.3", where, rocm="6.3.42131"
    )


def test_a_cuda_that_is_no_version_tells_nothing(tmp_path: Path) -> None:
    assert torch(tmp_path, "2.8.0", "'twelve'") is None


def test_a_build_file_is_never_executed(tmp_path: Path) -> None:
    text = f"open({str(tmp_path / 'ran')!r}, 'w')\n__version__ = '1.0'\ncuda = '12.1'\n"
    assert built(tmp_path, "torch", "1.0", "torch/version.py", text) is not None
    assert not (tmp_path / "ran").exists()


def test_torchvision_and_torchaudio_carry_it_in_their_version(tmp_path: Path) -> None:
    vision = "__version__ = '0.23.0+cu128'\nfrom torchvision.extension import _check_cuda_version\n"
    found = built(tmp_path, "torchvision", "0.23.0", "torchvision/version.py", vision)
    assert found == BuiltFor(Version("12.8"), "0.23.0+cu128", f"{tmp_path}/torchvision/version.py")
    assert built(tmp_path, "torchaudio", "2.8.0", "torchaudio/version.py", "__version__ = '2.8.0'\n") is None


ORT = "onnxruntime/capi/build_and_package_info.py"


def test_onnxruntimes_build_file_speaks_for_the_package_that_it_names(tmp_path: Path) -> None:
    text = "package_name = 'onnxruntime-gpu'\n__version__ = '1.22.0'\ncuda_version = '12.8'\n"
    found = built(tmp_path, "onnxruntime-gpu", "1.22.0", ORT, text)
    assert found == BuiltFor(Version("12.8"), "1.22.0", f"{tmp_path}/{ORT}")
    assert built(tmp_path, "onnxruntime", "1.22.0", ORT, text) is None


def test_only_builds_that_never_hold_cuda_are_known_to_lack_it(tmp_path: Path) -> None:
    cpu = built(tmp_path, "onnxruntime", "1.22.0", ORT, "package_name = 'onnxruntime'\n__version__ = '1.22.0'\n")
    assert cpu is not None
    assert cpu.cuda is None
    assert built(tmp_path, "onnxruntime-gpu", "1.17.0", ORT, "package_name = 'onnxruntime-gpu'\n") is None
    rocm = "package_name = 'onnxruntime-rocm'\nrocm_version = '6.0'\n"
    found = built(tmp_path, "onnxruntime-rocm", "1.19.0", ORT, rocm)
    assert found is not None
    assert (found.cuda, found.rocm) == (None, "6.0")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"version": {"cuda": 1208, "hip": null, "torch": "2.8.0+cu128"}}', (Version("12.8"), None)),
        ('{"version": {"cuda": null, "hip": 60200}}', (None, "60200")),
        ('{"version": {"cuda": "12.8"}}', None),
        ('{"version": []}', None),
        ("[" * 100_000, None),
        ("not json", None),
    ],
)
def test_xformers(tmp_path: Path, text: str, expected: tuple[Version | None, str | None] | None) -> None:
    found = built(tmp_path, "xformers", "0.0.32", "xformers/cpp_lib.json", text)
    assert (found and (found.cuda, found.rocm)) == expected


def test_tensorflow(tmp_path: Path) -> None:
    file = "tensorflow/python/platform/build_info.py"
    gpu = 'build_info = collections.OrderedDict([("cuda_version", "12.5.1"), ("cudnn_version", "9"), ("is_cuda_build", True)])'
    found = built(tmp_path, "tensorflow", "2.19.0", file, gpu)
    assert found == BuiltFor(Version("12.5.1"), "2.19.0", f"{tmp_path}/{file}", cudnn="9")
    cpu = "build_info = collections.OrderedDict([('is_cuda_build', False), ('is_rocm_build', False)])"
    assert built(tmp_path, "tensorflow-cpu", "2.19.0", file, cpu) == BuiltFor(None, "2.19.0", f"{tmp_path}/{file}")
    assert built(tmp_path, "tensorflow", "2.19.0", file, "# nothing") is None


def test_paddle(tmp_path: Path) -> None:
    file = "paddle/version/__init__.py"
    gpu = "full_version     = '3.0.0'\ncuda_version     = '12.6'\ncudnn_version    = '9.5.1'\n"
    found = built(tmp_path, "paddlepaddle-gpu", "3.0.0", file, gpu)
    assert found == BuiltFor(Version("12.6"), "3.0.0", f"{tmp_path}/{file}", cudnn="9.5.1")
    cpu = built(tmp_path, "paddlepaddle", "3.0.0", file, "cuda_version = 'False'\ncudnn_version = 'False'\n")
    assert cpu == BuiltFor(None, "3.0.0", f"{tmp_path}/{file}")


@pytest.mark.parametrize(
    ("version", "cuda"),
    [
        ("2.8.0+cu128", "12.8"),
        ("2.0.1+cu118", "11.8"),
        ("2.12.0+cu130", "13.0"),
        ("1.7.1+cu92", "9.2"),
        ("2.8.3+cu12torch2.8cxx11abitrue", "12"),
        ("1.0+pt28cu126", "12.6"),
        ("1.0+cu1210", "12.10"),
    ],
)
def test_local_tags_of_cuda(version: str, cuda: str) -> None:
    assert from_tag(version, "here") == BuiltFor(Version(cuda), version, "here")


def test_other_local_tags() -> None:
    assert from_tag("2.8.0+rocm6.3", "here") == BuiltFor(None, "2.8.0+rocm6.3", "here", rocm="6.3")
    assert from_tag("2.8.0+cpu", "here") == BuiltFor(None, "2.8.0+cpu", "here")
    assert from_tag("2.8.0+cpu.cxx11.abi", "here") == BuiltFor(None, "2.8.0+cpu.cxx11.abi", "here")
    for silent in ("2.8.0", "2.8.0+cuda", "2.8.0+git123abc", "2.6.0a0+nv24.10", "cu128"):
        assert from_tag(silent, "here") is None, silent


def test_any_package_may_carry_a_tag_and_its_metadata_is_the_source(tmp_path: Path) -> None:
    found = read_build("flash-attn", "2.8.3+cu12torch2.8", str(tmp_path), "/opt/app/flash_attn.dist-info")
    assert found == BuiltFor(Version("12"), "2.8.3+cu12torch2.8", "/opt/app/flash_attn.dist-info")


def test_assignments_are_top_level_and_plain() -> None:
    text = "a = '1'\nb: str = \"2\"  # why\nc=None\n    d = 'inside'\ne = f()\na = '3'\n"
    assert assignments(text) == {"a": "3", "b": "2", "c": None}
