"""What is learnt of a cuDNN loader: the very question that is asked of a target, put to loaders that gcc builds."""

from __future__ import annotations

import os
import sys
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import pytest

from gpu_doctor.model.probes import Probe
from gpu_doctor.probe.together import Asking, Question
from tests.readers.toolchain import build

# Like cuDNN 9: it opens each part by name beside itself, and ends the process where one does not load.
LOADER = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
static int status(const char *name) {
    void *part = dlopen(name, RTLD_NOW);
    if (!part) {
        fprintf(stderr, "Unable to load any of {%s}\\n", name);
        abort();
    }
    int (*check)(void) = (int (*)(void))dlsym(part, "status");
    return check();
}
size_t cudnnGetVersion(void) { status("libcudnn_graph.so.9"); return VERSION; }
int cudnnGraphVersionCheck(void) { return status("libcudnn_graph.so.9"); }
int cudnnOpsVersionCheck(void) { return status("libcudnn_ops.so.9"); }
int cudnnCreateTensorDescriptor(void **it) { *it = it; return 0; }
const char *cudnnGetErrorString(int status) { return status ? "CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH" : ""; }
"""
CALLS = ("open the loader", "cudnnGetVersion", "cudnnGraphVersionCheck", "cudnnOpsVersionCheck")


def cudnn(folder: Path, version: int = 91002, **parts: int) -> str:
    """Build a loader and its parts, each with the status that its check returns; return the loader's path."""
    for name, status in parts.items():
        build(folder, f"int status(void) {{ return {status}; }}", name=f"libcudnn_{name}.so.9")
    flags = (f"-DVERSION={version}", "-ldl", "-Wl,-rpath,$ORIGIN")
    return str(build(folder, LOADER, *flags, name="libcudnn.so.9"))


def ask(loader: str, modules: Path | None = None, **argument: Any) -> Probe:
    asked = {"loader": loader, "after": [], "further": [], "torch": False, "alone": False, **argument}
    inherited = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    environ = {**inherited, **({"PYTHONPATH": str(modules)} if modules else {})}
    with Asking(sys.executable, environ, workers=1, options=("-B",)) as asking:
        asking.add((Question("cudnn", "torch: libcudnn.so.9", "cudnn.py", asked, 30),))
        (probe,) = asking.results(lambda _words: None)
    return probe


def outcomes(probe: Probe) -> dict[str, str]:
    return {trial.name: trial.outcome for trial in probe.trials}


def test_a_loader_with_all_its_parts_answers(tmp_path: Path) -> None:
    probe = ask(cudnn(tmp_path, graph=0, ops=0))
    assert (probe.ending, probe.value("version")) == ("answered", "9.10.2")
    assert outcomes(probe) == dict.fromkeys((*CALLS, "cudnnCreateTensorDescriptor"), "passed")
    folder = tmp_path.resolve()
    parts = ("libcudnn.so.9", "libcudnn_graph.so.9", "libcudnn_ops.so.9")
    assert (probe.value("mapped") or "").split(", ") == [f"{folder}/{name}" for name in parts]


def test_versions_of_cudnn_8_are_written_in_thousands(tmp_path: Path) -> None:
    assert ask(cudnn(tmp_path, 8907, graph=0, ops=0)).value("version") == "8.9.7"


def test_the_death_names_the_call_and_the_part(tmp_path: Path) -> None:
    probe = ask(cudnn(tmp_path, graph=0))
    assert probe.reason == "was killed by SIGABRT (Aborted)"
    assert outcomes(probe) == {**dict.fromkeys(CALLS, "passed"), "cudnnOpsVersionCheck": "died"}
    assert "Unable to load any of {libcudnn_ops.so.9}" in probe.log


def test_parts_of_two_releases_are_told_by_their_status(tmp_path: Path) -> None:
    trial = ask(cudnn(tmp_path, graph=0, ops=1002)).trial("cudnnOpsVersionCheck")
    assert trial is not None
    assert (trial.outcome, trial.value("status")) == ("wrong", "1002")
    assert trial.detail == "cudnnOpsVersionCheck returned 1002: CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH"


def test_a_loader_that_is_not_there_is_said_once(tmp_path: Path) -> None:
    probe = ask(str(tmp_path / "libcudnn.so.9"))
    assert outcomes(probe) == {"open the loader": "failed"}


FURTHER = [{"name": "libcudnn_heuristic.so.9", "names": ["libcudnn_heuristic.so.9.1", "libcudnn_heuristic.so.9"]}]


def test_a_part_that_another_part_opens_is_found_beside_it(tmp_path: Path) -> None:
    loader = cudnn(tmp_path, graph=0, ops=0, heuristic=0)
    trial = ask(loader, further=FURTHER).trial("libcudnn_heuristic.so.9")
    assert trial is not None
    assert trial.value("opened") == f"{tmp_path.resolve()}/libcudnn_heuristic.so.9"


@pytest.mark.parametrize(("content", "words"), [(None, "cannot open shared object file"), (b"", "file too short")])
def test_a_part_that_another_part_would_not_find(tmp_path: Path, content: bytes | None, words: str) -> None:
    loader = cudnn(tmp_path, graph=0, ops=0)
    if content is not None:
        (tmp_path / "libcudnn_heuristic.so.9").write_bytes(content)
    trial = ask(loader, further=FURTHER).trial("libcudnn_heuristic.so.9")
    assert trial is not None
    assert trial.outcome == "failed"
    assert "libcudnn_heuristic.so.9: " in trial.detail
    assert words in trial.detail


@pytest.mark.skipif(find_library("cuda") is not None, reason="a driver is here")
def test_a_part_that_is_linked_against_the_driver_is_not_tried_without_one(tmp_path: Path) -> None:
    driver = build(tmp_path, "int cuInit(unsigned f) { return f; }", "-Wl,-soname,libcuda.so.1", name="libcuda.so.1")
    loader = cudnn(tmp_path, graph=0, ops=0)
    build(
        tmp_path,
        "int cuInit(unsigned); int status(void) { return cuInit(0); }",
        str(driver),
        name="libcudnn_heuristic.so.9",
    )
    driver.unlink()
    trial = ask(loader, further=FURTHER).trial("libcudnn_heuristic.so.9")
    assert trial is not None
    assert (trial.outcome, trial.detail) == ("skipped", "it is linked against the driver, which is not here")


def test_part_by_part_each_one_says_why_it_does_not_load(tmp_path: Path) -> None:
    loader = cudnn(tmp_path, graph=0, ops=0, adv=0)
    needs = "int nowhere(void); int status(void) { return nowhere(); }"
    build(tmp_path, needs, name="libcudnn_cnn.so.9")
    probe = ask(loader, alone=True)
    names = [f"libcudnn_{part}.so.9" for part in ("graph", "ops", "cnn", "adv")]
    assert [trial.name for trial in probe.trials] == names
    ((name, words),) = [(trial.name, trial.detail) for trial in probe.trials if trial.outcome == "failed"]
    assert name == "libcudnn_cnn.so.9"
    assert "undefined symbol: nowhere" in words


TORCH = "class backends:\n class cudnn:\n  @staticmethod\n  def version():\n   {}\n"


@pytest.mark.parametrize(
    ("code", "outcome", "words"),
    [
        ("return 91002", "passed", ""),
        ("return None", "skipped", "this torch is built without cuDNN"),
        (
            "raise RuntimeError('cuDNN version incompatibility')",
            "failed",
            "RuntimeError: cuDNN version incompatibility",
        ),
    ],
)
def test_torchs_own_check_is_an_experiment_of_its_own(tmp_path: Path, code: str, outcome: str, words: str) -> None:
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "torch.py").write_text(TORCH.format(code))
    loader = cudnn(tmp_path / "lib", graph=0, ops=0)
    trial = ask(loader, modules, after=["torch"], torch=True).trial("torch.backends.cudnn.version")
    assert trial is not None
    assert (trial.outcome, trial.detail) == (outcome, words)


def test_what_is_imported_before_supplies_the_parts(tmp_path: Path) -> None:
    """As torch does for a loader that lies elsewhere, once it has used cuDNN; here by a function of a module."""
    elsewhere, modules = tmp_path / "elsewhere", tmp_path / "modules"
    cudnn(elsewhere, graph=0, ops=0)
    for name in ("graph", "ops"):  # with an soname, as the real ones
        soname = f"libcudnn_{name}.so.9"
        build(elsewhere, "int status(void) { return 0; }", f"-Wl,-soname,{soname}", name=soname)
    modules.mkdir()
    code = (
        f"import ctypes, glob\ndef preload():\n for x in glob.glob({str(elsewhere / 'libcudnn_*')!r}): ctypes.CDLL(x)\n"
    )
    (modules / "supplier.py").write_text(code)
    lonely = cudnn(tmp_path / "lonely")
    assert ask(lonely, modules, after=["supplier"]).ending == "crashed"
    assert ask(lonely, modules, after=["supplier", "supplier.preload"]).ending == "answered"


def test_an_import_that_fails_is_no_experiment(tmp_path: Path) -> None:
    probe = ask(cudnn(tmp_path, graph=0, ops=0), after=["no_such_module"])
    assert (probe.ending, probe.trials) == ("raised", ())
    assert probe.reason == "ModuleNotFoundError: No module named 'no_such_module'"
