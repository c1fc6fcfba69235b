from __future__ import annotations

import pytest
from packaging.version import Version

from gpu_doctor.collect import hardware
from gpu_doctor.collect.hardware import ask_for_hardware, assumed_hardware
from gpu_doctor.errors import UnknownHardware
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.hardware import Driver
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from tests.kit import host

FACTS = Facts.load()


def target(*gpus: str, driver: str | None = None) -> Target:
    return Target(None, "/opt/app", "--prefix", gpus, driver)


def test_what_was_not_named_stays_unknown() -> None:
    driver, gpus = assumed_hardware(target("RTX 5090"), FACTS)
    assert driver == Unknown("the driver is not known: give --driver")
    assert isinstance(gpus, tuple)
    assert [gpu.sm for gpu in gpus] == ["sm_120"]
    driver, gpus = assumed_hardware(target(driver="535"), FACTS)
    assert isinstance(driver, Driver)
    assert (driver.version, driver.driver_cuda) == (Version("535"), Version("12.2"))
    assert gpus == Unknown("the GPU is not known: give --gpu")


@pytest.mark.parametrize("wrong", [target("RTX 9999"), target(driver="banana")])
def test_words_without_meaning_are_the_users_mistake(wrong: Target) -> None:
    with pytest.raises(UnknownHardware):
        assumed_hardware(wrong, FACTS)


def test_this_machine_is_not_asked_where_the_hardware_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import gpu_doctor.probe.gpus

    def asked(*_: object) -> None:
        raise AssertionError("the machine was asked")

    monkeypatch.setattr(gpu_doctor.probe.gpus, "start_gpu_question", asked)
    (driver, gpus), observations = ask_for_hardware(target("T4"), host(), {}, FACTS)()
    assert isinstance(driver, Unknown)
    assert isinstance(gpus, tuple)
    assert observations == ()


def test_names_that_the_driver_tells_are_looked_up_in_the_facts() -> None:
    assert hardware._capability(FACTS, "NVIDIA GeForce RTX 4090") == (8, 9)
    assert hardware._capability(FACTS, "NVIDIA Something Of Next Year") is None
