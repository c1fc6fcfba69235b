"""The sick labs really are ill and their twins really work: shown by running them, without the doctor."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.labs.build import site_packages
from tests.labs.recipes import LOADER, RECIPES

pytestmark = pytest.mark.lab

Lab = Callable[[str], Path]

ABORTED = -6
ASK_CUDNN = "import ctypes, sys; print(ctypes.CDLL(sys.argv[1]).cudnnGetVersion())"


def python(prefix: Path, code: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run code in a lab; a core dump of it would be gigabytes, so none is allowed."""
    environment = {k: v for k, v in os.environ.items() if k not in ("LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONPATH")}
    command = [str(prefix / "bin/python"), "-B", "-c", code, *arguments]
    return subprocess.run(
        ["sh", "-c", 'ulimit -c 0; exec "$@"', "sh", *command],
        capture_output=True,
        text=True,
        env={**environment, **variables},
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("name", ["whisperx-cudnn", "folk-fixed"])
def test_ctranslate2s_cudnn_aborts(lab: Lab, name: str) -> None:
    prefix = lab(name)
    run = python(prefix, ASK_CUDNN, str(site_packages(prefix) / LOADER))
    assert run.returncode == ABORTED
    assert "libcudnn_graph.so.9" in run.stderr


def test_links_of_every_part_heal_it(lab: Lab) -> None:
    prefix = lab("ct2-links")
    run = python(prefix, ASK_CUDNN, str(site_packages(prefix) / LOADER))
    assert run.stdout == "91002\n", run.stderr


def test_an_older_cudnn_on_the_library_path_breaks_torchs_own(lab: Lab) -> None:
    prefix = lab("shadowed-cudnn")
    own = str(site_packages(prefix) / "nvidia/cudnn/lib/libcudnn.so.9")
    healthy = python(prefix, ASK_CUDNN, own)
    assert healthy.stdout == "91002\n", healthy.stderr
    shadowed = python(prefix, ASK_CUDNN, own, **RECIPES["shadowed-cudnn"].environment(prefix))
    assert shadowed.stdout != "91002\n"


def test_a_wrong_nvjitlink_breaks_the_import(lab: Lab) -> None:
    assert "__nvJitLinkCreate_12_8" in python(lab("nvjitlink"), "import torch").stderr


@pytest.mark.parametrize(
    ("name", "providers"),
    [("ort-clash", "Azure CPU"), ("whisperx-ort", "Azure CPU"), ("ort-gpu-alone", "Tensorrt CUDA CPU")],
)
def test_who_was_written_last_decides_the_providers(lab: Lab, name: str, providers: str) -> None:
    run = python(lab(name), "import onnxruntime; print(*onnxruntime.get_available_providers())")
    assert run.stdout.replace("ExecutionProvider", "").strip() == providers, run.stderr


def test_removing_one_onnxruntime_guts_the_other(lab: Lab) -> None:
    run = python(lab("gutted-onnxruntime"), "import onnxruntime; onnxruntime.get_available_providers")
    assert "has no attribute 'get_available_providers'" in run.stderr


def test_a_truncated_library_does_not_load_and_its_twin_does(lab: Lab) -> None:
    code = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"
    ops = "nvidia/cudnn/lib/libcudnn_ops.so.9"
    sick, healthy = lab("truncated"), lab("cudnn-alone")
    assert python(sick, code, str(site_packages(sick) / ops)).returncode != 0
    assert (site_packages(healthy) / ops).stat().st_size == 2 * (site_packages(sick) / ops).stat().st_size


def test_both_cudnn_packages_claim_the_file_and_one_wins(lab: Lab) -> None:
    site = site_packages(lab("cudnn-overwritten"))
    path = "nvidia/cudnn/lib/libcudnn_ops.so.9"
    records = [next(site.glob(f"nvidia_cudnn_{cuda}-*.dist-info/RECORD")).read_text() for cuda in ("cu12", "cu13")]
    sizes = [int(line.rsplit(",", 1)[1]) for text in records for line in text.splitlines() if line.startswith(path)]
    assert len(set(sizes)) == 2
    assert (site / path).stat().st_size == sizes[1]


def test_nothing_beside_a_cuda_13_torch_serves_ctranslate2s_cublas(lab: Lab) -> None:
    assert list(site_packages(lab("cuda13-ct2")).rglob("libcublas.so.12")) == []
    assert list(site_packages(lab("cuda12-ct2")).rglob("libcublas.so.12")) != []
