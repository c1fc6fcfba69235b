"""Import one module as a program would; Python 3.8, standard library and the module only.

Argument: {"module": the module's name}.
Answer: {"version": its __version__, "file": where it lies, "seconds": how long the import took}.
"""

from __future__ import annotations

import importlib
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def answer(argument: dict[str, Any], notes: Any) -> dict[str, Any]:
    """Import it; an exception of the import is the question's own end."""
    begin = time.perf_counter()
    module = importlib.import_module(argument["module"])
    seconds = round(time.perf_counter() - begin, 3)
    version = getattr(module, "__version__", None)
    return {"version": version, "file": getattr(module, "__file__", None), "seconds": seconds}
