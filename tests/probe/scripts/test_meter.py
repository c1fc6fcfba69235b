"""What becomes of a case: measured, wrong, failed, not possible here; with a stand-in for torch."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from gpu_doctor.probe.ask import SCRIPTS

METER = runpy.run_path(str(SCRIPTS / "_meter.py"))


class Notes:
    class Wrong(Exception):
        pass

    class Skip(Exception):
        pass

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []

    def write(self, **entry: Any) -> None:
        self.written.append(entry)


def torch() -> Any:
    matmul, cudnn = SimpleNamespace(allow_tf32=True), SimpleNamespace(allow_tf32=False)
    backends = SimpleNamespace(cuda=SimpleNamespace(matmul=matmul), cudnn=cudnn)
    names = {name: name for name in ("float32", "float16", "bfloat16")}
    return SimpleNamespace(
        backends=backends, device=str, set_grad_enabled=bool, manual_seed=int, __version__="2.8.0", **names
    )


def meter(device: str = "cpu", **more: Any) -> Any:
    wish = {"device": device, "repeat": 1, "seed": 0, "gpu": None, "batches": [1], "reload": 0, **more}
    work = runpy.run_path(str(SCRIPTS / "_workload.py"))["Work"](wish, Notes())
    return METER["Meter"](work, torch(), None)


def add(
    on: Any, run: Callable[[], Any], check: Callable[[], Any] | None = None, kind: str = "float32", reason: str = ""
) -> None:
    case = on.add(f"case {len(on.cases)}", "TFLOP/s", kind, 1.0, reason)
    case.make, case.check = lambda: run, check


def figures(on: Any) -> list[dict[str, Any]]:
    on.prepare()
    on.once()
    on.prove()
    on.measure()
    measured: list[dict[str, Any]] = on.work.answer["figures"]
    return measured


def fail(error: Exception) -> Any:
    raise error


def test_a_right_case_has_a_value_and_no_reason() -> None:
    on = meter()
    add(on, lambda: sum(range(1000)), lambda: None)
    (figure,) = figures(on)
    assert (figure["value"] > 0, figure["reason"], figure["kind"]) == (True, "", "float32")


def test_a_wrong_result_is_no_figure() -> None:
    on = meter()
    add(on, lambda: 1, lambda: fail(Notes.Wrong("relative error 3")))
    (figure,) = figures(on)
    assert (figure["value"], figure["reason"]) == (0.0, "wrong result: relative error 3")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "out of memory"),
        (Notes.Skip("not for this shape"), "not for this shape"),
        (ValueError("no kernel"), "ValueError: no kernel"),
    ],
)
def test_a_case_that_fails_says_why_and_spoils_no_other(error: Exception, reason: str) -> None:
    on = meter()
    add(on, lambda: fail(error))
    add(on, lambda: 1)
    first, second = figures(on)
    assert (first["value"], first["reason"]) == (0.0, reason)
    assert second["value"] > 0


def test_a_case_that_cannot_be_is_never_made() -> None:
    on = meter()
    add(on, lambda: fail(AssertionError("was run")), reason="needs a GPU")
    (figure,) = figures(on)
    assert (figure["value"], figure["reason"]) == (0.0, "needs a GPU")


@pytest.mark.parametrize("error", [None, ValueError("broken")])
def test_tf32_is_allowed_for_its_own_case_only_and_restored(error: Exception | None) -> None:
    on, seen = meter(), []
    flags = on.torch.backends

    def look() -> int:
        seen.append((flags.cuda.matmul.allow_tf32, flags.cudnn.allow_tf32))
        return fail(error) if error else 1

    add(on, look)
    add(on, look, kind="tf32")
    on.prepare()
    on.once()
    assert seen == [(False, False), (True, True)]
    assert (flags.cuda.matmul.allow_tf32, flags.cudnn.allow_tf32) == (True, False)


def test_each_figure_is_kept_as_soon_as_it_is_known() -> None:
    on = meter()
    add(on, lambda: 1)
    add(on, lambda: 1)
    figures(on)
    parts = [entry["part"] for entry in on.work.notes.written if entry.get("part")]
    assert parts[0]["figures"][0]["value"] > 0
    assert [entry["done"] for entry in on.work.notes.written if "done" in entry] == sorted(
        entry["done"] for entry in on.work.notes.written if "done" in entry
    )


def test_formats_say_what_a_device_lacks() -> None:
    def lacking(device: str, *capability: int) -> dict[str, str]:
        on = meter(device)
        on.capability = capability
        return {kind: reason for kind, _, reason in on.formats() if reason}

    old = "needs compute capability 8.0"
    assert lacking("cpu", 0, 0) == {"tf32": "needs a GPU"}
    assert lacking("cuda:0", 7, 5) == {"tf32": old, "bfloat16": old}
    assert lacking("cuda:0", 8, 6) == {}
    assert lacking("cuda:0", 10, 0) == {}


def test_a_slow_case_is_called_once_for_its_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    on, clock = meter(), [0.0]
    monkeypatch.setattr(METER["time"], "perf_counter", lambda: clock[0])
    calls: list[float] = []

    def spend(seconds: float) -> Callable[[], None]:
        def run() -> None:
            calls.append(seconds)
            clock[0] += seconds

        return run

    assert on.seconds(spend(20.0)) == 20.0
    assert len(calls) == 1
    assert on.seconds(spend(0.01)) == pytest.approx(0.01)
    assert 3 < calls.count(0.01) < 100
