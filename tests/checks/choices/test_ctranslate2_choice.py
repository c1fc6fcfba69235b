from __future__ import annotations

from typing import Any

import pytest
from packaging.version import Version

from gpu_doctor.checks.choices.ctranslate2_choice import upgrade
from gpu_doctor.model.remedy import command
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import FACTS
from tests.kit import dist, interpreter, inventory

CT2 = dist("ctranslate2", "4.6.1")


def line(*packages: Any, **changes: Any) -> str | None:
    remedy = upgrade(inventory(*packages, **changes), FACTS)
    return command(remedy.steps[0]) if remedy else None


def test_the_first_release_without_cudnn_or_newer() -> None:
    assert line(CT2) == "uv pip install --python /opt/app/venv/bin/python 'ctranslate2>=4.6.3,<5'"


def test_beside_torch_it_stays_with_the_releases_that_import_it_and_cublas_with_it() -> None:
    found = line(CT2, dist("torch", "2.8.0", cuda="12.8"))
    assert found is not None and found.endswith(" 'ctranslate2>=4.6.3,<4.8.2'")


def test_who_pins_it_is_upgraded_together_where_that_is_asked_for() -> None:
    here = inventory(CT2, dist("whisperx", "3.3.1", requires=("ctranslate2<4.5.0",)))
    remedy = upgrade(here, FACTS, together=True)
    assert remedy is not None
    assert command(remedy.steps[0]).endswith(" 'ctranslate2>=4.6.3,<5' whisperx")
    assert "whisperx, which holds it back" in remedy.summary


def test_a_pin_that_allows_it_is_no_obstacle() -> None:
    assert line(CT2, dist("faster-whisper", "1.2.1", requires=("ctranslate2<5,>=4.0",)))


def test_a_pin_that_forbids_it_is_one() -> None:
    assert line(CT2, dist("whisperx", "3.3.1", requires=("ctranslate2==4.4.0",))) is None


def test_a_shadowed_package_pins_nothing() -> None:
    assert line(CT2, dist("whisperx", "3.3.1", requires=("ctranslate2==4.4.0",), active=False))


def test_a_python_without_a_wheel_for_it_gets_another_advice() -> None:
    assert line(CT2, interpreter=interpreter(version=Version("3.8.20"))) is None
    assert line(CT2, interpreter=interpreter(version=Unknown("no pyvenv.cfg")))


@pytest.mark.parametrize(
    "packages",
    [(), (dist("ctranslate2", "4.8.5"),), (dist("ctranslate2", "4.6.3"),), (dist("ctranslate2", Unknown("?")),)],
    ids=["not installed", "newer", "just that one", "unknown"],
)
def test_there_is_nothing_to_upgrade(packages: Any) -> None:
    assert line(*packages) is None
