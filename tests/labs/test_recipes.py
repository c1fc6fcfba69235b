"""The recipes as data, and the promise that no step writes through a hard link; nothing is installed here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.labs import build as building
from tests.labs.recipes import (
    CUDNN,
    FOLK_ADVICE,
    HEALTHY,
    LINKS_TO_EVERY_PART,
    LOADER,
    MATERIAL,
    PARTS,
    RECIPES,
    SICK,
    TO_REPAIR,
    Halve,
    Install,
    Link,
    Recipe,
    install,
)

OPS = f"{CUDNN}/libcudnn_ops.so.9"


def test_every_sick_recipe_has_a_healthy_twin() -> None:
    answered = {name for recipe in HEALTHY.values() for name in recipe.twin_of}
    assert answered == set(SICK)


def test_every_sick_recipe_says_what_is_in_it() -> None:
    assert [name for name, recipe in SICK.items() if not recipe.what] == []


def test_no_name_stands_for_two_environments() -> None:
    assert len(RECIPES) == len(SICK) + len(HEALTHY) + len(MATERIAL) + len(TO_REPAIR)


@pytest.mark.parametrize("name", RECIPES)
def test_everything_named_is_pinned(name: str) -> None:
    requirements = [r for step in RECIPES[name].steps if isinstance(step, Install) for r in step.requirements]
    assert requirements
    assert [r for r in requirements if "==" not in r] == []


def test_recipes_with_the_same_steps_share_one_environment() -> None:
    assert RECIPES["torch212-t4"].key() == RECIPES["torch-driver525"].key()
    assert RECIPES["torch28-t4"].key() == RECIPES["torch-2.8"].key()


def test_a_changed_step_is_another_environment() -> None:
    plain = install("torch==2.8.0")
    assert len({Recipe(steps).key() for steps in ((plain,), (plain, Halve("a")), (plain, Halve("b")))}) == 3


def test_variables_name_the_environment_they_are_used_with(tmp_path: Path) -> None:
    variables = RECIPES["shadowed-cudnn"].environment(tmp_path)
    assert variables == {"LD_LIBRARY_PATH": f"{tmp_path}/older/nvidia/cudnn/lib"}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site-packages whose files are linked from a cache, as uv does it."""
    cache, site = tmp_path / "cache", tmp_path / "site"
    cache.mkdir()
    names = [LOADER, f"{CUDNN}/libcudnn.so.9", *(f"{CUDNN}/libcudnn_{part}.so.9" for part in PARTS)]
    for number, name in enumerate(names):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (cache / str(number)).write_bytes(name.encode())
        os.link(cache / str(number), site / name)
    return site


@pytest.mark.parametrize("steps", [FOLK_ADVICE, LINKS_TO_EVERY_PART, (Halve(OPS),)])
def test_spoiling_leaves_the_shared_cache_alone(site: Path, steps: tuple[Link | Halve, ...]) -> None:
    cache = site.parent / "cache"
    before = {path.name: path.read_bytes() for path in cache.iterdir()}
    for step in steps:
        building.spoil(site, step)
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == before


def test_halving_cuts_the_environments_own_file(site: Path) -> None:
    size = (site / OPS).stat().st_size
    building.spoil(site, Halve(OPS))
    assert (site / OPS).stat().st_size == size // 2
    assert (site / OPS).stat().st_nlink == 1


def test_links_lead_to_the_parts(site: Path) -> None:
    for step in LINKS_TO_EVERY_PART:
        building.spoil(site, step)
        assert (site / step.path).is_symlink()
        assert (site / step.path).samefile(site / CUDNN / Path(step.path).name)


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
