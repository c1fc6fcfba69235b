"""ort-packages-clash: one folder, several owners."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpu_doctor.model.inventory import Damage, Overlap
from gpu_doctor.model.remedy import InstallPackages, Remedy, RemovePackages
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import commands, evidence, judge, judge_all, only
from tests.kit import PREFIX, SITE, dist, interpreter, inventory, probe, trial

CPU = dist("onnxruntime", "1.20.1")
GPU = dist("onnxruntime-gpu", "1.20.2")
SAMPLE = (f"{SITE}/onnxruntime/capi/onnxruntime_pybind11_state.so",)


def overlap(
    winner: str | Unknown | None,
    *altered: tuple[str, int],
    owners: tuple[str, ...] = ("onnxruntime", "onnxruntime-gpu"),
) -> Overlap:
    return Overlap(owners, 260, SAMPLE, altered, winner)


CPU_LAST = overlap("onnxruntime", ("onnxruntime-gpu", 3))
GPU_LAST = overlap("onnxruntime-gpu", ("onnxruntime", 3))


def test_the_cpu_package_written_last_takes_the_gpu_away() -> None:
    finding = only(judge("ort-packages-clash", inventory(CPU, GPU, overlaps=(CPU_LAST,))))
    assert (finding.severity, finding.subject) == ("error", "onnxruntime and onnxruntime-gpu")
    assert "the CUDA provider of onnxruntime-gpu is lost" in finding.message
    assert evidence(finding)["not as onnxruntime-gpu's RECORD says"] == "3 files"
    assert commands(finding) == [
        "uv pip uninstall --python /opt/app/venv/bin/python onnxruntime onnxruntime-gpu",
        "uv pip install --python /opt/app/venv/bin/python onnxruntime-gpu==1.20.2",
    ]


UV = (("uv", "pip"), f"{PREFIX}/bin/python")


def healed(*packages: Any, **changes: Any) -> Remedy | None:
    return only(judge("ort-packages-clash", inventory(*packages, overlaps=(CPU_LAST,), **changes))).remedy


def test_who_asks_for_the_other_package_brings_it_back() -> None:
    steps = (
        RemovePackages(*UV, ("onnxruntime", "onnxruntime-gpu")),
        InstallPackages(*UV, ("onnxruntime-gpu==1.20.2",)),
    )
    summary = "Remove onnxruntime and onnxruntime-gpu, then install onnxruntime-gpu and no other."
    assert healed(CPU, GPU) == Remedy(summary, "ask", steps)
    whisper = dist("faster-whisper", "1.2.1", requires=("onnxruntime<2,>=1.14",))
    price = "faster-whisper asks for onnxruntime: the next sync or install brings it back"
    assert healed(CPU, GPU, whisper) == Remedy(summary, "ask", steps, price)
    silero = dist("silero-vad", "6.0", requires=("onnxruntime>=1.16",))
    both = healed(CPU, GPU, whisper, silero)
    assert both is not None
    assert both.price.startswith("faster-whisper and silero-vad ask for onnxruntime: ")


def test_the_cpu_package_stays_where_nothing_speaks_of_a_gpu() -> None:
    other = dist("onnxruntime-openvino", "1.20.0")
    shared = overlap("onnxruntime-openvino", ("onnxruntime", 3), owners=("onnxruntime", "onnxruntime-openvino"))
    finding = only(judge("ort-packages-clash", inventory(CPU, other, overlaps=(shared,), gpus=(), driver=None)))
    names = ("onnxruntime", "onnxruntime-openvino")
    steps = (RemovePackages(*UV, names), InstallPackages(*UV, ("onnxruntime==1.20.1",)))
    summary = "Remove onnxruntime and onnxruntime-openvino, then install onnxruntime and no other."
    assert (finding.severity, finding.remedy) == ("warning", Remedy(summary, "ask", steps))
    assert "there is no GPU that would need more" in finding.message


@pytest.mark.parametrize(
    ("packages", "gpus"),
    [((), Unknown("NVML does not answer")), ((dist("torch", "2.8.0", cuda="12.8"),), ()), ((), ())],
    ids=["nobody knows", "torch is for CUDA", "its presence says so"],
)
def test_where_a_gpu_may_be_meant_the_gpu_package_stays(packages: Any, gpus: Any) -> None:
    remedy = healed(CPU, GPU, *packages, gpus=gpus)
    assert remedy is not None
    assert remedy.steps[-1] == InstallPackages(*UV, ("onnxruntime-gpu==1.20.2",))


def test_the_gpu_package_on_top_works_until_the_next_install() -> None:
    finding = only(judge("ort-packages-clash", inventory(CPU, GPU, overlaps=(GPU_LAST,))))
    assert finding.severity == "warning"
    assert "works until" in finding.message


def test_a_mixture_is_an_error() -> None:
    mixed = overlap(None, ("onnxruntime", 2), ("onnxruntime-gpu", 1))
    finding = only(judge("ort-packages-clash", inventory(CPU, GPU, overlaps=(mixed,))))
    assert finding.severity == "error"
    assert "mixture" in finding.message


def test_what_could_not_be_told_is_no_proof() -> None:
    unsure = overlap(Unknown("the shared files are too large to hash"))
    finding = only(judge("ort-packages-clash", inventory(CPU, GPU, overlaps=(unsure,))))
    assert finding.severity == "warning"
    assert "too large to hash" in finding.message


def test_conda_leaves_no_record_to_compare() -> None:
    conda = dist("onnxruntime", "1.20.1", record=False, installer="conda")
    finding = only(judge("ort-packages-clash", inventory(conda, GPU)))
    assert finding.severity == "warning"
    assert "not known" in finding.message


def test_packages_whose_records_share_no_file_do_not_clash() -> None:
    """A name that begins like theirs is not a claim on their folder."""
    other = dist("onnxruntime-plugin-of-somebody", "1.0")
    run = judge("ort-packages-clash", inventory(GPU, other))
    assert (run.status, run.findings) == ("passed", ())


def test_three_packages_are_one_finding() -> None:
    three = (CPU, GPU, dist("onnxruntime-directml", "1.20.1"))
    finding = only(judge("ort-packages-clash", inventory(*three, overlaps=(CPU_LAST,))))
    assert {"onnxruntime", "onnxruntime-gpu", "onnxruntime-directml"} <= set(finding.seats)


def damage(path: str, owner: str = "onnxruntime-gpu") -> Damage:
    return Damage(f"{SITE}/{path}", owner, "missing", "a file", "no such file")


def test_the_survivor_of_a_removal_is_gutted() -> None:
    gone = (damage("onnxruntime/__init__.py"), damage("onnxruntime/capi/_pybind_state.py"))
    finding = only(judge("ort-packages-clash", inventory(GPU, damages=gone)))
    assert (finding.severity, finding.subject) == ("error", "onnxruntime-gpu")
    assert "lost 2 of its files" in finding.message
    assert len(finding.evidence) == 2
    assert commands(finding)[-1].endswith("onnxruntime-gpu==1.20.2")


def test_every_lost_file_is_counted_the_rest_of_a_long_list_too() -> None:
    gone = (damage("onnxruntime/__init__.py"), replace(damage("RECORD"), files=98))
    assert "lost 99 of its files" in only(judge("ort-packages-clash", inventory(GPU, damages=gone))).message


def test_the_lost_files_are_its_consequence_not_a_second_alarm() -> None:
    gone = (damage("onnxruntime/__init__.py"), damage("onnxruntime/capi/_pybind_state.py"))
    case = judge_all(inventory(GPU, damages=gone))
    primary = case.findings[0]
    assert primary.rule == "ort-packages-clash"
    assert [f.rule for f in case.consequences(primary)] == ["package-files-damaged"]


@pytest.mark.parametrize("shared", [CPU_LAST, GPU_LAST], ids=["CPU last", "GPU last"])
def test_one_clash_is_one_alarm(shared: Overlap) -> None:
    case = judge_all(inventory(CPU, GPU, overlaps=(shared,)))
    assert [f.rule for f in case.findings] == ["ort-packages-clash"]


@pytest.mark.parametrize(
    "packages",
    [(GPU,), (CPU,), (GPU, dist("onnxruntime-genai-cuda", "0.9.0")), (CPU, dist("onnxruntime-extensions", "0.14"))],
    ids=["GPU", "CPU on purpose", "generate()", "extensions"],
)
def test_one_package_and_its_add_ons_are_healthy(packages: tuple) -> None:  # type: ignore[type-arg]
    assert judge("ort-packages-clash", inventory(*packages)).status == "passed"


def test_another_lost_file_is_not_this_illness() -> None:
    assert judge("ort-packages-clash", inventory(GPU, damages=(damage("onnxruntime/tools/x.py"),))).status == "passed"


def test_a_shadowed_second_package_does_not_count() -> None:
    assert judge("ort-packages-clash", inventory(GPU, dist("onnxruntime", "1.17", active=False))).status == "passed"


def test_an_unknown_version_hides_no_clash() -> None:
    nameless = dist("onnxruntime-gpu", Unknown("no METADATA"))
    finding = only(judge("ort-packages-clash", inventory(CPU, nameless, overlaps=(CPU_LAST,))))
    assert commands(finding)[-1].endswith(" onnxruntime-gpu")


def test_without_onnxruntime_there_is_nothing_to_judge() -> None:
    run = judge("ort-packages-clash", inventory(dist("torch", "2.8.0")))
    assert (run.status, run.applies) == ("skipped", False)


def test_the_environments_own_tool_repairs_it() -> None:
    pip = inventory(CPU, GPU, overlaps=(CPU_LAST,), interpreter=interpreter(manager="pip"))
    first, second = commands(only(judge("ort-packages-clash", pip)))
    assert first == "/opt/app/venv/bin/python -m pip uninstall -y onnxruntime onnxruntime-gpu"
    assert second == "/opt/app/venv/bin/python -m pip install onnxruntime-gpu==1.20.2"


NOT_LISTED = probe(
    "ort-session",
    "CUDAExecutionProvider",
    "answered",
    trial("available providers", "wrong", "…", listed="AzureExecutionProvider, CPUExecutionProvider"),
)
LISTED = probe("ort-session", "CUDAExecutionProvider", "answered", trial("available providers", listed="…"))


def test_what_the_live_package_lists_is_evidence() -> None:
    finding = only(judge("ort-packages-clash", inventory(CPU, GPU, overlaps=(CPU_LAST,), probes=(NOT_LISTED,))))
    assert (
        evidence(finding)["asked live: the providers that it lists"] == "AzureExecutionProvider, CPUExecutionProvider"
    )


def test_a_list_without_cuda_proves_what_could_not_be_compared() -> None:
    unsure = overlap(Unknown("the shared files are too large to hash"))
    finding = only(judge("ort-packages-clash", inventory(CPU, GPU, overlaps=(unsure,), probes=(NOT_LISTED,))))
    assert (finding.severity, "the CUDA provider of onnxruntime-gpu is lost" in finding.message) == ("error", True)


def test_a_list_with_cuda_leaves_a_warning() -> None:
    finding = only(judge("ort-packages-clash", inventory(CPU, GPU, overlaps=(GPU_LAST,), probes=(LISTED,))))
    assert (finding.severity, "asked live: the providers that it lists" in evidence(finding)) == ("warning", False)
