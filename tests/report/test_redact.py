"""Redaction: secrets and names leave every value, by whole word and path component, and nothing else changes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_doctor.model import plain
from gpu_doctor.model.case import Report
from gpu_doctor.model.finding import CheckRun
from gpu_doctor.model.plan import HeldBack, Plan
from gpu_doctor.report import redact
from gpu_doctor.report.formats import FORMATS, Given, draw, summary
from gpu_doctor.report.redact import Private
from tests import kit
from tests.checks.judge import judge_all
from tests.report import full, patients, planned, preflights, recorded, repairs

ADA = Private.of({"HF_TOKEN": "correct-horse-battery"}, "ada", "gpu01.example.org", "/home/ada")

# --- Names, by whole word and path component ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/home/ada/venv/bin/python", "~/venv/bin/python"),
        ("/home/ada", "~"),
        ("PATH=/home/ada/bin:/usr/bin", "PATH=~/bin:/usr/bin"),
        ("'/home/ada/my venv'", "'~/my venv'"),
        ("file:///home/ada/x.whl", "file:///~/x.whl"),
        ("/home/ada.old/x", "/home/[user]/x"),
        ("/home/adalbert/x", "/home/[user]/x"),
        ("/Users/bob/x", "/Users/[user]/x"),
        ("/mnt/home/ada/x", "/mnt/home/[user]/x"),
        ("-L/home/ada/lib", "-L/home/[user]/lib"),
        ("/scratch/ada/run", "/scratch/[user]/run"),
        ("ada@gpu01: no such file", "[user]@[host]: no such file"),
        ("owner [ada], not ADA", "owner [[user]], not ADA"),
        ("GPU01.example.org and gpu01.example.org", "[host] and [host]"),
        ("libada.so ada-venv ada_x adapter", "libada.so ada-venv ada_x adapter"),
        ("gpu012 gpu01-b", "gpu012 gpu01-b"),
        ("see correct-horse-battery there", "see *** there"),
    ],
)
def test_a_name_goes_by_whole_word_and_path_component(text: str, told: str) -> None:
    assert redact.text(text, ADA) == told
    assert redact.text(told, ADA) == told


@pytest.mark.parametrize(
    "text", ["root-cause", "the root cause", "needs root and a reboot", "/opt/app/root", "/usr/bin/python", "rooted"]
)
def test_root_is_nobodys_name(text: str) -> None:
    assert redact.text(text, Private.of({"USER": "root"}, "root", "", "/root")) == text


def test_the_home_of_root_is_a_home() -> None:
    home = "/root"
    root = Private.of({"HOME": home}, "root", "localhost", home)
    assert redact.text(f"{home}/venv and {home}ed and /x{home}", root) == "~/venv and /rooted and /x/root"


@pytest.mark.parametrize("home", ["/", "", "relative", "///"])
def test_what_is_no_home_is_none(home: str) -> None:
    assert redact.text("/opt/app relative /", Private.of({"HOME": home}, "", "", home)) == "/opt/app relative /"


def test_a_home_elsewhere_names_its_user_too() -> None:
    private = Private.of({}, "", "", "/data/people/lovelace/")
    assert redact.text("/data/people/lovelace/x -L/data/people/lovelace/x", private) == "~/x -L/data/people/[user]/x"


def test_a_home_with_a_space_is_found_in_a_url_as_well() -> None:
    private = Private.of({}, "", "", "/data/ada l")
    assert redact.text("/data/ada l/x file:///data/ada%20l/x", private) == "~/x file:///~/x"


def test_another_path_of_the_home_is_the_home() -> None:
    assert redact.text("/nfs/7/ada/x", ADA.also_at("/nfs/7/ada")) == "~/x"


def test_a_name_of_two_letters_is_one_in_paths_alone() -> None:
    private = Private.of({}, "jo", "", "")
    assert redact.text("/data/jo/x: jo failed", private) == "/data/[user]/x: jo failed"


def test_other_names_of_the_user_come_from_the_variables() -> None:
    private = Private.of({"SUDO_USER": "grace", "LOGNAME": "ada", "HOSTNAME": "box7"}, "root")
    assert redact.text("grace ada box7", private) == "[user] [user] [host]"


def test_a_user_called_like_a_package_does_not_rename_it() -> None:
    rich = Private.of({}, "rich", "", "/home/rich")
    package = kit.dist("rich", "13.7", requires=("rich>=1",), location="/scratch/rich/venv/lib/site-packages")
    case = judge_all(kit.inventory(package))
    (told,) = redact.redacted(replace(patients.healthy(), cases=(case,)), rich).cases[0].inventory.distributions
    assert (told.name, told.requires) == ("rich", ("rich>=1",))
    assert told.location == "/scratch/[user]/venv/lib/site-packages"
    document: Any = redact.plain(plain.to_plain(kit.inventory(package)), rich)
    assert document["distributions"][0]["name"] == "rich"
    file = redact.text("/scratch/rich/lib/site-packages/rich/x.so", rich.sparing(("rich",)))
    assert file == "/scratch/[user]/lib/site-packages/rich/x.so"


@given(st.text(max_size=80))
def test_doing_it_twice_is_doing_it_once(text: str) -> None:
    assert redact.text(redact.text(text, ADA), ADA) == redact.text(text, ADA)


@given(
    st.lists(st.sampled_from(["ada", "/home/ada", "/", "root", "-", " ", "@", "gpu01", ".", "x", "[", "]", "~", ":"]))
)
def test_no_whole_name_is_left_and_twice_is_once(parts: list[str]) -> None:
    told = redact.text("".join(parts), ADA)
    assert redact.text(told, ADA) == told
    words = "".join(c if c.isalnum() or c in "-_" else " " for c in told).split()
    assert not {"ada", "gpu01"} & set(words)


# --- Documents ----------------------------------------------------------------------------------------------------------


def test_keys_are_never_touched() -> None:
    document = {"ada": {"gpu01": ["ada", "/home/ada/x"]}, "token": "abc", "tokens": 3, "name": None}
    assert redact.plain(document, ADA) == {
        "ada": {"gpu01": ["[user]", "~/x"]},
        "token": "***",
        "tokens": 3,
        "name": None,
    }


def test_a_variable_whose_name_says_so_loses_its_value() -> None:
    rows = [{"name": "HF_TOKEN", "value": "abc"}, {"name": "CUDA_HOME", "value": "/home/ada/cuda"}]
    assert redact.plain(rows, ADA) == [
        {"name": "HF_TOKEN", "value": "***"},
        {"name": "CUDA_HOME", "value": "~/cuda"},
    ]


@pytest.mark.parametrize("user", ["passed", "uv", "import", "driver", "answered", "needed"])
def test_the_words_of_a_document_stay_whatever_the_user_is_called(user: str) -> None:
    private = Private.of({}, user, "read", "/home/x")
    inventory = recorded.report("nvjitlink").cases[0].inventory
    document = redact.plain(plain.to_plain(inventory), private)
    assert (
        plain.from_plain(document).probes
        == redact.redacted(recorded.report("nvjitlink"), private).cases[0].inventory.probes
    )


@pytest.mark.parametrize("name", recorded.NAMES)
def test_a_redacted_inventory_is_judged_alike(name: str) -> None:
    (case,) = recorded.report(name).cases
    text = plain.dumps(case.inventory).replace("/opt/app", "/home/ada/app")
    document = redact.plain(json.loads(text), ADA)
    assert not [text for text in texts(document) if re.search(r"\bada\b", text)]
    again = judge_all(plain.from_plain(document))
    assert (again.verdict, [f.rule for f in again.findings]) == (case.verdict, [f.rule for f in case.findings])


# --- Reports ------------------------------------------------------------------------------------------------------------


def test_a_report_without_anything_private_is_the_same() -> None:
    report = recorded.report("whisperx-cudnn")
    assert redact.redacted(report) == report


def test_consequences_stay_under_their_cause_though_its_words_change() -> None:
    cause = replace(patients.CUDNN, subject="/home/ada/x.so")
    effect = replace(patients.SHADOW, consequence_of=cause.fingerprint)
    runs = patients.sick().cases[0].runs
    runs = (runs[0], runs[1], replace(runs[2], findings=(cause,)), replace(runs[3], findings=(effect,)), runs[4])
    (case,) = redact.redacted(patients.report(runs), ADA).cases
    (told,) = case.runs[2].findings
    assert told.subject == "~/x.so"
    assert told.fingerprint != cause.fingerprint
    assert [f.rule for f in case.consequences(told)] == ["library-path-shadows"]


def test_a_plan_still_means_its_findings_though_their_words_change() -> None:
    (before,) = planned.planned().cases
    finding = replace(patients.CUDNN, subject="/home/ada/x.so", remedy=repairs.LINKS)
    effect = replace(patients.SHADOW, consequence_of=finding.fingerprint)
    plan = Plan((replace(repairs.TREATMENT, finding=finding),), (HeldBack(effect, None, "ada said so"),))
    runs = (CheckRun("cudnn-unreachable", "failed", findings=(finding, effect)),)
    (case,) = redact.redacted(Report((replace(before, runs=runs, plan=plan),), "0.1.0", "2026-11-20"), ADA).cases
    told, told_effect = case.runs[0].findings
    assert case.plan is not None
    assert case.plan.treatments[0].finding == told
    assert case.plan.held_back[0].finding == told_effect
    assert case.consequences(told) == (told_effect,)
    assert case.plan.held_back[0].why == "[user] said so"
    assert "/home/ada" not in repr(case.plan)


def test_figures_are_redacted_and_workloads_keep_their_names() -> None:
    private = Private.of({}, "whisper", "gpu01", "/home/whisper")
    log = replace(planned.DIED, log="/home/whisper/x", model="gpu01")
    report = planned.measured(planned.SLOW, log, comparisons=(planned.WORSE,), left_out=(("xtts", "ask gpu01"),))
    (case,) = redact.redacted(report, private).cases
    slow, died = case.inventory.benches
    assert (slow.wish.workload, died.log, died.model) == ("whisper", "~/x", "[host]")
    assert case.bench is not None
    assert case.bench.left_out == (("xtts", "ask [host]"),)
    assert case.bench.comparisons[0].now == slow


def test_nouns_can_be_redacted_together() -> None:
    cause = replace(patients.CUDNN, subject="/home/ada/x.so")
    effect = replace(patients.SHADOW, consequence_of=cause.fingerprint)
    words, told, told_effect = redact.redacted(("undo /home/ada/venv", cause, effect), ADA)
    assert words == "undo ~/venv"
    assert told_effect.consequence_of == told.fingerprint != cause.fingerprint


def test_the_rules_keep_their_own_words() -> None:
    report = patients.sick()
    assert (
        redact.redacted(report, Private.of({}, "driver-too-old", "library", "/x")).cases[0].rules
        == report.cases[0].rules
    )


def test_a_shell_finds_the_home_again() -> None:
    assert redact.unquoted("x --python '~/venv/bin/python' '~/my venv' 'a~/b' '~'") == (
        "x --python ~/venv/bin/python ~/'my venv' 'a~/b' '~'"
    )


# --- Planted in every field, found in no format -------------------------------------------------------------------------

SECRET = "s3cr3tS3cr3ts3cr3t0"
PLANTS = (
    "https://ada:{}@idx.example/simple",
    "https://idx.example/simple?token={}",
    "HF_TOKEN={}",
    "Authorization: Bearer {}",
    "hf_{}",
    "sk-{}",
    "--password {}",
    "correct-horse-battery",
    "/home/ada/venv",
    "/scratch/ada/venv",
    "ada@gpu01",
    "on gpu01.example.org, says ada",
    "file:///home/ada/x.whl",
)
PRIVATE = (SECRET, "correct-horse-battery", "ada", "gpu01")


def texts(document: Any) -> list[str]:
    """Return the values of a document, without its keys (`metadata` is not Ada's)."""
    if isinstance(document, dict):
        document = list(document.values())
    return [t for item in document for t in texts(item)] if isinstance(document, list) else [str(document)]


def leaked(text: str) -> list[str]:
    """Return what is private in a text; digests spell names by chance (`4adaaee1095381ca`)."""
    told = re.sub(r"(?<![0-9a-f])[0-9a-f]{16,64}(?![0-9a-f])", "", text)
    return [secret for secret in PRIVATE if secret in told]


around = st.text(alphabet=" \t\n'\"<>()|,;", max_size=2)
planted = st.builds(
    lambda plants, gap: gap.join(plant.format(SECRET) for plant in plants),
    st.lists(st.sampled_from(PLANTS), min_size=1, max_size=4),
    st.builds(lambda gap: f"{gap} ", around),
)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=8, deadline=None)
@given(planted)
def test_what_is_planted_in_every_field_is_in_no_redacted_output(name: str, words: str) -> None:
    text = draw(name, full.everything(lambda: words), Given(private=ADA, redact=True))
    assert leaked(text) == []


@settings(max_examples=8, deadline=None)
@given(planted)
def test_what_is_for_strangers_is_redacted_unasked(words: str) -> None:
    report = full.everything(lambda: words)
    for text in (draw("markdown", report, Given(private=ADA)), summary(report, Given(private=ADA))):
        assert leaked(text) == []


@settings(max_examples=8, deadline=None)
@given(planted)
def test_what_is_planted_in_every_field_of_a_document_is_gone_from_it(words: str) -> None:
    inventory = full.everything(lambda: words).cases[0].inventory
    document = redact.plain(plain.to_plain(inventory), ADA)
    assert leaked("\n".join(texts(document))) == []
    assert plain.to_plain(plain.from_plain(document)) == document


@pytest.mark.parametrize("name", [name for name, one in FORMATS.items() if not one.redacted])
def test_other_formats_tell_paths_unless_asked(name: str) -> None:
    report = preflights.preflight()
    assert patients.HOME in draw(name, report, Given())
    assert patients.HOME not in draw(name, report, Given(private=ADA, redact=True))
