"""What packages open when they are imported, and what libraries ask for later: `imports.toml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet

from gpu_doctor.facts import load, parse
from gpu_doctor.model.imports import Ask, Catalogue, Open, Preload, Recipe


def read_catalogue(folder: Path = load.FOLDER) -> Catalogue:
    """Read `imports.toml`; raise FactsError where a row does not fit."""
    table = load.read_table("imports", folder)
    recipes = tuple((row, _recipe(row)) for row in table.rows("recipe"))
    load.unique((row, (recipe.distribution, recipe.module, str(recipe.versions))) for row, recipe in recipes)
    asks = tuple((row, _ask(row)) for row in table.rows("ask"))
    load.unique((row, (ask.consumer, ask.names)) for row, ask in asks)
    modules = {recipe.module for _, recipe in recipes}
    for row, recipe in recipes:
        for name in {*recipe.imports, *recipe.then} - modules:
            raise row.error(f"imports a module that no recipe has: {name!r}")
    return Catalogue(tuple(recipe for _, recipe in recipes), tuple(ask for _, ask in asks))


def _recipe(row: load.Row) -> Recipe:
    recipe = Recipe(
        distribution=row.take("distribution", parse.text),
        module=row.take("module", parse.text),
        versions=row.maybe("versions", parse.specifier, SpecifierSet()),
        imports=row.maybe("imports", _texts, ()),
        then=row.maybe("then", _texts, ()),
        opens=row.maybe("opens", _opens, ()),
        preloads=_preloads(row, "preloads", required=not row.maybe("preload_all", parse.flag, False)),
        preload_when=row.maybe("preload_when", parse.text, ""),
        rescues=_preloads(row, "rescues", required=True),
        source=row.source,
        checked=row.checked,
    )
    row.done()
    return recipe


def _ask(row: load.Row) -> Ask:
    ask = Ask(
        consumer=row.take("library", parse.text),
        names=row.take("names", _texts),
        when=row.take("when", parse.text),
        optional=row.maybe("optional", parse.flag, False),
        source=row.source,
        checked=row.checked,
    )
    row.done()
    return ask


def _texts(value: Any) -> tuple[str, ...]:
    """Accept a list of texts."""
    return tuple(parse.text(item) for item in _list(value))


def _opens(value: Any) -> tuple[Open, ...]:
    """Accept a list of tables with path, opener, and perhaps optional."""
    return tuple(_open(dict(item)) for item in _list(value))


def _open(item: dict[str, Any]) -> Open:
    opener = item.pop("opener", None)
    if opener not in ("interpreter", "ctypes"):
        raise ValueError(opener)
    path, optional = item.pop("path", None), item.pop("optional", False)
    _nothing_left(item)
    return Open(parse.text(path), opener, parse.flag(optional))


def _preloads(row: load.Row, key: str, *, required: bool) -> tuple[Preload, ...]:
    names = row.maybe(key, _texts, ())
    layouts = row.maybe("layouts", _layouts, ())
    if names and not layouts:
        raise row.error(f"{key} without layouts")
    split = (name.partition("/") for name in names)
    return tuple(Preload(tuple(_path(layout, *part) for layout in layouts), required) for part in split)


def _path(layout: str, folder: str, _slash: str, name: str) -> str:
    return f"{layout.replace('{folder}', folder)}/{name}" if layout else name


def _layouts(value: Any) -> tuple[str, ...]:
    """Accept a list of folders; an empty one stands for the bare name."""
    return tuple("" if item == "" else parse.text(item) for item in _list(value))


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise ValueError(value)
    return value


def _nothing_left(item: dict[str, Any]) -> None:
    if item:
        raise ValueError(item)
