"""The way through the gate: only what is required is looked at, files before questions, and what is ignored is gone."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from gpu_doctor import gate
from gpu_doctor.collect import needed
from gpu_doctor.errors import UsageError
from gpu_doctor.gate import Manner
from gpu_doctor.model.case import Report
from gpu_doctor.model.config import Config, Ignore, Written
from gpu_doctor.model.requirement import Requirement
from gpu_doctor.model.target import Target
from tests.collect.environment import Environment
from tests.simulated import packages
from tests.simulated.driver import RTX_4090, simulated_driver
from tests.simulated.packages import Env

TORCH = "__version__ = '2.8.0+cu128'\ncuda: Optional[str] = '12.8'\nhip: Optional[str] = None\n"
DAY = date(2026, 12, 1)
Steps = list[str]


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    made = Environment(tmp_path / "venv")
    made.install("torch", "2.8.0", {"torch/version.py": TORCH})
    return made


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Write down which parts were looked at, in their order."""
    done: Steps = []
    for name in ("begin_hardware", "read_code", "read_files", "ask"):
        monkeypatch.setattr(needed.Look, name, _noted(done, name, getattr(needed.Look, name)))
    return done


def _noted(done: Steps, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    def noted(*arguments: Any) -> Any:
        done.append(name)
        return method(*arguments)

    return noted


def required(*texts: str) -> tuple[Requirement, ...]:
    return gate.requirements(texts, Config())


def pass_through(
    prefix: Path, *texts: str, gpus: Sequence[str] = (), driver: str | None = None, environ: Any = None, **manner: Any
) -> Report:
    target = Target(None, str(prefix), "--prefix", tuple(gpus), driver)
    given = {"PATH": os.environ["PATH"]} if environ is None else environ
    return gate.preflight(target, given, required(*texts), Manner(today=DAY, **manner))


def standings(report: Report) -> dict[str, str]:
    return {judged.requirement.text: judged.standing for judged in report.requirements}


def test_names_of_packages_are_enough_for_a_package_that_is_not_there(environment: Environment, steps: Steps) -> None:
    report = pass_through(environment.prefix, "ctranslate2-cuda", "package:torch>=2.8,<3", "python>=3.11", "ram>=1MB")
    assert standings(report) == {
        "ctranslate2-cuda": "unmet",
        "package:torch>=2.8,<3": "met",
        "python>=3.11": "met",
        "ram>=1MB": "met",
    }
    assert steps == []
    assert report.cases[0].runs == ()


def test_hardware_alone_reads_no_files(environment: Environment, steps: Steps) -> None:
    report = pass_through(environment.prefix, "vram>=24GB", "driver>=570", gpus=["RTX 4090"], driver="570.86")
    assert set(standings(report).values()) == {"met"}
    assert steps == ["begin_hardware"]


def test_kernels_alone_read_the_code_and_run_one_rule(environment: Environment, steps: Steps) -> None:
    report = pass_through(environment.prefix, "kernels:sm_89", static=True)
    assert standings(report) == {"kernels:sm_89": "unmet"}
    assert report.requirements[0].message == "There is no GPU code for sm_89: no installed package carries GPU code."
    assert steps == ["read_code"]


def test_static_asks_nothing(environment: Environment, steps: Steps) -> None:
    report = pass_through(environment.prefix, "torch-cuda", "stft", gpus=["RTX 4090"], driver="570.86", static=True)
    assert standings(report) == {"torch-cuda": "undetermined", "stft": "undetermined"}
    assert steps == ["begin_hardware", "read_code", "read_files"]


def test_what_is_certain_without_a_question_is_not_asked(
    environment: Environment, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needed, "ask_for_hardware", lambda *_: lambda: ((None, ()), ()))
    report = pass_through(environment.prefix, "torch-cuda", "stft", "matmul:bf16")
    assert {judged.message for judged in report.requirements} == {"There is no NVIDIA GPU and no driver here."}
    assert steps == ["begin_hardware", "read_code", "read_files"]


def test_the_order_of_requirements_is_kept_and_each_says_when_it_was_known(environment: Environment) -> None:
    report = pass_through(
        environment.prefix, "vram>=1GB", "package:torch", "kernels:sm_89", gpus=["RTX 4090"], static=True
    )
    assert list(standings(report)) == ["vram>=1GB", "package:torch", "kernels:sm_89"]
    assert all(judged.seconds > 0 for judged in report.requirements)


@pytest.fixture
def machine(tmp_path: Path) -> tuple[Env, dict[str, str]]:
    """A machine with an RTX 4090 that is not here, and an environment that really starts."""
    env = packages.environment(tmp_path)
    driver = tmp_path / "driver"
    driver.mkdir()
    return env, simulated_driver(driver, RTX_4090, environ=packages.environ())


@pytest.mark.parametrize(("driver", "asked"), [("470.57.02", False), ("570.86", True)])
def test_what_files_say_of_assumed_hardware_needs_no_question(
    environment: Environment, steps: Steps, driver: str, asked: bool
) -> None:
    report = pass_through(environment.prefix, "torch-cuda", gpus=["RTX 4090"], driver=driver)
    assert ("ask" in steps) is asked
    causes = [cause.rule for cause in report.requirements[0].causes]
    assert ("driver-too-old" in causes) is not asked


def test_the_live_interpreter_is_asked_about_what_is_required_alone(machine: tuple[Env, dict[str, str]]) -> None:
    env, environ = machine
    env.torch().ctranslate2().onnxruntime()
    report = pass_through(env.prefix, "torch-cuda", environ=environ)
    probes = report.cases[0].inventory.probes
    assert isinstance(probes, tuple)
    assert {probe.subject for probe in probes if probe.kind == "import"} == {"torch"}
    assert {probe.kind for probe in probes} >= {"import", "cuda-init", "torch-gpu", "devices"}
    assert {probe.kind for probe in probes} & {"ort-session", "ctranslate2", "cufft"} == set()
    # This torch sees no GPU, although there is one.
    (judged,) = report.requirements
    assert judged.standing == "unmet"
    assert "silent-cpu-fallback" in [cause.rule for cause in judged.causes]


def test_a_torch_that_cannot_be_imported_is_named(machine: tuple[Env, dict[str, str]]) -> None:
    env, environ = machine
    env.torch("raise ImportError('libtorch_cuda.so: broken')\n")
    (judged,) = pass_through(env.prefix, "torch-cuda", environ=environ).requirements
    assert (judged.standing, judged.causes[0].rule) == ("unmet", "torch-import-fails")


def test_the_deadline_holds_for_everything_and_blames_nobody(machine: tuple[Env, dict[str, str]]) -> None:
    env, environ = machine
    env.torch("import time\ntime.sleep(600)\n")
    began = monotonic()
    report = pass_through(env.prefix, "torch-cuda", "vram>=24GB", environ=environ, deadline=3.0)
    assert monotonic() - began < 60
    assert standings(report) == {"torch-cuda": "undetermined", "vram>=24GB": "met"}
    assert report.requirements[0].message == "Not tried: the 3 s of --deadline were over."
    assert report.cases[0].findings == ()


def test_files_that_could_not_be_read_in_time_leave_open_what_needs_them_alone(environment: Environment) -> None:
    environment.install("other", "1.0", {"other/libx.so": "no library"})
    texts = ("torch-cuda", "kernels:sm_89", "vram>=24GB", "python>=3")
    report = pass_through(environment.prefix, *texts, gpus=["RTX 4090"], driver="570.86", deadline=0.000001)
    assert standings(report) == dict(zip(texts, ("undetermined", "undetermined", "met", "met"), strict=True))
    assert report.requirements[0].message == "Not all files were read: the 1e-06 s of --deadline were over."
    assert report.cases[0].runs == ()


def test_code_that_was_read_in_time_is_judged_though_other_files_were_not(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(*_: object) -> None:
        raise needed.TimeOver("the 1 s were over")

    monkeypatch.setattr(needed.Look, "read_files", late)
    report = pass_through(environment.prefix, "torch-cuda", "kernels:sm_89", gpus=["RTX 4090"], driver="570.86")
    assert standings(report) == {"torch-cuda": "undetermined", "kernels:sm_89": "unmet"}
    assert report.requirements[0].message == "Not all files were read: the 1 s were over."


def test_what_is_ignored_makes_nothing_unmet_and_is_kept_in_the_report(machine: tuple[Env, dict[str, str]]) -> None:
    env, environ = machine
    env.torch()
    forgiven = Ignore("silent-cpu-fallback", "a stub", "gpu-doctor.toml:1")
    report = pass_through(env.prefix, "torch-cuda", environ=environ, config=Config(ignore=(forgiven,)))
    assert [item.finding.rule for item in report.ignored] == ["silent-cpu-fallback"]
    assert "silent-cpu-fallback" not in [cause.rule for cause in report.requirements[0].causes]
    over = replace(forgiven, until=date(2026, 11, 30))
    late = pass_through(env.prefix, "torch-cuda", environ=environ, config=Config(ignore=(over,)))
    assert late.ignored == ()
    assert "silent-cpu-fallback" in [cause.rule for cause in late.requirements[0].causes]


def test_the_command_line_replaces_what_the_file_requires() -> None:
    config = Config(require=(Written("stft", "x:1"), Written("stft", "x:2"), Written("cudnn", "x:3")))
    assert [(item.name, item.where) for item in gate.requirements((), config)] == [("stft", "x:2"), ("cudnn", "x:3")]
    assert [item.name for item in gate.requirements(["driver>=1"], config)] == ["driver"]


def test_nothing_to_require_is_refused() -> None:
    for texts in ((), (" , ",)):
        with pytest.raises(UsageError, match="nothing is required"):
            gate.requirements(texts, Config())


@pytest.mark.parametrize(
    ("found", "fail_on", "code"),
    [
        (["met"], "error", 0),
        (["met", "unmet", "undetermined"], "error", 1),
        (["met", "undetermined"], "error", 3),
        (["unmet"], "never", 0),
        (["unmet", "undetermined"], "never", 3),
    ],
)
def test_the_exit_code(environment: Environment, found: list[str], fail_on: Any, code: int) -> None:
    report = pass_through(environment.prefix, "python>=3")
    (judged,) = report.requirements
    made = replace(report, requirements=tuple(replace(judged, standing=item) for item in found))  # type: ignore[arg-type]
    assert gate.exit_code(made, fail_on) == code
