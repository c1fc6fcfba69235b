"""CTranslate2's cuDNN in real environments, healed by `gpu-doctor fix`: proven by calling it, and undone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import pytest

from tests.labs.copies import Tree, ask, gpu_doctor, python, tree, uv
from tests.labs.healed import CALL_CUDNN, Patient
from tests.labs.recipes import GRID

pytestmark = pytest.mark.lab

Lab = Callable[[str], Path]

FOR_CUDNN_8 = {name for name in GRID if name.startswith("ct2-4.4.0-")}


def works_in_every_order(prefix: Path, code: str, *modules: str) -> bool:
    # The loader of 4.5.0 has a DT_RPATH that leads nowhere: it lives by that of the library which opens it, so nobody
    # but ctranslate2 can; in the other orders the first module is one that does without.
    every = [order for count in range(len(modules) + 1) for order in permutations(modules, count)]
    orders = [order for order in every if modules[-1] in order]
    runs = (ask(prefix, "".join(f"import {name}\n" for name in order) + code) for order in orders)
    return all(run.returncode == 0 for run in runs)


@pytest.fixture
def patient(lab: Lab, tmp_path: Path) -> Callable[[str], Patient]:
    return lambda name: Patient(lab(name), tmp_path)


@pytest.mark.parametrize("name", sorted(GRID))
def test_cudnn_of_every_release_that_bundles_its_loader(
    patient: Callable[[str], Patient], name: str, tmp_path: Path
) -> None:
    sick = patient(name)
    assert not works_in_every_order(sick.prefix, CALL_CUDNN, "ctranslate2")
    sick.healed_for_good("cudnn")
    assert works_in_every_order(sick.prefix, CALL_CUDNN, "ctranslate2")
    if name in FOR_CUDNN_8:  # no link heals it; without Python nothing can be installed either
        assert "upgrade: pip install 'ctranslate2>=" in refused_by_script(sick.lab, tmp_path / "script")
    else:
        assert shape(by_script(sick.lab, tmp_path / "script").prefix) == shape(sick.prefix) != shape(sick.lab)
    assert uv("pip", "check", "--python", python(sick.prefix)).returncode == 0
    sick.undone()
    assert not works_in_every_order(sick.prefix, CALL_CUDNN, "ctranslate2")


@pytest.mark.parametrize(
    ("name", "prefer"),
    [
        ("folk-fixed", "minimal"),
        ("folk-fixed", "durable"),
        ("dangling", "minimal"),
        ("dangling", "durable"),
        ("whisperx-cudnn", "minimal"),
    ],
)
def test_cudnn_where_earlier_recipes_left_their_links(
    patient: Callable[[str], Patient], name: str, prefer: str, tmp_path: Path
) -> None:
    sick = patient(name)
    modules = ("ctranslate2",) if name == "dangling" else ("torch", "ctranslate2")
    assert not works_in_every_order(sick.prefix, CALL_CUDNN, *modules)
    assert sick.fix("cudnn", "--prefer", prefer)["status"] == "healed"
    healed = tree(sick.prefix)
    assert works_in_every_order(sick.prefix, CALL_CUDNN, *modules)
    assert [path for path in healed if path.endswith(".so.9.1.0") and healed[path][0] == "link"] in (
        [],
        [_loader(healed)],
    )
    if prefer == "minimal":
        assert shape(by_script(sick.lab, tmp_path / "script").prefix) == shape(sick.prefix) != shape(sick.lab)
    sick.undone()


def _loader(healed: Tree) -> str:
    """Return the path of the bundled loader, which stays a link where nobody kept the file that a recipe replaced."""
    return next((path for path in healed if "/ctranslate2.libs/libcudnn-" in path), "")


def test_a_later_sync_that_takes_the_links_away_is_found_and_said(patient: Callable[[str], Patient]) -> None:
    sick = patient("ct2-4.6.1-cudnn-9.10.2.21")
    sick.fix("cudnn")
    again = uv("pip", "install", "--python", python(sick.prefix), "--reinstall", "--no-deps", "ctranslate2==4.6.1")
    assert again.returncode == 0, again.stderr
    libs = next(sick.prefix.glob("lib/python3*/site-packages/ctranslate2.libs"))
    assert [path.name for path in libs.iterdir() if path.is_symlink()] == []  # RECORD was true, so uv took them along
    run = gpu_doctor("check", "--python", python(sick.prefix))
    assert run.returncode == 1
    assert "healed before, on " in run.stdout
    assert sick.fix("cudnn")["status"] == "healed"


SCRIPT = Path(__file__).parents[2] / "scripts/fix_ctranslate2_cudnn.sh"


def by_script(lab: Path, place: Path) -> Patient:
    """Return a copy that was healed by the script for people without the tool."""
    sick, run = _scripted(lab, place)
    assert run.returncode == 0, run.stderr
    return sick


def refused_by_script(lab: Path, place: Path) -> str:
    """Return what the script says where it cannot help, which leaves everything as it was."""
    sick, run = _scripted(lab, place)
    assert run.returncode == 1
    assert tree(sick.prefix) == sick.before
    return run.stderr


def _scripted(lab: Path, place: Path) -> tuple[Patient, subprocess.CompletedProcess[str]]:
    place.mkdir()
    sick = Patient(lab, place)
    command = ["bash", str(SCRIPT), "--prefix", str(sick.prefix)]
    return sick, subprocess.run(command, capture_output=True, text=True)


def shape(prefix: Path) -> dict[str, object]:
    """Return the links of an environment, and what its RECORDs list."""
    found: dict[str, object] = {}
    for path in (path for site in prefix.glob("lib/python3*/site-packages") for path in site.rglob("*")):
        name = str(path.relative_to(prefix))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.name == "RECORD":
            found[name] = path.read_text()
    return found


def test_removing_the_package_afterwards_leaves_nothing_of_the_repair(patient: Callable[[str], Patient]) -> None:
    sick = patient("ct2-4.6.1-cudnn-9.10.2.21")
    sick.fix("cudnn")
    assert uv("pip", "uninstall", "--python", python(sick.prefix), "ctranslate2").returncode == 0
    assert list(sick.prefix.glob("lib/python3*/site-packages/ctranslate2*")) == []
    site = next(sick.prefix.glob("lib/python3*/site-packages"))
    assert (site / "nvidia/cudnn/lib/libcudnn_ops.so.9").is_file()
