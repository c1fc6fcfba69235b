"""Whole text reports are compared, because they are the product; then what must hold for every one of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_doctor.model.case import Case, Report
from gpu_doctor.model.finding import CheckRun, Evidence, Finding
from gpu_doctor.model.inventory import UNASKED, Observation, PathEntry
from gpu_doctor.model.past import Ending, PastRepair, PastTreatment
from gpu_doctor.model.probes import Probe
from gpu_doctor.model.remedy import MakeLink, Remedy, RunByHand
from gpu_doctor.model.requirement import Ignored
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.report import as_text
from gpu_doctor.report.paper import Look
from tests import kit
from tests.report import patients, preflights

PLAIN = Look(home=patients.HOME)


def test_the_sick_report_names_cause_evidence_and_remedy_then_the_rest() -> None:
    assert (
        as_text.render(patients.sick(), PLAIN)
        == """\
~/venv (Python 3.11.7, uv) — chosen by --python
  hardware: RTX 4090 (sm_89), driver 580.95.05

SICK  ctranslate2 4.6.1 brings its own cuDNN loader, and none of the parts that
      this loader opens lies where it looks: the first convolution ends the
      process.
  cudnn-unreachable · ctranslate2 4.6.1

  Evidence
    libcudnn_graph.so.9.1.0 as libcudnn-74a4c495.so.9.1.0 opens it: not found in
    4 folders
      ~/venv/lib/python3.11/site-packages/ctranslate2.libs/libcudnn-74a4c495.so.9.1.0
    cuDNN beside it: 9.10.2.21
      ~/venv/lib/python3.11/site-packages/nvidia_cudnn_cu12-9.10.2.21.dist-info

  Remedy  Install ctranslate2 4.6.3 or newer (changes packages)
    gpu-doctor fix cudnn-unreachable --python ~/venv/bin/python

  Explained by this
    LD_LIBRARY_PATH puts cuDNN 9.1 before the environment's 9.10.
    [library-path-shadows]

WARNING  Both write into onnxruntime/; the CPU build was written last and wins.
  ort-packages-clash · onnxruntime, onnxruntime-gpu

  Evidence
    libonnxruntime.so: as onnxruntime 1.20.1 wrote it
      ~/venv/lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime.so

  Remedy  Keep the GPU build alone (changes packages)
    gpu-doctor fix ort-packages-clash --python ~/venv/bin/python

asked live: 2 imports
not judged: kernel-image-missing (no GPU known: give --gpu)
"""
    )


def test_the_healthy_report_is_three_lines() -> None:
    assert (
        as_text.render(patients.healthy(), PLAIN)
        == """\
~/venv (Python 3.11.7, uv) — chosen by --python
HEALTHY  5 rules passed; hardware: RTX 4090 (sm_89), driver 580.95.05.
asked live: 2 imports
"""
    )


def test_a_crash_can_be_read_and_repeated() -> None:
    assert (
        as_text.render(patients.dead(), PLAIN)
        == """\
~/venv (Python 3.11.7, uv) — chosen by --python
  hardware: no GPU, no driver

SICK  torch 2.8.0 dies when it is imported.
  cudnn-unreachable · torch

  Evidence
    asked live: import torch: killed by SIGSEGV (Segmentation fault)
      ~/venv/bin/python -c 'import torch'
    the last library that it began to load:
    ~/venv/lib/python3.11/site-packages/torch/_C.cpython-311-x86_64-linux-gnu.so
    where its Python stood:
    ~/venv/lib/python3.11/site-packages/torch/__init__.py:416 in <module>
    its last output:
      loading libraries
      terminate called after throwing an instance of 'std::bad_alloc'
      what(): std::bad_alloc

asked live: import torch
not tried: cuDNN (import torch was killed by SIGSEGV (Segmentation fault)), so
not judged: kernel-image-missing
"""
    )


def test_the_command_that_repeats_evidence_is_whole_and_shown_once() -> None:
    again = "/home/ada/venv/bin/python -c " + "x" * 200
    rows = tuple(Evidence(f"asked live: row {n}", "failed", "", again) for n in range(3))
    finding = Finding("cudnn-unreachable", "error", "torch", "Ill.", rows)
    text = as_text.render(patients.report([CheckRun("cudnn-unreachable", "failed", findings=(finding,))]), PLAIN)
    assert text.count(f"      ~/venv/bin/python -c {'x' * 200}\n") == 1


def test_of_long_output_the_end_is_shown() -> None:
    row = Evidence("its last output", "\n".join(f"line {n}" for n in range(40)), "")
    finding = Finding("cudnn-unreachable", "error", "torch", "Ill.", (row,))
    text = as_text.render(patients.report([CheckRun("cudnn-unreachable", "failed", findings=(finding,))]), PLAIN)
    assert "    its last output:\n      line 35\n" in text
    assert "      line 39\n" in text


def test_without_a_gpu_each_experiment_is_skipped_said_once_and_never_green() -> None:
    text = as_text.render(patients.without_gpu(), PLAIN)
    assert (
        text
        == """\
~/venv (Python 3.11.7, uv) — chosen by --python
HEALTHY  2 rules passed; hardware: no GPU, no driver.
asked live: 2 imports, cuDNN
not tried: CUDA init, 2 torch GPU experiments (no GPU visible), so not judged:
kernel-image-missing
"""
    )
    assert text.count("no GPU visible") == 1


def test_an_interpreter_that_does_not_start_leaves_the_verdict_open() -> None:
    assert (
        as_text.render(patients.unstarted(), PLAIN)
        == """\
~/venv (Python 3.11.7, uv) — chosen by --python
UNDETERMINED  The live interpreter cannot be asked: ~/venv/bin/python cannot be
              started: Exec format error. By the files alone 1 rule passed;
              --static asks for no more.
nothing could be asked live, so not judged: kernel-image-missing
"""
    )


def test_a_sick_environment_without_an_interpreter_says_that_it_was_not_asked() -> None:
    text = as_text.render(patients.sick(probes=Unknown("there is no interpreter to ask")), PLAIN)
    assert "\nnothing could be asked live: there is no interpreter to ask\n" in text


@pytest.mark.parametrize(
    ("static", "said"),
    [(True, "files only, as asked (--static)"), (False, "files only: the live interpreter was not asked")],
)
def test_a_report_of_files_alone_says_so_and_names_the_rules_that_need_more(static: bool, said: str) -> None:
    report = patients.healthy(probes=UNASKED)
    assert as_text.render(report, PLAIN, static=static).splitlines()[2:] == [said]
    runs = (*patients.passed("driver-too-old"), *patients.not_judged("kernel-image-missing", UNASKED.reason))
    text = as_text.render(patients.report(runs, patients.environment(probes=UNASKED)), PLAIN, static=static)
    assert " ".join(text.splitlines()[2:]) == f"{said}, so not judged: kernel-image-missing"


def test_each_reason_why_something_was_not_tried_is_said_once() -> None:
    probes = [
        kit.probe("import", "jax", "skipped", reason="why not"),
        kit.probe("cudnn", "torch", "skipped", reason="other"),
        kit.probe("ort-session", "CPU", "skipped", reason="why not"),
    ]
    text = as_text.render(patients.healthy(probes=tuple(probes)), PLAIN)
    assert text.splitlines()[2:] == [
        "not tried: import jax, ONNX Runtime session (why not)",
        "not tried: cuDNN (other)",
    ]


def test_many_that_ended_badly_are_counted() -> None:
    probes = tuple(kit.probe("import", name, "raised") for name in "abcd")
    text = as_text.render(patients.healthy(probes=probes), PLAIN)
    assert text.splitlines()[-2:] == [
        "asked live: 4 imports; ended badly, and no rule says why: import a; import b;",
        "import c; and 1 more",
    ]


def test_what_ended_badly_is_named_even_where_no_rule_knows_it() -> None:
    probes = (
        kit.probe("import", "torch"),
        kit.probe("import", "jax", "raised"),
        kit.probe("cudnn", "torch", "answered", kit.trial("create", "failed"), after=("ctranslate2",)),
    )
    text = as_text.render(patients.healthy(probes=probes), PLAIN)
    assert text.splitlines()[2:] == [
        "asked live: 2 imports, cuDNN; ended badly, and no rule says why: import jax; the",
        "first calls of cuDNN, after import ctranslate2",
    ]


def said_of(probe: Probe, *findings: Finding, note: str = "") -> str:
    """Return the last line where a rule that asks for imports found these and noted this."""
    rule = replace(patients.RULES[0], probes=("import",))
    run = CheckRun(rule.id, "failed" if findings else "passed", note, findings=findings)
    case = Case(patients.environment(probes=(probe,)), (run,), (rule,))
    return as_text.render(Report((case,), "0.1.0", "2026-11-20"), PLAIN).splitlines()[-1]


def test_what_ended_badly_and_is_explained_is_not_said_again() -> None:
    asked = kit.probe("import", "jax", "raised", again="~/venv/bin/python -c 'import jax'")
    assert said_of(asked).endswith("no rule says why: import jax")
    shown = Finding("driver-too-old", "error", "driver", "Old.", (Evidence("asked live", "x", "", asked.again),))
    assert said_of(asked, shown) == "asked live: import jax"
    named = Finding("driver-too-old", "error", "jax", "It fails.", ())
    assert said_of(asked, named) == "asked live: import jax"
    other = Finding("driver-too-old", "error", "torch", "It fails.", ())
    assert said_of(asked, other).endswith("no rule says why: import jax")
    assert said_of(asked, note="jax wants a GPU at its import").startswith("judged in part: ")


def test_what_fails_for_want_of_a_driver_is_no_riddle_where_there_is_none() -> None:
    lacking = kit.trial("libcuda.so.1", "failed", "libcuda.so.1: cannot open shared object file")
    assert said_of(kit.probe("import", "jax", "answered", lacking)) == "asked live: import jax"
    mixed = kit.probe("import", "jax", "answered", lacking, kit.trial("create", "failed", "no"))
    assert said_of(mixed).endswith("no rule says why: import jax")


def test_many_rules_that_could_not_judge_are_counted() -> None:
    skipped = kit.probe("torch-gpu", "GPU 0", "skipped", reason="no GPU visible")
    runs = tuple(CheckRun(rule.id, "skipped", "no GPU visible") for rule in patients.RULES[1:])
    text = as_text.render(
        patients.report((*patients.passed("driver-too-old"), *runs), patients.environment(probes=(skipped,))), PLAIN
    )
    assert text.splitlines()[2:] == [
        "not tried: torch GPU experiment (no GPU visible), so 4 rules could not judge",
    ]


def test_a_healthy_environment_with_a_warning_shows_it() -> None:
    runs = (*patients.passed("driver-too-old"), CheckRun("ort-packages-clash", "failed", findings=(patients.CLASH,)))
    lines = as_text.render(patients.report(runs), PLAIN).splitlines()
    assert lines[1:4] == [
        "HEALTHY  1 rule passed; hardware: RTX 4090 (sm_89), driver 580.95.05; 1 warning.",
        "",
        "WARNING  Both write into onnxruntime/; the CPU build was written last and wins.",
    ]


def test_nothing_judged_is_not_health_and_the_reason_is_given_once() -> None:
    assert (
        as_text.render(patients.undetermined(), PLAIN)
        == """\
~/venv (Python 3.11.7, uv) — chosen by --python
UNDETERMINED  No rule could judge this environment.
not judged: driver-too-old, ort-packages-clash, cudnn-unreachable,
library-path-shadows, kernel-image-missing (no package here uses a GPU)
"""
    )


def test_the_same_remedy_is_shown_once() -> None:
    second = replace(patients.CUDNN, rule="kernel-image-missing")
    runs = (
        CheckRun("cudnn-unreachable", "failed", findings=(patients.CUDNN,)),
        CheckRun("kernel-image-missing", "failed", findings=(second,)),
    )
    text = as_text.render(patients.report(runs), PLAIN)
    assert text.count("gpu-doctor fix cudnn-unreachable") == 1
    assert text.count("gpu-doctor fix") == 1
    assert "\n  Remedy  the same as above\n\n" in text


def test_a_rule_that_does_not_apply_is_no_loss() -> None:
    aside = CheckRun("ort-packages-clash", "skipped", "ONNX Runtime is not installed", applies=False)
    text = as_text.render(patients.report((*patients.passed("driver-too-old"), aside)), PLAIN)
    assert "ort-packages-clash" not in text
    alone = as_text.render(patients.report((aside,)), PLAIN)
    assert "environment: ONNX Runtime is not\n              installed." in alone


def test_what_a_rule_left_open_is_said() -> None:
    run = CheckRun("kernel-image-missing", "passed", "libcufft.so.11 could not be read")
    text = as_text.render(patients.report((run,)), PLAIN)
    assert text.endswith("judged in part: kernel-image-missing (libcufft.so.11 could not be read)\n")


def test_a_crashed_rule_is_loud() -> None:
    assert (
        as_text.render(patients.crashed(), PLAIN)
        == """\
~/venv (Python 3.11.7, uv) — chosen by --python
UNDETERMINED  Only 1 rule could judge.
CRASHED  the rule driver-too-old broke, so the verdict lacks it: KeyError:
         'sm_90'. Please report this.
asked live: 2 imports
"""
    )


def test_a_narrow_stream_without_unicode_keeps_paths_and_commands_whole() -> None:
    text = as_text.render(patients.sick(), Look(width=48, unicode=False, home=patients.HOME))
    assert text.isascii()
    assert text.startswith("~/venv (Python 3.11.7, uv) - chosen by --python\n")
    assert "    gpu-doctor fix cudnn-unreachable --python ~/venv/bin/python\n" in text
    too_long = [line for line in text.splitlines() if len(line) > 48]
    assert [line.split()[0] for line in too_long] == ["~/venv/lib/python3.11/site-packages/ctranslate2.libs/libcudnn-74a4c495.so.9.1.0",
        "~/venv/lib/python3.11/site-packages/nvidia_cudnn_cu12-9.10.2.21.dist-info", "gpu-doctor",
        "~/venv/lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime.so", "gpu-doctor"]  # fmt: skip


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_prose_stays_within_the_width(width: int) -> None:
    for report in (patients.healthy(), patients.undetermined(), patients.crashed(), patients.without_gpu()):
        text = as_text.render(report, Look(width=width, home=patients.HOME))
        assert max(map(len, text.splitlines())) <= max(width, len("~/venv (Python 3.11.7, uv) — chosen by"))


def test_colour_changes_no_letter() -> None:
    import re

    coloured = as_text.render(patients.sick(), replace(PLAIN, colour=True))
    assert "\x1b[1;31mSICK" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == as_text.render(patients.sick(), PLAIN)


HOSTILE = "x\x1b[2J\x9b31m\u202eevil\u2066\r\n[bold]SICK[/bold] \x07\ud800"


def test_foreign_text_cannot_steer_the_terminal() -> None:
    finding = Finding(
        "ort-packages-clash", "error", HOSTILE, HOSTILE, (Evidence(HOSTILE, HOSTILE, HOSTILE),), patients.CLASH.remedy
    )
    runs = (
        CheckRun("ort-packages-clash", "failed", findings=(finding,)),
        CheckRun("driver-too-old", "skipped", HOSTILE),
        CheckRun("cudnn-unreachable", "crashed", HOSTILE),
    )
    inventory = patients.environment(observations=(Observation(HOSTILE, HOSTILE),))
    python = replace(inventory.interpreter, prefix=HOSTILE, notes=(HOSTILE,))
    text = as_text.render(patients.report(runs, replace(inventory, interpreter=python)), PLAIN)
    assert all(character.isprintable() for line in text.splitlines() for character in line)
    assert r"x\x1b[2J\x9b31m\u202eevil\u2066 [bold]SICK[/bold] \x07\ud800" in " ".join(text.split())
    assert "\nSICK[/bold]" not in text


def test_a_hostile_command_is_shown_harmless_and_whole() -> None:
    text = as_text.render(patients.by_hand("echo '\x1b]0;owned\x07' " + "a" * 5000), PLAIN)
    assert r"    echo '\x1b]0;owned\x07' " + "a" * 5000 + "\n" in text


def test_long_foreign_text_is_cut() -> None:
    finding = Finding("driver-too-old", "error", "driver", "w" * 100_000, ())
    assert (
        len(as_text.render(patients.report([CheckRun("driver-too-old", "failed", findings=(finding,))]), PLAIN)) < 3000
    )


def test_much_evidence_is_counted_not_listed() -> None:
    many = tuple(Evidence(f"thing {n}", "v", "") for n in range(30))
    run = CheckRun("driver-too-old", "failed", findings=(Finding("driver-too-old", "error", "driver", "Old.", many),))
    text = as_text.render(patients.report([run]), PLAIN)
    assert "thing 7" in text
    assert "thing 8" not in text
    assert "… and 22 more: --format json" in text


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("/home/ada/venv/bin/pip install x", "~/venv/bin/pip install x"),
        ("ln -sfn ../a /home/ada/b", "ln -sfn ../a ~/b"),
        ("pip install 'a /home/ada/b'", "pip install 'a /home/ada/b'"),
        ("'x'/home/ada/b /home/ada/c", "'x'/home/ada/b ~/c"),
        ("pip install 'a>1' /home/ada/b.whl", "pip install 'a>1' ~/b.whl"),
        ("export A=/home/ada/b", "export A=/home/ada/b"),
        ("rm /home/adam", "rm /home/adam"),
    ],
)
def test_the_home_folder_is_shortened_only_where_a_shell_expands_it(command: str, shown: str) -> None:
    assert f"    {shown}\n" in as_text.render(patients.by_hand(command), PLAIN)


def test_a_finding_whose_cause_is_absent_is_still_shown() -> None:
    report = patients.report([CheckRun("library-path-shadows", "failed", findings=(patients.SHADOW,))])
    assert "WARNING  LD_LIBRARY_PATH puts cuDNN 9.1" in as_text.render(report, PLAIN)


def test_layers_over_the_environment_are_named() -> None:
    inventory = patients.environment()
    layer = PathEntry("/home/ada/.local/lib/python3.11/site-packages", "user-site", "")
    python = replace(inventory.interpreter, search_path=(*inventory.interpreter.search_path, layer))
    text = as_text.render(
        patients.report(patients.passed("driver-too-old"), replace(inventory, interpreter=python)), PLAIN
    )
    assert text.splitlines()[1] == "  also on its path: ~/.local/lib/python3.11/site-packages (user site)"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gpus": Unknown("no NVML"), "driver": Unknown("no /proc")}, "GPU unknown, driver unknown"),
        ({"gpus": (), "driver": None}, "no GPU, no driver"),
        ({"gpus": (kit.gpu(),) * 8}, "8 × RTX 4090 (sm_89), driver 580.95.05"),
        ({"gpus": (kit.gpu("sm_120", (12, 0), assumed=True),)}, "sm_120 as given, driver 580.95.05"),
        ({"driver": kit.driver("570.86", assumed=True)}, "RTX 4090 (sm_89), driver 570.86 as given"),
    ],
)
def test_the_hardware_is_said_in_words(changes: dict[str, object], words: str) -> None:
    report = patients.report(patients.passed("driver-too-old"), patients.environment(**changes))
    assert f"hardware: {words}." in " ".join(as_text.render(report, PLAIN).split())


def test_what_could_not_be_read_is_said_briefly() -> None:
    seen = tuple(Observation(f"/opt/x{n}", "corrupt") for n in range(5))
    lines = as_text.render(
        patients.report(patients.passed("driver-too-old"), patients.environment(observations=seen)), PLAIN
    )
    assert lines.splitlines()[-2:] == [
        "not read: /opt/x2: corrupt",
        "not read: 2 more, see `gpu-doctor inventory`",
    ]


def test_many_notes_and_layers_do_not_bury_the_verdict() -> None:
    inventory = patients.environment()
    layers = tuple(PathEntry(f"/opt/app/{number}", "pth", "x.pth") for number in range(3000))
    notes = tuple(f"note {number}." for number in range(3000))
    python = replace(inventory.interpreter, search_path=layers, notes=notes)
    report = patients.report(patients.passed("driver-too-old"), replace(inventory, interpreter=python))
    text = as_text.render(report, PLAIN)
    assert len(text.splitlines()) < 30
    assert text.count("2992 more") == 2


# --- What repairs did before, and how to repair -----------------------------------------------------------------------

HEALED = PastTreatment("cudnn-unreachable", "ctranslate2 4.6.1", "It aborts.", "Place links.", kept=True)


def with_repair(ending: Ending | None) -> str:
    report = patients.sick()
    repair = PastRepair("20261101-080000-ab12", "2026-11-01T08:00:00Z", "fix cudnn", "0.1.0", "j", (HEALED,), ending)
    return as_text.render(replace(report, cases=(replace(report.cases[0], repairs=(repair,)),)), PLAIN)


def test_an_illness_that_came_back_says_that_it_was_healed_before() -> None:
    text = with_repair("kept")
    assert text.count("healed before, on 2026-11-01 (repair 20261101-080000-ab12)") == 1
    assert "cut off" not in text


@pytest.mark.parametrize("ending", ["undone", "rolled back"])
def test_a_repair_that_was_taken_back_is_no_news(ending: Ending) -> None:
    assert with_repair(ending) == as_text.render(patients.sick(), PLAIN)


def test_a_repair_that_was_cut_off_is_said_with_the_way_out() -> None:
    text = " ".join(with_repair(None).split())
    assert "the repair 20261101-080000-ab12 was cut off: `gpu-doctor undo` takes it back" in text


def test_the_durable_remedy_stands_below_with_the_price_of_the_other() -> None:
    links = Remedy("Place links.", "safe", (MakeLink("/a", "b"),), "taken away by the next sync")
    upgrade = Remedy("Upgrade ctranslate2.", "ask", patients.CUDNN.remedy.steps if patients.CUDNN.remedy else ())
    finding = replace(patients.CUDNN, remedy=links, durable=upgrade)
    text = as_text.render(patients.report([CheckRun("cudnn-unreachable", "failed", findings=(finding,))]), PLAIN)
    assert (
        """\
  Remedy  Place links (safe: changes no package, can be undone)
    gpu-doctor fix cudnn-unreachable --python ~/venv/bin/python
    --prefer durable: upgrade ctranslate2; this one: taken away by the next sync
"""
        in text
    )


def test_what_a_person_must_do_is_shown_step_by_step() -> None:
    reboot = Remedy("Reboot.", "manual", (RunByHand("sudo reboot", "needs root"),))
    finding = replace(patients.CUDNN, remedy=reboot)
    text = as_text.render(patients.report([CheckRun("cudnn-unreachable", "failed", findings=(finding,))]), PLAIN)
    assert "  Remedy  Reboot (by hand)\n    sudo reboot\n" in text
    assert "gpu-doctor fix" not in text


# --- What is ignored ----------------------------------------------------------------------------------------------------


def test_what_is_ignored_is_a_quiet_line_below_the_verdict() -> None:
    assert (
        as_text.render(preflights.ignoring(), PLAIN)
        == """\
~/venv (Python 3.11.7, uv) — chosen by --python
HEALTHY  5 rules passed; hardware: RTX 4090 (sm_89), driver 580.95.05.
asked live: 2 imports
ignored until 2027-01-01: ort-packages-clash · onnxruntime, onnxruntime-gpu
(pyproject.toml:20: the CPU build is meant here)
"""
    )


def test_each_ignored_finding_has_its_line_and_no_date_is_no_word() -> None:
    ignored = (Ignored(patients.CLASH, "meant"), Ignored(patients.CUDNN, "known", "", "/opt/app/gpu-doctor.toml:3"))
    text = as_text.render(replace(patients.sick(), ignored=ignored), Look(width=400))
    assert text.splitlines()[-2:] == [
        "ignored: ort-packages-clash · onnxruntime, onnxruntime-gpu (meant)",
        "ignored: cudnn-unreachable · ctranslate2 4.6.1 (/opt/app/gpu-doctor.toml:3: known)",
    ]


def test_where_nothing_is_ignored_nothing_is_said_of_it() -> None:
    assert "ignored" not in as_text.render(patients.sick(), PLAIN)
