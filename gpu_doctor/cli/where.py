"""`gpu-doctor where`: which file serves a library, by which rule of ld.so, and what was tried before."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from gpu_doctor.cli.options import As, Format, Output, Prefix, Python, chosen, names
from gpu_doctor.cli.out import deliver, look
from gpu_doctor.errors import UsageError


def where(
    library: Annotated[
        str, typer.Argument(metavar="LIBRARY", help="A soname or its beginning: libcudnn.so.9, libcublas.")
    ],
    after: Annotated[
        list[str] | None,
        typer.Option("--after", metavar="MODULES", help="After these imports, in order: torch,ctranslate2."),
    ] = None,
    python: Python = None,
    prefix: Prefix = None,
    format: As = Format.text,  # noqa: A002 - the option's name
    output: Output = None,
) -> None:
    """Tell which file serves a library, and why that one.

    By the rules of ld.so, after these imports; with where was looked before; --format json has every path tried.
    """
    from gpu_doctor import doctor

    if not library.strip():
        raise UsageError("LIBRARY is empty: name a soname or its beginning")
    target = chosen(python, prefix, None, None)
    resolutions = doctor.locate(library, names(after), target, os.environ)
    if format is Format.json:
        from gpu_doctor.report import as_where_json

        deliver(as_where_json.render(library, resolutions), output)
    else:
        from gpu_doctor.report import as_where

        deliver(as_where.render(library, resolutions, target, look(output)), output)
    raise typer.Exit(0 if any(resolution.found for resolution in resolutions) else 1)
