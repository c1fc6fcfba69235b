"""What the words of a failed import name."""

from __future__ import annotations

import pytest

from gpu_doctor.checks.imports.errors import (
    Symbol,
    failed_imports,
    missing_module,
    seats,
    shortened,
    undefined,
    unopened,
)
from gpu_doctor.model.probes import Probe
from gpu_doctor.model.unknown import Unknown
from tests.kit import SITE, dist, inventory, lib, probe, resolution


def raised(words: str, **changes: object) -> Probe:
    return probe("import", "torch", "raised", reason=words, **changes)


@pytest.mark.parametrize(
    ("words", "library"),
    [
        ("ImportError: libcudart.so.13: cannot open shared object file: No such file or directory", "libcudart.so.13"),
        ("OSError: /opt/x/libnvToolsExt.so: cannot open shared object file", "libnvToolsExt.so"),
        ("ImportError: libcusparse.so.12: undefined symbol: f", None),
        ("ValueError: no", None),
    ],
)
def test_the_library_that_was_not_found(words: str, library: str | None) -> None:
    found = unopened(raised(words))
    assert (found and found.rpartition("/")[2]) == library


def test_the_symbol_that_was_not_found() -> None:
    words = "ImportError: /a/b/libcusparse.so.12: undefined symbol: __nvJitLinkCreate_12_8, version libnvJitLink.so.12"
    named = Symbol("/a/b/libcusparse.so.12", "__nvJitLinkCreate_12_8", "libnvJitLink.so.12")
    assert undefined(raised(words)) == named
    assert undefined(raised("OSError: /a/x.so: undefined symbol: _ZN3c10")) == Symbol("/a/x.so", "_ZN3c10", None)
    assert undefined(raised("OSError: no")) is None


def test_the_module_that_is_not_there() -> None:
    assert missing_module(raised("ModuleNotFoundError: No module named 'torio.io'")) == "torio.io"
    assert missing_module(raised("ImportError: No module named 'torio'")) is None


def test_a_long_error_keeps_its_first_line_and_the_names_of_files() -> None:
    words = "OSError: /opt/app/venv/lib/libx.so.1: undefined symbol: f\nmore"
    assert shortened(words) == "OSError: libx.so.1: undefined symbol: f"
    redacted = "OSError: ~/venv/lib/libx.so.1: undefined symbol: f"
    assert shortened(redacted) == "OSError: libx.so.1: undefined symbol: f"
    assert shortened("x" * 1000) == "x" * 300 + "…"
    assert shortened("") == "an exception without words"


def test_an_import_after_others_is_another_question() -> None:
    probes = (raised("E: a"), raised("E: b", after=("numpy",)), probe("import", "jax"))
    assert [p.reason for p in failed_imports(inventory(probes=probes))] == ["E: a"]
    assert failed_imports(inventory(probes=Unknown("files"))) == ()


def test_seats_are_the_named_libraries_and_those_that_lack_them() -> None:
    torch_cuda = f"{SITE}/torch/lib/libtorch_cuda.so"
    lacking = resolution(torch_cuda, "torch", "libcudnn.so.9", found=None, how="needed")
    served = resolution("torch/lib/libother.so", "torch", "libcudnn.so.9", found="x/libcudnn.so.9")
    seen = inventory(dist("torch", "2.8.0"), resolutions=(lacking, served))
    assert seats(seen, raised("ImportError: libcudnn.so.9: cannot open shared object file")) == (
        "import torch",
        torch_cuda,
    )


def test_the_library_being_loaded_at_a_crash_is_a_seat() -> None:
    path = f"{SITE}/torch/lib/libc10.so"
    seen = inventory(dist("torch", "2.8.0"), libraries=(lib(path, "torch"),))
    died = probe("import", "torch", "crashed", reason="was killed by SIGSEGV", loading=path)
    assert seats(seen, died) == ("import torch", path)
