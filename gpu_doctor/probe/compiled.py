"""Let the children of one interpreter share compiled modules without leaving any in its environment."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from types import TracebackType


@dataclass(frozen=True, slots=True)
class Compiled:
    """Hold how to start the children, and the folder of what they compile, which goes when the `with` block ends."""

    options: tuple[str, ...] = ("-B",)
    environ: dict[str, str] = field(default_factory=dict)
    folder: str | None = None

    def __enter__(self) -> Compiled:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def share_compiled(*, compile_anew: bool) -> Compiled:
    """Return how to start children that write no compiled module, or with `compile_anew` into one temporary folder.

    A child with such a folder does not see modules that lie compiled in the environment.
    """
    if not compile_anew:
        return Compiled()
    try:
        folder = tempfile.mkdtemp(prefix="gpu-doctor-")
    except OSError:
        return Compiled()
    # A user's own wish to write none is about his folders, not about this one.
    return Compiled(("-X", f"pycache_prefix={folder}"), {"PYTHONDONTWRITEBYTECODE": ""}, folder)
