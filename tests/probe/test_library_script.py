"""Where a name is found: the very question that is asked of a target, put to libraries that gcc builds."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from gpu_doctor.model.probes import Probe
from gpu_doctor.probe.together import Asking, Question
from tests.readers.toolchain import build

NAME = "libwanted.so.12"


def library(folder: Path, name: str = NAME) -> str:
    """Build a library with its name as SONAME and return its path."""
    return str(build(folder, "int here(void) { return 1; }", f"-Wl,-soname,{name}", name=name))


def ask(*wanted: dict[str, Any], after: tuple[str, ...] = (), **variables: str) -> Probe:
    items = [{"name": NAME, "names": [NAME], "rpath": [], "runpath": [], **item} for item in wanted]
    environ = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    with Asking(sys.executable, {**environ, **variables}, workers=1, options=("-B",)) as asking:
        asking.add((Question("library", "pkg", "library.py", {"after": after, "wanted": items}, 30),))
        (probe,) = asking.results(lambda _words: None)
    assert probe.ending == "answered"
    return probe


def opened(probe: Probe) -> list[str | None]:
    return [trial.value("opened") for trial in probe.trials]


def test_a_name_that_is_nowhere_fails_with_the_words_of_ld_so() -> None:
    (trial,) = ask({}).trials
    assert (trial.name, trial.outcome) == (NAME, "failed")
    assert trial.detail == f"OSError: {NAME}: cannot open shared object file: No such file or directory"


def test_the_variable_serves_it(tmp_path: Path) -> None:
    path = library(tmp_path)
    assert opened(ask({}, LD_LIBRARY_PATH=str(tmp_path))) == [path]


def test_an_rpath_comes_before_the_variable_and_a_runpath_after_it(tmp_path: Path) -> None:
    own, foreign = library(tmp_path / "own"), library(tmp_path / "foreign")
    variable = str(tmp_path / "foreign")
    assert opened(ask({"rpath": ["/nowhere", str(tmp_path / "own")]}, LD_LIBRARY_PATH=variable)) == [own]
    assert opened(ask({"runpath": [str(tmp_path / "own")]}, LD_LIBRARY_PATH=variable)) == [foreign]
    assert opened(ask({"runpath": ["/nowhere", str(tmp_path / "own")]})) == [own]


def test_what_an_import_has_loaded_comes_before_everything(tmp_path: Path) -> None:
    first, other = library(tmp_path / "first"), library(tmp_path / "other")
    (tmp_path / "loads_it.py").write_text(f"import ctypes\nctypes.CDLL({first!r})\n")
    probe = ask({"rpath": [str(Path(other).parent)]}, after=("loads_it",), PYTHONPATH=str(tmp_path))
    assert opened(probe) == [first]


def test_of_several_names_the_first_that_loads_is_taken(tmp_path: Path) -> None:
    path = library(tmp_path)
    probe = ask({"names": ["libwanted.so.12.8", NAME, "libwanted.so"], "rpath": [str(tmp_path)]})
    assert opened(probe) == [path]


def test_a_file_that_is_there_and_broken_fails_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"no ELF file at all, though long enough to have had a header of one" * 2)
    (trial,) = ask({"rpath": [str(tmp_path)]}).trials
    assert trial.detail.endswith("invalid ELF header")
