"""Why an import failed, and what follows from that."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_doctor.model.remedy import ClearExecutableStack, Remedy
from tests.checks.judge import judge, only
from tests.kit import SITE, dist, elf, inventory, lib, probe

STACK = (
    "ImportError: libctranslate2-a1b2c3d4.so.4.4.0: "
    "cannot enable executable stack as shared object requires: Invalid argument"
)


def wishes(*, executable: bool) -> Any:
    return lib("ctranslate2.libs/libctranslate2-a1b2c3d4.so.4.4.0", "ctranslate2", elf=elf(executable_stack=executable))


def test_the_wish_for_an_executable_stack_can_be_cleared() -> None:
    failed = probe("import", "ctranslate2", "raised", reason=STACK)
    here = inventory(dist("ctranslate2", "4.4.0"), probes=(failed,), libraries=(wishes(executable=True),))
    finding = only(judge("package-import-fails", here))
    name, path = "libctranslate2-a1b2c3d4.so.4.4.0", f"{SITE}/ctranslate2.libs/libctranslate2-a1b2c3d4.so.4.4.0"
    assert f"{name} wants an executable stack, which this system does not grant" in finding.message
    assert path in finding.seats
    assert finding.remedy == Remedy(
        f"Clear the wish for an executable stack in {name}.",
        "safe",
        (ClearExecutableStack(path),),
        "changes one bit of the file; the next reinstall of ctranslate2 brings it back",
    )


@pytest.mark.parametrize("libraries", [(), (wishes(executable=False),)], ids=["elsewhere", "no such wish"])
def test_without_the_library_that_wishes_it_there_is_nothing_to_clear(libraries: Any) -> None:
    failed = probe("import", "ctranslate2", "raised", reason=STACK)
    here = inventory(dist("ctranslate2", "4.4.0"), probes=(failed,), libraries=libraries)
    assert only(judge("package-import-fails", here)).remedy is None
