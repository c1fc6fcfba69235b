"""What an environment remembers of benchmarks survives crashes, strangers and neighbours, and leads nowhere else."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpu_doctor import __version__
from gpu_doctor.bench import history
from gpu_doctor.errors import DoctorError
from gpu_doctor.model.bench import Bench, Figure
from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.past import PastBenches, Setting
from gpu_doctor.model.unknown import Unknown
from tests import kit
from tests.bench.samples import bench, wish

# No clock measures an endless time, and JSON has no word for it.
st.register_type_strategy(float, st.floats(min_value=0, allow_nan=False, allow_infinity=False))


@dataclass(frozen=True)
class Here:
    """A machine whose devices are its GPUs, in order."""

    inventory: Inventory

    def gpu(self, device: str) -> Gpu | None:
        gpus = self.inventory.gpus
        return None if device == "cpu" or isinstance(gpus, Unknown) else gpus[int(device[-1])]


def file_of(prefix: Path) -> Path:
    return prefix / ".gpu-doctor/benches.jsonl"


def seen(prefix: Path) -> list[str]:
    return [one.at for one in history.load(str(prefix))]


# --- There and back ---------------------------------------------------------------------------------------------------


def test_an_environment_without_memory_remembers_nothing(tmp_path: Path) -> None:
    assert history.load(str(tmp_path)) == ()
    assert history.recall(str(tmp_path)) == PastBenches()
    assert os.listdir(tmp_path) == []


def test_what_is_saved_comes_back_the_latest_last(tmp_path: Path) -> None:
    history.save(str(tmp_path), [bench(1), bench(2)])
    history.save(str(tmp_path), [bench(3, before=Unknown("no NVML"))])
    assert history.load(str(tmp_path)) == (bench(1), bench(2), bench(3, before=Unknown("no NVML")))


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.from_type(Bench), min_size=1, max_size=3))
def test_any_benchmark_survives(benches: list[Bench]) -> None:
    with tempfile.TemporaryDirectory() as prefix:
        history.save(prefix, benches)
        assert history.load(prefix) == tuple(benches)


def test_nothing_to_save_makes_no_folder(tmp_path: Path) -> None:
    history.save(str(tmp_path), [])
    assert os.listdir(tmp_path) == []


def test_a_line_names_gpu_driver_python_and_doctor(tmp_path: Path) -> None:
    here = kit.inventory(gpus=(kit.gpu(uuid="GPU-1"), kit.gpu(uuid="GPU-2")), driver=kit.driver("535.54.3"))
    place = Here(here)
    benches = [bench(1, wish=wish(device="cuda:1")), bench(1, wish=wish(device="cpu"))]
    history.save(str(tmp_path), benches, place)
    about = [one.setting for one in history.recall(str(tmp_path)).saved]
    assert about[0] == Setting(__version__, "3.11.7", "535.54.03", "NVIDIA GeForce RTX 4090", "GPU-2")
    assert about[1] == replace(about[0], gpu="", uuid="")
    lines = [json.loads(line) for line in file_of(tmp_path).read_text().splitlines()]
    assert [line["schema"] for line in lines] == ["gpu-doctor/bench-line/1"] * 2
    assert lines[0]["at"] == "2026-11-01T10:00:00Z"


def test_what_is_not_known_of_the_machine_stays_empty(tmp_path: Path) -> None:
    here = kit.inventory(gpus=Unknown("no NVML"), driver=Unknown("no NVML"))
    here = replace(here, interpreter=kit.interpreter(version=Unknown("no pyvenv.cfg")))
    history.save(str(tmp_path), [bench()], Here(here))
    assert history.recall(str(tmp_path)).saved[0].setting == Setting(__version__)


def test_of_long_words_a_part_is_kept(tmp_path: Path) -> None:
    long = bench(log="x" * 5000 + "the end", heard="the beginning" + "y" * 5000)
    history.save(str(tmp_path), [long])
    (kept,) = history.load(str(tmp_path))
    assert kept.log.endswith("the end")
    assert (kept.heard or "").startswith("the beginning")
    assert len(file_of(tmp_path).read_text()) < 6000


# --- Torn, foreign, too many --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        '{"schema": "gpu-doctor/bench-line/1", "bench": {"wish"',
        '{"schema": "gpu-doctor/bench-line/1", "bench": {}}',
        '{"schema": "gpu-doctor/bench-line/1"}',
        '{"schema": "gpu-doctor/bench-line/2", "bench": {}}',
        "[]",
        "null",
        "[" * 100_000,
        "\x00\x1b\ufffe",
    ],
)
def test_a_torn_or_foreign_line_is_passed_over_and_counted(tmp_path: Path, line: str) -> None:
    history.save(str(tmp_path), [bench(1)])
    with file_of(tmp_path).open("a") as file:
        file.write(line)
    assert history.recall(str(tmp_path)).skipped == 1
    history.save(str(tmp_path), [bench(2)])
    assert seen(tmp_path) == ["2026-11-01T10:00:00Z", "2026-11-02T10:00:00Z"]
    assert history.recall(str(tmp_path)).skipped == 1


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 2000))
def test_whatever_stands_in_the_file_is_never_fatal(noise: bytes, cut: int) -> None:
    with tempfile.TemporaryDirectory() as prefix:
        history.save(prefix, [bench(1)])
        path = file_of(Path(prefix))
        path.write_bytes(path.read_bytes()[:cut] + noise)
        history.save(prefix, [bench(2)])
        assert history.load(prefix)[-1] == bench(2)


def test_the_oldest_are_forgotten_beyond_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "KEPT", 5)
    for day in range(1, 8):
        history.save(str(tmp_path), [bench(day)])
    assert seen(tmp_path) == [f"2026-11-{day:02}T10:00:00Z" for day in range(3, 8)]
    history.save(str(tmp_path), [bench(day) for day in range(10, 20)])
    assert seen(tmp_path) == [f"2026-11-{day:02}T10:00:00Z" for day in range(15, 20)]
    assert sorted(os.listdir(tmp_path / ".gpu-doctor"))[0] == "benches.jsonl"
    assert not list((tmp_path / ".gpu-doctor").glob("*.new"))


def test_a_line_of_a_newer_doctor_survives_the_forgetting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history.save(str(tmp_path), [bench(1)])
    newer = '{"schema": "gpu-doctor/bench-line/2", "figure": 1}'
    with file_of(tmp_path).open("a") as file:
        file.write(newer + "\n")
    monkeypatch.setattr(history, "KEPT", 2)
    history.save(str(tmp_path), [bench(2)])
    assert file_of(tmp_path).read_text().splitlines()[0] == newer
    assert seen(tmp_path) == ["2026-11-02T10:00:00Z"]


def test_a_figure_that_is_no_number_is_refused_and_the_others_are_saved(tmp_path: Path) -> None:
    wrong = bench(2, figures=(Figure("matmul", float("nan"), "TFLOP/s"),))
    with pytest.raises(DoctorError, match="whisper on cuda:0 measured a figure that is not a finite number"):
        history.save(str(tmp_path), [bench(1), wrong, bench(3)])
    assert seen(tmp_path) == ["2026-11-01T10:00:00Z", "2026-11-03T10:00:00Z"]


# --- Neighbours, and disks that do not take it --------------------------------------------------------------------------


def _save_many(prefix: str, first: int) -> None:
    for number in range(10):
        history.save(prefix, [bench(1, seconds=float(first + number))])


def test_neighbours_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    savers = [context.Process(target=_save_many, args=(str(tmp_path), 1 + 10 * n)) for n in range(3)]
    for one in savers:
        one.start()
    for one in savers:
        one.join()
    past = history.recall(str(tmp_path))
    assert sorted(one.bench.runs[0] for one in past.saved) == [float(n) for n in range(1, 31)]
    assert past.skipped == 0


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history.save(str(tmp_path), [bench(1)])
    before = file_of(tmp_path).read_bytes()
    write = os.write

    def half(descriptor: int, data: bytes) -> int:
        # The lock's file is written to as well.
        return write(descriptor, data[: len(data) // 2] if b"bench-line" in data else data)

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(DoctorError, match="No space left on device"):
        history.save(str(tmp_path), [bench(2)])
    assert file_of(tmp_path).read_bytes() == before


def test_a_crash_while_forgetting_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history.save(str(tmp_path), [bench(1), bench(2)])
    monkeypatch.setattr(history, "KEPT", 2)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as broken:
        broken.setattr(os, "rename", full)
        with pytest.raises(DoctorError, match="Input/output error"):
            history.save(str(tmp_path), [bench(3)])
    assert seen(tmp_path) == ["2026-11-01T10:00:00Z", "2026-11-02T10:00:00Z"]
    assert not list((tmp_path / ".gpu-doctor").glob("*.new"))
    history.save(str(tmp_path), [bench(3)])
    assert seen(tmp_path) == ["2026-11-02T10:00:00Z", "2026-11-03T10:00:00Z"]


@pytest.fixture
def locked() -> Iterator[Path]:
    """An environment of somebody else, in which this process may not write."""
    with tempfile.TemporaryDirectory() as name:
        prefix = Path(name)
        history.save(name, [bench(1)])
        paths = [*prefix.rglob("*"), prefix]
        modes = [path.stat().st_mode for path in paths]
        for path in paths:
            path.chmod(0o555 if path.is_dir() else 0o444)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        yield prefix
        if root:
            os.seteuid(0)
        for path, mode in zip(paths, modes, strict=True):
            path.chmod(mode)


def test_a_read_only_environment_is_said_in_one_line(locked: Path) -> None:
    with pytest.raises(DoctorError, match=r"cannot save in .*benches\.jsonl: Permission denied") as refused:
        history.save(str(locked), [bench(2)])
    assert "\n" not in refused.value.message
    assert seen(locked) == ["2026-11-01T10:00:00Z"]


def test_memory_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    file_of(tmp_path).mkdir(parents=True)
    with pytest.raises(DoctorError, match=r"cannot read .*: it is not a file"):
        history.load(str(tmp_path))


# --- No link leads elsewhere --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["benches.jsonl", "benches.lock"])
def test_a_link_is_not_written_through(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    prefix = tmp_path / "venv"
    (prefix / ".gpu-doctor").mkdir(parents=True)
    (prefix / ".gpu-doctor" / name).symlink_to(victim)
    with pytest.raises(DoctorError, match="a link stands in its place"):
        history.save(str(prefix), [bench(1)])
    assert victim.read_text() == "precious"


def test_a_linked_draft_is_not_written_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    prefix = tmp_path / "venv"
    prefix.mkdir()
    history.save(str(prefix), [bench(1)])
    (prefix / ".gpu-doctor/benches.jsonl.new").symlink_to(victim)
    monkeypatch.setattr(history, "KEPT", 1)
    history.save(str(prefix), [bench(2)])
    assert victim.read_text() == "precious"
    assert seen(prefix) == ["2026-11-02T10:00:00Z"]


def test_a_linked_folder_is_not_entered(tmp_path: Path) -> None:
    outside, prefix = tmp_path / "outside", tmp_path / "venv"
    outside.mkdir()
    prefix.mkdir()
    (prefix / ".gpu-doctor").symlink_to(outside)
    for use in (lambda: history.save(str(prefix), [bench(1)]), lambda: history.load(str(prefix))):
        with pytest.raises(DoctorError, match=r"Not a directory|a link stands"):
            use()
    assert os.listdir(outside) == []


def test_a_linked_environment_is_the_environment(tmp_path: Path) -> None:
    (tmp_path / "venv").mkdir()
    (tmp_path / "current").symlink_to("venv")
    history.save(str(tmp_path / "current"), [bench(1)])
    assert seen(tmp_path / "venv") == ["2026-11-01T10:00:00Z"]


def test_a_clone_that_shares_the_file_is_not_written_into(tmp_path: Path) -> None:
    one, clone = tmp_path / "venv", tmp_path / "clone"
    one.mkdir()
    history.save(str(one), [bench(1)])
    (clone / ".gpu-doctor").mkdir(parents=True)
    os.link(file_of(one), file_of(clone))
    history.save(str(clone), [bench(2)])
    assert seen(one) == ["2026-11-01T10:00:00Z"]
    assert seen(clone) == ["2026-11-01T10:00:00Z", "2026-11-02T10:00:00Z"]


def test_a_pipe_in_its_place_is_refused_without_waiting(tmp_path: Path) -> None:
    (tmp_path / ".gpu-doctor").mkdir()
    os.mkfifo(file_of(tmp_path))
    for use in (lambda: history.save(str(tmp_path), [bench(1)]), lambda: history.load(str(tmp_path))):
        with pytest.raises(DoctorError, match="it is not a file"):
            use()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_saves_belongs_to_the_environments_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.chown(tmp_path, 1234, 4321)
    history.save(str(tmp_path), [bench(1)])
    owned = [tmp_path / ".gpu-doctor", file_of(tmp_path)]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in owned} == {(1234, 4321)}
    monkeypatch.setattr(history, "KEPT", 1)
    history.save(str(tmp_path), [bench(2)])
    assert (file_of(tmp_path).stat().st_uid, file_of(tmp_path).stat().st_gid) == (1234, 4321)
