"""The GPU code of real wheels, read by us and by NVIDIA's cuobjdump: the same architectures in every library.

cuobjdump's lists spell the machine code of a family (`sm_100f`) without its suffix, though its dump of the same code
does not; `test_the_suffix_that_lists_leave_out_is_in_the_dump` holds that.
"""

from __future__ import annotations

import mmap
import re
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gpu_doctor.readers.binaries.device_code import read_gpu_code

pytestmark = pytest.mark.lab

Lab = Callable[[str], Path]
EM_CUDA = 190

# Each reason to be here is another one: the largest, the oldest CUDA, a second compiler, PTX for each architecture,
# relocatable code beside linked code, suffixes, LTO-IR. All of them together take two minutes and 6 GB of memory.
CUDA_12 = (
    "torch/lib/libtorch_cuda.so",
    "torch/lib/libtorch_cuda_linalg.so",
    "torchaudio/lib/libtorchaudio.so",
    "torchaudio/lib/libctc_prefix_decoder.so",
    "torchvision/_C.so",
    "ctranslate2.libs/libctranslate2-*.so*",
    "bitsandbytes/libbitsandbytes_cuda118.so",
    "bitsandbytes/libbitsandbytes_cuda128.so",
    "bitsandbytes/libbitsandbytes_cuda130.so",
    "nvidia/cublas/lib/libcublas.so.12",
    "nvidia/cublas/lib/libcublasLt.so.12",
    "nvidia/cudnn/lib/libcudnn_adv.so.9",
    "nvidia/cudnn/lib/libcudnn_cnn.so.9",
    "nvidia/cudnn/lib/libcudnn_engines_precompiled.so.9",
    "nvidia/cudnn/lib/libcudnn_engines_runtime_compiled.so.9",
    "nvidia/cudnn/lib/libcudnn_ops.so.9",
    "nvidia/nccl/lib/libnccl.so.2",
)
CUDA_13 = (
    "torch/lib/libtorch_cuda.so",
    "torch/lib/libtorch_cuda_linalg.so",
    "torch/lib/libtorch_nvshmem.so",
    "ctranslate2.libs/libctranslate2-*.so*",
    "nvidia/cu13/lib/libcublas.so.13",
    "nvidia/cu13/lib/libcublasLt.so.13",
    "nvidia/cudnn/lib/libcudnn_adv.so.9",
    "nvidia/cudnn/lib/libcudnn_cnn.so.9",
    "nvidia/cudnn/lib/libcudnn_engines_precompiled.so.9",
    "nvidia/cudnn/lib/libcudnn_engines_runtime_compiled.so.9",
    "nvidia/cudnn/lib/libcudnn_ops.so.9",
    "nvidia/cusparselt/lib/libcusparseLt.so.0",
    "nvidia/nccl/lib/libnccl.so.2",
)
GIVES_UP = ("onnxruntime/capi/libonnxruntime_providers_cuda.so", "bitsandbytes/libbitsandbytes_cuda121.so")
WITHOUT = ("torch/lib/libtorch_cpu.so", "torch/lib/libc10_cuda.so", "nvidia/cuda_runtime/lib/libcudart.so.12")


def find(prefix: Path, pattern: str) -> Path:
    return next(next((prefix / "lib").glob("python3*/site-packages")).glob(pattern))


def run_cuobjdump(tools: Path, option: str, library: Path) -> subprocess.CompletedProcess[str]:
    tool = next(tools.glob("lib/python3*/site-packages/nvidia/*/bin/cuobjdump"))
    return subprocess.run([str(tool), option, str(library)], capture_output=True, text=True, timeout=300)


def cuobjdump(tools: Path, option: str, library: Path) -> str:
    run = run_cuobjdump(tools, option, library)
    nothing = re.search("No (ELF|PTX) file found|does not contain device code", run.stdout + run.stderr)
    assert run.returncode == 0 or nothing, run.stderr
    return run.stdout


def listed(tools: Path, library: Path) -> tuple[set[str], set[str]]:
    """What cuobjdump lists: the architectures of the machine code and those of the PTX."""
    sass = re.findall(r"\.(sm_\d+[af]?)\.cubin$", cuobjdump(tools, "--list-elf", library), re.MULTILINE)
    ptx = re.findall(r"\.sm_(\d+[af]?)\.ptx$", cuobjdump(tools, "--list-ptx", library), re.MULTILINE)
    return set(sass), {f"compute_{number}" for number in ptx}


@pytest.mark.parametrize(
    ("name", "pattern"), [*(("gpu-code", path) for path in CUDA_12), *(("gpu-code-13", path) for path in CUDA_13)]
)
def test_the_same_architectures_as_cuobjdump(lab: Lab, name: str, pattern: str) -> None:
    library = find(lab(name), pattern)
    code = read_gpu_code(str(library))
    sass, ptx = listed(lab("tools"), library)
    assert code.status == "read"
    assert {architecture.removesuffix("f") for architecture in code.sass} == sass
    assert set(code.ptx) == ptx
    assert sass


def test_the_suffix_that_lists_leave_out_is_in_the_dump(lab: Lab) -> None:
    library = find(lab("gpu-code-13"), "nvidia/cudnn/lib/libcudnn_cnn.so.9")
    dumped = set(re.findall(r"^arch = (sm_\d+[af]?)$", cuobjdump(lab("tools"), "--dump-elf", library), re.MULTILINE))
    code = read_gpu_code(str(library))
    assert "sm_100f" in code.sass
    assert {*code.sass, *(ptx.replace("compute", "sm") for ptx in code.ptx)} == dumped


def cubins(library: Path) -> set[str]:
    """The architectures in the ELF headers of the machine code that lies in the library uncompressed."""
    found, at = set(), -1
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        while (at := data.find(b"\x7fELF\x02\x01\x013\x07", at + 1)) >= 0:
            machine, flags = struct.unpack_from("<H28xI", data, at + 18)
            if machine == EM_CUDA:
                found.add(f"sm_{flags & 0xFF}")
    return found


@pytest.mark.parametrize("pattern", GIVES_UP)
def test_where_cuobjdump_gives_up_the_machine_code_itself_agrees(lab: Lab, pattern: str) -> None:
    library = find(lab("gpu-code"), pattern)
    run = run_cuobjdump(lab("tools"), "--list-elf", library)
    before = set(re.findall(r"\.(sm_\d+[af]?)\.cubin$", run.stdout, re.MULTILINE))
    code = read_gpu_code(str(library))
    assert "Invalid ELF" in run.stderr
    assert code.status == "read"
    assert before <= set(code.sass) <= cubins(library)


@pytest.mark.parametrize("pattern", WITHOUT)
def test_where_cuobjdump_finds_nothing_there_is_none(lab: Lab, pattern: str) -> None:
    library = find(lab("gpu-code"), pattern)
    assert listed(lab("tools"), library) == (set(), set())
    assert read_gpu_code(str(library)).status == "none"


@pytest.mark.parametrize(
    ("name", "pattern"),
    [("gpu-code", "nvidia/cufft/lib/libcufft.so.11"), ("gpu-code-13", "nvidia/cu13/lib/libcufft.so.12")],
)
def test_the_kernels_of_cufft_are_unknown_to_both(lab: Lab, name: str, pattern: str) -> None:
    """One container of a few hundred bytes is all that cuobjdump finds in 270 MB."""
    library = find(lab(name), pattern)
    sass, _ptx = listed(lab("tools"), library)
    code = read_gpu_code(str(library))
    assert (code.status, set(code.sass), len(sass)) == ("unknown", sass, 1)


def test_torch_212_lacks_one_promised_architecture_in_one_library(lab: Lab) -> None:
    main, linalg = (
        read_gpu_code(str(find(lab("gpu-code-13"), f"torch/lib/libtorch_{part}.so")))
        for part in ("cuda", "cuda_linalg")
    )
    assert "sm_75" in main.sass
    assert linalg.sass == ("sm_80", "sm_86", "sm_90", "sm_100", "sm_120")
