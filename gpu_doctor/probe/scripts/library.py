"""Open libraries by name where another library would look for them; Python 3.8, standard library and they only.

Argument: {"after": modules to import first, "wanted": for each library {"name": what to call it, "names": asked for in
turn until one loads, "rpath" and "runpath": the folders of its consumer}}.
Each trial bears the name and measures the path under which the library was opened.
"""

from __future__ import annotations

import ctypes
import importlib
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def answer(argument: dict[str, Any], notes: Any) -> dict[str, str]:
    """Import, then open; what cannot be imported is the question's own end."""
    for name in argument["after"]:
        importlib.import_module(name)
    for wanted in argument["wanted"]:
        notes.trial(wanted["name"], _open_one, wanted)
    return {}


def _open_one(wanted: dict[str, Any]) -> dict[str, str]:
    """Open the first of the names that loads; the error is that of the last."""
    for name in wanted["names"][:-1]:
        library = _attempt(name, wanted)
        if library is not None:
            return {"opened": _path(library)}
    return {"opened": _path(_search(wanted["names"][-1], wanted["rpath"], wanted["runpath"]))}


def _attempt(name: str, wanted: dict[str, Any]) -> ctypes.CDLL | None:
    try:
        return _search(name, wanted["rpath"], wanted["runpath"])
    except OSError:
        return None


def _search(name: str, rpath: list[str], runpath: list[str]) -> ctypes.CDLL:
    """Open a name in the order of ld.so: what is loaded already, DT_RPATH, the variable, DT_RUNPATH, the system."""
    try:
        return ctypes.CDLL(name, mode=os.RTLD_NOLOAD)
    except OSError:
        pass
    for folder in rpath:
        if os.path.exists(os.path.join(folder, name)):
            return ctypes.CDLL(os.path.join(folder, name))
    try:
        return ctypes.CDLL(name)
    except OSError:
        for folder in runpath:
            if os.path.exists(os.path.join(folder, name)):
                return ctypes.CDLL(os.path.join(folder, name))
        raise


def _path(library: ctypes.CDLL) -> str:
    """Return the path under which ld.so opened a library."""
    entry = ctypes.POINTER(_LinkMap)()
    dlinfo = getattr(ctypes.CDLL(None), "dlinfo", None) or ctypes.CDLL("libdl.so.2").dlinfo
    dlinfo(ctypes.c_void_p(library._handle), 2, ctypes.byref(entry))  # RTLD_DI_LINKMAP
    return os.fsdecode(entry.contents.name or b"") if entry else ""


class _LinkMap(ctypes.Structure):
    """The first fields of `struct link_map`."""

    _fields_ = (("base", ctypes.c_void_p), ("name", ctypes.c_char_p))
