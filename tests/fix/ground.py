"""A small environment to repair: a tree that can be compared, and a repair that stands for all kinds of deeds."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from gpu_doctor.fix import journal
from gpu_doctor.fix.executor import Executor
from gpu_doctor.fix.ground import Ground, prepare_home
from gpu_doctor.fix.journal import Journal
from gpu_doctor.fix.steps import Hands
from gpu_doctor.model.finding import Finding
from gpu_doctor.model.past import HOME
from gpu_doctor.model.plan import Treatment
from gpu_doctor.model.remedy import ListInRecord, MakeLink, Remedy, RemoveFile, RestoreFile, Step

SITE = "lib/python3.11/site-packages"
RECORD = f"{SITE}/ctranslate2-4.6.1.dist-info/RECORD"
LOADER = "libcudnn-74a4c495.so.9.1.0"


def environment(top: Path) -> Path:
    """Make an environment with a folk-fixed loader, a dangling link, and a cache that shares its files by hard links."""
    prefix = top / "venv"
    libs, parts = prefix / SITE / "ctranslate2.libs", prefix / SITE / "nvidia/cudnn/lib"
    for folder in (libs, parts, (prefix / RECORD).parent, top / "cache"):
        folder.mkdir(parents=True)
    for name in ("libcudnn.so.9", "libcudnn_ops.so.9", "libcudnn_cnn.so.9"):
        write(parts / name, name.encode() * 100)
    write(libs / f"{LOADER}.bak", b"the bundled loader", 0o755)
    (libs / LOADER).symlink_to("../nvidia/cudnn/lib/libcudnn.so.9")
    (libs / "libcudnn_ops.so.9").symlink_to("/nowhere/libcudnn_ops.so.9")
    (parts / "libcudnn_ops.so.9.1.0").symlink_to("libcudnn_ops.so.9")
    write(prefix / RECORD, f"ctranslate2.libs/{LOADER},sha256=abc,18\nctranslate2/__init__.py,,\n".encode())
    for file in [path for path in prefix.rglob("*") if path.is_file() and not path.is_symlink()]:
        os.link(file, top / "cache" / f"{len(os.listdir(top / 'cache'))}")
    return prefix


def write(path: Path, content: bytes, mode: int = 0o644) -> None:
    path.write_bytes(content)
    path.chmod(mode)
    os.utime(path, ns=(10**18, 10**18 + 5))


def steps(prefix: Path) -> tuple[Step, ...]:
    """Return steps of every kind that changes single paths."""
    libs, parts = f"{prefix}/{SITE}/ctranslate2.libs", f"{prefix}/{SITE}/nvidia/cudnn/lib"
    links = [f"libcudnn_{part}.so.9" for part in ("cnn", "ops")]
    return (
        RemoveFile(f"{parts}/libcudnn_ops.so.9.1.0", "left by an earlier recipe"),
        RestoreFile(f"{libs}/{LOADER}", f"{libs}/{LOADER}.bak"),
        *(MakeLink(f"{libs}/{name}", f"../nvidia/cudnn/lib/{name}") for name in links),
        ListInRecord(f"{prefix}/{RECORD}", tuple(f"ctranslate2.libs/{name}" for name in links)),
    )


def treatment(wanted: tuple[Step, ...]) -> Treatment:
    remedy = Remedy("Place links.", "safe", wanted)
    finding = Finding("cudnn-unreachable", "error", "ctranslate2: loader", "It aborts.", (), remedy)
    return Treatment(finding, remedy, wanted)


def executor(prefix: Path, environ: dict[str, str] | None = None) -> Executor:
    prepare_home(str(prefix))
    hands = Hands(
        Ground(str(prefix)), dict(os.environ) if environ is None else environ, lambda _name, text, _pins: text
    )
    return Executor(hands, journal.begin(str(prefix), "fix cudnn", "0", ()), quiet)


def quiet(_words: str) -> None:
    """Say nothing."""


def only_journal(prefix: Path) -> Journal:
    (found,) = journal.journals(str(prefix))
    return found


def tree(top: Path, *, inodes: bool = False) -> dict[str, tuple[object, ...]]:
    """Return everything below a folder: kind, mode, content or target, and times of files; the journal left out."""
    found: dict[str, tuple[object, ...]] = {}
    for place, folders, names in os.walk(top):
        folders[:] = [name for name in folders if name != HOME]
        for name in (*folders, *names):
            path = Path(place, name)
            status = path.lstat()
            what: object = None
            if path.is_symlink():
                what = os.readlink(path)
            elif path.is_file():
                what = (path.read_bytes(), status.st_mtime_ns, status.st_ino if inodes else 0)
            found[str(path.relative_to(top))] = (oct(status.st_mode), what)
    return found


Look = Callable[[], dict[str, tuple[object, ...]]]
