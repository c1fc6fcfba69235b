"""A lock against an environment: what drifted, and what did it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from packaging.version import Version

from gpu_doctor.between import restoring
from gpu_doctor.compare.culprit import Mended
from gpu_doctor.compare.drifting import drifts, remarks, unanswered
from gpu_doctor.compare.locking import lock_of
from gpu_doctor.model.case import Report
from gpu_doctor.model.inventory import Damage, Inventory, Observation
from gpu_doctor.model.lock import Drift, Lock, Origin
from gpu_doctor.model.remedy import command
from gpu_doctor.model.unknown import Unknown
from tests import kit
from tests.checks.judge import FACTS, judge_all

TORCH = kit.dist("torch", "2.6.0+cu124", cuda="12.4")
CPU = kit.dist("torch", "2.6.0+cpu", built="2.6.0+cpu")
CUDNN = kit.dist("nvidia-cudnn-cu12", "9.1.0.70")
NOON = 1796558400.0  # 2026-12-06 12:00 UTC


def origin(name: str, version: str, **changes: Any) -> Origin:
    return replace(Origin(name, version, NOON, "uv", digest=f"sha256:{name}"), **changes)


ORIGINS = {one.name: one for one in (origin("torch", "2.6.0+cu124"), origin("nvidia-cudnn-cu12", "9.1.0.70"))}


def lock(*distributions: Any, origins: dict[str, Origin] = ORIGINS, **changes: Any) -> Lock:
    inventory = kit.inventory(*(distributions or (TORCH, CUDNN)), **changes)
    return lock_of(Report((judge_all(inventory),), "0.1.0", "2026-11-20"), FACTS, origins)


def only(found: tuple[Drift, ...]) -> Drift:
    (drift,) = found
    return drift


def restored(locked: Lock, found: tuple[Drift, ...], inventory: Inventory) -> list[str]:
    return [command(step) for step in restoring(locked, found, inventory)]


def test_an_unchanged_environment_has_not_drifted() -> None:
    assert drifts(lock(), kit.inventory(TORCH, CUDNN), ORIGINS) == ()
    assert not list(unanswered(lock(), kit.inventory(TORCH, CUDNN)))


def test_a_cpu_build_in_the_place_of_cuda_is_named_with_who_brought_it() -> None:
    now = kit.inventory(CPU, CUDNN)
    seen = {
        **ORIGINS,
        "torch": origin("torch", "2.6.0+cpu", installer="pip", at=NOON + 60),
        "coqui-tts": origin("coqui-tts", "0.28.0", installer="pip", at=NOON + 65, requested=True),
        "numpy": origin("numpy", "2.0.0", installer="pip", at=NOON - 9000, requested=True),
    }
    drift = only(drifts(lock(), now, seen))
    assert (drift.kind, drift.locked, drift.now) == ("replaced", "2.6.0+cu124", "2.6.0+cpu")
    assert drift.what == "a build without CUDA took the place of one for CUDA 12.4"
    assert drift.by == (
        "by pip on 2026-12-06 12:01 UTC (time of RECORD), brought along by what was asked for then: coqui-tts 0.28.0"
    )
    assert restored(lock(), (drift,), now) == [
        f"uv pip uninstall --python {kit.PREFIX}/bin/python torch",
        f"uv pip install --python {kit.PREFIX}/bin/python --torch-backend=cu124 torch==2.6.0+cu124",
    ]


def test_who_asked_by_name_and_from_where_is_told() -> None:
    now = {"torch": origin("torch", "2.7.0", requested=True, direct_url="https://example.org/torch.whl")}
    newer = kit.dist("torch", "2.7.0+cu124", cuda="12.4")
    drift = only(drifts(lock(TORCH), kit.inventory(newer), now))
    assert drift.what == "is newer"
    assert drift.by.endswith("(time of RECORD) from https://example.org/torch.whl, asked for by name")


def test_where_everything_is_marked_as_asked_for_it_is_what_nothing_else_asks_for() -> None:
    """uv writes REQUESTED for whatever it installs."""
    older = kit.dist("torch", "2.5.0+cu124", cuda="12.4")
    seen = {
        "torch": origin("torch", "2.5.0+cu124", requested=True, requires=("nvidia-cudnn-cu12", "sympy")),
        "pyannote-audio": origin("pyannote-audio", "4.0.7", requested=True, requires=("torch",)),
        "whisperx": origin("whisperx", "3.8.0", requested=True, requires=("pyannote-audio", "absent")),
        "rich": origin("rich", "15.0", requested=True),
        "sympy": origin("sympy", "1.14", requested=True, at=NOON - 9000),
    }
    drift = only(drifts(lock(TORCH), kit.inventory(older), seen))
    assert drift.by.endswith(", brought along by what was asked for then: whisperx 3.8.0")
    alone = only(drifts(lock(TORCH), kit.inventory(older), {"torch": seen["torch"]}))
    assert alone.by.endswith(", asked for by name")
    # Distributions that ask for each other in a circle: nobody can be named.
    circle = {
        "torch": replace(seen["torch"], requires=("whisperx",)),
        "whisperx": replace(seen["whisperx"], requires=("torch",)),
    }
    assert only(drifts(lock(TORCH), kit.inventory(older), circle)).by.endswith("(time of RECORD)")


def test_where_nothing_leads_to_it_all_that_was_asked_for_is_named() -> None:
    older = kit.dist("torch", "2.5.0+cu124", cuda="12.4")
    seen = {
        "torch": origin("torch", "2.5.0+cu124", installer="pip"),
        "whisperx": origin("whisperx", "3.8.0", installer="pip", requested=True),
    }
    assert only(drifts(lock(TORCH), kit.inventory(older), seen)).by.endswith("for then: whisperx 3.8.0")


def test_a_repair_is_named_as_the_one_who_did_it() -> None:
    older = kit.dist("torch", "2.5.0+cu124", cuda="12.4")
    repair = Mended("20261206-115959-ab12", NOON - 5, NOON + 5)
    drift = only(drifts(lock(TORCH), kit.inventory(older), ORIGINS, (repair,)))
    assert drift.what == "is older"
    assert "by the repair 20261206-115959-ab12 of gpu-doctor" in drift.by
    late = only(drifts(lock(TORCH), kit.inventory(older), ORIGINS, (replace(repair, begin=NOON + 3, end=NOON + 5),)))
    assert late.by.startswith("by uv on")


def test_the_same_version_with_other_files_is_rebuilt() -> None:
    now = {**ORIGINS, "torch": origin("torch", "2.6.0+cu124", digest="sha256:other")}
    drift = only(drifts(lock(), kit.inventory(TORCH, CUDNN), now))
    assert (drift.kind, drift.what) == ("rebuilt", "has the same version and other files")
    (line,) = restored(lock(), (drift,), kit.inventory(TORCH, CUDNN))
    assert "--reinstall --no-deps --torch-backend=cu124 torch==2.6.0+cu124" in line


def test_a_digest_that_a_side_lacks_is_no_drift() -> None:
    bare = {name: replace(one, digest="") for name, one in ORIGINS.items()}
    assert drifts(lock(), kit.inventory(TORCH, CUDNN), bare) == ()
    assert drifts(lock(origins=bare), kit.inventory(TORCH, CUDNN), ORIGINS) == ()


def test_what_went_and_what_came() -> None:
    ort = kit.dist("onnxruntime", "1.20.1")
    found = drifts(lock(), kit.inventory(TORCH, ort), {"torch": ORIGINS["torch"]})
    assert [(drift.kind, drift.subject) for drift in found] == [
        ("removed", "nvidia-cudnn-cu12"),
        ("added", "onnxruntime"),
    ]
    assert found[0].by.startswith("nothing tells by whom; the newest package here is torch 2.6.0+cu124, written by uv")
    lines = restored(lock(), found, kit.inventory(TORCH, ort))
    assert lines[0].endswith("uninstall --python /opt/app/venv/bin/python onnxruntime")
    assert lines[1].endswith("nvidia-cudnn-cu12==9.1.0.70")


def test_files_that_were_damaged_since() -> None:
    damage = Damage(f"{kit.SITE}/torch/lib/libc10.so", "torch", "altered", "a", "b")
    assert only(drifts(lock(), kit.inventory(TORCH, CUDNN, damages=(damage,)), ORIGINS)).kind == "damaged"
    assert drifts(lock(damages=(damage,)), kit.inventory(TORCH, CUDNN, damages=(damage,)), ORIGINS) == ()


def test_a_library_that_somebody_placed() -> None:
    placed = kit.lib("torch/lib/libcudnn.so.9.5.1", None)
    drift = only(drifts(lock(), kit.inventory(TORCH, CUDNN, libraries=(placed,)), ORIGINS))
    assert (drift.kind, drift.subject, drift.locked, drift.now) == ("library", "libcudnn", "", "9.5.1")


@pytest.mark.parametrize(("version", "kinds"), [("3.11.9", []), ("3.12.0", ["python"])])
def test_another_series_of_python_is_a_drift(version: str, kinds: list[str]) -> None:
    now = kit.inventory(TORCH, CUDNN, interpreter=kit.interpreter(version=Version(version)))
    assert [drift.kind for drift in drifts(lock(), now, ORIGINS)] == kinds


def test_a_driver_below_what_the_builds_need_is_a_drift_and_none_at_all_is_a_remark() -> None:
    assert lock().driver == "525.60.13"
    old = kit.inventory(TORCH, CUDNN, driver=kit.driver("470.82.01"))
    drift = only(drifts(lock(), old, ORIGINS))
    assert (drift.kind, drift.locked, drift.now) == ("driver", "525.60.13 or newer", "470.82.01")
    for absent in (None, Unknown("nobody knows")):
        now = kit.inventory(TORCH, CUDNN, driver=absent)
        assert drifts(lock(), now, ORIGINS) == ()
        assert "525.60.13 or newer" in next(remarks(lock(), now))


def test_what_cannot_be_read_is_not_called_unchanged() -> None:
    strange = kit.inventory(replace(TORCH, version=Unknown("METADATA holds no version")), CUDNN)
    assert list(unanswered(lock(), strange)) == ["torch: METADATA holds no version"]
    assert [drift.subject for drift in drifts(lock(), strange, ORIGINS)] == []
    closed = kit.inventory(TORCH, CUDNN, observations=(Observation(kit.SITE, "cannot be read: Permission denied"),))
    assert list(unanswered(lock(), closed)) == [f"{kit.SITE} cannot be read: Permission denied"]
    bare = kit.inventory(TORCH, interpreter=kit.interpreter(search_path=()))
    assert "has no folder of packages" in next(unanswered(lock(), bare))
