"""What each requirement needs: the rules exist, and nothing is needed beside what is required."""

from __future__ import annotations

import pytest

from gpu_doctor.checks.engine.registry import load_rules
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.requirement import Requirement
from gpu_doctor.preflight.concerns import _OF_THE_PACKAGE
from gpu_doctor.preflight.language import WORDS, parse
from gpu_doctor.preflight.plan import CUDNN_RULES, HOST_RULES, KERNEL_RULE, Need, need, together

RULES = {item.rule.id: item.rule for item in load_rules()}


def required(*texts: str) -> list[Requirement]:
    return [parse(text, "--require", Facts.load()) for text in texts]


def test_every_rule_that_is_named_exists() -> None:
    named = {rule for item in required(*(word.example for word in WORDS)) for rule in need(item).rules}
    assert {*named, *HOST_RULES, *CUDNN_RULES, *_OF_THE_PACKAGE, KERNEL_RULE} - set(RULES) == set()


def test_every_rule_of_a_cuda_package_is_weighed_but_those_of_benchmarks_and_mere_slowness() -> None:
    (torch,) = required("stft")
    assert set(RULES) - need(torch).rules == {
        *("audio-invalid", "bench-fails", "gpu-below-floor", "gpu-slower-than-cpu", "memory-leak"),
        *("library-links-stale", "torchcodec-abi-mismatch", "wsl-pinned-memory"),
    }


@pytest.mark.parametrize("text", ["ram>=1GB", "shm>=1GB", "package:torch", "python>=3"])
def test_what_files_of_the_machine_and_names_of_packages_tell_needs_nothing(text: str) -> None:
    assert need(*required(text)) == Need()


def test_hardware_needs_no_files_and_kernels_need_no_hardware() -> None:
    assert need(*required("vram>=1GB")) == Need(hardware=True)
    assert need(*required("kernels:sm_89")) == Need(code=True)


def test_each_package_asks_about_itself() -> None:
    torch, ct2 = (need(*required(text)) for text in ("torch-cuda", "ctranslate2-cuda"))
    assert (torch.imports, ct2.imports) == ({"torch"}, {"ctranslate2"})
    assert "ctranslate2" not in torch.kinds
    assert "torch-gpu" not in ct2.kinds
    assert "cufft" not in torch.kinds
    assert "cufft" in need(*required("stft")).kinds


def test_several_need_what_each_needs() -> None:
    both = together(required("kernels:sm_89", "driver>=1"))
    assert both == Need(hardware=True, code=True)
    assert together([]) == Need()
