"""kernel-image-missing: per package and per library, for every GPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.libraries import GpuCode
from gpu_doctor.model.probes import Kind, Probe
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import commands, evidence, judge, only
from tests.kit import dist, driver, gpu, host, inventory, lib, probe, trial

RTX_4090 = gpu()
RTX_5090 = gpu("NVIDIA GeForce RTX 5090", (12, 0))
T4 = gpu("Tesla T4", (7, 5))
H100 = gpu("NVIDIA H100 80GB HBM3", (9, 0))

# What the wheels carry.
SASS = {"2.6.0": "50 60 70 75 80 86 90", "2.8.0": "70 75 80 86 90 100 120", "2.12.0": "75 80 86 90 100 120"}
CUDA = {"2.6.0": "12.4", "2.8.0": "12.8", "2.12.0": "13.0"}


def torch(version: str, *gpus: Gpu, linalg: str = "", **changes: Any) -> Inventory:
    tag = "cu" + CUDA[version].replace(".", "")
    return inventory(
        dist("torch", version, cuda=CUDA[version], built=f"{version}+{tag}"),
        libraries=(
            lib("torch/lib/libtorch_cuda_linalg.so", "torch", sass=linalg or SASS[version], size=100),
            lib("torch/lib/libtorch_cuda.so", "torch", sass=SASS[version], size=1000),
            lib("torch/lib/libtorch_cpu.so", "torch", size=5000),
        ),
        **{"gpus": gpus, **changes},
    )


def test_torch_26_on_an_rtx_5090() -> None:
    finding = only(judge("kernel-image-missing", torch("2.6.0", RTX_5090)))
    assert (finding.severity, finding.subject, finding.seats) == ("error", "torch on sm_120", ("torch",))
    assert "torch 2.6.0+cu124 has no code for sm_120 (NVIDIA GeForce RTX 5090)" in finding.message
    assert evidence(finding)["libtorch_cuda.so"] == "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90, no PTX"
    assert commands(finding) == ["uv pip install --python /opt/app/venv/bin/python torch==2.8.0"]


def test_torch_212_on_a_t4_lacks_one_library() -> None:
    """The wheel promises sm_75; its linear algebra has none."""
    finding = only(judge("kernel-image-missing", torch("2.12.0", T4, linalg="80 86 90 100 120")))
    assert (finding.severity, finding.subject) == ("error", "torch on sm_75")
    assert "libtorch_cuda_linalg.so of torch 2.12.0+cu130 has no code for sm_75" in finding.message
    assert "torch.linalg" in finding.message
    assert "libtorch_cuda.so" not in evidence(finding)
    assert commands(finding)[0].endswith("--torch-backend=cu126 torch==2.12.0+cu126")


def test_the_main_library_decides_though_a_small_one_has_the_code() -> None:
    sick = torch("2.6.0", RTX_5090, linalg="120")
    finding = only(judge("kernel-image-missing", sick))
    assert finding.severity == "error"
    assert "libtorch_cuda.so" in finding.message


@pytest.mark.parametrize(
    ("version", "card"),
    [
        ("2.8.0", RTX_4090),
        ("2.6.0", RTX_4090),
        ("2.8.0", T4),
        ("2.8.0", RTX_5090),
        ("2.12.0", H100),
        ("2.8.0", gpu("NVIDIA A100-SXM4-40GB MIG 1g.5gb", (8, 0))),
        ("2.8.0", gpu("Tesla V100-SXM2-16GB", (7, 0))),
        ("2.12.0", gpu("NVIDIA GB10", (12, 1))),
        ("2.12.0", gpu("NVIDIA GB200", (10, 0))),
        ("2.12.0", gpu("NVIDIA B300 SXM6", (10, 3))),
        ("2.8.0", gpu("NVIDIA A40", (8, 6))),
    ],
    ids=lambda value: value if isinstance(value, str) else value.sm,
)
def test_official_wheels_are_healthy_on_the_cards_they_serve(version: str, card: Gpu) -> None:
    run = judge("kernel-image-missing", torch(version, card))
    assert (run.status, run.findings) == ("passed", ())


def test_two_different_cards_are_judged_one_by_one() -> None:
    finding = only(judge("kernel-image-missing", torch("2.6.0", RTX_4090, RTX_5090)))
    assert finding.subject == "torch on sm_120"


def test_two_equal_cards_are_one_finding() -> None:
    assert len(judge("kernel-image-missing", torch("2.6.0", RTX_5090, RTX_5090)).findings) == 1


def test_two_packages_are_two_findings_with_one_command_for_torchs_own() -> None:
    sick = torch("2.6.0", RTX_5090)
    sick = replace(
        sick,
        distributions=(*sick.distributions, dist("flash-attn", "2.7.4")),
        libraries=(*sick.libraries, lib("flash_attn_2_cuda.so", "flash-attn", sass="80 90")),
    )
    by_subject = {f.subject: f for f in judge("kernel-image-missing", sick).findings}
    assert set(by_subject) == {"torch on sm_120", "flash-attn on sm_120"}
    assert by_subject["flash-attn on sm_120"].remedy is None


def test_ptx_alone_is_a_slow_start_not_an_illness() -> None:
    """CTranslate2's wheels end with sm_86 and bring PTX for what is newer."""
    package = dist("ctranslate2", "4.8.5")
    code = lib(
        "ctranslate2.libs/libctranslate2-1b0cf510.so.4.8.5", "ctranslate2", sass="53 60 61 70 75 80 86", ptx="86"
    )
    finding = only(judge("kernel-image-missing", inventory(package, libraries=(code,), gpus=(RTX_5090,))))
    assert (finding.severity, finding.remedy) == ("note", None)
    assert "PTX" in finding.message
    assert "slow" in finding.message
    assert judge("kernel-image-missing", inventory(package, libraries=(code,), gpus=(RTX_4090,))).status == "passed"


def test_code_for_one_exact_gpu_serves_no_other() -> None:
    flash = lib("flash_attn_3_cuda.so", "flash-attn-3", sass="90a")
    package = dist("flash-attn-3", "3.0.0")
    assert judge("kernel-image-missing", inventory(package, libraries=(flash,), gpus=(H100,))).status == "passed"
    assert judge("kernel-image-missing", inventory(package, libraries=(flash,), gpus=(RTX_5090,))).status == "failed"


def test_a_library_for_newer_gpus_beside_one_for_all_is_a_note() -> None:
    """vLLM and xformers bring Hopper's attention kernels in a file of their own."""
    vllm = inventory(
        dist("vllm", "0.10.0"),
        libraries=(
            lib("vllm/vllm_flash_attn/_vllm_fa3_C.abi3.so", "vllm", sass="90a", size=9000),
            lib("vllm/_C.abi3.so", "vllm", sass="75 80 86 89 90", size=1000),
        ),
    )
    assert only(judge("kernel-image-missing", vllm)).severity == "note"


def test_many_bare_libraries_are_counted_not_listed() -> None:
    """TensorRT has one library of kernels for each architecture."""
    resources = tuple(
        lib(f"tensorrt_libs/libnvinfer_builder_resource_sm{sm}.so.10", "tensorrt-cu12-libs", sass=sm)
        for sm in ("75", "80", "90", "100", "120", "86")
    )
    finding = only(judge("kernel-image-missing", inventory(dist("tensorrt-cu12-libs", "10.13.0"), libraries=resources)))
    assert finding.severity == "note"
    assert "and 1 more of tensorrt-cu12-libs" in finding.message
    assert finding.message.count("libnvinfer_builder_resource") == 3


def test_nvidias_own_libraries_are_not_judged() -> None:
    cublas = lib("nvidia/cublas/lib/libcublasLt.so.12", "nvidia-cublas-cu12", sass="90")
    run = judge("kernel-image-missing", inventory(dist("nvidia-cublas-cu12", "12.8.4.1"), libraries=(cublas,)))
    assert (run.status, run.applies) == ("skipped", False)


def test_what_was_not_read_to_the_end_is_not_missing() -> None:
    half = lib("torch/lib/libtorch_cuda.so", "torch", sass="80", unknown="compressed in an unknown way")
    run = judge("kernel-image-missing", inventory(dist("torch", "2.8.0", cuda="12.8"), libraries=(half,), gpus=(T4,)))
    assert (run.status, run.applies, run.findings) == ("skipped", True, ())
    assert "libtorch_cuda.so of torch: compressed in an unknown way" in run.note


def test_what_was_seen_before_the_reading_ended_counts() -> None:
    half = lib("torch/lib/libtorch_cuda.so", "torch", sass="80 86", unknown="cut short")
    run = judge("kernel-image-missing", inventory(dist("torch", "2.8.0", cuda="12.8"), libraries=(half,)))
    assert (run.status, run.note) == ("passed", "")


def test_an_unread_library_beside_a_healthy_one_is_said() -> None:
    mixed = replace(
        torch("2.8.0", RTX_5090),
        libraries=(
            lib("torch/lib/libtorch_cuda.so", "torch", unknown="not an ELF file"),
            lib("torch/lib/libtorch_cuda_linalg.so", "torch", sass=SASS["2.8.0"]),
            lib("ctranslate2.libs/libctranslate2.so.4", "ctranslate2", sass="80", ptx="86"),
        ),
    )
    run = judge("kernel-image-missing", mixed)
    assert run.status == "failed"
    assert [f.severity for f in run.findings] == ["note"]
    assert "libtorch_cuda.so" in run.note


def test_an_unknown_gpu_is_not_judged() -> None:
    run = judge("kernel-image-missing", torch("2.6.0", gpus=Unknown("NVML does not answer")))
    assert (run.status, run.note, run.applies) == ("skipped", "NVML does not answer", True)


def test_without_a_gpu_there_is_nothing_to_judge_for() -> None:
    run = judge("kernel-image-missing", torch("2.6.0"))
    assert run.status == "skipped"
    assert "--gpu" in run.note


def test_an_environment_without_gpu_code_is_not_judged() -> None:
    plain = inventory(dist("numpy", "2.2.6"), libraries=(lib("numpy/core.so", "numpy"),))
    run = judge("kernel-image-missing", plain)
    assert (run.status, run.applies) == ("skipped", False)


def test_foreign_architectures_are_bounded_and_kept() -> None:
    """A library may carry code for GPUs that nobody has heard of; it is shown, and it serves nobody here."""
    future = lib("x.so", "x")
    future = replace(future, gpu_code=GpuCode("read", ("sm_990",), ()))
    finding = only(judge("kernel-image-missing", inventory(dist("x", "1"), libraries=(future,))))
    assert "sm_990" in evidence(finding)["x.so"]


def test_the_remedy_fits_the_driver_too() -> None:
    old = torch("2.6.0", RTX_5090, driver=driver("525.60.13", "12.0"))
    assert commands(only(judge("kernel-image-missing", old)))[0].endswith("torch==2.8.0")
    arm = torch("2.6.0", gpu("NVIDIA GH200", (9, 0)), host=host(machine="aarch64"))
    assert judge("kernel-image-missing", arm).status == "passed"


def test_a_library_for_other_makers_gpus_is_no_loss() -> None:
    """bitsandbytes brings one for AMD beside those for NVIDIA."""
    amd = "its GPU code is for AMD GPUs and is not read"
    both = inventory(
        dist("bitsandbytes", "0.50.2"),
        libraries=(
            lib("bitsandbytes/libbitsandbytes_cuda128.so", "bitsandbytes", sass="80 86 89"),
            lib("bitsandbytes/libbitsandbytes_rocm64.so", "bitsandbytes", unknown=amd),
        ),
    )
    run = judge("kernel-image-missing", both)
    assert (run.status, run.note) == ("passed", "")


def ctranslate2_on_an_h100(version: str, driver_version: str, driver_cuda: str) -> Inventory:
    libraries = (lib("ctranslate2.libs/libctranslate2-a.so.4", "ctranslate2", sass="70 75 80 86", ptx="86"),)
    card = driver(driver_version, driver_cuda)
    return inventory(dist("ctranslate2", version), libraries=libraries, gpus=(H100,), driver=card)


def test_ptx_of_a_newer_cuda_than_the_drivers_is_not_compiled() -> None:
    """`cuobjdump --dump-ptx` shows PTX 8.7, which is CUDA 12.8's, in CTranslate2 4.8.5; driver 535 ends with 12.2."""
    finding = only(judge("kernel-image-missing", ctranslate2_on_an_h100("4.8.5", "535.183.01", "12.2")))
    assert finding.severity == "error"
    assert (
        "only PTX of CUDA 12.8.1, and driver 535.183.01 compiles none newer than that of CUDA 12.2" in finding.message
    )
    assert finding.remedy is not None
    assert "570" in finding.remedy.summary


@pytest.mark.parametrize(
    ("version", "number", "cuda"), [("4.8.5", "570.86.15", "12.8"), ("4.5.0", "535.183.01", "12.2")]
)
def test_ptx_of_the_drivers_own_cuda_is_a_slow_start(version: str, number: str, cuda: str) -> None:
    assert only(judge("kernel-image-missing", ctranslate2_on_an_h100(version, number, cuda))).severity == "note"


def test_a_driver_of_an_older_major_is_another_rules_matter() -> None:
    run = judge("kernel-image-missing", ctranslate2_on_an_h100("4.8.5", "470.57.02", "11.4"))
    assert only(run).severity == "note"


def test_what_torchvision_lacks_with_torch_is_no_second_alarm() -> None:
    here = torch("2.12.0", gpu("Tesla V100", (7, 0)))
    vision = dist("torchvision", "0.27.0", cuda="13.0")
    code = lib("torchvision/_C.so", "torchvision", sass="75 80 86 90 100 120")
    both = replace(here, distributions=(*here.distributions, vision), libraries=(*here.libraries, code))
    run = judge("kernel-image-missing", both)
    assert {(f.subject, f.severity) for f in run.findings} == {
        ("torch on sm_70", "error"),
        ("torchvision on sm_70", "note"),
    }


# --- What the GPU itself says -------------------------------------------------------------------------------------------

REFUSED = "RuntimeError: CUDA error: no kernel image is available for execution on the device"
LINALG = ("linalg solve", "linalg svd", "linalg cholesky", "linalg eigh")


def asked(capability: str, *refused: str, kind: Kind = "torch-gpu", subject: str = "GPU 0") -> Probe:
    """A GPU that refused these experiments and passed the others."""
    names = ("launch kernel", "allocate memory", "matmul fp32", *LINALG)
    trials = (trial(n, "failed", REFUSED) if n in refused else trial(n) for n in names)
    told = {"device": "a GPU", "capability": capability, "first launch seconds": "41.7"}
    return probe(kind, subject, "answered", *trials, measured=told)


def test_what_the_gpu_refused_is_testimony_in_the_one_finding() -> None:
    sick = torch("2.6.0", RTX_5090, probes=(asked("12.0", "launch kernel", "matmul fp32", *LINALG),))
    finding = only(judge("kernel-image-missing", sick))
    assert (finding.severity, finding.subject) == ("error", "torch on sm_120")
    assert evidence(finding)["asked live: launch kernel in torch on GPU 0"] == REFUSED
    assert "libtorch_cuda.so" in evidence(finding)


def test_torch_212_on_a_t4_is_proven_by_its_linear_algebra() -> None:
    sick = torch("2.12.0", T4, linalg="80 86 90 100 120", probes=(asked("7.5", *LINALG),))
    finding = only(judge("kernel-image-missing", sick))
    assert finding.severity == "error"
    assert evidence(finding)["asked live: linalg solve in torch on GPU 0"] == REFUSED
    assert "asked live: launch kernel in torch on GPU 0" not in evidence(finding)


def test_linear_algebra_that_ran_is_not_missing() -> None:
    cleared = torch("2.12.0", T4, linalg="80 86 90 100 120", probes=(asked("7.5"),))
    assert judge("kernel-image-missing", cleared).status == "passed"


def test_linear_algebra_that_was_not_tried_stays_missing() -> None:
    half = probe("torch-gpu", "GPU 0", "answered", trial("launch kernel"), measured={"capability": "7.5"})
    run = judge("kernel-image-missing", torch("2.12.0", T4, linalg="80 86 90 100 120", probes=(half,)))
    assert [row.what for row in only(run).evidence] == ["GPU", "libtorch_cuda_linalg.so"]


def test_the_answer_of_another_gpu_clears_nothing() -> None:
    other = torch("2.6.0", RTX_4090, RTX_5090, probes=(asked("8.9"),))
    assert only(judge("kernel-image-missing", other)).subject == "torch on sm_120"


def test_a_refusal_that_the_files_do_not_show_is_a_finding_of_its_own() -> None:
    sick = torch("2.8.0", RTX_4090, probes=(asked("8.9", *LINALG),))
    finding = only(judge("kernel-image-missing", sick))
    assert (finding.severity, finding.subject, finding.seats) == ("error", "torch on sm_89", ("torch",))
    assert finding.message == (
        "torch 2.8.0+cu128 has no code for sm_89 in its linear algebra: "
        "GPU 0 (a GPU) refused `linalg solve`, `linalg svd`, `linalg cholesky`."
    )


def test_a_refusal_counts_where_no_file_could_be_read() -> None:
    bare = inventory(dist("torch", "2.8.0", cuda="12.8"), probes=(asked("8.9", "launch kernel"),))
    assert only(judge("kernel-image-missing", bare)).subject == "torch on sm_89"
    hidden = replace(bare, libraries=(lib("torch/lib/libtorch_cuda.so", "torch", unknown="cut short"),), gpus=())
    assert only(judge("kernel-image-missing", hidden)).subject == "torch on sm_89"


def test_an_unread_library_whose_code_ran_leaves_nothing_open() -> None:
    unread = lib("torch/lib/libtorch_cuda.so", "torch", unknown="compressed in an unknown way")
    ran = inventory(dist("torch", "2.8.0", cuda="12.8"), libraries=(unread,), gpus=(T4,), probes=(asked("7.5"),))
    run = judge("kernel-image-missing", ran)
    assert (run.status, run.note) == ("passed", "")


def test_a_slow_start_is_said_with_the_seconds_it_took() -> None:
    old = torch("2.6.0", RTX_5090, probes=(asked("12.0"),))
    slow = replace(old, libraries=(lib("torch/lib/libtorch_cuda.so", "torch", sass="80", ptx="90"),))
    finding = only(judge("kernel-image-missing", slow))
    assert finding.severity == "note"
    assert evidence(finding)["asked live: seconds of the first launch"] == "41.7"


def test_ptx_that_the_driver_compiled_after_all_is_no_illness() -> None:
    code = lib("torch/lib/libtorch_cuda.so", "torch", sass="80", ptx="90")
    refusing = torch("2.8.0", RTX_5090, driver=driver("535.183.01", "12.2"))
    static = replace(refusing, libraries=(code,))
    assert only(judge("kernel-image-missing", static)).severity == "error"
    assert judge("kernel-image-missing", replace(static, probes=(asked("12.0"),))).status == "passed"


def test_ctranslate2_that_refuses_is_proven_with_its_driver_as_the_remedy() -> None:
    unsupported = "RuntimeError: CUDA failed with error the provided PTX was compiled with an unsupported toolchain."
    refused = probe("ctranslate2", "GPU 0", "answered", trial("run", "failed", unsupported))
    sick = replace(ctranslate2_on_an_h100("4.8.5", "570.86.15", "12.8"), probes=(refused,))
    finding = only(judge("kernel-image-missing", sick))
    assert finding.severity == "error"
    assert evidence(finding)["asked live: run in CTranslate2 on GPU 0"] == unsupported
    assert finding.remedy is not None


def test_a_gpu_that_was_not_asked_changes_nothing() -> None:
    skipped = probe("torch-gpu", "GPU 0", "skipped", reason="the hardware is assumed, not this machine's")
    static = torch("2.6.0", RTX_5090)
    assert judge("kernel-image-missing", replace(static, probes=(skipped,))) == judge("kernel-image-missing", static)
