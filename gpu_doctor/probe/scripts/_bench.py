"""Compare what a device computes with what the CPU computes, one experiment after the other; Python 3.8, torch only.

No question of its own: a question that wants it runs this file and takes `Bench` from it.
"""

from __future__ import annotations

import math
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Case = tuple[str, Any, Any, float]

_SEED = 20261120
# A result may err by this many times what its roundings amount to; a wrong algorithm errs by thousands of times that.
MARGIN = 8.0
# After these the CUDA context is lost for the process (CUDA Runtime API, error codes 214, 700, 702, 710, 714 to 719).
_STICKY = re.compile(
    r"illegal memory access|device-side assert|misaligned address|illegal instruction|launch (?:failure|timed out)"
    r"|invalid (?:program counter|address space)|hardware stack error|uncorrectable ECC error|context is destroyed"
)


class Bench:
    """Run experiments on one device until its context is lost; `about` is what they say of the device."""

    def __init__(self, torch: Any, device: str, notes: Any) -> None:
        self.torch = torch
        self.device = torch.device(device)
        self.on_gpu = self.device.type == "cuda"
        self.notes = notes
        self.lost = ""
        self.about = {}  # type: dict[str, Any]
        self._generator = torch.Generator()

    def trial(self, name: str, function: Callable[[Bench], Any]) -> bool:
        """Make one experiment, or write down why it cannot be made any more."""
        if self.lost:
            self.notes.skip(name, self.lost)
            return False
        self._generator.manual_seed(_SEED)
        return bool(self.notes.trial(name, self._watched, name, function))

    def _watched(self, name: str, function: Callable[[Bench], Any]) -> Any:
        try:
            return function(self)
        except (self.notes.Wrong, self.notes.Skip):
            raise
        except Exception as error:
            if "out of memory" in str(error):
                self.lost = "the GPU has no memory left" if name == "allocate memory" else ""
            elif _STICKY.search(str(error)) or self._cannot_wait():
                self.lost = f"the GPU's context was lost in `{name}`"
            raise

    def _cannot_wait(self) -> bool:
        """Tell whether the last error stays: a context that is lost says so at every call."""
        try:
            if self.on_gpu and self.torch.cuda.is_initialized():
                self.torch.cuda.synchronize()
        except Exception:
            return True
        return False

    def noise(self, *shape: int) -> Any:
        """Return float64 noise on the CPU, in each experiment the same on every machine."""
        return self.torch.randn(*shape, generator=self._generator, dtype=self.torch.float64)

    def reference(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Return what the CPU computes; where it cannot, that says nothing of the device."""
        try:
            return function(*arguments, **options)
        except Exception as error:
            raise self.notes.Skip(f"the CPU cannot say what is right: {error}") from error

    def tolerance(self, dtype: Any, growth: float, *, rounded_to: float = 0.0) -> float:
        """Return what a right result may err by: its own rounding, and those of its sums.

        The errors of n additions grow like the square root of n (Higham and Mary, 2019, doi:10.1137/18M1226312), those
        of an FFT no faster than the logarithm of its size, backward errors of a factorization at most like n (LAPACK
        Users' Guide, chapter 4). float16 and bfloat16 are added up in float32. `rounded_to` is what the device rounds
        its input to.
        """
        adds = self.torch.float64 if dtype == self.torch.float64 else self.torch.float32
        units = self.torch.finfo(dtype).eps / 2 + growth * self.torch.finfo(adds).eps / 2
        return float(MARGIN * (units + rounded_to))

    def compare(self, cases: Iterator[Case]) -> dict[str, object]:
        """Return the case that came nearest to its tolerance; raise Wrong for the first that is beyond it.

        A case is its name, the device's result, the CPU's in float64, and the tolerance of the relative error.
        """
        worst = ("", -1.0, 1.0)
        for name, result, reference, tolerance in cases:
            error = self._relative_error(name, result, reference)
            if error > tolerance:
                detail = f"{name}: relative error {error:.1e} against the CPU, at most {tolerance:.1e} is rounding"
                raise self.notes.Wrong(detail, **_figures(name, error, tolerance))
            if error / tolerance > worst[1] / worst[2]:
                worst = (name, error, tolerance)
        return _figures(*worst)

    def _relative_error(self, name: str, result: Any, reference: Any) -> float:
        """Return the error of the worst row against the usual norm of a row, so that one bad number is seen."""
        result = result.detach().cpu()  # waits for the device, so that an error is raised in its own experiment
        if result.shape != reference.shape:
            shapes = f"{tuple(result.shape)} instead of {tuple(reference.shape)}"
            raise self.notes.Wrong(f"{name}: the shape is {shapes}", case=name)
        if reference.is_complex():
            result, reference = (self.torch.view_as_real(x).flatten(-2) for x in (result, reference))
        got, wanted = result.to(self.torch.float64), reference
        if not bool(self.torch.isfinite(wanted).all()):
            raise self.notes.Skip("the CPU's own result is not finite")
        bad = int((~self.torch.isfinite(got)).sum())
        if bad:
            detail = f"{name}: {bad} of {got.numel()} numbers are NaN or infinite"
            raise self.notes.Wrong(detail, case=name, relative_error="not finite")
        rows = max(1, wanted.numel() // max(1, wanted.shape[-1]))
        usual = float(wanted.norm()) / math.sqrt(rows)
        return float((got - wanted).norm(dim=-1).max()) / usual


def _figures(case: str, error: float, tolerance: float) -> dict[str, object]:
    return {"relative_error": f"{error:.1e}", "tolerance": f"{tolerance:.1e}", "case": case}
