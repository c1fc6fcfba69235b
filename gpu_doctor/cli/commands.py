"""The commands by name; each one's module is imported when it is asked for, because one run takes one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
import typer.core
import typer.main

NAMES = (
    *("check", "preflight", "fix", "undo", "history", "bench", "advise", "inventory", "snapshot", "diff", "lock"),
    *("drift", "archs", "where", "pins", "env", "run", "explain", "rules"),
)
"""The commands in the order of `--help`; each is the function of that name in the module of that name."""


class Commands(typer.core.TyperGroup):
    """Know the commands' names, and import one when it is asked for."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _OnDemand()  # type: ignore[assignment]  # it is never added to

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - Typer gives it
        """Return the names without importing anything."""
        return list(NAMES)


class _OnDemand(Mapping[str, Any]):
    def __getitem__(self, name: str) -> Any:
        if name not in NAMES:
            raise KeyError(name)
        module = import_module(f"gpu_doctor.cli.{name}")
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
        alone.command(name, context_settings=getattr(module, "SETTINGS", None))(getattr(module, name))
        return typer.main.get_command(alone)

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)
