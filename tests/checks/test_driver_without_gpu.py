"""driver-without-gpu: a card that the driver does not know yet, or no longer."""

from __future__ import annotations

import pytest

from gpu_doctor.model.hardware import Driver, Gpu
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import evidence, judge, only
from tests.kit import driver, gpu, host, inventory, probe, trial

RULE = "driver-without-gpu"
RTX_5090 = gpu("GeForce RTX 5090", (12, 0))
GTX_1080 = gpu("GeForce GTX 1080", (6, 1))


def test_a_driver_older_than_the_card() -> None:
    finding = only(judge(RULE, inventory(gpus=(RTX_5090,), driver=driver("550.54.14", "12.4"))))
    assert finding.severity == "error"
    assert "550.54.14 does not support GeForce RTX 5090 (sm_120)" in finding.message
    assert evidence(finding)["supported drivers"] == "it needs 570.26 or newer"
    assert finding.remedy is not None
    assert (finding.remedy.safety, "570.26 or newer" in finding.remedy.summary) == ("manual", True)


def test_a_driver_that_dropped_the_card() -> None:
    finding = only(judge(RULE, inventory(gpus=(GTX_1080,), driver=driver("590.48.01", "13.1"))))
    assert finding.message.endswith("580 is the last branch that does.")
    assert finding.remedy is not None
    assert "branch 580" in finding.remedy.summary


@pytest.mark.parametrize(
    ("card", "version"),
    [(RTX_5090, "570.26"), (RTX_5090, "580.95.05"), (GTX_1080, "580.95.05"), (GTX_1080, "470.57.02")],
)
def test_a_driver_within_the_limits_is_healthy(card: Gpu, version: str) -> None:
    run = judge(RULE, inventory(gpus=(card,), driver=driver(version)))
    assert (run.status, run.note) == ("passed", "")


def test_of_two_cards_the_one_that_is_not_supported_is_named() -> None:
    finding = only(judge(RULE, inventory(gpus=(GTX_1080, RTX_5090), driver=driver("550.54.14", "12.4"))))
    assert finding.subject == "driver 550.54.14 and sm_120"


def test_a_card_that_cuda_offers_is_supported_whatever_the_tables_say() -> None:
    trials = (trial("cuInit"), trial("GPU 0", capability="12.0"))
    started = probe("cuda-init", "libcuda.so.1", "answered", *trials)
    old = inventory(gpus=(GTX_1080, RTX_5090), driver=driver("550.54.14", "12.4"), probes=(started,))
    assert judge(RULE, old).status == "passed"
    other = probe("cuda-init", "libcuda.so.1", "answered", trial("cuInit"), trial("GPU 0", capability="6.1"))
    assert (
        only(judge(RULE, inventory(gpus=(RTX_5090,), driver=driver("550.54.14"), probes=(other,)))).severity == "error"
    )


def test_a_card_without_documented_limits_is_no_case() -> None:
    run = judge(RULE, inventory(gpus=(gpu(),)))
    assert (run.status, run.applies) == ("skipped", False)


@pytest.mark.parametrize("unknown", [{"gpus": Unknown("NVML hangs")}, {"driver": Unknown("NVML hangs")}])
def test_what_is_not_known_cannot_be_judged(unknown: dict[str, Unknown]) -> None:
    run = judge(RULE, inventory(**unknown))
    assert (run.status, run.applies, run.note) == ("skipped", True, "NVML hangs")


@pytest.mark.parametrize("absent", [{"gpus": ()}, {"driver": None}])
def test_without_a_gpu_or_a_driver_there_is_nothing_to_compare(absent: dict[str, tuple[()] | Driver | None]) -> None:
    run = judge(RULE, inventory(**absent))
    assert (run.status, run.applies) == ("skipped", False)


def test_wsl_has_the_numbers_of_windows() -> None:
    run = judge(RULE, inventory(host=host(wsl=True), gpus=(RTX_5090,), driver=driver("560.94", "12.6")))
    assert (run.status, run.applies) == ("skipped", False)
