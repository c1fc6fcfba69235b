"""The recipes as data, and the promise that no step writes through a hard link; nothing is installed here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.labs import build as building
from tests.labs.recipes import (
    CUDNN_PARTS,
    HEALTHY,
    MATERIAL,
    RECIPES,
    SICK,
    Install,
    Recipe,
    follow_folk_advice,
    install,
    link_every_cudnn_part,
    truncate_cudnn_ops,
)


def test_every_sick_recipe_has_a_healthy_twin() -> None:
    answered = {name for recipe in HEALTHY.values() for name in recipe.twin_of}
    assert answered == set(SICK)


def test_every_sick_recipe_says_what_is_in_it() -> None:
    assert [name for name, recipe in SICK.items() if not recipe.what] == []


def test_no_name_stands_for_two_environments() -> None:
    assert len(RECIPES) == len(SICK) + len(HEALTHY) + len(MATERIAL)


@pytest.mark.parametrize("name", RECIPES)
def test_everything_named_is_pinned(name: str) -> None:
    requirements = [r for step in RECIPES[name].steps if isinstance(step, Install) for r in step.requirements]
    assert requirements
    assert [r for r in requirements if "==" not in r] == []


def test_recipes_with_the_same_steps_share_one_environment() -> None:
    assert RECIPES["torch212-t4"].key() == RECIPES["torch-driver525"].key()
    assert RECIPES["torch28-t4"].key() == RECIPES["torch-2.8"].key()


def test_a_changed_step_is_another_environment() -> None:
    def change(site: Path) -> None:
        (site / "a").touch()

    def other_change(site: Path) -> None:
        (site / "b").touch()

    plain = install("torch==2.8.0")
    keys = {Recipe(steps).key() for steps in ((plain,), (plain, change), (plain, other_change))}
    assert len(keys) == 3


def test_variables_name_the_environment_they_are_used_with(tmp_path: Path) -> None:
    variables = RECIPES["shadowed-cudnn"].environment(tmp_path)
    assert variables == {"LD_LIBRARY_PATH": f"{tmp_path}/older/nvidia/cudnn/lib"}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site-packages whose files are linked from a cache, as uv does it."""
    cache, site = tmp_path / "cache", tmp_path / "site"
    names = ["ctranslate2.libs/libcudnn-74a4c495.so.9.1.0", "nvidia/cudnn/lib/libcudnn.so.9"]
    names += [f"nvidia/cudnn/lib/libcudnn_{part}.so.9" for part in CUDNN_PARTS]
    for number, name in enumerate(names):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        cache.mkdir(exist_ok=True)
        (cache / str(number)).write_bytes(name.encode())
        os.link(cache / str(number), site / name)
    return site


@pytest.mark.parametrize("change", [follow_folk_advice, link_every_cudnn_part, truncate_cudnn_ops])
def test_a_change_leaves_the_shared_cache_alone(site: Path, change: object) -> None:
    cache = site.parent / "cache"
    before = {path.name: path.read_bytes() for path in cache.iterdir()}
    assert callable(change)
    change(site)
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == before


def test_truncating_halves_the_environments_own_file(site: Path) -> None:
    library = site / "nvidia/cudnn/lib/libcudnn_ops.so.9"
    size = library.stat().st_size
    truncate_cudnn_ops(site)
    assert library.stat().st_size == size // 2
    assert library.stat().st_nlink == 1


def test_links_lead_to_the_parts(site: Path) -> None:
    link_every_cudnn_part(site)
    for part in CUDNN_PARTS:
        link = site / f"ctranslate2.libs/libcudnn_{part}.so.9"
        assert link.is_symlink()
        assert link.samefile(site / f"nvidia/cudnn/lib/libcudnn_{part}.so.9")


def test_a_failed_build_is_told_in_one_line_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\necho 'no such\nindex' >&2\nexit 1\n")
    uv.chmod(0o755)
    monkeypatch.setenv("GPU_DOCTOR_LABS", str(tmp_path / "labs"))
    monkeypatch.setattr(building, "_find_uv", lambda: str(uv))
    for _ in range(2):
        with pytest.raises(building.LabNotBuilt, match=r"^lab torch-2\.8 .*uv venv.* says: no such index$"):
            building.build("torch-2.8")


def test_a_built_lab_is_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = tmp_path / "calls"
    uv = tmp_path / "uv"
    uv.write_text(
        f'#!/bin/sh\necho "$@" >> {calls}\nfor last; do :; done\n[ "$2" = venv ] && mkdir -p "$last"\nexit 0\n'
    )
    uv.chmod(0o755)
    monkeypatch.setenv("GPU_DOCTOR_LABS", str(tmp_path / "labs"))
    monkeypatch.setattr(building, "_find_uv", lambda: str(uv))
    first = building.build("torch-2.8")
    assert building.build("torch-2.8") == first
    assert building.build("torch28-t4") == first
    assert len(calls.read_text().splitlines()) == 2
