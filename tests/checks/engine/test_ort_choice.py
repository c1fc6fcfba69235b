from __future__ import annotations

from typing import Any

from packaging.version import Version

from gpu_doctor.checks.engine.ort_choice import newest, replacement
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
