"""Looking in stages: all of them together see what one look at everything sees, and none sees what it was not asked."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from gpu_doctor.collect.inventory import take_inventory
from gpu_doctor.collect.needed import Look, TimeOver
from gpu_doctor.collect.wish import Wish
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import UNASKED
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.probe.limit import Limit
from tests.collect.environment import Environment
from tests.simulated import packages

FACTS = Facts.load()
FILES = {"torch/version.py": "__version__ = '2.8.0+cu128'\ncuda: Optional[str] = '12.8'\n", "torch/a.py": "x"}


def target(prefix: Path) -> Target:
    return Target(None, str(prefix), "--prefix", ("RTX 4090",), "570.86")


def test_all_stages_together_see_what_one_look_sees(tmp_path: Path) -> None:
    made = Environment(tmp_path / "venv")
    made.install("torch", "2.8.0", FILES)
    made.install("other", "1.0", {"torch/a.py": "y"})
    look = Look(target(made.prefix), {}, FACTS)
    look.begin_hardware()
    look.read_code(print)
    look.read_files(print)
    look.end_hardware()
    assert look.inventory == take_inventory(target(made.prefix), {}, FACTS, print, Wish(frozenset()))
    assert look.inventory.overlaps != ()


def test_the_first_look_knows_packages_and_says_of_the_rest_that_nothing_needed_it(tmp_path: Path) -> None:
    made = Environment(tmp_path / "venv")
    made.install("torch", "2.8.0", FILES)
    look = Look(target(made.prefix), {}, FACTS)
    look.end_hardware()
    seen = look.inventory
    assert [item.name for item in seen.distributions] == ["torch"]
    assert isinstance(seen.gpus, Unknown)
    assert isinstance(seen.driver, Unknown)
    assert (seen.libraries, seen.probes) == ((), UNASKED)


def test_questions_are_about_the_named_distributions_and_the_inventory_keeps_all(tmp_path: Path) -> None:
    env = packages.environment(tmp_path).torch().ctranslate2()
    look = Look(target(env.prefix), packages.environ(), FACTS)
    look.ask(Wish(frozenset(("import",))), ("torch",), print)
    assert isinstance(look.inventory.probes, tuple)
    assert [(probe.subject, probe.ending) for probe in look.inventory.probes] == [("torch", "answered")]
    assert {item.name for item in look.inventory.distributions} == {"torch", "ctranslate2"}


def test_without_an_interpreter_nothing_can_be_asked(tmp_path: Path) -> None:
    made = Environment(tmp_path / "venv")
    made.install("torch", "2.8.0", FILES)
    look = Look(target(made.prefix), {}, FACTS)
    look.ask(Wish(), ("torch",), print)
    assert look.inventory.probes == Unknown("there is no interpreter to ask")


def test_a_time_that_is_over_ends_the_reading_of_files_and_the_packages_are_still_known(tmp_path: Path) -> None:
    made = Environment(tmp_path / "venv")
    made.install("torch", "2.8.0", FILES)
    look = Look(target(made.prefix), {}, FACTS, Limit(time.monotonic(), "the 0 s were over"))
    with pytest.raises(TimeOver, match="the 0 s were over"):
        look.read_files(print)
    assert [item.name for item in look.inventory.distributions] == ["torch"]


def test_a_time_that_is_over_ends_the_reading_of_libraries_between_two_of_them(tmp_path: Path) -> None:
    made = Environment(tmp_path / "venv")
    made.install("torch", "2.8.0", {"torch/lib/libtorch_cuda.so": "no library"})
    for seconds, ends in ((60, False), (-1, True)):
        look = Look(target(made.prefix), {}, FACTS, Limit(time.monotonic() + seconds, "over"))
        with pytest.raises(TimeOver) if ends else nullcontext():
            look.read_code(print)
