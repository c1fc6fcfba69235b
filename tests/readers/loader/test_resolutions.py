"""Small copies of real environments: the same names, tags and links as the wheels, the catalogue that ships."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from gpu_doctor.errors import UsageError
from gpu_doctor.facts.imports import read_catalogue
from gpu_doctor.model.imports import Catalogue
from gpu_doctor.model.libraries import Elf, Resolution
from gpu_doctor.readers.loader.cache import LdCache
from gpu_doctor.readers.loader.resolutions import resolve_environment, where
from gpu_doctor.readers.loader.system import LdSystem

SYSTEM = LdSystem("", ("/nowhere",), LdCache("/etc/ld.so.cache", {}))
CTYPES = "lib/python3.11/lib-dynload/_ctypes.cpython-311-x86_64-linux-gnu.so"
TORCH_RPATH = (*(f"$ORIGIN/../../nvidia/{name}/lib" for name in ("cublas", "cuda_runtime", "cudnn")), "$ORIGIN")
CUDNN = "nvidia/cudnn/lib"
LOADER = "ctranslate2.libs/libcudnn-74a4c495.so.9.1.0"
PARTS = ("graph", "ops", "cnn", "adv", "engines_precompiled", "engines_runtime_compiled", "heuristic")
PROVIDER = "onnxruntime/capi/libonnxruntime_providers_cuda.so"


def elf(soname: str | None, *needed: str, rpath: Iterable[str] = (), runpath: Iterable[str] = ()) -> Elf:
    return Elf("x86_64", soname, needed, tuple(rpath), tuple(runpath), False)


def cudnn(folder: str) -> dict[str, Elf]:
    """Return a cuDNN as NVIDIA ships it: a loader and its parts, all with DT_RUNPATH $ORIGIN."""
    here = {"runpath": ("$ORIGIN",)}
    parts = {f"{folder}/libcudnn_{part}.so.9": elf(f"libcudnn_{part}.so.9", **here) for part in PARTS}
    return {f"{folder}/libcudnn.so.9": elf("libcudnn.so.9", **here), **parts}


TORCH = {
    "torch/lib/libtorch_global_deps.so": elf("libtorch_global_deps.so", "libcudart.so.12", rpath=TORCH_RPATH),
    "torch/_C.cpython-311-x86_64-linux-gnu.so": elf(None, "libtorch_cuda.so", rpath=("$ORIGIN/lib",)),
    "torch/lib/libtorch_cuda.so": elf("libtorch_cuda.so", "libcublas.so.12", "libcudnn.so.9", rpath=TORCH_RPATH),
    "nvidia/cublas/lib/libcublas.so.12": elf("libcublas.so.12", runpath=("$ORIGIN",)),
    "nvidia/cuda_runtime/lib/libcudart.so.12": elf("libcudart.so.12"),
    **cudnn(CUDNN),
}
CTRANSLATE2 = {
    "ctranslate2/_ext.cpython-311-x86_64-linux-gnu.so": elf(
        None, "libctranslate2-1b0cf510.so.4.6.1", rpath=("$ORIGIN/../ctranslate2.libs",)
    ),
    "ctranslate2.libs/libctranslate2-1b0cf510.so.4.6.1": elf(
        "libctranslate2-1b0cf510.so.4.6.1", "libcudnn-74a4c495.so.9.1.0"
    ),
    LOADER: elf("libcudnn-74a4c495.so.9.1.0", rpath=("$ORIGIN",)),
}
ONNXRUNTIME = {
    "onnxruntime/capi/onnxruntime_pybind11_state.cpython-311-x86_64-linux-gnu.so": elf(None, runpath=("$ORIGIN",)),
    PROVIDER: elf(None, "libcublas.so.12", "libcudnn.so.9", "libcudnn_adv.so.9"),
}
VERSIONS = {"torch": "2.8.0", "ctranslate2": "4.6.1", "onnxruntime-gpu": "1.22.0", "nvidia-cudnn-cu12": "9.10.2.21"}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue()


class Environment:
    """Lay out files whose ELF values are given, and ask about them; paths in answers are relative to the site."""

    def __init__(self, folder: Path, catalogue: Catalogue) -> None:
        self.site = folder / "site"
        self.site.mkdir()
        self._catalogue = catalogue
        self._folder = folder
        self._elves: dict[str, Elf] = {}
        self.names: list[str] = []
        self.environment: dict[str, str] = {}
        self._put(folder, {"bin/python3.11": elf(None), CTYPES: elf(None)})

    def install(self, name: str, files: dict[str, Elf]) -> None:
        self.names.append(name)
        self._put(self.site, files)

    def shadow(self, folder: str, files: dict[str, Elf]) -> None:
        """Put files into a folder that LD_LIBRARY_PATH names."""
        self._put(self._folder, files)
        self.environment["LD_LIBRARY_PATH"] = str(self._folder / folder)

    def link(self, place: str, target: str) -> None:
        (self.site / place).unlink(missing_ok=True)
        (self.site / place).symlink_to(target)

    def all(self) -> tuple[Resolution, ...]:
        return resolve_environment(
            [str(self.site)], self._program, self._versions(), self.environment, self._catalogue, self._read, SYSTEM
        )

    def where(self, library: str, *after: str) -> tuple[Resolution, ...]:
        site, program, versions = [str(self.site)], self._program, self._versions()
        return where(library, after, site, program, versions, self.environment, self._catalogue, self._read, SYSTEM)

    def answer(self, library: str, consumer: str, *after: str) -> Resolution:
        """Return the answer for one of the names that a consumer asks for."""
        (found,) = [
            item
            for item in self.all()
            if item.consumer == str(self.site / consumer) and library in item.names and item.after == after
        ]
        return found

    def found(self, resolution: Resolution) -> str | None:
        return resolution.found and resolution.found.removeprefix(f"{self.site}/").removeprefix(f"{self._folder}/")

    @property
    def _program(self) -> str:
        return str(self._folder / "bin/python3.11")

    def _versions(self) -> dict[str, str]:
        return {name: VERSIONS[name] for name in self.names}

    def _read(self, path: str) -> Elf:
        return self._elves[str(Path(path).resolve())]

    def _put(self, base: Path, files: dict[str, Elf]) -> None:
        for place, values in files.items():
            (base / place).parent.mkdir(parents=True, exist_ok=True)
            (base / place).write_text(place)
            self._elves[str((base / place).resolve())] = values


@pytest.fixture
def here(tmp_path: Path, catalogue: Catalogue) -> Environment:
    return Environment(tmp_path, catalogue)


def test_bundled_cudnn_loader_finds_no_part(here: Environment) -> None:
    here.install("ctranslate2", CTRANSLATE2)
    here.install("nvidia-cudnn-cu12", cudnn(CUDNN))
    graph = here.answer("libcudnn_graph.so.9", LOADER, "ctranslate2")
    assert graph.names == tuple(f"libcudnn_graph.so{end}" for end in (".9.1.0", ".9.1", ".9", ""))
    assert (graph.found, graph.rule, graph.how, graph.package, graph.optional) == (
        None,
        "not found",
        "dlopen",
        "ctranslate2",
        False,
    )
    assert f"{here.site}/ctranslate2.libs/libcudnn_graph.so.9" in {step.path for step in graph.tried}


def test_import_of_torch_does_not_help_it_for_torch_has_not_used_cudnn_yet(here: Environment) -> None:
    here.install("torch", TORCH)
    here.install("ctranslate2", CTRANSLATE2)
    for answer in here.where("libcudnn_graph", "torch", "ctranslate2"):
        if answer.consumer.endswith(LOADER):
            assert answer.found is None


def test_link_to_the_loader_of_the_wheel_does_not_help_either(here: Environment) -> None:
    here.install("ctranslate2", CTRANSLATE2)
    here.install("nvidia-cudnn-cu12", cudnn(CUDNN))
    here.link(LOADER, "../nvidia/cudnn/lib/libcudnn.so.9")
    graph = here.answer("libcudnn_graph.so.9", LOADER, "ctranslate2")
    assert graph.found is None
    assert graph.names[0] == "libcudnn_graph.so.9.10.2"


def test_links_to_every_part_beside_the_loader_help(here: Environment) -> None:
    here.install("ctranslate2", CTRANSLATE2)
    here.install("nvidia-cudnn-cu12", cudnn(CUDNN))
    for part in PARTS:
        here.link(f"ctranslate2.libs/libcudnn_{part}.so.9", f"../{CUDNN}/libcudnn_{part}.so.9")
    graph = here.answer("libcudnn_graph.so.9", LOADER, "ctranslate2")
    assert (here.found(graph), graph.rule) == (
        "ctranslate2.libs/libcudnn_graph.so.9",
        f"DT_RPATH of {here.site}/{LOADER}",
    )


def test_cublas_of_torch_is_in_the_process_before_ctranslate2_asks(here: Environment) -> None:
    library = "ctranslate2.libs/libctranslate2-1b0cf510.so.4.6.1"
    here.install("ctranslate2", CTRANSLATE2)
    assert here.answer("libcublas.so.12", library, "ctranslate2").found is None
    here.install("torch", TORCH)
    cublas = here.answer("libcublas.so.12", library, "ctranslate2")
    assert (here.found(cublas), cublas.rule) == ("nvidia/cublas/lib/libcublas.so.12", "already loaded by torch")


def test_foreign_cudnn_gives_torchs_loader_foreign_parts(here: Environment) -> None:
    """DT_RPATH of torch wins over the variable for the loader; DT_RUNPATH of the loader loses for its parts."""
    here.install("torch", TORCH)
    here.shadow("older", cudnn("older"))
    loader = here.answer("libcudnn.so.9", "torch/lib/libtorch_cuda.so", "torch")
    assert (here.found(loader), loader.rule) == (
        f"{CUDNN}/libcudnn.so.9",
        f"DT_RPATH of {here.site}/torch/lib/libtorch_cuda.so",
    )
    graph = here.answer("libcudnn_graph.so.9", f"{CUDNN}/libcudnn.so.9", "torch")
    assert (here.found(graph), graph.rule) == ("older/libcudnn_graph.so.9", "LD_LIBRARY_PATH")


def test_provider_lacks_what_no_import_has_loaded(here: Environment) -> None:
    here.install("torch", TORCH)
    here.install("onnxruntime-gpu", ONNXRUNTIME)
    missing = {item.names[0]: item.after for item in here.all() if item.consumer.endswith(PROVIDER) and not item.found}
    assert missing == {
        "libcublas.so.12": ("onnxruntime",),
        "libcudnn.so.9": ("onnxruntime",),
        "libcudnn_adv.so.9": ("onnxruntime",),
    }
    opened = here.answer(f"{here.site}/{PROVIDER}", next(iter(ONNXRUNTIME)), "torch", "onnxruntime")
    assert opened.rule == "not loaded: libcudnn_adv.so.9, needed by libonnxruntime_providers_cuda.so, is not found"


def test_preload_dlls_loads_the_wheels_but_no_part_of_cudnn(here: Environment) -> None:
    here.install("torch", TORCH)
    here.install("onnxruntime-gpu", ONNXRUNTIME)
    cublas = here.answer("libcublas.so.12", PROVIDER, "onnxruntime", "onnxruntime.preload_dlls")
    assert cublas.rule == "already loaded by onnxruntime.preload_dlls"
    assert [
        item.found
        for item in here.where("libcudnn_adv", "onnxruntime", "onnxruntime.preload_dlls")
        if item.consumer.endswith(PROVIDER)
    ] == [None]


def test_provider_asks_by_itself_for_what_it_no_longer_needs(here: Environment) -> None:
    here.install("onnxruntime-gpu", ONNXRUNTIME | {PROVIDER: elf(None, "libcudnn.so.9")})
    here.install("nvidia-cudnn-cu12", cudnn(CUDNN))
    here.environment["LD_LIBRARY_PATH"] = str(here.site / CUDNN)
    asked = {item.names[0]: item.how for item in here.all() if item.consumer.endswith(PROVIDER)}
    assert (asked["libcudnn.so.9"], asked["libcufft.so.12"]) == ("needed", "dlopen")


def test_provider_that_is_not_installed_is_not_asked_for(here: Environment) -> None:
    here.install("onnxruntime-gpu", {name: value for name, value in ONNXRUNTIME.items() if name != PROVIDER})
    assert not [item for item in here.all() if "providers_cuda" in item.names[0]]


def test_torch_preloads_from_the_search_path_what_its_rpath_cannot_reach(here: Environment) -> None:
    """A torch and its nvidia wheels in different folders: the rescue of `import torch`."""
    own = {name: value for name, value in TORCH.items() if name.startswith("torch/")}
    here.install("torch", own)
    assert here.answer("libcudart.so.12", "torch/lib/libtorch_global_deps.so", "torch").found is None
    here.install("torch", {"cuda_runtime/lib/libcudart.so.12": elf("libcudart.so.12")})
    here.install("torch", {"cublas/lib/libcublas.so.12": elf("libcublas.so.12")})
    here.install("torch", {f"cudnn/lib/{name.rpartition('/')[2]}": value for name, value in cudnn(CUDNN).items()})
    rescued = [item for item in here.where("libcublas", "torch") if item.names[0].endswith("/libcublas.so.12")]
    assert [here.found(item) for item in rescued] == ["cublas/lib/libcublas.so.12"]


def test_found_answers_leave_out_what_was_tried_but_where_tells_it(here: Environment) -> None:
    here.install("torch", TORCH)
    short = here.answer("libcudnn.so.9", "torch/lib/libtorch_cuda.so", "torch")
    (full,) = [item for item in here.where("libcudnn.so.9", "torch") if item.consumer.endswith("libtorch_cuda.so")]
    assert short.tried == ()
    assert [step.outcome for step in full.tried] == ["no such file", "no such file", "found"]


@pytest.mark.parametrize("library", ["libcudnn_graph.so.9", "libcudnn_graph", "cudnn_graph", "cudnn"])
def test_where_knows_a_library_by_soname_or_stem(here: Environment, library: str) -> None:
    here.install("torch", TORCH)
    names = {name for item in here.where(library) for name in item.names}
    assert "libcudnn_graph.so.9" in names
    assert all(name.startswith("libcudnn") for name in names)


def test_where_follows_the_imports_in_order(here: Environment) -> None:
    here.install("torch", TORCH)
    here.install("ctranslate2", CTRANSLATE2)
    answers = here.where("libcublas.so.12", "torch", "ctranslate2")
    assert [(item.after, item.consumer.rpartition("/")[2], item.rule.partition(" of ")[0]) for item in answers] == [
        (("torch",), "libtorch_cuda.so", "DT_RPATH"),
        (("torch", "ctranslate2"), "libctranslate2-1b0cf510.so.4.6.1", "already loaded by torch"),
    ]


def test_where_refuses_imports_that_it_cannot_follow(here: Environment) -> None:
    here.install("torch", TORCH)
    with pytest.raises(UsageError, match="`import numpy`") as raised:
        here.where("libcudnn", "torch", "numpy")
    assert "torch" in raised.value.hint


def test_what_nobody_asks_for_is_searched_as_ctypes_would(here: Environment) -> None:
    here.shadow("shadow", {"shadow/libodd.so.1": elf("libodd.so.1")})
    (answer,) = here.where("libodd.so.1")
    assert (answer.names, answer.how, answer.rule) == (("libodd.so.1",), "dlopen", "LD_LIBRARY_PATH")
    assert str(answer.found).endswith("shadow/libodd.so.1")
    (named,) = here.where(str(answer.found))
    assert (named.found, named.rule) == (answer.found, "path")
    assert here.where("libodd") == ()


def test_nothing_that_is_catalogued_asks_nothing(here: Environment) -> None:
    assert here.all() == ()
    assert here.where("libcudnn.so.9") == ()
