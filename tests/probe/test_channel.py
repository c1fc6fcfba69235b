"""What a channel tells: every line that makes sense, and the stack of whoever died, in the format of each Python."""

from __future__ import annotations

import pytest

from gpu_doctor.probe.channel import Told, read

CRASH_311 = b"""\
{"started": true}
{"loading": "/opt/app/lib/libfoo.so"}
Fatal Python error: Segmentation fault

Current thread 0x00007f0000000740 (most recent call first):
  File "/opt/app/torch/__init__.py", line 2 in <module>
  File "<frozen importlib._bootstrap>", line 241 in _call_with_frames_removed
  File "<frozen importlib._bootstrap_external>", line 940 in exec_module
  File "/opt/app/question.py", line 19 in answer
  File "/opt/app/gpu_doctor/probe/scripts/_runner.py", line 121 in main

Extension modules: numpy.core._multiarray_umath (total: 1)
"""
CRASH_314 = b"""\
{"started": true}
Fatal Python error: Aborted

Current thread 0x00007f0000000740 [python] (most recent call first):
  File "/opt/app/torch/__init__.py", line 2 in <module>
  File "/opt/app/question.py", line 19 in answer

Current thread's C stack trace (most recent call first):
  Binary file "/usr/lib/libpython3.14.so.1.0", at _Py_DumpStack+0x31 [0x7f00000001]
  Binary file "/opt/app/torch/lib/libc10.so", at +0x2a3 [0x7f00000002]
  <truncated rest of calls>
"""
HANG = b"""\
{"started": true}
{"begin": "matmul"}
Timeout (0:00:01)!
Thread 0x00007f0000000001 (most recent call first):
  File "/opt/app/worker.py", line 7 in wait

Thread 0x00007f0000000740 (most recent call first):
  File "/opt/app/torch/cuda/__init__.py", line 300 in _lazy_init
  File "/opt/app/torch/cuda/__init__.py", line ??? in device_count
"""


def test_a_crash_tells_its_stack_and_what_was_being_loaded() -> None:
    assert read(CRASH_311) == Told(
        started=True,
        loading="/opt/app/lib/libfoo.so",
        stack=("/opt/app/torch/__init__.py:2 in <module>", "/opt/app/question.py:19 in answer"),
    )


def test_the_stack_of_c_functions_that_python_3_14_adds_is_no_python() -> None:
    assert read(CRASH_314).stack == ("/opt/app/torch/__init__.py:2 in <module>", "/opt/app/question.py:19 in answer")


def test_a_hang_tells_the_stack_of_the_main_thread_and_the_experiment() -> None:
    told = read(HANG)
    assert told.doing == "matmul"
    assert told.stack == (
        "/opt/app/torch/cuda/__init__.py:300 in _lazy_init",
        "/opt/app/torch/cuda/__init__.py:??? in device_count",
    )


def test_an_experiment_that_ended_is_not_being_made_any_more() -> None:
    told = read(b'{"begin": "a"}\n{"trial": "a", "outcome": "passed"}\n{"answer": {"x": 1}}\n')
    assert (told.doing, [t["trial"] for t in told.trials], told.result) == ("", ["a"], {"answer": {"x": 1}})


@pytest.mark.parametrize(
    "line",
    [
        b'{"answer": 2',
        b'{"answer": 2}}',
        b'["answer", 2]',
        b' {"answer": 2}',
        b'\xff{"answer": 2}',
        b"{" * 100_000,
        b'{"other": 2}',
        b"9" * 100_000,
        b"\0" * 100,
    ],
)
def test_what_is_torn_or_foreign_is_left_out(line: bytes) -> None:
    assert read(b'{"started": true}\n' + line + b'\n{"answer": 1}\n').result == {"answer": 1}
    assert read(b'{"started": true}\n' + line) == Told(started=True)


def test_of_a_flood_the_beginning_and_the_end_are_read() -> None:
    middle = b'{"trial": "x"}\n' * 100_000
    told = read(b'{"trial": "first"}\n' + middle + b'{"trial": "last"}\n{"answer": 1}\n')
    assert (told.trials[0]["trial"], told.trials[-1]["trial"], told.result) == ("first", "last", {"answer": 1})
    assert len(told.trials) < 1000


@pytest.mark.parametrize("key", ["begin", "loading"])
def test_a_name_is_plain_and_short(key: str) -> None:
    steering = read(f'{{"{key}": "\\u001b[2Jname\\u202e"}}'.encode())
    assert (steering.doing or steering.loading) == "name"
    torn = read(f'{{"{key}": "\\ud800{"x" * 10_000}"}}'.encode())
    assert len(torn.doing or torn.loading) <= 500
