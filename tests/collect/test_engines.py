"""Images that a container engine holds: written by the engine's own `save`, which fetches nothing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from gpu_doctor.collect.engines import held, is_held, save
from gpu_doctor.collect.images import read_image
from gpu_doctor.errors import DoctorError, UsageError
from tests.collect.test_images import BASE, saved, versions


def engine(folder: Path, body: str, name: str = "docker") -> dict[str, str]:
    """Put an engine of our own on PATH; its arguments are written down."""
    folder.mkdir(exist_ok=True)
    program = folder / name
    noted = f"open({str(folder / 'asked')!r}, 'a').write(' '.join(sys.argv[1:]) + chr(10))"
    program.write_text(f"#!{sys.executable}\nimport os, shutil, sys, time\n{noted}\n{body}\n")
    program.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def test_an_image_of_an_engine_is_read_and_nothing_of_it_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "held.tar").write_bytes(saved(BASE))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    environ = engine(tmp_path / "bin", f"shutil.copy({str(tmp_path / 'held.tar')!r}, sys.argv[3])")
    seen = read_image("docker:registry:5000/team/app:1", str(tmp_path), environ, lambda _words: None)
    assert versions(seen) == {"torch": "2.6.0+cu124", "nvidia-cufft-cu12": "11.2.1.3"}
    (asked,) = (tmp_path / "bin/asked").read_text().splitlines()
    assert asked.startswith("save -o ")
    assert asked.endswith(" registry:5000/team/app:1")
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("sys.exit('Error response from daemon: reference does not exist')", "daemon: reference does not exist"),
        ("sys.exit(125)", "exit code 125"),
        ("pass", "exit code 0"),
        ("os.kill(os.getppid(), 9)", "docker save: was killed by SIGKILL"),
    ],
)
def test_what_the_engine_says_is_the_reason(tmp_path: Path, body: str, says: str) -> None:
    environ = engine(tmp_path / "bin", body)
    with pytest.raises(DoctorError) as refused:
        save(held("docker:app:1", environ), str(tmp_path), environ)
    assert refused.value.message.startswith("cannot read docker:app:1: ")
    assert says in refused.value.message
    assert "`docker save -o app.tar app:1`" in (refused.value.hint or "")


def test_without_the_engine_the_commands_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="podman:app: there is no podman here") as refused:
        held("podman:app", {"PATH": str(tmp_path)})
    assert "`podman run --rm app gpu-doctor snapshot > snapshot.json`" in (refused.value.hint or "")


@pytest.mark.parametrize("words", ["docker:", "docker:--help", "docker:-o", "docker:a b", "docker:a\nb"])
def test_what_is_no_name_never_comes_to_the_engine(tmp_path: Path, words: str) -> None:
    environ = engine(tmp_path / "bin", "pass")
    with pytest.raises(UsageError, match="no name of an image"):
        held(words, environ)
    assert not (tmp_path / "bin/asked").exists()


def test_paths_and_commands_are_no_images_of_an_engine() -> None:
    assert [is_held(words) for words in ("docker:app", "podman:x/y@sha256:0", "docker", "./docker:app", "a.tar")] == [
        *(True, True),
        *(False, False, False),
    ]
