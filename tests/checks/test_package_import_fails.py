"""package-import-fails: packages other than torch whose import ends in anything but success."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_doctor.model.inventory import Damage, Inventory
from gpu_doctor.model.probes import Probe, Trial
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import commands, judge, judge_all, only
from tests.kit import PREFIX, SITE, dist, inventory, lib, probe, trial

TORCH = dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128")
INSTALL = f"uv pip install --python {PREFIX}/bin/python"
CRASH = "was killed by SIGSEGV (Segmentation fault)"


def raised(name: str, words: str, *trials: Trial, **changes: Any) -> Probe:
    return probe("import", name, "raised", *trials, reason=words, **changes)


def sick(*items: Any, **rest: Any) -> Inventory:
    """An inventory of these distributions and probes; a probe without a distribution gets one."""
    probes = tuple(item for item in items if isinstance(item, Probe))
    packages = [item for item in items if not isinstance(item, Probe)]
    packages += [dist(p.subject, "1.0") for p in probes if p.subject not in {d.name for d in packages}]
    return inventory(*packages, probes=probes, **rest)


@pytest.mark.parametrize(
    ("ending", "why", "words"),
    [
        ("raised", "ValueError: odd", "ctranslate2 1.0 cannot be imported: ValueError: odd."),
        ("crashed", CRASH, "the process was killed by SIGSEGV (Segmentation fault)."),
        ("timed out", "did not answer in 90 s", "the process timed out: it did not answer in 90 s."),
    ],
)
def test_the_message_names_how_it_ended(ending: str, why: str, words: str) -> None:
    finding = only(judge("package-import-fails", sick(probe("import", "ctranslate2", ending, reason=why))))
    assert finding.subject == "ctranslate2"
    assert words in finding.message


@pytest.mark.parametrize(("ending", "severity"), [("raised", "error"), ("crashed", "error"), ("timed out", "warning")])
def test_who_does_not_answer_in_time_may_only_be_slow(ending: str, severity: str) -> None:
    finding = only(judge("package-import-fails", sick(probe("import", "ctranslate2", ending, reason="did not"))))
    assert finding.severity == severity


def test_without_a_reason_its_files_are_written_again() -> None:
    finding = only(judge("package-import-fails", sick(probe("import", "ctranslate2", "crashed", reason=CRASH))))
    assert commands(finding) == [f"{INSTALL} --reinstall --no-deps ctranslate2==1.0"]


# --- The reasons ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numpy", "words", "wanted"),
    [
        ("2.2.6", "AttributeError: _ARRAY_API not found", "numpy<2"),
        ("2.2.6", "ImportError: numpy.core.multiarray failed to import", "numpy<2"),
        (
            "1.26.4",
            "ValueError: numpy.dtype size changed, may indicate binary incompatibility. "
            "Expected 96 from C header, got 88 from PyObject",
            "numpy>=2",
        ),
    ],
)
def test_a_package_for_another_numpy(numpy: str, words: str, wanted: str) -> None:
    finding = only(judge("package-import-fails", sick(dist("numpy", numpy), raised("whisperx", words))))
    assert f"numpy {numpy} is installed" in finding.message
    assert commands(finding) == [f"{INSTALL} '{wanted}'"]


def test_numpys_words_with_the_right_numpy_have_another_reason() -> None:
    seen = sick(dist("numpy", "1.26.4"), raised("whisperx", "AttributeError: _ARRAY_API not found"))
    assert "was built for" not in only(judge("package-import-fails", seen)).message


OTHER_CUDA = (
    "RuntimeError: Detected that PyTorch and TorchAudio were compiled with different CUDA versions. "
    "PyTorch has CUDA version 13.2 whereas TorchAudio has CUDA version 13.0."
)
NO_SYMBOL = "OSError: libtorchaudio.so: undefined symbol: aoti_torch_abi_version"


@pytest.mark.parametrize("words", [OTHER_CUDA, NO_SYMBOL], ids=["another CUDA", "a symbol of torch's C interface"])
def test_a_companion_of_another_torch_needs_the_release_that_fits(words: str) -> None:
    finding = only(
        judge("package-import-fails", sick(TORCH, dist("torchaudio", "2.11.0"), raised("torchaudio", words)))
    )
    assert finding.message.endswith("torchaudio 2.11.0 was built for another torch than torch 2.8.0+cu128.")
    assert commands(finding) == [f"{INSTALL} torchaudio==2.8.0"]


def test_such_a_companion_that_the_files_show_is_one_alarm() -> None:
    companion = dist("torchaudio", "2.11.0", requires=("torch==2.11.0",))
    case = judge_all(sick(TORCH, companion, probe("import", "torch"), raised("torchaudio", NO_SYMBOL)))
    primaries = [f.rule for f in case.findings if f.consequence_of is None and f.severity == "error"]
    assert primaries == ["package-version-conflict"]


def test_an_exception_of_its_own_is_not_healed_by_the_same_files() -> None:
    assert only(judge("package-import-fails", sick(raised("diffusers", "ValueError: odd.")))).remedy is None


def test_a_module_that_another_package_asks_for_has_its_name_from_there() -> None:
    words = "ModuleNotFoundError: No module named 'six'"
    asking = dist("python-dateutil", "2.9.0", requires=("six>=1.5",))
    assert commands(only(judge("package-import-fails", sick(asking, raised("coqui-tts", words))))) == [
        f"{INSTALL} 'six>=1.5'"
    ]
    assert only(judge("package-import-fails", sick(raised("coqui-tts", words)))).remedy is None


def test_a_name_that_transformers_removed() -> None:
    words = f"ImportError: cannot import name 'BeamSearchScorer' from 'transformers' ({SITE}/transformers/__init__.py)"
    seen = sick(dist("transformers", "5.0.0"), raised("tts", words))
    finding = only(judge("package-import-fails", seen))
    assert "it asks transformers for BeamSearchScorer, which transformers 5.0.0 does not have" in finding.message
    assert commands(finding) == [
        f"uv pip uninstall --python {PREFIX}/bin/python tts",
        f"{INSTALL} coqui-tts",
    ]


AUDIO = "AttributeError: module 'torchaudio' has no attribute 'AudioMetaData'"


def test_a_name_that_torchaudio_removed() -> None:
    finding = only(judge("package-import-fails", sick(dist("torchaudio", "2.9.0"), raised("pyannote-audio", AUDIO))))
    assert "torchaudio 2.9.0 does not have" in finding.message
    assert commands(finding) == [f"{INSTALL} 'pyannote-audio>=4'"]


def test_what_whisperx_asks_for_is_not_broken_by_the_remedy() -> None:
    holding = dist("whisperx", "3.4.2", requires=("pyannote-audio<4",))
    seen = sick(dist("torchaudio", "2.9.0"), holding, raised("pyannote-audio", AUDIO))
    assert only(judge("package-import-fails", seen)).remedy is None


@pytest.mark.parametrize(
    ("module", "requires", "wanted"),
    [
        ("pkg_resources", (), "setuptools<81"),
        ("cv2", (), "opencv-python-headless"),
        ("omegaconf.base", ("omegaconf>=2.1,<3 ; extra == 'all'",), "omegaconf<3,>=2.1"),
    ],
)
def test_a_module_that_is_not_installed(module: str, requires: tuple[str, ...], wanted: str) -> None:
    failed = raised("whisperx", f"ModuleNotFoundError: No module named '{module}'")
    finding = only(judge("package-import-fails", sick(dist("whisperx", "3.4.2", requires=requires), failed)))
    assert f"it imports {module}, which is not installed" in finding.message
    (line,) = commands(finding)
    assert line.replace("'", "") == f"{INSTALL} {wanted}"


def test_whose_module_it_is_is_not_guessed() -> None:
    finding = only(
        judge("package-import-fails", sick(raised("whisperx", "ModuleNotFoundError: No module named 'foo'")))
    )
    assert finding.remedy is None


def test_a_package_without_its_own_module_is_written_again() -> None:
    finding = only(
        judge("package-import-fails", sick(raised("whisperx", "ModuleNotFoundError: No module named 'whisperx.asr'")))
    )
    assert "its own module whisperx.asr is not there" in finding.message
    assert commands(finding) == [f"{INSTALL} --reinstall --no-deps whisperx==1.0"]


def test_an_extension_for_another_torch() -> None:
    words = f"ImportError: {SITE}/flash_attn_2_cuda.so: undefined symbol: _ZN3c105ErrorC2ENS_14SourceLocationE"
    finding = only(judge("package-import-fails", sick(TORCH, raised("flash-attn", words))))
    assert "flash-attn 1.0 was built for another torch than torch 2.8.0+cu128" in finding.message


def test_torchvisions_operators_are_missing_where_it_was_built_for_another_torch() -> None:
    vision = dist("torchvision", "0.22.0", requires=("torch==2.7.0",))
    words = "RuntimeError: operator torchvision::nms does not exist"
    finding = only(judge("package-import-fails", sick(TORCH, vision, raised("torchvision", words))))
    assert "torchvision 0.22.0 was built for another torch" in finding.message
    assert commands(finding) == [f"{INSTALL} torchvision==0.23.0"]


def test_a_library_that_the_loader_does_not_find() -> None:
    words = "ImportError: libcudart.so.12: cannot open shared object file: No such file or directory"
    finding = only(judge("package-import-fails", sick(dist("cupy-cuda12x", "13.0"), raised("cupy-cuda12x", words))))
    assert "the loader does not find libcudart.so.12" in finding.message
    assert commands(finding) == [f"{INSTALL} nvidia-cuda-runtime-cu12"]


def test_a_system_that_is_too_old() -> None:
    words = "ImportError: /lib/libc.so.6: version `GLIBC_2.38' not found (required by x.so)"
    finding = only(judge("package-import-fails", sick(raised("ctranslate2", words))))
    assert "it needs GLIBC_2.38, which is newer than what this system has" in finding.message
    assert finding.remedy is None


# --- One illness, one alarm -------------------------------------------------------------------------------------------


def alarms(seen: Inventory) -> list[tuple[str, str]]:
    return [(f.rule, f.subject) for f in judge_all(seen).findings if f.consequence_of is None]


def test_who_fails_as_torch_fails_stands_under_it() -> None:
    words = "ImportError: libtorch_cpu.so: undefined symbol: foo"
    seen = sick(TORCH, *(raised(name, words) for name in ("torch", "torchaudio", "whisperx")))
    assert alarms(seen) == [("torch-import-fails", "torch")]


def test_who_fails_on_the_way_through_another_stands_under_it() -> None:
    ours = f"OSError: {SITE}/torchcodec/libtorchcodec_core5.so: undefined symbol: _ZN3c1013MessageLogger"
    told = trial("loader", "failed", ours)
    way = f'  File "{SITE}/torchcodec/__init__.py", line 12, in <module>'
    codec = raised("torchcodec", "RuntimeError: Could not load libtorchcodec", told)
    pyannote = raised("pyannote-audio", "RuntimeError: Could not load libtorchcodec. (again)", told, log=way)
    assert alarms(sick(TORCH, dist("torchcodec", "0.10.0"), codec, pyannote)) == [
        ("torchcodec-abi-mismatch", "torchcodec")
    ]


def test_several_that_lack_the_same_module_are_one_alarm() -> None:
    words = "ModuleNotFoundError: No module named 'pkg_resources'"
    seen = sick(*(raised(name, words) for name in ("ctranslate2", "faster-whisper", "whisperx")))
    assert alarms(seen) == [("package-import-fails", "ctranslate2")]


def test_several_with_different_reasons_are_several_alarms() -> None:
    seen = sick(raised("ctranslate2", "ValueError: a"), raised("transformers", "ValueError: b"))
    assert len(alarms(seen)) == 2


def test_lost_files_are_the_cause() -> None:
    path = f"{SITE}/ctranslate2.libs/libctranslate2.so"
    lost = Damage(path, "ctranslate2", "truncated", "400 bytes", "200 bytes")
    failed = raised("ctranslate2", "ImportError: libctranslate2.so: file too short")
    seen = sick(failed, damages=(lost,), libraries=(lib(path, "ctranslate2"),))
    assert alarms(seen) == [("package-files-damaged", "ctranslate2")]


# --- Healthy, and what cannot be known --------------------------------------------------------------------------------


def test_imports_that_answer_pass() -> None:
    assert judge("package-import-fails", sick(probe("import", "ctranslate2"))).status == "passed"


def test_torch_has_its_own_rule() -> None:
    assert judge("package-import-fails", sick(raised("torch", "ImportError: x"))).status == "passed"


NO_DRIVER = "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory"


@pytest.mark.parametrize("machine", [{"gpus": (), "driver": None}, {"gpus": Unknown("NVML does not answer")}])
def test_a_package_that_wants_a_gpu_at_import_is_not_ill_without_one(machine: dict[str, Any]) -> None:
    run = judge("package-import-fails", sick(raised("cupy-cuda12x", NO_DRIVER), **machine))
    assert run.status == "passed"
    assert "cupy-cuda12x 1.0 wants a GPU at its import, and none is known" in run.note


def test_with_a_gpu_it_is_ill() -> None:
    assert only(judge("package-import-fails", sick(raised("cupy-cuda12x", NO_DRIVER)))).severity == "error"


def test_what_was_not_tried_is_named_once_by_its_reason() -> None:
    why = "import torch was killed by SIGSEGV (Segmentation fault)"
    skipped = (probe("import", name, "skipped", reason=why) for name in ("torchaudio", "torchvision"))
    run = judge("package-import-fails", sick(TORCH, probe("import", "torch", "crashed", reason=CRASH), *skipped))
    assert run.status == "passed"
    assert run.note == f"torchaudio, torchvision not tried: {why}"


def test_files_alone_do_not_tell() -> None:
    run = judge("package-import-fails", inventory(TORCH, probes=Unknown("only files were read")))
    assert (run.status, run.note) == ("skipped", "only files were read")


NO_SETUPTOOLS = raised("triton", "ModuleNotFoundError: No module named 'setuptools'")
WITH_TRITON = dist("torch", "2.6.0", cuda="12.4", requires=("triton==3.2.0",))


def test_torch_works_without_triton_until_it_compiles() -> None:
    finding = only(judge("package-import-fails", sick(WITH_TRITON, NO_SETUPTOOLS, probe("import", "torch"))))
    assert finding.severity == "warning"
    assert finding.message.endswith(
        "setuptools, which is not installed. torch works without it, but for torch.compile."
    )
    assert commands(finding) == [f"{INSTALL} setuptools"]


@pytest.mark.parametrize(
    "items",
    [
        (WITH_TRITON, probe("import", "torch"), dist("flash-linear-attention", "0.4", requires=("triton>=3.0",))),
        (WITH_TRITON, probe("import", "torch", "skipped", reason="not asked")),
        (dist("triton", "3.2.0"),),
    ],
    ids=["another package wants it", "torch was not imported", "nobody but the user wants it"],
)
def test_where_more_than_one_feature_may_be_lost_triton_is_an_error(items: Any) -> None:
    run = judge("package-import-fails", sick(*items, NO_SETUPTOOLS))
    assert [f.severity for f in run.findings if f.subject == "triton"] == ["error"]
