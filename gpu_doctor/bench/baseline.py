"""Read the benchmarks that `bench --format json` wrote, on any machine."""

from __future__ import annotations

import json

from gpu_doctor.errors import UsageError
from gpu_doctor.model.bench import Bench
from gpu_doctor.model.plain import bench_from_plain

SCHEMA = "gpu-doctor/bench/1"
_FAMILY = SCHEMA.rpartition("/")[0] + "/"
_HINT = "`gpu-doctor bench … --format json --output FILE` writes one"
_LARGEST = 64 << 20


def read_baseline(path: str) -> tuple[Bench, ...]:
    """Return the benchmarks of a file; raise UsageError with one line for any other file.

    What the document derives from the fields of a benchmark is passed over: it follows from them.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}", _HINT) from error
    except ValueError as error:  # a path with a null character
        raise UsageError(f"cannot read {path}: {error}", _HINT) from error
    if len(data) > _LARGEST:
        raise UsageError(f"{path} is not a baseline: it has more than {_LARGEST >> 20} MiB", _HINT)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not a baseline: not JSON ({str(error)[:160]})", _HINT) from error
    return tuple(_benches(document, path))


def _benches(document: object, path: str) -> list[Bench]:
    schema = document.get("schema") if isinstance(document, dict) else None
    benches = document.get("benches") if isinstance(document, dict) else None
    if isinstance(schema, str) and schema.startswith(_FAMILY) and schema != SCHEMA:
        raise UsageError(f"{path} says {schema[:160]}, this gpu-doctor reads {SCHEMA}", "update gpu-doctor")
    if schema != SCHEMA or not isinstance(benches, list):
        raise UsageError(f"{path} is not a baseline: its schema is not {SCHEMA}", _HINT)
    if not benches:
        raise UsageError(f"{path} holds no benchmark", _HINT)
    return [_bench(one, f"{path}: benches[{number}]") for number, one in enumerate(benches)]


def _bench(plain: object, place: str) -> Bench:
    try:
        return bench_from_plain(plain)
    except UsageError as error:
        raise UsageError(f"{place}: {error.message}", _HINT) from error
