"""Import one module as a program would; Python 3.8, standard library and the module only.

Argument: {"module": the module's name}.
Answer: {"version": its __version__, "file": where it lies, "seconds": how long the import took}.
Trials, where there is something to say: "loader" holds the sentences of ld.so in the words of a failed import, which
may be longer than a reason bears; "mapped libraries" the files of NVIDIA's libraries that lie in the process then.
"""

from __future__ import annotations

import importlib
import re
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_LOADER = re.compile(
    r"cannot open shared object file|undefined symbol|file too short|invalid ELF header|version `.*' not found"
    r"|cannot enable executable stack|cannot allocate memory in static TLS block"
)
_NVIDIA = re.compile(
    r"/lib(?:cuda|cu(?:dart|blas|blasLt|dnn\w*|fft|fftw|file|pti|rand|solver|solverMg|sparse|sparseLt)|npp\w+|nccl|nvJitLink"
    r"|nvToolsExt|nvcuvid|nvidia-\w+|nvinfer\w*|nvjpeg|nvrtc|nvrtc-builtins|nvshmem\w*|nvptxcompiler)[-.][^/]*$"
)
_LINES = 12
# An exception may be its own cause.
_CAUSES = 20
_LIBRARIES = 60


def answer(argument: dict[str, Any], notes: Any) -> dict[str, Any]:
    """Import it; an exception of the import is the question's own end."""
    begin = time.perf_counter()
    try:
        module = importlib.import_module(argument["module"])
        seconds = round(time.perf_counter() - begin, 3)
        if getattr(module, "__file__", None) is None:
            folders = ", ".join(getattr(module, "__path__", ()))
            raise ImportError("only a folder, without a module in it: " + folders)
    except Exception as error:
        said = tuple(_loader_sentences(error))
        if said:
            notes.write(trial="loader", outcome="failed", detail="\n".join(said[:_LINES]), measured={})
        raise
    finally:
        _note_mapped(notes)
    version = getattr(module, "__version__", None)
    return {"version": None if version is None else str(version), "file": module.__file__, "seconds": seconds}


def _loader_sentences(error: BaseException | None) -> Iterator[str]:
    """Yield what the loader said, once each, from an exception and those that it was raised from."""
    seen = set()  # type: set[str]
    for _ in range(_CAUSES):
        if error is None:
            return
        for line in _words(error).split("\n"):
            if _LOADER.search(line) and line not in seen:
                seen.add(line)
                yield line.strip()[:300]
        error = error.__cause__ or error.__context__


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:
        return ""


def _note_mapped(notes: Any) -> None:
    """Write down which of NVIDIA's libraries are mapped, by their real paths."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
            paths = {line.rstrip("\n").partition("/")[2] for line in file if "/" in line}
    except OSError:
        return
    found = sorted("/" + path for path in paths if _NVIDIA.search("/" + path))[:_LIBRARIES]
    if found:
        names = {path.rpartition("/")[2]: path for path in found}
        notes.write(trial="mapped libraries", outcome="passed", detail="", measured=names)
