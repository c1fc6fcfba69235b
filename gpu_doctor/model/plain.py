"""Turn an inventory into plain JSON values and back; the document's schema is docs/schema/inventory-1.json.

The nouns otherwise need `packaging` alone. Here cattrs does the work, because a well-kept library that names the place
of every mistake beats a reader of our own. Its import costs 0.1 s: only what reads or writes inventories pays that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from math import isfinite
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from cattrs import Converter, transform_error
from packaging.version import Version

from gpu_doctor.errors import UsageError
from gpu_doctor.model.bench import Bench
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import Unknown

SCHEMA = "gpu-doctor/inventory/1"
_FAMILY = SCHEMA.rpartition("/")[0] + "/"
_HINT = "`gpu-doctor inventory --format json --output FILE` writes one"
_MISTAKES = 3

T = TypeVar("T")


def dumps(inventory: Inventory) -> str:
    """Return the inventory as a JSON document, ASCII only, one value a line so that two of them can be compared."""
    return json.dumps(to_plain(inventory), indent=1) + "\n"


def loads(text: str) -> Inventory:
    """Read a JSON document that `dumps` wrote, on any machine; raise UsageError for any other text."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not an inventory: not JSON ({_bounded(str(error))})", _HINT) from error
    return from_plain(document)


def to_plain(inventory: Inventory) -> dict[str, Any]:
    """Return the inventory as dicts, lists, strings, numbers, booleans and None; `{"unknown": reason}` for Unknown."""
    return {"schema": SCHEMA, **_CONVERTER.unstructure(inventory, Inventory)}


def from_plain(document: object) -> Inventory:
    """Return the inventory that these values describe; raise UsageError naming each place that is wrong."""
    if not isinstance(document, Mapping):
        raise UsageError("not an inventory: the document is not a JSON object", _HINT)
    schema = document.get("schema")
    if schema != SCHEMA:
        raise _foreign(schema)
    return _structured(document, Inventory, "inventory", _HINT)


def bench_to_plain(bench: Bench) -> dict[str, Any]:
    """Return one benchmark as an inventory holds it, in dicts, lists, strings, numbers, booleans and None."""
    plain: dict[str, Any] = _CONVERTER.unstructure(bench, Bench)
    return plain


def bench_from_plain(document: object) -> Bench:
    """Return the benchmark that these values describe, whatever stands beside them; raise UsageError like the above."""
    if not isinstance(document, Mapping):
        raise UsageError("not a benchmark: not a JSON object")
    return _structured(document, Bench, "bench")


def _structured(document: Mapping[Any, Any], kind: type[T], name: str, hint: str = "") -> T:
    try:
        return _CONVERTER.structure(document, kind)
    except Exception as error:  # cattrs wraps whatever the document provokes into groups of exceptions
        places = transform_error(error, path=name)
        shown = "; ".join(_bounded(place) for place in places[:_MISTAKES])
        more = f"; and {len(places) - _MISTAKES} more" if len(places) > _MISTAKES else ""
        raise UsageError(f"a damaged {name}: {shown}{more}", hint) from error


def _foreign(schema: object) -> UsageError:
    if not isinstance(schema, str):
        return UsageError('not an inventory: the document has no "schema"', _HINT)
    if schema.startswith(_FAMILY):
        return UsageError(f"the inventory says {_bounded(schema)}, this gpu-doctor reads {SCHEMA}", "update gpu-doctor")
    return UsageError(f"not an inventory: the document says {_bounded(schema)}", _HINT)


def _bounded(text: str) -> str:
    return text if len(text) <= 160 else text[:160] + "…"


def _exactly(kind: type) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _: Any) -> Any:
        # bool is an int to Python, but not to JSON.
        if type(value) is not kind:
            raise TypeError(f"expected {kind.__name__}, found {type(value).__name__}")
        return value

    return structure


def _number(value: Any, _: Any) -> float:
    if type(value) not in (int, float) or not isfinite(value):
        raise TypeError("expected a finite number")
    return float(value)


def _version(value: Any, _: Any) -> Version:
    if not isinstance(value, str):
        raise TypeError(f"expected a version, found {type(value).__name__}")
    return Version(value)


def _is_word(annotation: Any) -> bool:
    return get_origin(annotation) is Literal


def _word(value: Any, annotation: Any) -> Any:
    if not isinstance(value, str) or value not in get_args(annotation):
        raise ValueError("not one of its words")
    return value


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, UnionType)


def _is_tuple(annotation: Any) -> bool:
    return get_origin(annotation) is tuple


def _union_reader(annotation: Any) -> Callable[[Any, Any], Any]:
    """Read `X | Unknown | None`: null, `{"unknown": reason}`, or what is left."""
    members = get_args(annotation)
    (rest,) = (member for member in members if member not in (Unknown, type(None)))

    def structure(value: Any, _: Any) -> Any:
        if value is None and type(None) in members:
            return None
        if Unknown in members and isinstance(value, Mapping) and set(value) == {"unknown"}:
            return Unknown(_CONVERTER.structure(value["unknown"], str))
        return _CONVERTER.structure(value, rest)

    return structure


def _tuple_reader(annotation: Any) -> Callable[[Any, Any], Any]:
    """Read a tuple from a list alone: a string would else become a tuple of its letters."""
    members = get_args(annotation)
    repeated = members[-1] is Ellipsis

    def structure(value: Any, _: Any) -> Any:
        if not isinstance(value, list):
            raise TypeError(f"expected a list, found {type(value).__name__}")
        if repeated:
            # cattrs' own list reader notes the index of a wrong item.
            return tuple(_CONVERTER.structure(value, list[members[0]]))  # type: ignore[valid-type]
        if len(value) != len(members):
            raise ValueError(f"expected {len(members)} items, found {len(value)}")
        return tuple(_CONVERTER.structure(item, member) for item, member in zip(value, members, strict=True))

    return structure


def _converter() -> Converter:
    converter = Converter(unstruct_collection_overrides={tuple: list})
    for kind in (str, int, bool):
        converter.register_structure_hook(kind, _exactly(kind))
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(Version, _version)
    converter.register_unstructure_hook(Version, str)
    converter.register_unstructure_hook(Unknown, lambda value: {"unknown": value.reason})
    converter.register_structure_hook_func(_is_word, _word)
    converter.register_structure_hook_factory(_is_union, _union_reader)
    converter.register_structure_hook_factory(_is_tuple, _tuple_reader)
    # The value, not the annotation, tells which member of a union it is.
    converter.register_unstructure_hook_func(_is_union, lambda value: converter.unstructure(value, type(value)))
    return converter


_CONVERTER = _converter()
