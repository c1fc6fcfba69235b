"""The model of ld.so against ld.so itself: LD_DEBUG and the link map of real processes in real environments."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gpu_doctor.facts.imports import read_catalogue
from gpu_doctor.readers.binaries.elf import read_elf
from gpu_doctor.readers.loader.import_model import Site, answer
from gpu_doctor.readers.loader.linker import Event, Linker, Process
from gpu_doctor.readers.loader.system import read_system
from tests.labs.build import site_packages
from tests.labs.ld_oracle import Observed, observe
from tests.labs.recipes import RECIPES

pytestmark = pytest.mark.lab

Lab = Callable[[str], Path]

GPU = re.compile(
    r"lib(cu(?!rl|ps)|nv|nccl|onnxruntime|torch|c10|ctranslate2)|/torch/_C\.|/ctranslate2/_ext\.|pybind11_state"
)
# torchaudio's optional FFmpeg and SoX extensions are no matter of the GPU, so the catalogue leaves them out.
NOT_CATALOGUED = re.compile(r"libtorio_ffmpeg|libtorchaudio_sox")

# Call a function of a cuDNN loader, as the first use of cuDNN does; the loader may abort the process.
CUDNN = """
import ctypes
%LIST%
print(ctypes.CDLL("{loader}").cudnnGetVersion())
"""
PROVIDER = """
import {imports}, ctypes, importlib.util
folder = importlib.util.find_spec("onnxruntime").submodule_search_locations[0]
try:
    ctypes.CDLL(folder + "/capi/libonnxruntime_providers_cuda.so")
except OSError as error:
    print(error)
"""


@dataclass(frozen=True)
class Scene:
    """One process: `code` with `{site}` filled in, and the variables that it starts with (`{prefix}` filled in)."""

    lab: str
    code: str
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def lives(self) -> bool:
        """Tell whether the process comes to its end: some die of what they find, which is how they are sick."""
        return self.lab not in ("nvjitlink", "healthy-whisper") and "%LIST%" not in self.code

    def __str__(self) -> str:
        words = " ".join(line for line in self.code.split("\n") if line.startswith("import "))
        return f"{self.lab}: {words or self.code}{' ' + ' '.join(self.variables) if self.variables else ''}"


IMPORTS = [
    ("torch-2.8", ("torch",)),
    ("torch26-5090", ("torch",)),
    ("torch212-t4", ("torch",)),
    ("speed", ("torchaudio",)),
    ("speed", ("ctranslate2",)),
    ("speed", ("onnxruntime",)),
    ("speed", ("torch", "ctranslate2")),
    ("speed", ("ctranslate2", "torch")),
    ("speed", ("torch", "onnxruntime")),
    ("speed", ("onnxruntime", "torch")),
    ("whisperx-cudnn", ("torch", "ctranslate2", "onnxruntime")),
    ("whisperx-cudnn", ("onnxruntime", "ctranslate2", "torch")),
    ("cuda13-ct2", ("torch", "ctranslate2")),
    ("cuda13-ct2", ("ctranslate2", "torch")),
    ("ct2-links", ("ctranslate2", "torch")),
    ("folk-fixed", ("ctranslate2",)),
]
FORETOLD = [
    *IMPORTS,
    ("gpu-code", ("torchvision",)),
    ("healthy-whisper", ("onnxruntime", "onnxruntime.preload_dlls")),
    ("healthy-whisper", ("torch", "onnxruntime", "onnxruntime.preload_dlls")),
]
SHADOW = RECIPES["shadowed-cudnn"].variables or {}
BUNDLED = "import glob\nloader = glob.glob('{site}/ctranslate2.libs/libcudnn-*.so.9*')[0]\n" + CUDNN.replace(
    '"{loader}"', "loader"
)
WHEEL = CUDNN.replace("{loader}", "{site}/nvidia/cudnn/lib/libcudnn.so.9")
TORCHS = "import torch\n" + CUDNN.replace("{loader}", "libcudnn.so.9")

SCENES = [
    *(Scene(lab, f"import {', '.join(modules)}") for lab, modules in IMPORTS),
    Scene("shadowed-cudnn", "import torch", dict(SHADOW)),
    Scene("nvjitlink", "import torch"),
    Scene("speed", BUNDLED),
    Scene("speed", "import torch, ctranslate2\n" + BUNDLED),
    Scene("folk-fixed", BUNDLED),
    Scene("ct2-links", BUNDLED),
    Scene("speed", BUNDLED, {"LD_LIBRARY_PATH": "{site}/nvidia/cudnn/lib"}),
    Scene("speed", WHEEL),
    Scene("cudnn-overwritten", WHEEL),
    Scene("shadowed-cudnn", TORCHS, dict(SHADOW)),
    Scene("speed", TORCHS),
    Scene("speed", PROVIDER.replace("{imports}", "onnxruntime")),
    Scene("speed", PROVIDER.replace("{imports}", "torch, onnxruntime")),
    Scene("healthy-whisper", PROVIDER.replace("{imports}", "torch, onnxruntime")),
    Scene("healthy-whisper", "import onnxruntime\nonnxruntime.preload_dlls()\n" + PROVIDER.replace("{imports}", "os")),
    Scene("speed", "import torch", {"LD_PRELOAD": "{site}/nvidia/cuda_runtime/lib/libcudart.so.12 libz.so.1"}),
]


@pytest.fixture(scope="module")
def compared(pytestconfig: pytest.Config) -> Iterator[Counter[str]]:
    """Count the answers that were compared, and say how many at the end."""
    counts: Counter[str] = Counter()
    yield counts
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        for what, count in sorted(counts.items()):
            print(f"\n{count} {what} compared with ld.so")


def filled(text: str, prefix: Path) -> str:
    return text.replace("{site}", str(site_packages(prefix))).replace("{prefix}", str(prefix))


def play(scene: Scene, prefix: Path, folder: Path) -> tuple[Observed, Linker]:
    variables = {name: filled(value, prefix) for name, value in scene.variables.items()}
    observed = observe(prefix / "bin/python", filled(scene.code, prefix), folder, variables)
    return observed, Linker(variables, read_elf, str(prefix / "bin/python"), read_system(), folder=str(folder))


def replayed(observed: Observed, linker: Linker) -> Process:
    """Do in the model every dlopen that the real process did, in order, each from the same caller."""
    process = linker.start()
    for request in observed.requests:
        if request.dynamic:
            callers = [item for item in process.loaded if item.path == request.by]
            assert callers, f"{request.by} is not loaded in the model"
            process.dlopen(request.name, callers[0])
    return process


def searched(events: list[Event]) -> list[Event]:
    """Return the questions that ld.so had to search for, up to where it gave up."""
    return [event for event in events if event.sure and not event.rule.startswith("already loaded")]


def reached(event: Event) -> str | None:
    """Return the file that the search ended at, whether or not it could be loaded."""
    last = event.tried[-1] if event.tried else None
    return last.path if last and (last.outcome == "found" or last.outcome.startswith("not loaded")) else None


def looked(paths: Iterator[str]) -> list[str]:
    """Return the paths in existing folders, without the CPU subfolders: ld.so forgets folders that are not there."""
    return [path for path in paths if os.path.isdir(os.path.dirname(path)) and "/glibc-hwcaps/" not in path]


@pytest.mark.parametrize("scene", SCENES, ids=str)
def test_every_answer_is_that_of_ld_so(lab: Lab, scene: Scene, tmp_path: Path, compared: Counter[str]) -> None:
    observed, linker = play(scene, lab(scene.lab), tmp_path)
    process = replayed(observed, linker)
    mine = searched(process.events)
    assert [(event.name, event.requester.path, reached(event)) for event in mine] == [
        (request.name, request.by, request.found) for request in observed.requests
    ]
    for event, request in zip(mine, observed.requests, strict=True):
        if "/" not in event.name:
            tried = (step.path for step in event.tried if not step.outcome.startswith("not listed"))
            assert looked(tried) == looked(str(tmp_path / path) for path in request.tried), event.name
    compared["requests of real processes"] += len(mine)
    assert len(mine) >= 10


@pytest.mark.parametrize("scene", [s for s in SCENES if s.lives], ids=str)
def test_link_map_is_that_of_ld_so(lab: Lab, scene: Scene, tmp_path: Path) -> None:
    observed, linker = play(scene, lab(scene.lab), tmp_path)
    process = replayed(observed, linker)
    assert observed.loaded, observed.output
    # The kernel's vdso has no file, ld.so has a place of its own in the list, the program's name is empty there.
    real = [name for name in observed.loaded[1:] if "vdso" not in name and "/ld-linux" not in name]
    assert [item.path for item in process.loaded[1:] if item.path != linker.system.loader] == real


def test_library_that_does_not_bind_is_the_known_difference(lab: Lab, tmp_path: Path) -> None:
    """ld.so refuses libcusparse for a missing symbol; the model, which binds none, loads it (package rules see why)."""
    observed, linker = play(Scene("nvjitlink", "import torch"), lab("nvjitlink"), tmp_path)
    assert "undefined symbol: __nvJitLinkCreate_12_8" in observed.output
    assert any(item.path.endswith("/libcusparse.so.12") for item in replayed(observed, linker).loaded)


def site_of(prefix: Path, linker: Linker) -> Site:
    folder = site_packages(prefix)
    found = (re.match(r"(.+)-([^-]+)\.dist-info$", path.name) for path in folder.iterdir())
    distributions = {match[1].lower().replace("_", "-"): match[2] for match in found if match}
    return Site([str(folder)], distributions, read_catalogue(), linker)


def concerning(requests: Iterator[tuple[str, str, str | None]]) -> list[tuple[str, str, str | None]]:
    """Keep what concerns the GPU, each once: a library may ask again for what it did not get."""
    kept = (item for item in requests if GPU.search(item[0]) and not NOT_CATALOGUED.search(item[0] + item[1]))
    return list(dict.fromkeys(kept))


@pytest.mark.parametrize(
    ("name", "modules"), FORETOLD, ids=lambda value: value if isinstance(value, str) else "+".join(value)
)
def test_catalogue_foretells_what_imports_open(
    lab: Lab, name: str, modules: tuple[str, ...], tmp_path: Path, compared: Counter[str]
) -> None:
    lines = (f"{module}()" if "." in module else f"import {module}" for module in modules)
    observed, linker = play(Scene(name, "\n".join(lines)), lab(name), tmp_path)
    assert observed.status == 0, observed.output
    site = site_of(lab(name), linker)
    events = [event for end in range(len(modules)) for event in searched(site.after(modules[: end + 1]).events)]
    foretold = concerning((event.name, event.requester.path, reached(event)) for event in events)
    real = concerning((request.name, request.by, request.found) for request in observed.requests)
    assert foretold == real
    compared["requests foretold by the catalogue"] += len(real)
    assert real


LAZY = [
    ("speed", "ctranslate2.libs/libcudnn-74a4c495.so.9.1.0", {}),
    ("folk-fixed", "ctranslate2.libs/libcudnn-74a4c495.so.9.1.0", {}),
    ("ct2-links", "ctranslate2.libs/libcudnn-74a4c495.so.9.1.0", {}),
    ("speed", "nvidia/cudnn/lib/libcudnn.so.9", {}),
    ("torch212-t4", "nvidia/cudnn/lib/libcudnn.so.9", {}),
    ("shadowed-cudnn", "nvidia/cudnn/lib/libcudnn.so.9", dict(SHADOW)),
]


@pytest.mark.parametrize(("name", "loader", "variables"), LAZY, ids=str)
def test_catalogue_foretells_what_cudnn_asks_for(
    lab: Lab, name: str, loader: str, variables: dict[str, str], tmp_path: Path
) -> None:
    prefix = lab(name)
    path = f"{site_packages(prefix)}/{loader}"
    observed, linker = play(Scene(name, CUDNN.replace("{loader}", path), variables), prefix, tmp_path)
    site = site_of(prefix, linker)
    process = site.after(())
    library = process.dlopen(path).found
    assert library is not None
    asked = [answer(site, process.fork(), ask, library) for ask in site.asks(library)]
    graph = next(item for item in asked if item is not None and "_graph" in item.names[0])
    real = [(r.name, r.found) for r in observed.requests if r.dynamic and r.by == path]
    assert [(event.name, reached(event)) for event in graph.tries] == real[: len(graph.tries)]
    assert (graph.tries[-1].found is None) == (observed.status != 0), observed.output
