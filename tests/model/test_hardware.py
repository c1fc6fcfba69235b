"""How hardware is called."""

from __future__ import annotations

import pytest
from packaging.version import Version

from gpu_doctor.model.hardware import Driver, Gpu


@pytest.mark.parametrize("text", ["535.54.03", "570.26", "570.86.15", "390.157", "580.65.06", "531.04", "615"])
def test_a_driver_is_called_as_nvidia_calls_it(text: str) -> None:
    assert Driver(Version(text), Version("12.2"), "NVML").label == text


def test_a_gpu_names_its_architecture() -> None:
    assert Gpu("NVIDIA GeForce RTX 5090", (12, 0), None, "NVML").sm == "sm_120"
