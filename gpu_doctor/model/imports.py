"""What packages open when they are imported, and what libraries ask for later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from packaging.specifiers import SpecifierSet
from packaging.version import Version

Opener = Literal["interpreter", "ctypes"]


@dataclass(frozen=True, slots=True)
class Open:
    """Open one library of a package; the import fails where it does not load.

    `path` is a glob relative to a folder of the search path. `opener` is whose dlopen it is: the interpreter's (an
    extension module) or that of `_ctypes`. Where it does not load for want of a library of the recipe's `rescues`,
    these are opened and it is tried again. With `optional`, the import goes on without it. `{cuda}` is the CUDA major
    of the runtime that the process has loaded.
    """

    path: str
    opener: Opener
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Preload:
    """Open one library through `_ctypes` ahead of those that need it.

    `paths` are globs relative to a folder of the search path, or bare names; the first that exists and loads is taken.
    Where none does and the library is `required`, the preloads after it are left out.
    """

    paths: tuple[str, ...]
    required: bool


@dataclass(frozen=True, slots=True)
class Recipe:
    """Say what `import` of one distribution's module (or a call of `module.function`) opens, in order.

    `imports` are modules that it imports before its own libraries and `then` those after them, where a recipe of an
    installed distribution has them. The `preloads` follow
    the first library of `opens`, provided that the process then has a library whose path contains `preload_when`.
    The `rescues` are opened where a library of `opens` does not load for want of one of them.
    """

    distribution: str
    module: str
    versions: SpecifierSet
    imports: tuple[str, ...]
    then: tuple[str, ...]
    opens: tuple[Open, ...]
    preloads: tuple[Preload, ...]
    preload_when: str
    rescues: tuple[Preload, ...]
    source: str
    checked: date


@dataclass(frozen=True, slots=True)
class Ask:
    """Say what one library opens by name after it was loaded.

    `consumer` is a glob for the asking library's file name or SONAME. `names` are asked for in order until one loads;
    `$ORIGIN` is the asking library's folder, `{full}` and `{minor}` its own version (9.10.2 and 9.10), and a name with
    a slash is a glob that asks only for what is there. `when` says
    what makes it ask; `load` is its constructor. Without an `optional` library it goes on. Releases that name the
    library in DT_NEEDED do not ask for it.
    """

    consumer: str
    names: tuple[str, ...]
    when: str
    optional: bool
    source: str
    checked: date


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Hold every known recipe and ask."""

    recipes: tuple[Recipe, ...]
    asks: tuple[Ask, ...]

    def of(self, distribution: str, version: Version) -> tuple[Recipe, ...]:
        """Return what is known of this version of a distribution, one recipe per module or function."""
        return tuple(
            row
            for row in self.recipes
            if row.distribution == distribution and row.versions.contains(version, prereleases=True)
        )
