"""Find a model's weights on this machine, by what a user calls them; fetch them only with consent."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Mapping

from gpu_doctor.errors import DoctorError, UsageError
from gpu_doctor.model.bench import SIZES, Workload
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.probe.ask import ask

Progress = Callable[[str], None]

# Where each workload's models are kept by those who publish them, and the file by which a folder is one.
_WHISPER = "Systran/faster-whisper-{size}"
_XTTS = "tts_models--multilingual--multi-dataset--xtts_v2"
_MARKS: Mapping[Workload, str] = {"whisper": "model.bin", "xtts": "model.pth"}
_FETCH_SECONDS = 3600.0


def find_weights(
    workload: Workload,
    words: str | None,
    size: str,
    environ: Mapping[str, str],
    inventory: Inventory,
    progress: Progress = lambda _words: None,
    download: bool = False,
) -> str:
    """Return `random`, or the folder of the weights that the words mean: a path, or a name of the model hub.

    None means those of this size that are on the machine, else random ones. Raise UsageError for a path that holds
    none, or words that make no sense for the workload; DoctorError for a name that is not here, without `download`.
    """
    mark = _MARKS.get(workload)
    if words is None:
        return (_cached(workload, size, environ) or "random") if mark else "random"
    if words == "random":
        return words
    if mark is None:
        raise UsageError(f"{workload} has random weights only: --weights {words} makes no sense for it")
    if os.path.exists(words):
        return _folder(words, mark)
    if words.startswith((".", "/", "~")):
        raise UsageError(f"--weights {words}: no such file or folder")
    return _named(workload, words, environ, inventory, progress, download)


def _folder(path: str, mark: str) -> str:
    folder = os.path.abspath(path if os.path.isdir(path) else os.path.dirname(path) or ".")
    if not os.path.isfile(os.path.join(folder, mark)):
        raise UsageError(f"--weights {path}: there is no {mark} in it")
    return folder


def _named(
    workload: Workload,
    words: str,
    environ: Mapping[str, str],
    inventory: Inventory,
    progress: Progress,
    download: bool,
) -> str:
    if workload == "xtts":
        found = _cached(workload, "", environ) if "xtts" in words.lower() else None
        if found is None:
            # Its licence is for a person to read; the library asks for consent when it fetches.
            line = (
                "`tts --model_name tts_models/multilingual/multi-dataset/xtts_v2 --list_speaker_idxs` asks and fetches"
            )
            raise DoctorError(f"{words} is not on this machine, and its licence is yours to agree to", line)
        return found
    name = _WHISPER.format(size=words) if words in SIZES else words
    found = _snapshot(name, "model.bin", environ)
    if found is not None:
        return found
    if not download:
        raise DoctorError(f"{name} is not on this machine", "give --download to fetch it from the model hub")
    progress(f"fetching {name}")
    answer = ask(
        "fetch_model.py",
        inventory.interpreter.executable or "python",
        argument={"name": name},
        deadline=_FETCH_SECONDS,
        environ=environ,
    )
    if answer.ending != "answered":
        raise DoctorError(f"{name} cannot be fetched: {answer.reason}")
    return _folder(str(answer.value), "model.bin")


def _cached(workload: Workload, size: str, environ: Mapping[str, str]) -> str | None:
    if workload == "whisper":
        return _snapshot(_WHISPER.format(size=size), "model.bin", environ)
    home = environ.get("HOME", os.path.expanduser("~"))
    data = environ.get("TTS_HOME") or environ.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
    folder = os.path.join(data, "tts", _XTTS)
    return folder if os.path.isfile(os.path.join(folder, "model.pth")) else None


def _snapshot(name: str, mark: str, environ: Mapping[str, str]) -> str | None:
    """Return the newest snapshot of a model in the hub's cache, by the layout that huggingface_hub documents."""
    home = environ.get("HOME", os.path.expanduser("~"))
    cache = os.path.join(environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache"), "huggingface")
    hub = environ.get("HF_HUB_CACHE") or os.path.join(environ.get("HF_HOME") or cache, "hub")
    pattern = os.path.join(glob.escape(hub), f"models--{name.replace('/', '--')}", "snapshots", "*", mark)
    found = sorted(glob.glob(pattern), key=os.path.getmtime)
    return os.path.dirname(found[-1]) if found else None
