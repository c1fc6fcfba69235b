from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from packaging.version import Version

from gpu_doctor.errors import FactsError
from gpu_doctor.facts.imports import read_catalogue
from gpu_doctor.model.imports import Catalogue, Open, Preload, Recipe
from tests.facts.slips import slip


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue()


def one(catalogue: Catalogue, distribution: str, version: str) -> Recipe:
    (recipe,) = catalogue.of(distribution, Version(version))
    return recipe


@pytest.mark.parametrize(
    ("version", "preloads", "first"),
    [
        ("2.5.1", 0, None),
        ("2.6.0", 2, "nvidia/cuda_nvrtc/lib/libnvrtc.so.*[0-9]"),
        ("2.8.0+cu128", 2, "nvidia/cuda_nvrtc/lib/libnvrtc.so.*[0-9]"),
        ("2.9.1", 3, "nvidia/cuda_nvrtc/lib/libnvrtc.so.*[0-9]"),
        ("2.12.0", 17, "nvidia/cublas/lib/libcublasLt.so.*[0-9]"),
        ("2.15.0", 16, "nvidia/cublas/lib/libcublasLt.so.*[0-9]"),
        ("2.16.0.dev20261101", 16, "nvidia/cublas/lib/libcublasLt.so.*[0-9]"),
    ],
)
def test_what_torch_preloads_depends_on_its_release(
    catalogue: Catalogue, version: str, preloads: int, first: str | None
) -> None:
    recipe = one(catalogue, "torch", version)
    assert len(recipe.preloads) == preloads
    assert (recipe.preloads[0].paths[0] if recipe.preloads else None) == first
    assert [item.path for item in recipe.opens] == ["torch/lib/libtorch_global_deps.so", "torch/_C.*.so"]


@pytest.mark.parametrize("version", ["1.13.1", "2.0.1", "2.6.0", "2.8.0", "2.9.1", "2.10.0", "2.14.0", "2.15.0", "3.0"])
def test_every_release_of_torch_has_one_recipe(catalogue: Catalogue, version: str) -> None:
    assert len(catalogue.of("torch", Version(version))) == 1


def test_preloads_name_their_folder_in_every_layout(catalogue: Catalogue) -> None:
    assert one(catalogue, "torch", "2.12.0").preloads[1] == Preload(
        (
            "nvidia/cublas/lib/libcublas.so.*[0-9]",
            "nvidia/cu{cuda}/lib/libcublas.so.*[0-9]",
            "cublas/lib/libcublas.so.*[0-9]",
        ),
        required=True,
    )


def test_onnxruntime_preloads_by_path_then_by_name_whatever_is_missing(catalogue: Catalogue) -> None:
    recipes = {recipe.module: recipe for recipe in catalogue.of("onnxruntime-gpu", Version("1.22.0"))}
    assert set(recipes) == {"onnxruntime", "onnxruntime.preload_dlls"}
    first = recipes["onnxruntime.preload_dlls"].preloads[0]
    assert first == Preload(("nvidia/cublas/lib/libcublasLt.so.12", "libcublasLt.so.12"), required=False)
    assert [recipe.module for recipe in catalogue.of("onnxruntime-gpu", Version("1.20.2"))] == ["onnxruntime"]


def test_ctranslate2_imports_torch_after_its_own_library(catalogue: Catalogue) -> None:
    recipe = one(catalogue, "ctranslate2", "4.6.1")
    assert (recipe.imports, recipe.then) == ((), ("torch",))
    assert recipe.opens == (Open("ctranslate2/_ext.*.so", "interpreter"),)


def test_ctranslate2_leaves_torch_alone_since_4_8_2(catalogue: Catalogue) -> None:
    assert one(catalogue, "ctranslate2", "4.8.1").then == ("torch",)
    assert one(catalogue, "ctranslate2", "4.8.2").then == ()


def test_what_is_not_catalogued_has_no_recipe(catalogue: Catalogue) -> None:
    assert catalogue.of("numpy", Version("2.2.6")) == ()


@pytest.mark.parametrize(
    ("library", "asked"),
    [
        ("libctranslate2-1b0cf510.so.4.6.1", {"libcublas.so.12", "libcuda.so.1", "libnccl.so.2"}),
        ("libctranslate2-1e22bce9.so.3.24.0", {"libcublas.so.11", "libcuda.so.1"}),
        ("libcudnn-463fd6d5.so.8.9.7", {f"libcudnn_{part}_infer.so.8" for part in ("ops", "cnn", "adv")}),
        ("libcudnn.so.9", {f"libcudnn_{part}.so.9" for part in ("graph", "ops", "cnn", "adv")}),
        ("libcudnn-74a4c495.so.9.1.0", {f"libcudnn_{part}.so.9" for part in ("graph", "ops", "cnn", "adv")}),
        ("libnvJitLink.so.12", set()),
    ],
)
def test_what_libraries_ask_for(catalogue: Catalogue, library: str, asked: set[str]) -> None:
    names = {name for ask in catalogue.asks if fnmatchcase(library, ask.consumer) for name in ask.names}
    assert asked <= names
    assert names or not asked


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('opener = "ctypes"', 'opener = "nobody"', "recipe 1 (torch): opens does not fit"),
        ('then = ["torch"]', 'then = ["tensorflow"]', "imports a module that no recipe has: 'tensorflow'"),
        ('source = "torch-2.0"', "", "recipe 1 (torch): source is missing"),
        ('when = "load"', 'whenever = "load"', "when is missing"),
        ('versions = ">=2.6,<2.8"', 'versions = "<2.6"', "has the same key as"),
        ('layouts = ["nvidia/{folder}/lib", "{folder}/lib"]', "", "rescues without layouts"),
        ("optional = true", 'optional = "yes"', "does not fit"),
        ('distribution = "cupy-cuda11x"', 'distribution = "cupy-cuda11x"\nmodul = "x"', "unknown key modul"),
    ],
)
def test_slip_in_the_table_is_named(tmp_path: Path, old: str, new: str, problem: str) -> None:
    with pytest.raises(FactsError) as raised:
        read_catalogue(slip(tmp_path, "imports", old, new))
    assert problem in str(raised.value)


def test_torchaudios_libraries_are_found_under_both_of_their_names(catalogue: Catalogue) -> None:
    patterns = [item.path for item in one(catalogue, "torchaudio", "2.11.0").opens]
    assert patterns == ["torchaudio/lib/libtorchaudio.*so", "torchaudio/lib/_torchaudio.*so"]
