"""Steps become deeds as things are at the moment: pins, RECORDs that have moved, variables."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpu_doctor.fix import workshop
from gpu_doctor.fix.ground import Ground
from gpu_doctor.fix.planner import with_pins
from gpu_doctor.fix.scripts import activated, remembered
from gpu_doctor.fix.steps import Hands, NotDone, deeds
from gpu_doctor.model.change import NewFile
from gpu_doctor.model.past import HOME
from gpu_doctor.model.plan import Plan
from gpu_doctor.model.remedy import EditPins, InstallPackages, ListInRecord, MakeLink, RunByHand, SetVariable, Step
from gpu_doctor.pins.edit import edited
from tests.fix.ground import RECORD, SITE, environment, executor, only_journal, quiet, treatment, tree

UPGRADE = InstallPackages(("uv", "pip"), "/opt/app/.venv/bin/python", ("ctranslate2>=4.6.3,<5",))


def hands(prefix: Path, *outside: Path) -> Hands:
    return Hands(Ground(str(prefix), tuple(map(str, outside))), {}, edited)


def content(step: Step, given: Hands) -> str:
    (change,) = deeds(step, given)
    assert isinstance(getattr(change, "new", None), NewFile)
    return change.new.content.decode()  # type: ignore[union-attr]


# --- Pins --------------------------------------------------------------------------------------------------------------


def test_an_open_requirement_is_pinned_to_what_was_installed(tmp_path: Path) -> None:
    prefix, project = environment(tmp_path), tmp_path / "constraints.txt"
    project.write_text("# ours\nctranslate2==4.4.0\n")
    step = EditPins(str(project), ("ctranslate2>=4.6.1,<5", "torch==2.8.0+cu128"))
    assert content(step, hands(prefix, project)) == "# ours\nctranslate2==4.6.1\ntorch==2.8.0+cu128\n"


def test_what_is_not_installed_cannot_be_pinned(tmp_path: Path) -> None:
    prefix, project = environment(tmp_path), tmp_path / "constraints.txt"
    with pytest.raises(NotDone, match="torch is not installed, so there is no version to pin"):
        list(deeds(EditPins(str(project), ("torch>=2",)), hands(prefix, project)))


def test_a_file_that_cannot_hold_pins_stops_the_treatment(tmp_path: Path) -> None:
    prefix, project = environment(tmp_path), tmp_path / "pyproject.toml"
    project.write_text("[tool.poetry.dependencies]\ntorch = '2.6'\n")
    with pytest.raises(NotDone, match="Poetry"):
        list(deeds(EditPins(str(project), ("torch==2.8.0",)), hands(prefix, project)))


def test_a_durable_plan_pins_what_uv_installs_and_nothing_else() -> None:
    links = (MakeLink("/opt/app/.venv/a", "b"),)
    plan = Plan((treatment((UPGRADE,)), treatment(links), treatment((RunByHand("reboot", "it is new"),))), ())
    pinned = with_pins(plan, "/opt/app/pyproject.toml")
    assert [item.steps for item in pinned.treatments] == [
        (UPGRADE, EditPins("/opt/app/pyproject.toml", ("ctranslate2>=4.6.3,<5",))),
        links,
        (RunByHand("reboot", "it is new"),),
    ]
    assert with_pins(plan, None) == plan


# --- RECORD ------------------------------------------------------------------------------------------------------------


def test_a_record_is_found_where_an_upgrade_has_put_it(tmp_path: Path) -> None:
    prefix = environment(tmp_path)
    old = (prefix / RECORD).parent
    old.rename(old.with_name("ctranslate2-4.8.1.dist-info"))
    (change,) = deeds(ListInRecord(f"{prefix}/{RECORD}", ("ctranslate2.libs/libcublas.so.12",)), hands(prefix))
    assert change.path == f"{prefix}/{SITE}/ctranslate2-4.8.1.dist-info/RECORD"  # type: ignore[union-attr]


def test_a_record_that_is_nowhere_is_an_error(tmp_path: Path) -> None:
    prefix = environment(tmp_path)
    (prefix / RECORD).unlink()
    (prefix / RECORD).parent.rmdir()
    with pytest.raises(OSError, match="No such file"):
        list(deeds(ListInRecord(f"{prefix}/{RECORD}", ("a",)), hands(prefix)))


# --- Variables ---------------------------------------------------------------------------------------------------------


def set_variables(prefix: Path, *steps: SetVariable, environ: dict[str, str] | None = None) -> None:
    doing = executor(prefix, environ or {})
    doing.open(treatment(steps))
    doing.do(steps)
    doing.keep()
    workshop.end(doing.journal, "kept")


def test_a_variable_is_set_at_activation_remembered_and_taken_back(tmp_path: Path) -> None:
    prefix = environment(tmp_path)
    (prefix / "bin").mkdir()
    (prefix / "bin/activate").write_text("deactivate () { :; }\n")
    before = tree(tmp_path)
    wanted = f"{prefix}/{SITE}/nvidia/cudnn/lib"
    set_variables(prefix, SetVariable("LD_LIBRARY_PATH", wanted))
    assert "# >>> gpu-doctor >>>" in (prefix / "bin/activate").read_text()
    assert activated(str(prefix), {"LD_LIBRARY_PATH": "/opt/cuda"}) == {"LD_LIBRARY_PATH": f"{wanted}:/opt/cuda"}
    workshop.take_back(str(prefix), only_journal(prefix), quiet)
    assert tree(tmp_path) == before
    assert remembered(str(prefix)) == ()


def test_a_second_time_and_in_the_activated_environment_there_is_nothing_to_do(tmp_path: Path) -> None:
    prefix = environment(tmp_path)
    step = SetVariable("LD_LIBRARY_PATH", f"{prefix}/{SITE}/nvidia/cudnn/lib")
    set_variables(prefix, step)
    assert list(deeds(step, hands(prefix))) == []


def test_a_second_variable_joins_the_first(tmp_path: Path) -> None:
    prefix = environment(tmp_path)
    set_variables(prefix, SetVariable("LD_LIBRARY_PATH", f"{prefix}/a"))
    set_variables(prefix, SetVariable("NVIDIA_TF32_OVERRIDE", None), environ={"NVIDIA_TF32_OVERRIDE": "1"})
    assert activated(str(prefix), {"NVIDIA_TF32_OVERRIDE": "1"}) == {"LD_LIBRARY_PATH": f"{prefix}/a"}


def test_condas_own_folders_are_made_where_they_are_missing_and_go_again(tmp_path: Path) -> None:
    prefix = environment(tmp_path)
    (prefix / "conda-meta").mkdir()
    before = tree(tmp_path)
    set_variables(prefix, SetVariable("LD_LIBRARY_PATH", f"{prefix}/a"))
    folders = {folder: set(os.listdir(prefix / "etc/conda" / folder)) for folder in ("activate.d", "deactivate.d")}
    assert "gpu-doctor.sh" in folders["activate.d"] & folders["deactivate.d"]
    workshop.take_back(str(prefix), only_journal(prefix), quiet)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("damage", ["", "{", "{}", '[{"name": 1}]', '[{"name": "A", "prepend": "x"}]', "[3]"])
def test_a_damaged_memory_is_no_memory(tmp_path: Path, damage: str) -> None:
    (tmp_path / HOME).mkdir()
    (tmp_path / HOME / "variables.json").write_text(damage)
    assert remembered(str(tmp_path)) == ()
