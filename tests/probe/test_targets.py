"""The same questions to Pythons of every version, in bare and hostile surroundings."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from gpu_doctor.probe.ask import Answer, ask
from tests.probe.processes import left_behind
from tests.probe.pythons import SERIES, python_of
from tests.simulated.packages import POISONS, Env, environ, environment

SOON = 2.0  # for what will never answer
LATE = 60.0  # for what will


def import_torch(env: Env, deadline: float = LATE, variables: Mapping[str, str] = MappingProxyType({})) -> Answer:
    return ask(
        "import_module.py",
        env.python,
        argument={"module": "torch"},
        deadline=deadline,
        environ=environ(**variables),
        options=("-B",),
        memory_limit=256 << 20,
    )


@pytest.mark.parametrize("name", POISONS)
def test_every_poison_ends_as_it_should_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    poison = POISONS[name]
    answer = import_torch(environment(tmp_path).torch(poison.code), SOON if poison.ending == "timed out" else LATE)
    assert answer.ending == poison.ending
    assert re.search(poison.said, f"{answer.reason}\n{answer.log}")
    assert left_behind() == []


@pytest.mark.parametrize("series", SERIES)
def test_a_python_of_every_version_answers_and_its_deaths_are_told(tmp_path: Path, series: str) -> None:
    python = python_of(series)
    healthy = import_torch(environment(tmp_path / "healthy", python).torch())
    assert (healthy.ending, healthy.value["version"]) == ("answered", "2.8.0+cu128")
    for name, said in (("segv", "was killed by SIGSEGV"), ("hang", "did not answer"), ("raise", "OSError: libcudnn")):
        env = environment(tmp_path / name, python).torch(POISONS[name].code)
        answer = import_torch(env, SOON if name == "hang" else LATE)
        assert (answer.ending, answer.reason[: len(said)]) == (POISONS[name].ending, said)
        if name != "raise":
            assert answer.told.stack[0] == f"{env.site}/torch/__init__.py:2 in <module>"


def test_the_library_that_was_being_loaded_is_named(tmp_path: Path) -> None:
    code = "import ctypes, os\ntry:\n    ctypes.CDLL('libnowhere.so.9')\nexcept OSError:\n    os.abort()\n"
    answer = import_torch(environment(tmp_path).torch(code))
    assert (answer.ending, answer.told.loading) == ("crashed", "libnowhere.so.9")


@pytest.mark.parametrize("series", ["3.8", "3.11"])
@pytest.mark.parametrize(
    "variables", [{"LC_ALL": "C", "LANG": "C"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}]
)
def test_words_of_any_script_come_back_in_any_locale(tmp_path: Path, series: str, variables: dict[str, str]) -> None:
    env = environment(tmp_path / "Übung", python_of(series)).torch("raise ImportError('größer \\u4e2d')\n")
    answer = import_torch(env, variables=variables)
    assert (answer.ending, answer.reason) == ("raised", "ImportError: größer 中")


def test_neither_home_nor_standard_streams_are_needed(tmp_path: Path) -> None:
    env = environment(tmp_path).torch()
    code = f"""\
import os, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from gpu_doctor.probe.ask import ask
told = os.open({str(tmp_path / "told")!r}, os.O_WRONLY | os.O_CREAT)
os.closerange(0, 3)
answer = ask("import_module.py", {env.python!r}, argument={{"module": "torch"}}, deadline=60, environ={{}})
os.write(told, answer.ending.encode())
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    assert (tmp_path / "told").read_text() == "answered"


def test_signals_that_the_asker_blocks_reach_the_child(tmp_path: Path) -> None:
    code = "import signal\nheld = signal.pthread_sigmask(signal.SIG_BLOCK, ())\nraise ImportError(repr(sorted(held)))\n"
    env = environment(tmp_path).torch(code)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    try:
        answer = import_torch(env)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert answer.reason == "ImportError: []"


def test_no_compiled_modules_are_left_in_the_target(tmp_path: Path) -> None:
    env = environment(tmp_path).torch()
    assert import_torch(env).ending == "answered"
    assert [path for path, _, _ in os.walk(env.prefix) if path.endswith("__pycache__")] == []
