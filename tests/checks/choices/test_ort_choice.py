from __future__ import annotations

from typing import Any

from packaging.version import Version

from gpu_doctor.checks.choices.ort_choice import for_driver, newest, replacement
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import FACTS
from tests.kit import dist, interpreter, inventory


def python(text: str) -> Any:
    return inventory(interpreter=interpreter(version=Version(text)))


def test_the_newest_release_for_this_cuda_and_this_python() -> None:
    new, old = newest(python("3.12.3"), FACTS, 12), newest(python("3.9.18"), FACTS, 12)
    assert new is not None
    assert old is not None
    assert old < Version("1.20") <= new
    for version in (new, old):
        row = FACTS.onnxruntime(version)
        assert row is not None
        assert row.cuda_major == 12


def test_an_unknown_python_restricts_nothing() -> None:
    unknown = inventory(interpreter=interpreter(version=Unknown("no pyvenv.cfg")))
    assert newest(unknown, FACTS, 12) == max(
        row.version for row in FACTS.onnxruntime_releases() if row.cuda_major == 12
    )


def test_no_release_for_a_cuda_of_the_future() -> None:
    assert newest(inventory(), FACTS, 77) is None


def test_a_replacement_stays_with_its_cuda_and_has_the_code() -> None:
    remedy = replacement(inventory(dist("onnxruntime-gpu", "1.20.2")), FACTS, (12, 0))
    assert remedy is not None
    release = Version(remedy.summary.split()[2].rstrip(","))
    row = FACTS.onnxruntime(release)
    assert row is not None
    assert row.cuda_major == 12


def test_nothing_is_offered_without_a_known_release() -> None:
    assert replacement(inventory(), FACTS, (8, 9)) is None
    assert replacement(inventory(dist("onnxruntime-gpu", "99.0")), FACTS, (8, 9)) is None
    assert replacement(inventory(dist("onnxruntime-gpu", Unknown("?"))), FACTS, (8, 9)) is None


def test_where_no_release_of_its_cuda_has_the_code_an_older_cuda_does() -> None:
    """No release for CUDA 13 runs on a V100."""
    remedy = replacement(inventory(dist("onnxruntime-gpu", "1.31.1")), FACTS, (7, 0))
    assert remedy is not None
    row = FACTS.onnxruntime(Version(remedy.summary.split()[2].rstrip(",")))
    assert row is not None
    assert row.cuda_major == 12


def test_architecture_specific_code_is_not_offered_to_its_neighbours() -> None:
    """onnxruntime-gpu 1.31.1 has sm_120a and no PTX: nothing for a GB10."""
    remedy = replacement(inventory(dist("onnxruntime-gpu", "1.31.1")), FACTS, (12, 1))
    assert remedy is not None
    assert "onnxruntime-gpu 1.28.0" in remedy.summary


def test_for_a_driver_of_cuda_12_a_release_for_cuda_12() -> None:
    remedy = for_driver(inventory(dist("onnxruntime-gpu", "1.31.1")), FACTS, Version("535.183.01"))
    assert remedy is not None
    assert remedy.summary.endswith("built for CUDA 12.")
    assert for_driver(inventory(), FACTS, Version("340.0")) is None
