"""Each ending of a question, and nothing left behind by any of them."""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from gpu_doctor.probe.ask import Answer, ask, start
from tests.probe.processes import alive, dies, left_behind
from tests.probe.pythons import python_of


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    open_before = len(os.listdir("/proc/self/fd"))
    yield
    gc.collect()
    assert left_behind() == []
    assert len(os.listdir("/proc/self/fd")) == open_before


class Questioner:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, body: str) -> str:
        path = self.folder / "question.py"
        path.write_text(
            "import os, signal, sys, time\n\ndef answer(argument, notes):\n" + textwrap.indent(body, "    ")
        )
        return str(path)

    def __call__(self, body: str, **options: Any) -> Answer:
        return ask(self.write(body), sys.executable, **{"deadline": 20.0, **options})


@pytest.fixture
def question(tmp_path: Path) -> Questioner:
    return Questioner(tmp_path)


def told_pid(file: Path) -> int:
    """Wait until a child has written its process id there."""
    for _ in range(1000):
        if file.exists() and (text := file.read_text()).endswith("\n"):
            return int(text)
        time.sleep(0.01)
    raise AssertionError("the child never told its process id")


def test_an_answer_comes_back_whole(question: Questioner) -> None:
    value = {"text": 'ü "quoted" \n', "list": [1, 2.5, None, True], "nested": {"a": []}}
    answer = question("return {'got': argument}", argument=value)
    assert (answer.ending, answer.value, answer.reason) == ("answered", {"got": value}, "")
    assert answer.seconds > 0


def test_no_argument_is_none_and_no_answer_can_be_none(question: Questioner) -> None:
    answer = question("return argument")
    assert (answer.ending, answer.value) == ("answered", None)


def test_a_long_argument_is_no_problem(question: Questioner) -> None:
    assert question("return len(argument)", argument="x" * 500_000).value == 500_000


def test_what_the_child_prints_is_only_a_log(question: Questioner) -> None:
    answer = question("print('{\"answer\": 2}'); print('to stderr', file=sys.stderr); return 1")
    assert answer.value == 1
    assert sorted(answer.log.splitlines()) == ["to stderr", '{"answer": 2}']


def test_an_exception_is_its_type_and_words(question: Questioner) -> None:
    answer = question("raise ImportError('libcudnn.so.9: cannot open shared object file')")
    assert answer.ending == "raised"
    assert answer.reason == "ImportError: libcudnn.so.9: cannot open shared object file"
    assert "Traceback" in answer.log


def test_escape_sequences_reach_neither_reason_nor_log(question: Questioner) -> None:
    answer = question(r"raise ValueError('\x1b[31mred\x1b[0m\x1b]0;title\x07 \x9b2Jplain\x00')")
    assert answer.reason == "ValueError: red 2Jplain"
    assert answer.log.isprintable() or set(answer.log) - {"\n"} == {c for c in answer.log if c.isprintable()}
    assert "\x1b" not in answer.log


def test_an_exception_without_words_and_one_that_cannot_be_printed(question: Questioner) -> None:
    assert question("raise KeyError").reason == "KeyError"
    answer = question("class Bad(Exception):\n    def __str__(self): raise RuntimeError\nraise Bad")
    assert (answer.ending, answer.reason) == ("raised", "Bad")


def test_a_reason_is_bounded(question: Questioner) -> None:
    reason = question("raise ValueError('the beginning ' + 'x\\n' * 10_000_000 + ' the end')").reason
    assert len(reason) <= 500
    assert reason.startswith("ValueError: the beginning x")


def test_a_value_that_json_does_not_know_is_raised(question: Questioner) -> None:
    answer = question("return {1, 2}")
    assert answer.ending == "raised"
    assert answer.reason == "TypeError: Object of type set is not JSON serializable"


def test_a_question_with_a_syntax_error_is_raised(question: Questioner) -> None:
    answer = question("return (")
    assert answer.ending == "raised"
    assert answer.reason.startswith("SyntaxError: ")


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGILL"])
def test_a_crash_names_its_signal_and_keeps_the_last_words(question: Questioner, name: str) -> None:
    answer = question(f"os.write(2, b'last words'); os.kill(os.getpid(), signal.{name})")
    assert answer.ending == "crashed"
    assert answer.reason.startswith(f"was killed by {name} (")
    assert answer.log == "last words"


@pytest.mark.parametrize("code", [0, 3])
def test_an_exit_without_an_answer_is_a_crash(question: Questioner, code: int) -> None:
    for way in (f"os._exit({code})", f"sys.exit({code})"):
        answer = question(way)
        assert (answer.ending, answer.reason) == ("crashed", f"ended with exit code {code} without an answer")


SCRIBBLE = """\
def is_channel(fd):
    try: return 'gpu-doctor' in os.readlink('/proc/self/fd/%d' % fd)
    except OSError: return False
channel, = [fd for fd in range(3, 64) if is_channel(fd)]
"""


def test_half_an_answer_is_no_answer(question: Questioner) -> None:
    answer = question(SCRIBBLE + "os.write(channel, b'{\"answer\": 1')\nos._exit(1)")
    assert (answer.ending, answer.reason) == ("crashed", "ended with exit code 1 without an answer")


@pytest.mark.parametrize("line", [b"{\n", b"\n", b"x", b'{"trial": 1}\n', b"[" * 100_000 + b"\n", b"\0"])
def test_a_channel_full_of_garbage_is_bounded_and_no_answer(question: Questioner, line: bytes) -> None:
    flood = f"line = {line[:1]!r} * {len(line)}" if len(set(line[:-1])) == 1 else f"line = {line!r}"
    body = f"""\
{flood}
try:
    while True: os.write(channel, line * (1 + 100_000 // len(line)))
except OSError: os._exit(1)
"""
    answer = question(SCRIBBLE + body, deadline=60)
    assert (answer.ending, answer.reason) == ("crashed", "ended with exit code 1 without an answer")
    assert len(answer.told.trials) <= 20_000


def test_garbage_before_an_answer_does_not_hide_it(question: Questioner) -> None:
    body = "for _ in range(100_000): os.write(channel, b'{garbage \\xff\\n')\nreturn 'the answer'"
    assert question(SCRIBBLE + body).value == "the answer"


def test_the_channel_can_be_neither_grown_nor_cut(question: Questioner) -> None:
    for size in (0, 1 << 30):
        answer = question(SCRIBBLE + f"os.ftruncate(channel, {size})")
        assert (answer.ending, answer.reason) == ("raised", "PermissionError: [Errno 1] Operation not permitted")


def test_a_channel_that_was_turned_back_is_no_answer(question: Questioner) -> None:
    answer = question(SCRIBBLE + "os.lseek(channel, 0, 0)\nos._exit(0)")
    assert (answer.ending, answer.reason[:18]) == ("unrunnable", "the interpreter en")


def test_an_answer_given_before_a_crash_at_exit_counts(question: Questioner) -> None:
    answer = question("import atexit; atexit.register(os.abort); return 'done'")
    assert (answer.ending, answer.value) == ("answered", "done")


def test_a_sleeper_times_out(question: Questioner) -> None:
    answer = question("print('waiting', flush=True); time.sleep(600)", deadline=1)
    assert (answer.ending, answer.reason, answer.log) == ("timed out", "did not answer in 1 s", "waiting")
    assert answer.told.stack == (f"{question.folder / 'question.py'}:4 in answer",)


def test_a_child_that_ignores_signals_times_out(question: Questioner) -> None:
    deaf = "[signal.signal(n, signal.SIG_IGN) for n in (2, 15, 1)]; time.sleep(600)"
    assert question(deaf, deadline=1).reason == "did not answer in 1 s"


def test_a_child_that_a_signal_stopped_times_out_and_is_told_so(question: Questioner) -> None:
    answer = question("os.kill(os.getpid(), signal.SIGSTOP)", deadline=1)
    assert (answer.ending, answer.reason) == ("timed out", "did not answer in 1 s: a signal had stopped it")


@pytest.mark.parametrize("ending", ["return 1", "time.sleep(600)", "os.abort()"])
def test_a_grandchild_does_not_outlive_the_question(question: Questioner, tmp_path: Path, ending: str) -> None:
    told = tmp_path / "pid"
    body = f"""\
import subprocess
child = subprocess.Popen(["sleep", "600"])
with open({str(told)!r}, "w") as file: file.write(f"{{child.pid}}\\n")
{ending}
"""
    answer = question(body, deadline=2 if "sleep(" in ending else 20)
    assert answer.ending in ("answered", "timed out", "crashed")
    assert dies(told_pid(told))


@pytest.mark.parametrize("ending", ["return 1", "time.sleep(600)"])
def test_a_grandchild_in_a_session_of_its_own_is_found(question: Questioner, tmp_path: Path, ending: str) -> None:
    told = tmp_path / "pid"
    body = f"""\
import subprocess
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
with open({str(told)!r}, "w") as file: file.write(f"{{child.pid}}\\n")
{ending}
"""
    answer = question(body, deadline=2 if "sleep(" in ending else 20)
    assert answer.ending == ("answered" if ending == "return 1" else "timed out")
    assert left_behind() == []
    assert dies(told_pid(told))


@pytest.mark.parametrize("ending", ["return 1", "os.abort()"])
def test_a_daemon_that_lets_go_of_everything_is_found(question: Questioner, tmp_path: Path, ending: str) -> None:
    told = tmp_path / "pid"
    body = f"""\
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open({str(told)!r}, "w") as file: file.write(f"{{os.getpid()}}\\n")
        os.closerange(0, 256)
        time.sleep(600)
    os._exit(0)
os.wait()
while not os.path.exists({str(told)!r}): time.sleep(0.01)
{ending}
"""
    assert question(body).ending == ("answered" if ending == "return 1" else "crashed")
    assert left_behind() == []
    assert dies(told_pid(told))


def test_a_flood_leaves_its_tail(question: Questioner) -> None:
    body = "[os.write(1, b'x' * 1000000) for _ in range(100)]; os.write(1, b'\\nend'); return 'still here'"
    answer = question(body)
    assert answer.value == "still here"
    assert answer.log.endswith("xxx\nend")
    assert len(answer.log) <= 2048


def test_a_flood_does_not_wash_the_last_words_of_stderr_away(question: Questioner) -> None:
    answer = question("os.write(2, b'std::bad_alloc'); [os.write(1, b'x' * 1000000) for _ in range(20)]; os.abort()")
    assert (answer.ending, answer.log) == ("crashed", "std::bad_alloc")


def test_a_flood_does_not_wait_for_anybody_to_read_it(question: Questioner, tmp_path: Path) -> None:
    done = tmp_path / "done"
    script = question.write(f"os.write(1, b'x' * 1000000); open({str(done)!r}, 'w').write('1\\n'); return 1")
    with start(script, sys.executable, deadline=20) as pending:
        assert told_pid(done) == 1
        assert pending.result().value == 1


def test_a_child_that_survives_the_kill_is_given_up(
    question: Questioner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "pid"
    real = os.killpg
    with monkeypatch.context() as patch:
        patch.setattr("gpu_doctor.probe.leash._DEATH_SECONDS", 0.1)
        patch.setattr("gpu_doctor.probe.leash._kill_marked", lambda _token: None)
        survived = []
        patch.setattr(os, "killpg", lambda group, _number: survived.append(alive(group)))
        answer = question(f"open({str(told)!r}, 'w').write(f'{{os.getpid()}}\\n'); time.sleep(600)", deadline=3)
    assert answer.ending == "stuck"
    assert re.fullmatch(r"did not answer in 3 s and cannot be killed( \(it stands in \w+\))?", answer.reason)
    assert answer.told.stack != ()
    assert survived == [True]
    pid = told_pid(told)
    with suppress(ProcessLookupError):  # it ends when nobody holds its lifeline any more
        real(pid, signal.SIGKILL)
    with suppress(ChildProcessError):  # the next process that subprocess starts may have collected it already
        os.waitpid(pid, 0)


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (None, 0, "No such file or directory"),
        ("no program", 0o755, "Exec format error"),
        ("#!/nowhere/python\n", 0o755, "No such file or directory"),
    ],
)
def test_an_interpreter_that_cannot_start_is_unrunnable(
    question: Questioner, tmp_path: Path, content: str | None, mode: int, said: str
) -> None:
    python = tmp_path / "python"
    if content is not None:
        python.write_text(content)
        python.chmod(mode)
    answer = ask(question.write("return 1"), str(python), deadline=5)
    assert (answer.ending, answer.reason) == ("unrunnable", f"{python} cannot be started: {said}")


def test_an_interpreter_that_dies_before_the_question_is_unrunnable(question: Questioner, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'encodings'\" >&2\nexit 1\n")
    python.chmod(0o755)
    answer = ask(question.write("return 1"), str(python), deadline=5)
    assert answer.ending == "unrunnable"
    said = "ModuleNotFoundError: No module named 'encodings'"
    assert answer.reason == f"the interpreter ended with exit code 1 before the question: {said}"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("kill -SEGV $$", r"the interpreter was killed by SIGSEGV \(Segmentation fault\) before the question"),
        ("sleep 600", "the interpreter did not come to the question in 2 s"),
        ("echo hello; exit 0", "the interpreter ended with exit code 0 before the question: hello"),
    ],
)
def test_what_happens_before_the_question_is_the_interpreters_own(
    question: Questioner, tmp_path: Path, line: str, reason: str
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{line}\n")
    python.chmod(0o755)
    answer = ask(question.write("return 1"), str(python), deadline=2 if "sleep" in line else 20)
    assert answer.ending == "unrunnable"
    assert re.fullmatch(reason, answer.reason)


@pytest.mark.parametrize("series", ["2.7", "3.6", "3.7"])
def test_a_python_that_is_too_old_is_told_so(question: Questioner, series: str) -> None:
    answer = ask(question.write("return 1"), python_of(series), deadline=20)
    said = "its Python is older than 3.8, and older ones cannot be asked"
    assert (answer.ending, answer.reason) == ("unrunnable", said)


@pytest.mark.parametrize("place", ["threading.Thread.start", "os.pipe", "os.memfd_create", "subprocess.Popen"])
def test_a_machine_that_has_nothing_left_for_us_is_told(
    question: Questioner, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def spent(*_: object, **__: object) -> None:
        # The words of a thread that cannot start; all else says it as the kernel does.
        raise RuntimeError("can't start new thread") if "Thread" in place else OSError(24, "Too many open files")

    script = question.write("time.sleep(600)")
    with monkeypatch.context() as patch:
        patch.setattr(place, spent)
        patch.setattr("tempfile.TemporaryFile", spent)
        answer = ask(script, sys.executable, deadline=20)
    assert answer.ending == "unrunnable"
    assert re.search(r"cannot be started: (can't start new thread|Too many open files)$", answer.reason)


def test_a_child_without_threads_answers_all_the_same(question: Questioner, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import faulthandler\n\ndef spent(*_, **__):\n    raise RuntimeError('unable to start watchdog thread')\n\n"
        "faulthandler.dump_traceback_later = spent\n"
    )
    assert question("return 1", environ={**os.environ, "PYTHONPATH": str(tmp_path)}).value == 1


def test_how_a_child_ended_is_known_where_nobody_wanted_to_hear_of_children(question: Questioner) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        answer = question("os.abort()")
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert (answer.ending, answer.reason) == ("crashed", "was killed by SIGABRT (Aborted)")


def test_a_real_interpreter_without_its_standard_library_is_unrunnable(question: Questioner, tmp_path: Path) -> None:
    answer = question("return 1", environ={**os.environ, "PYTHONHOME": str(tmp_path)})
    assert answer.ending == "unrunnable"
    assert "encodings" in answer.log


def test_a_name_with_a_null_character_is_unrunnable(question: Questioner) -> None:
    assert ask(question.write("return 1"), "py\0thon", deadline=5).ending == "unrunnable"


def test_it_works_without_home_path_and_a_writable_place(question: Questioner) -> None:
    script = question.write("return sorted(k for k in os.environ if not k.startswith(('LC_', 'GPU_DOCTOR_PROBE')))")
    code = f"""\
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
import os
os.chdir("/proc")
os.environ["TMPDIR"] = "/nowhere"
from gpu_doctor.probe.ask import ask
print(ask({script!r}, sys.executable, deadline=20, environ={{}}))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "ending='answered', value=[]" in run.stdout


def test_the_environment_is_the_one_given(question: Questioner) -> None:
    answer = question("return os.environ.get('LD_LIBRARY_PATH')", environ={"LD_LIBRARY_PATH": "/opt/app/lib"})
    assert answer.value == "/opt/app/lib"


def test_neither_our_questions_nor_the_current_folder_can_shadow_a_module(
    question: Questioner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nvml.py").write_text("")
    monkeypatch.chdir(tmp_path)
    answer = question("import importlib.util; return importlib.util.find_spec('nvml') is None and sys.path")
    assert str(tmp_path) not in answer.value
    assert "" not in answer.value


BOMB = """\
held = []
while True:
    held.append(bytearray(b"x" * (16 << 20)))
"""


def test_a_child_that_holds_too_much_memory_is_ended_and_told_so(question: Questioner) -> None:
    answer = question(BOMB, memory_limit=128 << 20)
    assert answer.ending == "crashed"
    assert re.fullmatch(r"was stopped because it held \d+\.\d GiB of memory", answer.reason)


def test_what_its_children_hold_counts(question: Questioner) -> None:
    answer = question(
        "import subprocess\nsubprocess.run([sys.executable, '-c', argument])", argument=BOMB, memory_limit=128 << 20
    )
    assert (answer.ending, answer.reason[:30]) == ("crashed", "was stopped because it held 0.")


def test_memory_that_is_shared_counts_once(question: Questioner) -> None:
    body = """\
held = bytearray(b"x" * (64 << 20))
children = [os.fork() for _ in range(3)]
if 0 in children:
    time.sleep(600)
time.sleep(1)
return len(children)
"""
    assert question(body, memory_limit=160 << 20).value == 3


def test_what_is_reserved_and_not_touched_does_not_count(question: Questioner) -> None:
    answer = question(
        "import mmap\nheld = mmap.mmap(-1, 1 << 34)\ntime.sleep(0.5)\nreturn len(held)", memory_limit=256 << 20
    )
    assert answer.value == 1 << 34


@pytest.mark.parametrize("words", ["", "std::bad_alloc"])
def test_the_patients_own_memory_error_is_not_our_limit(question: Questioner, words: str) -> None:
    answer = question(f"raise MemoryError({words!r})", memory_limit=1 << 30)
    assert (answer.ending, answer.reason) == ("raised", f"MemoryError: {words}" if words else "MemoryError")


def test_a_kill_for_want_of_memory_is_the_kernels(question: Questioner, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "os.kill(os.getpid(), signal.SIGKILL)"
    assert question(body).reason == "was killed by SIGKILL (Killed)"
    counts = iter((7, 8))
    monkeypatch.setattr("gpu_doctor.probe.leash.kernel_kills", lambda: next(counts))
    assert question(body).reason == "was killed by SIGKILL (Killed): the machine ran out of memory"


def test_a_crash_writes_no_core_file(question: Questioner) -> None:
    assert question("import resource; return resource.getrlimit(resource.RLIMIT_CORE)[0]").value == 0


def test_standard_input_is_empty(question: Questioner) -> None:
    assert question("return sys.stdin.read()").value == ""


def test_an_anonymous_file_serves_where_the_kernel_has_no_memfd(
    question: Questioner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str, flags: int) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "memfd_create", missing)
    assert question("return argument", argument=[1]).value == [1]


def test_an_oversized_answer_is_refused(question: Questioner) -> None:
    answer = question("return 'x' * (16 << 20)")
    assert (answer.ending, answer.reason) == ("raised", "OverflowError: an answer of more than 16 MiB")
    assert question("return 'x' * (15 << 20)").value == "x" * (15 << 20)


def test_too_many_experiments_are_refused_and_the_first_are_kept(question: Questioner) -> None:
    body = "for n in range(1000): notes.trial(f'trial {n}', lambda: {'x': 'y' * 100_000})"
    answer = question(body)
    assert (answer.ending, answer.reason) == ("raised", "OverflowError: an answer of more than 16 MiB")
    assert [entry["trial"] for entry in answer.told.trials[:2]] == ["trial 0", "trial 1"]


def test_a_question_runs_while_the_asker_does_other_things(question: Questioner, tmp_path: Path) -> None:
    told = tmp_path / "pid"
    script = question.write(f"open({str(told)!r}, 'w').write(f'{{os.getpid()}}\\n'); return 7")
    with start(script, sys.executable, deadline=20) as pending:
        told_pid(told)
        assert pending.result().value == 7
        assert pending.result() is pending.result()


def test_leaving_the_block_or_forgetting_the_question_ends_the_child(question: Questioner, tmp_path: Path) -> None:
    told = tmp_path / "pid"
    script = question.write(f"open({str(told)!r}, 'w').write(f'{{os.getpid()}}\\n'); time.sleep(600)")
    with start(script, sys.executable, deadline=600):
        first = told_pid(told)
    assert dies(first)
    told.unlink()
    pending = start(script, sys.executable, deadline=600)
    second = told_pid(told)
    del pending
    gc.collect()
    assert dies(second)


@pytest.mark.parametrize("where", ["pending.result()", "time.sleep(600)"])
def test_ctrl_c_ends_the_child(question: Questioner, tmp_path: Path, where: str) -> None:
    told = tmp_path / "pid"
    script = question.write(f"open({str(told)!r}, 'w').write(f'{{os.getpid()}}\\n'); time.sleep(600)")
    code = f"""\
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from gpu_doctor.probe.ask import start
pending = start({script!r}, sys.executable, deadline=600)
{where}
"""
    asker = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    child = told_pid(told)
    asker.send_signal(signal.SIGINT)
    assert asker.wait(30) != 0
    assert dies(child)


@pytest.mark.parametrize("state", ["time.sleep(600)", "os.kill(os.getpid(), signal.SIGSTOP)", "while True: pass"])
def test_a_child_whose_asker_was_killed_ends_at_once(question: Questioner, tmp_path: Path, state: str) -> None:
    told, child_told = tmp_path / "pid", tmp_path / "child"
    body = f"""\
import subprocess
open({str(child_told)!r}, 'w').write(f'{{subprocess.Popen(["sleep", "600"]).pid}}\\n')
open({str(told)!r}, 'w').write(f'{{os.getpid()}}\\n')
{state}
"""
    code = f"""\
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from gpu_doctor.probe.ask import ask
ask({question.write(body)!r}, sys.executable, deadline=600)
"""
    asker = subprocess.Popen([sys.executable, "-c", code])
    child, grandchild = told_pid(told), told_pid(child_told)
    asker.kill()
    asker.wait()
    assert dies(child)
    assert dies(grandchild)
