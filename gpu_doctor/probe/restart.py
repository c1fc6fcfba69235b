"""Begin this very process again: the doctor's own command line, with other options for its interpreter."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def restart_in_utf8(printed: str) -> None:
    """Begin again with file names in UTF-8, the encoding in which RECORD writes them, whatever the locale says.

    In another encoding a file with such a name could be neither found nor named. `printed` is the encoding that output
    keeps. Return where that is not possible.
    """
    os.environ.setdefault("PYTHONIOENCODING", printed)
    with suppress(OSError):
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
