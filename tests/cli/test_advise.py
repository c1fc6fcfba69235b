"""`gpu-doctor advise`: its options, formats and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gpu_doctor import doctor
from gpu_doctor.cli.app import run
from gpu_doctor.model.advice import Advice
from gpu_doctor.model.case import Case
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from tests.advice.kit import TORCH, advised_for
from tests.checks.judge import judge_all
from tests.collect.environment import Environment
from tests.kit import inventory
from tests.readers.models.files import header, write

ROOT = Path(__file__).resolve().parents[2]
TORCH_VERSION = "__version__ = '2.8.0+cu128'\ncuda = '12.8'\nhip = None\n"


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    """An environment with a torch of which only the build record is there."""
    env = Environment(tmp_path / "venv")
    env.install("torch", "2.8.0+cu128", {"torch/version.py": TORCH_VERSION, "torch/__init__.py": ""})
    return str(env.prefix)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the doctor see this inventory."""

    def answer(found: Inventory) -> None:
        def advise_for(*_: Any, **__: Any) -> tuple[Case, Advice]:
            return judge_all(found), advised_for(found)

        monkeypatch.setattr(doctor, "choose", lambda python, prefix, *_: Target(python, prefix, "--python"))
        monkeypatch.setattr(doctor, "advise_for", advise_for)

    return answer


def test_text_from_files_alone(prefix: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["advise", "--prefix", prefix, "--gpu", "RTX 4090", "--driver", "580"]) == 0
    out, err = capsys.readouterr()
    assert "USE cuda:0  torch 2.8.0+cu128 can use GeForce RTX 4090 (sm_89)." in out
    assert err == ""


def test_a_driver_that_is_too_old_is_an_advice_too(prefix: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["advise", "--prefix", prefix, "--gpu", "RTX 4090", "--driver", "450.80.02"]) == 0
    assert "USE cpu" in capsys.readouterr().out


def test_json(prefix: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["advise", "--prefix", prefix, "--gpu", "RTX 4090", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["schema"], document["device"], document["prefix"]) == ("gpu-doctor/advice/1", "cuda:0", prefix)


def test_env_and_python_and_a_file(prefix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["advise", "--prefix", prefix, "--gpu", "T4", "--format", "env"]) == 0
    assert capsys.readouterr().out == "export PYTORCH_CUDA_ALLOC_CONF='expandable_segments:True'\n"
    file = tmp_path / "advice.py"
    assert run(["advise", "--prefix", prefix, "--gpu", "T4", "--format", "python", "--output", str(file)]) == 0
    found: dict[str, Any] = {}
    exec(file.read_text(), found)
    assert (found["device"], found["dtype"]) == ("cuda:0", "float16")
    assert capsys.readouterr().out == ""


def test_a_model_is_estimated(prefix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "m.safetensors", header(a=("BF16", [1000])))
    assert run(["advise", "--prefix", prefix, "--gpu", "T4", "--model", str(tmp_path / "m.safetensors")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "FITS it takes 500 MiB of 16.0 GiB of Tesla T4" in shown
    assert "PROBLEM The model is stored for bfloat16, which sm_75 does not compute in" in shown


@pytest.mark.parametrize(
    "options", [["--model", "/nowhere"], ["--model", ""], ["--gpu", "Voodoo 2"], ["--format", "yaml"]]
)
def test_misuse(prefix: str, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["advise", "--prefix", prefix, *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("gpu-doctor: ")


def test_a_hostile_model_is_one_line(prefix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "m.safetensors", b"{}", data=0, length=2**62)
    assert run(["advise", "--prefix", prefix, "--model", str(tmp_path / "m.safetensors")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (inventory(TORCH), 0),
        (inventory(TORCH, gpus=(), driver=None), 0),
        (inventory(TORCH, gpus=Unknown("NVML failed")), 0),
        (inventory(), 0),
        (inventory(gpus=(), driver=None), 0),
        (inventory(gpus=Unknown("NVML failed")), 3),
    ],
)
def test_exit_codes(seen: Any, found: Inventory, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    seen(found)
    assert run(["advise", "--python", "x"]) == code
    assert "USE c" in capsys.readouterr().out


def test_a_shell_can_evaluate_what_a_process_prints(prefix: str) -> None:
    line = f'eval "$("{sys.executable}" -m gpu_doctor advise --prefix "{prefix}" --gpu T4 --format env)"'
    script = f"{line} && echo $PYTORCH_CUDA_ALLOC_CONF"
    ended = subprocess.run(
        ["sh", "-euc", script], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=120
    )
    assert (ended.stdout, ended.stderr) == ("expandable_segments:True\n", "")


def test_measured_values_are_those_that_the_environment_remembers(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from gpu_doctor.bench import history
    from gpu_doctor.errors import DoctorError
    from tests.advice.kit import batch, bench

    sweep = bench(
        *("whisper", "cuda:0", 1.0),
        size="tiny",
        batches=(batch(2, 2.0, 1), batch(4, 5.0, 1)),
        device_name="GeForce RTX 4090",
    )
    target = Target(None, prefix, "--prefix", ("RTX 4090",))
    monkeypatch.setattr(history, "load", lambda _: (sweep,))
    assert doctor.advise_for(target, {})[1].batch_size("tiny") == 4

    def unreadable(_: str) -> tuple[()]:
        raise DoctorError("cannot read it")

    monkeypatch.setattr(history, "load", unreadable)
    advice = doctor.advise_for(target, {})[1]
    assert (advice.batch_size("tiny"), advice.warnings[-1]) == (64, "Nothing measured was used: cannot read it.")
