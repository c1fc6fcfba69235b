"""A working copy of a sick lab that is healed by `gpu-doctor fix` and taken back, and the call that cuDNN must answer."""

from __future__ import annotations

import json
from pathlib import Path

from tests.labs.copies import Tree, copy, gpu_doctor, python, tree

CALL_CUDNN = """
import ctypes, glob, sys
site = next(p for p in sys.path if p.endswith("site-packages"))
bundled = glob.glob(site + "/ctranslate2.libs/libcudnn-*")
library = ctypes.CDLL(bundled[0] if bundled else site + "/nvidia/cudnn/lib/libcudnn.so.9")
library.cudnnGetVersion.restype = ctypes.c_size_t
handle = ctypes.c_void_p()
assert library.cudnnGetVersion() >= 90000
assert library.cudnnCreateTensorDescriptor(ctypes.byref(handle)) == 0
print(library.cudnnGetVersion())
"""


class Patient:
    """Hold a copy of a lab, and what the copy and the lab were before."""

    def __init__(self, lab: Path, place: Path) -> None:
        self.lab = lab
        self.prefix = copy(lab, place)
        self.before = tree(self.prefix)
        self.lab_before = tree(lab)

    def fix(self, *arguments: str, variables: dict[str, str] | None = None) -> dict[str, object]:
        """Run `fix --yes` and return its JSON document; its exit code must be the one that the document means."""
        run = gpu_doctor(
            "fix", *arguments, "--python", python(self.prefix), "--yes", "--format", "json", variables=variables
        )
        assert run.returncode in (0, 1), run.stderr
        said: dict[str, object] = json.loads(run.stdout)
        assert (run.returncode == 0) == (said["status"] in ("healed", "nothing to do")), said
        return said

    def healed_for_good(self, *arguments: str) -> Tree:
        """Heal, see that a second run changes nothing, and return the healed tree."""
        said = self.fix(*arguments)
        assert said["status"] == "healed", said
        healed = tree(self.prefix)
        assert self.fix(*arguments)["status"] == "nothing to do"
        assert tree(self.prefix) == healed
        return healed

    def undone(self) -> None:
        """Take the repair back; the tree must be the old one to the file, and the lab untouched all along."""
        run = gpu_doctor("undo", "--python", python(self.prefix), "--yes")
        assert run.returncode == 0, run.stderr
        assert tree(self.prefix) == self.before
        assert tree(self.lab) == self.lab_before
