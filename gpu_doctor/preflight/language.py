"""The language of requirements: its words, and how a text becomes a Requirement."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from gpu_doctor.errors import UsageError
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.requirement import Requirement
from gpu_doctor.preflight.sizes import parse_size

Bound = Literal["", "version", "size", "count", "specifier"]

_ORDER = (">=", ">", "<=", "<")
_ANY = (*_ORDER, "==")


@dataclass(frozen=True, slots=True)
class Word:
    """Describe one word of the language: what stands behind its colon, and what it may be compared with.

    `optional` says that the comparison may be left out. `example` is how it is written, `means` when it is met.
    """

    name: str
    example: str
    means: str
    subject: Literal["", "gpu", "format", "package"] = ""
    bound: Bound = ""
    operators: tuple[str, ...] = ()
    optional: bool = False


WORDS = (
    Word("torch-cuda", "torch-cuda", "torch computes on a GPU"),
    Word("kernels", "kernels:sm_120", "every package with GPU code has code for this GPU", subject="gpu"),
    Word("onnxruntime-cuda", "onnxruntime-cuda", "ONNX Runtime opens a session with CUDA and computes in it"),
    Word("onnxruntime-tensorrt", "onnxruntime-tensorrt", "the same with TensorRT"),
    Word("ctranslate2-cuda", "ctranslate2-cuda", "CTranslate2 computes on a GPU"),
    Word("stft", "stft", "torch transforms sound on every GPU, as the CPU does (cuFFT)"),
    Word("matmul", "matmul:bf16", "torch multiplies in this format on every GPU, as the CPU does", subject="format"),
    Word("cudnn", "cudnn>=9.1", "every cuDNN that packages use is such a one, and works", "", "version", _ANY, True),
    Word("driver", "driver>=570", "the NVIDIA driver is such a one", "", "version", _ANY),
    Word("cuda", "cuda>=12.4", "the driver supports CUDA up to such a version", "", "version", _ANY),
    Word("gpus", "gpus>=2", "so many GPUs are visible", "", "count", _ANY),
    Word("vram", "vram>=24GB", "every visible GPU is sold with so much memory", "", "size", _ANY),
    Word("free-vram", "free-vram>=20GB", "so much of every visible GPU's memory is free", "", "size", _ORDER),
    Word(
        "ram", "ram>=32GB", "the machine has so much memory, or its control group lets us have it", "", "size", _ORDER
    ),
    Word("shm", "shm>=8GB", "/dev/shm is so large", "", "size", _ORDER),
    Word("package", "package:torch>=2.8", "this package is installed", "package", "specifier", (), True),
    Word("python", "python>=3.10", "the interpreter is such a one", "", "specifier"),
)
FORMATS = ("fp32", "tf32", "fp16", "bf16", "fp8")

_BY_NAME = {word.name: word for word in WORDS}
_ALIASES = {"float32": "fp32", "float16": "fp16", "half": "fp16", "bfloat16": "bf16", "float8": "fp8"}
_TEXT = re.compile(r"(?P<name>[^:<>=!~]*)(?::(?P<subject>[^<>=!~]*))?(?P<rest>[<>=!~].*)?", re.DOTALL)
_COMPARISON = re.compile(r"(>=|<=|==|>|<) *(.*)", re.DOTALL)
_PATTERNS = {"version": r"\d{1,5}(\.\d{1,5}){0,4}", "count": r"\d{1,4}"}
_LIKE = {
    "version": "a version such as 12.4",
    "count": "a number",
    "size": "a size with its unit, such as 24GB or 24GiB",
}
_LONGEST = 300


def split(values: Iterable[str]) -> Iterator[str]:
    """Yield the requirements of repeated and comma-separated texts; `package:torch>=2.4,<2.7` stays one."""
    for value in values:
        pieces: list[str] = []
        for piece in value.split(","):
            if pieces and piece.lstrip()[:1] in tuple("<>=!~"):
                pieces[-1] += f",{piece.strip()}"
            else:
                pieces.append(piece.strip())
        yield from (piece for piece in pieces if piece)


def parse(text: str, where: str, facts: Facts) -> Requirement:
    """Read one requirement; raise UsageError, with the nearest word, for what is none."""
    found = _TEXT.fullmatch(text.strip())
    if found is None or len(text) > _LONGEST:
        raise _refused(text, where, "is no requirement")
    name, subject, rest = found["name"].strip(), found["subject"], (found["rest"] or "").strip()
    word = _BY_NAME.get(name)
    if word is None:
        raise _refused(text, where, "is no requirement", _nearest(name))
    try:
        thing = _subject(word, subject, facts)
        operator, bound = _bound(word, rest)
    except UsageError as error:
        raise _refused(text, where, error.message, error.hint or f"write it like {word.example}") from error
    return Requirement(text.strip(), name, thing, operator, bound, where)


def _subject(word: Word, text: str | None, facts: Facts) -> str:
    if not word.subject:
        if text is not None:
            raise UsageError(f"has nothing behind a colon: `{word.name}`")
        return ""
    subject = (text or "").strip()
    if not subject:
        raise UsageError(f"does not say which {word.subject}")
    if word.subject == "gpu":
        facts.find_gpu(subject)
        return subject
    if word.subject == "format":
        return _format(subject)
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", subject):
        raise UsageError(f"names no package: {subject!r}")
    return canonicalize_name(subject)


def _format(text: str) -> str:
    name = _ALIASES.get(text.lower(), text.lower())
    if name not in FORMATS:
        close = difflib.get_close_matches(name, FORMATS, n=1)
        hint = f"did you mean matmul:{close[0]}?" if close else f"known: {', '.join(FORMATS)}"
        raise UsageError(f"names no number format: {text!r}", hint)
    return name


def _bound(word: Word, rest: str) -> tuple[str, str]:
    if not rest:
        if word.bound and not word.optional:
            raise UsageError("compares with nothing")
        return "", ""
    if not word.bound:
        raise UsageError("cannot be compared with anything")
    if word.bound == "specifier":
        return _specifier(rest)
    found = _COMPARISON.fullmatch(rest)
    operator, bound = (found[1], found[2].strip()) if found else ("", rest)
    if operator not in word.operators:
        raise UsageError(f"is compared by one of {' '.join(word.operators)}")
    if word.bound == "size":
        good = parse_size(bound) is not None
    else:
        good = re.fullmatch(_PATTERNS[word.bound], bound, re.ASCII) is not None
    if not good:
        raise UsageError(f"is compared with {_LIKE[word.bound]}, not {bound!r}")
    return operator, bound


def _specifier(rest: str) -> tuple[str, str]:
    try:
        SpecifierSet(rest)
    except InvalidSpecifier as error:
        raise UsageError(f"has no version specifier as PEP 440 knows it: {rest!r}") from error
    found = re.match(r"~=|===|==|!=|<=|>=|<|>", rest)
    operator = found[0] if found else ""
    return operator, rest[len(operator) :].strip()


def _nearest(name: str) -> str:
    close = difflib.get_close_matches(name.lower().replace("_", "-"), _BY_NAME, n=2, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(_BY_NAME[item].example for item in close)}?"
    return f"known: {', '.join(word.example for word in WORDS)}"


def _refused(text: str, where: str, words: str, hint: str = "") -> UsageError:
    place = "" if where == "--require" else f"{where}: "
    shown = text.strip()[:60]
    return UsageError(f"{place}{shown!r} {words}", hint)
