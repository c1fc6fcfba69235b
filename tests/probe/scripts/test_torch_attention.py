"""Which backends are asked for, and how torch's refusal is understood; with stand-ins for torch."""

from __future__ import annotations

import runpy
import sys
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from gpu_doctor.probe.ask import SCRIPTS

ATTENTION = runpy.run_path(str(SCRIPTS / "_torch_attention.py"))
SAID = [
    "Memory efficient kernel not used because: (Triggered internally at sdp_utils.cpp:775.)",
    "Memory Efficient attention has been runtime disabled. (Triggered internally at sdp_utils_cpp.h:552.)",
    "Flash attention kernel not used because: (Triggered internally at sdp_utils.cpp:777.)",
    "Flash attention only supports gpu architectures in the range [sm80, sm121]. (Triggered internally at x.cpp:1.)",
    "CuDNN attention kernel not used because: (Triggered internally at sdp_utils.cpp:779.)",
    "cuDNN attention has been runtime disabled. (Triggered internally at x.cpp:2.)",
]


def why_not(backend: str, said: list[str]) -> Any:
    return ATTENTION["_why_not"](backend, RuntimeError("No available kernel. Aborting execution."), said)


def test_the_warning_of_the_backend_that_was_asked_for_counts() -> None:
    assert why_not("flash", SAID) == "Flash attention only supports gpu architectures in the range [sm80, sm121]."


def test_without_its_warning_the_error_itself_counts() -> None:
    assert why_not("flash", SAID[:2]) == "No available kernel. Aborting execution."
    assert why_not("flash", SAID[:3]) == "No available kernel. Aborting execution."


def lacking(backend: str, *, on_gpu: bool, has_attention: bool = True) -> Any:
    functional = SimpleNamespace(**({"scaled_dot_product_attention": None} if has_attention else {}))
    # No torch.nn.attention can be imported here, as in torch 2.2 and before.
    torch = SimpleNamespace(
        nn=SimpleNamespace(functional=functional),
        backends=SimpleNamespace(cuda=SimpleNamespace(sdp_kernel=Flags)),
    )
    return ATTENTION["_lacking"](SimpleNamespace(torch=torch, on_gpu=on_gpu), backend)


class Flags:
    asked: ClassVar[dict[str, bool]] = {}

    def __init__(self, **flags: bool) -> None:
        Flags.asked = flags

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def test_an_old_torch_is_asked_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.nn.attention", None)
    assert lacking("efficient", on_gpu=True) == ""
    assert Flags.asked == {"enable_flash": False, "enable_mem_efficient": True, "enable_math": False}
    assert lacking("cudnn", on_gpu=True) == "needs a newer torch"


def test_what_a_device_or_a_torch_does_not_have_is_said() -> None:
    assert lacking("efficient", on_gpu=False) == "needs a GPU"
    assert lacking("math", on_gpu=False, has_attention=False) == "needs torch 2.0"
