"""Call a cuDNN loader as a program would, up to where a GPU is needed; Python 3.8, standard library and it only.

Argument: {"loader": its path, "after": modules to import first, or functions of them to call, "further": for each part
that another part opens later its "name" and the "names" that it is asked for by, "torch": whether torch checks it too,
"alone": whether each part beside the loader is only opened by its path, to hear from ld.so why it does not load}.
Answer: {"version": what cuDNN says it is, "mapped": the files of cuDNN in this process}.
"""

from __future__ import annotations

import ctypes
import glob
import importlib
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# A check of one part each, by the major release of cuDNN that has it; it returns a cudnnStatus_t, 0 for success.
_CHECKS = (
    *("cudnnGraphVersionCheck", "cudnnOpsVersionCheck", "cudnnCnnVersionCheck", "cudnnAdvVersionCheck"),
    *("cudnnOpsInferVersionCheck", "cudnnCnnInferVersionCheck", "cudnnAdvInferVersionCheck"),
)

# The parts that need no other come first, so that each trial is about its own part.
_PARTS = ("graph", "ops", "cnn", "adv")


def answer(argument: dict[str, Any], notes: Any) -> dict[str, str]:
    """Import, then open and call; what cannot be imported is the question's own end."""
    for name in argument["after"]:
        bring(name)
    if argument["alone"]:
        for path in _beside(argument["loader"]):
            notes.trial(os.path.basename(path), _open, path)
        return {}
    loaders = []  # type: list[ctypes.CDLL]
    if not notes.trial("open the loader", lambda: loaders.append(_open(argument["loader"]))):
        return {"mapped": _mapped()}
    version = _call_all(loaders[0], notes)
    for part in argument["further"]:
        notes.trial(part["name"], _open_as_part, part["name"], part["names"], notes)
    if argument["torch"]:
        notes.trial("torch.backends.cudnn.version", _torch_version, notes)
    return {"version": version, "mapped": _mapped()}


def bring(name: str) -> None:
    """Import a module, or call a function that is named with its module."""
    try:
        importlib.import_module(name)
    except ImportError:
        owner, _, function = name.rpartition(".")
        if not owner or not callable(getattr(importlib.import_module(owner), function, None)):
            raise
        getattr(importlib.import_module(owner), function)()


def _call_all(loader: ctypes.CDLL, notes: Any) -> str:
    """Make the calls that serve every program; each opens a part of cuDNN by name, or ends this process."""
    found = {}  # type: dict[str, str]
    notes.trial("cudnnGetVersion", _version, loader, found)
    for name in _CHECKS:
        if hasattr(loader, name):
            notes.trial(name, _check, loader, name, notes)
    notes.trial("cudnnCreateTensorDescriptor", _descriptor, loader, notes)
    return found.get("version", "")


def _open(path: str) -> ctypes.CDLL:
    return ctypes.CDLL(path)


def _version(loader: ctypes.CDLL, found: dict[str, str]) -> dict[str, str]:
    loader.cudnnGetVersion.restype = ctypes.c_size_t
    number = loader.cudnnGetVersion()
    thousand = 10000 if number >= 90000 else 1000
    found["version"] = f"{number // thousand}.{number % thousand // 100}.{number % 100}"
    return found


def _check(loader: ctypes.CDLL, name: str, notes: Any) -> None:
    _succeed(loader, name, getattr(loader, name)(), notes)


def _descriptor(loader: ctypes.CDLL, notes: Any) -> None:
    descriptor = ctypes.c_void_p()
    _succeed(loader, "cudnnCreateTensorDescriptor", loader.cudnnCreateTensorDescriptor(ctypes.byref(descriptor)), notes)


def _succeed(loader: ctypes.CDLL, name: str, status: int, notes: Any) -> None:
    if status:
        loader.cudnnGetErrorString.restype = ctypes.c_char_p
        words = (loader.cudnnGetErrorString(status) or b"").decode("ascii", "replace")
        raise notes.Wrong(f"{name} returned {status}: {words}", status=status)


def _torch_version(notes: Any) -> dict[str, Any]:
    """Let torch compare the cuDNN that it finds with the one that it was built with; it raises where they differ."""
    version = importlib.import_module("torch").backends.cudnn.version()
    if version is None:
        raise notes.Skip("this torch is built without cuDNN")
    return {"version": version}


def _open_as_part(name: str, names: list[str], notes: Any) -> dict[str, str]:
    """Open a part where those that are loaded would find it: beside themselves, else by bare name."""
    folders = sorted({os.path.dirname(path) for path in _loaded()})
    beside = [os.path.join(folder, each) for each in names for folder in folders]
    present = [path for path in beside if os.path.exists(path)]
    for place in present + names:
        if _opens(place):
            return {"opened": place}
    try:
        ctypes.CDLL(present[0] if present else name)  # which says why not
    except OSError as error:
        if str(error).startswith("libcuda.so.1: cannot open"):
            raise notes.Skip("it is linked against the driver, which is not here") from None
        raise
    return {}


def _opens(path: str) -> bool:
    try:
        ctypes.CDLL(path)
    except OSError:
        return False
    return True


def _beside(loader: str) -> list[str]:
    paths = sorted(glob.glob(os.path.join(glob.escape(os.path.dirname(loader)), "libcudnn_*.so.[0-9]")))
    return sorted(paths, key=lambda path: [not os.path.basename(path).startswith("libcudnn_" + p) for p in _PARTS])


def _loaded() -> list[str]:
    """Return the files of cuDNN in this process, each where its folder really is, for parts are searched there."""
    found = []  # type: list[str]

    def note(info: Any, _size: int, _data: Any) -> int:
        path = os.fsdecode(info.contents.name or b"")
        if os.path.basename(path).startswith("libcudnn"):
            folder, name = os.path.split(path)
            found.append(os.path.join(os.path.realpath(folder), name))
        return 0

    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Info), ctypes.c_size_t, ctypes.c_void_p)(note)
    ctypes.CDLL(None).dl_iterate_phdr(callback, None)
    return sorted(set(found))


def _mapped() -> str:
    return ", ".join(_loaded())


class _Info(ctypes.Structure):
    """The first fields of `struct dl_phdr_info`."""

    _fields_ = (("base", ctypes.c_void_p), ("name", ctypes.c_char_p))
