"""Bare places: no rights, no HOME, no terminal, no stdin, nothing to write to, no network. The answers are the same."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.simulated.packages import environment

ROOT = Path(__file__).resolve().parents[2]
# Nobody's entry in /etc/passwd, as in many a cluster: there is no name to ask for, and no home to find.
STRANGER = 54321
AS_ROOT = os.geteuid() == 0

COMMANDS = {
    "version": ("--version",),
    "rules": ("rules",),
    "explain": ("explain", "kernel-image-missing"),
    "preflight": ("preflight", "--static", "--prefix", "{prefix}", "--require", "package:torch>=2.8,kernels:sm_120"),
    "check": ("check", "--static", "--prefix", "{prefix}", "--gpu", "RTX 5090", "--driver", "525.60.13"),
}


def interpreter() -> str | None:
    """Return a Python that everybody may start and that can run the doctor, or None."""
    names = [os.path.realpath(sys.executable), "/usr/bin/python3", "/usr/local/bin/python3"]
    wish = f"import sys; sys.exit(not ((3, 11) <= sys.version_info or sys.version_info[:2] == {sys.version_info[:2]}))"
    return next((name for name in names if starts([name, "-I", "-c", wish], **stranger())), None)


def starts(command: list[str], **how: object) -> bool:
    try:
        return answer(command, **how)[0] == 0
    except OSError:
        return False


def stranger() -> dict[str, object]:
    """Return how to start a child with the rights of nobody; one who is not root has few rights already."""
    return {"user": STRANGER, "group": STRANGER, "extra_groups": []} if AS_ROOT else {}


@dataclass(frozen=True)
class Place:
    """A doctor and an environment that everybody may read, below a folder that nobody else may write to."""

    folder: Path
    python: str

    def environ(self, **changes: str | None) -> dict[str, str]:
        """Return the variables of an ordinary run; None takes one away."""
        usual = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder / "home"), "TERM": "xterm", "LANG": "C.UTF-8"}
        wanted = {**usual, "PYTHONPATH": str(self.folder / "lib"), **changes}
        return {name: value for name, value in wanted.items() if value is not None}

    def command(self, words: tuple[str, ...]) -> list[str]:
        """Return the command line of the doctor."""
        prefix = str(self.folder / "venv")
        return [self.python, "-m", "gpu_doctor", *(word.format(prefix=prefix) for word in words)]


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """Lay out the doctor as it is installed, with what it depends on and nothing else."""
    python = interpreter()
    if python is None:
        pytest.skip("no Python here that everybody may start")
    folder = Path(tempfile.mkdtemp(prefix="gpu-doctor-bare-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        shutil.copytree(
            ROOT / "gpu_doctor", folder / "lib" / "gpu_doctor", ignore=shutil.ignore_patterns("__pycache__")
        )
        for distribution in needed("gpu-doctor-toolkit"):
            lay_out(distribution, folder / "lib")
        environment(folder, python).torch()
        for name, mode in (("home", 0o755), ("closed", 0o555)):
            (folder / name).mkdir(mode=mode)
        yield Place(folder, python)
    finally:
        shutil.rmtree(folder)


def needed(name: str) -> dict[str, importlib.metadata.Distribution]:
    """Return what a distribution needs to run, by name, without itself."""
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = [name]
    while waiting:
        for text in importlib.metadata.requires(waiting.pop()) or ():
            requirement = Requirement(text)
            applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if applies and requirement.name not in found:
                found[requirement.name] = importlib.metadata.distribution(requirement.name)
                waiting.append(requirement.name)
    return found


def lay_out(name: str, library: Path) -> None:
    """Copy the files of an installed distribution."""
    distribution = importlib.metadata.distribution(name)
    for file in distribution.files or ():
        source = Path(str(distribution.locate_file(file)))
        if file.parts[0] != ".." and file.suffix != ".pyc" and source.is_file():
            (library / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, library / file)


Answer = tuple[int, bytes, bytes]


def answer(command: list[str], **how: object) -> Answer:
    usual = {"stdin": subprocess.DEVNULL, "cwd": "/", "capture_output": True, "timeout": 120, "check": False}
    ended = subprocess.run(command, **{**usual, **how})  # type: ignore[call-overload]
    return ended.returncode, re.sub(rb"in [0-9.]+ s$", b"in a moment", ended.stdout, flags=re.MULTILINE), ended.stderr


@pytest.fixture(scope="module")
def usual(place: Place) -> dict[str, Answer]:
    """Return what is answered where nothing is missing; its owner, who asks first, leaves the compiled modules there."""
    found = {name: answer(place.command(words), env=place.environ()) for name, words in COMMANDS.items()}
    assert [code for code, _, _ in found.values()] == [0, 0, 0, 1, 1], found
    assert {errors for _, _, errors in found.values()} == {b""}
    return found


BARE: dict[str, dict[str, str | None]] = {
    "no HOME": {"HOME": None},
    "an empty HOME": {"HOME": ""},
    "a HOME that cannot be written to": {"HOME": "{folder}/closed"},
    "a dumb terminal": {"TERM": "dumb"},
    "nothing at all": {"HOME": None, "TERM": None, "LANG": None, "PATH": None},
}


@pytest.mark.parametrize("missing", BARE)
def test_a_stranger_without_it_gets_the_same_answers(place: Place, usual: dict[str, Answer], missing: str) -> None:
    changes = {name: value and value.format(folder=place.folder) for name, value in BARE[missing].items()}
    how = {**stranger(), "cwd": place.folder / "closed", "env": place.environ(**changes)}
    assert {name: answer(place.command(words), **how) for name, words in COMMANDS.items()} == usual


def test_a_closed_stdin_is_not_missed(place: Place, usual: dict[str, Answer]) -> None:
    for name in ("version", "check"):
        command = ["sh", "-c", 'exec "$@" <&-', "sh", *place.command(COMMANDS[name])]
        assert answer(command, env=place.environ(), **stranger()) == usual[name]


# --- A container: nothing to write to, no network, no rights ----------------------------------------------------------------

CONTAINER = (
    "mount --make-rprivate / && mount -o remount,ro,bind / && "
    "! touch /tmp/gpu-doctor-was-here 2>/dev/null && "
    f'exec setpriv --reuid {STRANGER} --regid {STRANGER} --clear-groups "$@"'
)


def contained(command: list[str]) -> list[str]:
    """Return the same command, to be run on a root that is read-only, without a network, as nobody."""
    return ["unshare", "--mount", "--net", "sh", "-c", CONTAINER, "sh", *command]


container = pytest.mark.skipif(not starts(contained(["true"])), reason="needs the right to make namespaces")


@container
def test_a_read_only_container_gets_the_same_answers(place: Place, usual: dict[str, Answer]) -> None:
    environ = place.environ(**BARE["nothing at all"])
    for name, words in COMMANDS.items():
        assert answer(contained(place.command(words)), env={**environ, "PATH": "/usr/bin:/bin"}) == usual[name]


@container
def test_the_interpreter_is_asked_where_nothing_can_be_written(place: Place) -> None:
    words = ("check", "--prefix", str(place.folder / "venv"), "--gpu", "RTX 4090", "--driver", "580.65.06")
    code, out, errors = answer(contained(place.command(words)), env=place.environ(HOME=None, TERM="dumb"))
    assert (code, b"asked live: import torch\n" in out, errors) == (0, True, b""), out


# --- No network: a socket that is opened anyway leaves a mark -----------------------------------------------------------------

TRAP = """
import os, sys

def hook(event, arguments):
    outside = event == "socket.__new__" and arguments[1] not in (1, -1)  # AF_UNIX, or a descriptor that was there
    if outside or event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        with open({mark!r}, "a") as file:
            file.write(event + " " + " ".join(sys.orig_argv) + chr(10))
        raise OSError("the network is not for you")

sys.addaudithook(hook)
with open({mark!r} + ".armed", "a") as file:
    file.write(" ".join(sys.orig_argv) + chr(10))
"""

SILENT = [
    ("check",),
    ("check", "--static", "--format", "json"),
    ("check", "--thorough"),
    ("preflight", "--require", "torch-cuda,kernels:sm_89"),
    ("snapshot", "--output", "-"),
    ("lock", "--force", "--output", "-"),
    ("inventory",),
    ("archs",),
    ("where", "libcudnn"),
    ("fix", "--dry-run"),
    ("pins",),
    ("advise",),
    ("env",),
    ("history",),
    ("rules",),
    ("explain", "kernel-image-missing"),
]
WITHOUT_TARGET = ("rules", "explain")


@dataclass(frozen=True)
class Trapped:
    """An environment, and variables under which every Python that starts is watched."""

    prefix: Path
    mark: Path
    environ: dict[str, str]


@pytest.fixture
def trapped(tmp_path: Path) -> Trapped:
    """Lay out an environment with a torch that phones home while it is imported, where it is asked to."""
    code = "import os, socket\nif os.environ.get('PHONE'): socket.create_connection(('127.0.0.1', 9))\n"
    env = environment(tmp_path).torch(code + "class version: cuda = '12.8'\n").ctranslate2()
    mark = tmp_path / "mark"
    (tmp_path / "trap").mkdir()
    (tmp_path / "trap" / "sitecustomize.py").write_text(TRAP.format(mark=str(mark)))
    unwanted = ("VIRTUAL_ENV", "LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    path = os.pathsep.join((str(tmp_path / "trap"), str(ROOT)))
    return Trapped(env.prefix, mark, {**kept, "PYTHONPATH": path, "PYTHONSAFEPATH": "1", "HOME": str(tmp_path)})


def watched(trapped: Trapped, *words: str, **changes: str) -> int:
    target = () if words[0] in WITHOUT_TARGET else ("--prefix", str(trapped.prefix))
    command = [sys.executable, "-m", "gpu_doctor", *words, *target]
    code, _, errors = answer(command, env={**trapped.environ, **changes})
    assert b"Traceback" not in errors and code in (0, 1, 3), (words, code, errors)
    return code


@pytest.mark.parametrize("words", SILENT, ids=" ".join)
def test_no_command_opens_a_socket(trapped: Trapped, words: tuple[str, ...]) -> None:
    watched(trapped, *words)
    assert Path(f"{trapped.mark}.armed").read_text() != ""
    assert not trapped.mark.exists(), trapped.mark.read_text()


def test_the_trap_is_armed_in_the_children_too(trapped: Trapped) -> None:
    watched(trapped, "check", PHONE="1")
    armed = Path(f"{trapped.mark}.armed").read_text().splitlines()
    assert any(line.startswith(str(trapped.prefix)) for line in armed)
    assert trapped.mark.read_text().startswith("socket.getaddrinfo ")
