"""Read what ONNX Runtime's sessions told of its CUDA provider, after each sequence of imports."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpu_doctor.checks.drivers.visibility import hidden
from gpu_doctor.checks.shared.live import Proof, asked
from gpu_doctor.checks.shared.stack import gpu_known
from gpu_doctor.model.finding import Evidence
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Probe
from gpu_doctor.model.spoken import before

CUDA = "CUDAExecutionProvider"
PRELOAD = "onnxruntime.preload_dlls()"

_NOT_LOADED = re.compile(r"Failed to load library \S+ with error: (.+)")
_DEVICE = re.compile(r"(CUDA failure \d+: [^;\n]+?) *;")
_NOWHERE = re.compile(r"([^\s:]+): cannot open shared object file")


@dataclass(frozen=True, slots=True)
class Order:
    """Join a session that asked for CUDA with what the names in the provider's header gave in the same order.

    `gpu` tells whether there was a GPU that it could see.
    """

    session: Probe
    names: Probe | None
    gpu: bool

    @property
    def title(self) -> str:
        """Return when the session was opened, such as `after import torch`."""
        return before(self.session) or "in a fresh process"

    @property
    def unloadable(self) -> Proof:
        """Tell whether it is proven that the provider's library does not load, or cleared because it does."""
        loaded = self.session.trial("library of the provider")
        if loaded is None and not self.died:
            return "open"
        if loaded is not None and loaded.outcome == "passed":
            return "cleared"
        if self.gpu or not (self.died or self._wants_driver):
            return "proven"
        # Releases before 1.23 crash in the library's own start where there is no GPU: ld.so had found everything. Of
        # later ones it names the driver, and stops at that.
        return "cleared" if self.names is not None and self.names.trials and not self.lacks else "open"

    @property
    def died(self) -> bool:
        """Tell whether the process ended while the session was opened."""
        opened = self.session.trial("session")
        return opened is not None and opened.outcome == "died"

    @property
    def _wants_driver(self) -> bool:
        nowhere = _NOWHERE.match(self.words)
        return nowhere is not None and nowhere[1].startswith("libcuda.so")

    @property
    def computes(self) -> bool:
        """Tell whether the session really had the provider."""
        trial = self.session.trial("providers of the session")
        return trial is not None and trial.outcome == "passed"

    @property
    def lacks(self) -> dict[str, str]:
        """Return the loader's words for each name that did not load; the driver's library is no package's matter."""
        trials = self.names.trials if self.names is not None else ()
        found = {t.name: t.detail.removeprefix("OSError: ") for t in trials if t.outcome == "failed"}
        nowhere = _NOWHERE.match(self.words)
        if not found and nowhere:
            found = {nowhere[1]: self.words}
        return {n: w for n, w in found.items() if not n.startswith(("libcuda.so", "libonnxruntime_"))}

    @property
    def words(self) -> str:
        """Return why ONNX Runtime left the provider out, in its own words, or nothing."""
        match = _NOT_LOADED.search(self.session.log) or _DEVICE.search(self.session.log)
        return match[1].strip() if match else ""

    def evidence(self) -> Evidence:
        """Return how the session ended."""
        if self.died:
            value = f"the process {self.session.reason} while the session was opened"
        elif self.unloadable == "open":
            failed = next((t.detail for t in self.session.trials if t.outcome in ("wrong", "failed")), "")
            value = failed or self.session.reason or "not determined"
        elif self.unloadable == "cleared" and self._wants_driver:
            value = "its library lacks nothing but the driver's libcuda.so.1"
        else:
            value = "its library loads" if self.unloadable == "cleared" else "its library does not load"
            value += f": {self.words}" if self.words else ""
        return Evidence(f"asked live: CUDA session {self.title}", value, "", self.session.again)


def orders(inventory: Inventory) -> tuple[Order, ...]:
    """Return each order in which a session with CUDA was really asked for, a fresh process first."""
    gpu = gpu_known(inventory) and not inventory.target.assumes_hardware and hidden(inventory) is None
    names = {
        probe.after: probe for probe in asked(inventory, "library") if probe.subject.startswith("onnxruntime-gpu:")
    }
    found = (Order(probe, names.get(probe.after), gpu) for probe in asked(inventory, "ort-session", CUDA))
    return tuple(sorted(found, key=lambda order: order.session.after))


def not_listed(inventory: Inventory) -> tuple[Evidence, ...]:
    """Return what the live package lists instead of CUDA, where it does not list it."""
    for order in orders(inventory):
        trial = order.session.trial("available providers")
        if trial is not None and trial.outcome == "wrong":
            return (
                Evidence(
                    "asked live: the providers that it lists", trial.value("listed") or "", "", order.session.again
                ),
            )
    return ()
