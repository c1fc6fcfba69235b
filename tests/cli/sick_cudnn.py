"""A small environment with ctranslate2's illness: a real loader that opens real parts, which lie where it does not look."""

from __future__ import annotations

from pathlib import Path

from tests.readers import patient, toolchain
from tests.simulated.packages import Env, environment

LOADER = "ctranslate2.libs/libcudnn-74a4c495.so.9.1.0"
PARTS = "nvidia/cudnn/lib"
VERSION = 91002

_LOADER = """
#include <dlfcn.h>
#include <stdlib.h>
unsigned long cudnnGetVersion(void) {
    void *part = dlopen("libcudnn_graph.so.9", RTLD_NOW);
    if (!part) abort();
    return ((unsigned long (*)(void)) dlsym(part, "version"))();
}
"""

# Open the bundled loader by its path and call what needs its parts; without them the process aborts.
CALL = f"""
import ctypes, sysconfig
loader = ctypes.CDLL(sysconfig.get_path("purelib") + "/{LOADER}")
loader.cudnnGetVersion.restype = ctypes.c_size_t
print(loader.cudnnGetVersion())
"""


def sick_environment(folder: Path) -> Env:
    """Build it; its interpreter starts, and a call of its cuDNN aborts."""
    env = environment(folder)
    built = folder / "built"
    loader = toolchain.build(built, _LOADER, name=Path(LOADER).name)
    way = "-Wl,--disable-new-dtags,-rpath,$ORIGIN/../ctranslate2.libs"
    needs = ("-Wl,--no-as-needed", f"-L{built}", f"-l:{loader.name}", way)
    module = toolchain.build(built, "int nothing;", *needs, name="_ext.abi3.so")
    part = toolchain.build(built, f"unsigned long version(void) {{ return {VERSION}; }}", name="part.so").read_bytes()
    files = {"ctranslate2/__init__.py": b"", f"ctranslate2/{module.name}": module.read_bytes()}
    patient.install(env.site, "ctranslate2", "4.6.1", {**files, LOADER: loader.read_bytes()})
    names = ("", "_graph", "_ops", "_cnn", "_adv", "_heuristic", "_engines_precompiled", "_engines_runtime_compiled")
    patient.install(
        env.site, "nvidia-cudnn-cu12", "9.10.2.21", {f"{PARTS}/libcudnn{name}.so.9": part for name in names}
    )
    return env
