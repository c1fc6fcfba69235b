"""Build real environments of fake packages: a Python that starts, and packages that are ill in every known way.

`environment(folder)` lays out a virtual environment of a real Python; `install` puts packages into it that the readers
of files take for real ones. `POISONS` are module texts by name, each with how a question that imports it must end.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gpu_doctor.model.probes import Ending
from tests.readers import patient


@dataclass(frozen=True)
class Poison:
    """Hold the text of a module, how its import ends for the asker, and a pattern of what is said of it."""

    code: str
    ending: Ending
    said: str = ""


@dataclass(frozen=True)
class Env:
    """Hold a virtual environment whose `bin/python` really starts."""

    prefix: Path
    site: Path

    @property
    def python(self) -> str:
        """Return the path of its interpreter."""
        return str(self.prefix / "bin" / "python")

    def install(self, name: str, version: str, files: Mapping[str, str], requires: tuple[str, ...] = ()) -> Env:
        """Write a distribution as an installer does, its RECORD with hashes; return this environment."""
        content = {path: text.encode() for path, text in files.items()}
        headers = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
        patient.install(self.site, name, version, content, headers=headers)
        return self

    def torch(self, code: str | None = None, version: str = "2.8.0+cu128") -> Env:
        """Install a torch, healthy or with this text of `torch/__init__.py`."""
        cuda = version.partition("+cu")[2]
        built_for = repr(f"{cuda[:-1]}.{cuda[-1]}") if cuda else "None"
        recorded = f"__version__ = {version!r}\ncuda = {built_for}\n"
        return self.install(
            "torch",
            version,
            {"torch/__init__.py": HEALTHY_TORCH if code is None else code, "torch/version.py": recorded},
        )

    def onnxruntime(self, code: str | None = None, version: str = "1.20.2") -> Env:
        """Install an onnxruntime-gpu, healthy or with this text of `onnxruntime/__init__.py`."""
        text = HEALTHY_ONNXRUNTIME.format(version=version) if code is None else code
        return self.install("onnxruntime-gpu", version, {"onnxruntime/__init__.py": text})

    def ctranslate2(self, code: str | None = None, version: str = "4.6.3") -> Env:
        """Install a ctranslate2, healthy or with this text of `ctranslate2/__init__.py`."""
        text = HEALTHY_CTRANSLATE2.format(version=version) if code is None else code
        return self.install("ctranslate2", version, {"ctranslate2/__init__.py": text})


def environment(folder: Path, python: str = sys.executable) -> Env:
    """Lay out an empty virtual environment of this Python below a folder."""
    binary, series, installation = _described(python)
    prefix = folder / "venv"
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin" / "python").symlink_to(binary)
    lines = [f"home = {installation}/bin", "include-system-site-packages = false", f"version = {series}"]
    (prefix / "pyvenv.cfg").write_text("\n".join(lines) + "\n")
    site = patient.site_of(prefix, series.rpartition(".")[0])
    site.mkdir(parents=True)
    return Env(prefix, site)


def _described(python: str) -> tuple[str, str, str]:
    """Return the binary behind a Python, its version and its installation."""
    code = (
        "import os, platform, sys; print(os.path.realpath(sys.executable), platform.python_version(), sys.base_prefix)"
    )
    run = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    binary, series, installation = run.stdout.split()
    return binary, series, installation


def environ(**changes: str) -> dict[str, str]:
    """Return this process's variables without those that would lead another Python astray."""
    unwanted = ("VIRTUAL_ENV", "LD_LIBRARY_PATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON") and name not in unwanted}
    return {**kept, **changes}


HEALTHY_TORCH = """\
from torch.version import __version__, cuda as _built_for


class version:
    cuda = _built_for


class cuda:
    @staticmethod
    def is_available():
        return False

    @staticmethod
    def device_count():
        return 0
"""

HEALTHY_ONNXRUNTIME = """\
__version__ = "{version}"


def get_available_providers():
    return ["CUDAExecutionProvider", "CPUExecutionProvider"]
"""

HEALTHY_CTRANSLATE2 = """\
__version__ = "{version}"


def get_cuda_device_count():
    return 0
"""

_FORKED = """\
import os, time
if os.fork() == 0:
    {apart}
    time.sleep(10**6)
os._exit(3)
"""

# Written where the question's own notes go.
_STEERING_NAMES = r"""\
import os
for number in range(3, 64):
    try:
        os.write(number, b'{"loading": "\\u001b[2Jx"}\n{"trial": "\\u001b[2Jx"}\n{"begin": "\\u001b[2Jx\\u202e"}\n')
    except OSError:
        pass
os.abort()
"""

_LAST_WORDS = "terminate called after throwing an instance of 'std::bad_alloc'"

POISONS: Mapping[str, Poison] = {
    # --- Death ---
    "segv": Poison("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "crashed", "SIGSEGV"),
    "null-pointer": Poison("import ctypes\nctypes.string_at(0)\n", "crashed", "SIGSEGV"),
    "abort": Poison("import os\nos.abort()\n", "crashed", "SIGABRT"),
    "killed": Poison("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", "crashed", "SIGKILL"),
    "illegal": Poison("import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n", "crashed", "SIGILL"),
    "bad-alloc-abort": Poison(
        f'import os\nos.write(2, b"{_LAST_WORDS}\\n  what():  std::bad_alloc\\n")\nos.abort()\n',
        "crashed",
        "std::bad_alloc",
    ),
    "stack-overflow": Poison(
        "import ctypes\nloop = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: loop())\n"
        "import sys\nsys.setrecursionlimit(10**9)\nloop()\n",
        "crashed",
        "SIGSEGV",
    ),
    # --- Silence ---
    "exit0": Poison("import os\nos._exit(0)\n", "crashed", "exit code 0 without an answer"),
    "sys-exit": Poison("import sys\nsys.exit(0)\n", "crashed", "exit code 0 without an answer"),
    "close-descriptors": Poison("import os\nos.closerange(0, 65536)\n", "crashed", "without an answer"),
    # --- No end ---
    "hang": Poison("import time\ntime.sleep(10**6)\n", "timed out", "did not answer in"),
    "spin": Poison("while True:\n    pass\n", "timed out", "did not answer in"),
    "deaf": Poison(
        "import signal, time\n[signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]\ntime.sleep(10**6)\n",
        "timed out",
        "did not answer in",
    ),
    "stop": Poison("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\n", "timed out", "did not answer in"),
    "stop-thread": Poison(
        "import os, signal, threading, time\n"
        "threading.Thread(target=lambda: os.kill(os.getpid(), signal.SIGSTOP)).start()\ntime.sleep(10**6)\n",
        "timed out",
        "did not answer in",
    ),
    "flood-forever": Poison(
        "import os\nwhile True:\n    os.write(1, b'x' * 65536)\n", "timed out", "did not answer in"
    ),
    # --- Words ---
    "raise": Poison(
        "raise OSError('libcudnn.so.9: cannot open shared object file')\n",
        "raised",
        r"OSError: libcudnn\.so\.9: cannot",
    ),
    "flood": Poison(
        "import sys\nfor _ in range(200_000):\n    print('x' * 500)\nraise ImportError('after the flood')\n",
        "raised",
        "ImportError: after the flood",
    ),
    "flood-after-words": Poison(
        f'import os\nos.write(2, b"{_LAST_WORDS}\\n")\nfor _ in range(2000):\n    os.write(1, b"x" * 50_000)\nos.abort()\n',
        "crashed",
        "std::bad_alloc",
    ),
    "escapes": Poison(
        "raise ImportError('\\x1b[2J\\x1b]0;owned\\x07\\x9b31m boom \\u202e')\n", "raised", "ImportError: .*boom"
    ),
    "bad-alloc": Poison("raise MemoryError('std::bad_alloc')\n", "raised", r"MemoryError: std::bad_alloc"),
    "unprintable": Poison(
        "class Bad(Exception):\n    def __str__(self):\n        raise SystemExit(0)\nraise Bad\n", "raised", "Bad"
    ),
    "own-cause": Poison("error = ImportError('boom')\nraise error from error\n", "raised", "ImportError: boom"),
    "interrupt": Poison("raise KeyboardInterrupt\n", "raised", "KeyboardInterrupt"),
    "long-words": Poison("raise ImportError('line\\n' * 1_000_000 + 'the end')\n", "raised", "ImportError: line"),
    "recursion": Poison("def deeper():\n    deeper()\ndeeper()\n", "raised", "RecursionError"),
    # --- Greed, and what is left behind ---
    "memory-bomb": Poison(
        "import time\nheld = []\nwhile True:\n    held.append(bytearray(b'x' * (64 << 20)))\n    time.sleep(0.01)\n",
        "crashed",
        "GiB of memory",
    ),
    "fork": Poison(_FORKED.format(apart="pass"), "crashed", "exit code 3 without an answer"),
    "fork-setsid": Poison(_FORKED.format(apart="os.setsid()"), "crashed", "exit code 3 without an answer"),
    "daemon": Poison(
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        os.closerange(0, 256)\n"
        "        time.sleep(10**6)\n    os._exit(0)\nos.wait()\n",
        "answered",
    ),
    # --- Sabotage: what the asker's own code in the child stands on ---
    "odd-version": Poison("__version__ = object()\n", "answered"),
    "steering-names": Poison(_STEERING_NAMES, "crashed", "SIGABRT"),
    "replace-stdout": Poison("import sys\nsys.stdout = sys.stderr = object()\n", "answered"),
    "poison-modules": Poison(
        "import json, os, sys\nsys.modules['json'] = sys.modules['os'] = None\n"
        "json.dumps = json.loads = os.write = os._exit = None\n",
        "answered",
    ),
    "poison-hook": Poison(
        "import os, sys\nsys.excepthook = lambda *_: os._exit(0)\nraise ImportError('boom')\n",
        "raised",
        "ImportError: boom",
    ),
}
