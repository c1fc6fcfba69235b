"""Which packages are imported, in which order, and what spoils an import."""

from __future__ import annotations

from gpu_doctor.collect.questions.imports import again, import_questions
from gpu_doctor.model.inventory import Distribution
from gpu_doctor.probe.together import Question
from tests.checks.judge import FACTS
from tests.kit import dist

PYTHON = "~/venv/bin/python"


def questions(*distributions: Distribution) -> dict[str, Question]:
    return {question.subject: question for question in import_questions(distributions, PYTHON, FACTS)}


def test_each_installed_package_whose_module_is_known_is_imported() -> None:
    found = questions(dist("numpy", "2.2.6"), dist("pyannote-audio", "4.0.4"), dist("xformers", "0.0.32"))
    assert {name: q.argument for name, q in found.items()} == {
        "xformers": {"module": "xformers.ops"},
        "pyannote-audio": {"module": "pyannote.audio"},
    }
    assert found["pyannote-audio"].again == f"'{PYTHON}' -c 'import pyannote.audio'"


def test_what_an_earlier_folder_hides_is_not_imported() -> None:
    assert questions(dist("torch", "2.8.0", active=False)) == {}


def test_what_others_are_built_on_is_asked_first() -> None:
    names = list(questions(*(dist(name, "1") for name in ("whisperx", "ctranslate2", "pyannote-audio", "torch"))))
    assert names == ["torch", "ctranslate2", "pyannote-audio", "whisperx"]


def test_a_crash_of_what_it_needs_spoils_an_import_even_through_another() -> None:
    whisper = dist("faster-whisper", "1.2.1", requires=("ctranslate2>=4", "onnxruntime"))
    found = questions(
        dist("whisperx", "3.8.0", requires=("faster-whisper", 'torch; extra == "gpu"')),
        *(whisper, dist("ctranslate2", "4.6.1"), dist("torch", "2.8.0"), dist("onnxruntime", "1.20.1")),
    )
    assert set(found["whisperx"].spoiled_by) == {"import ctranslate2", "import onnxruntime"}
    assert found["torch"].spoiled_by == ()


def test_requirements_that_go_in_a_circle_or_cannot_be_read_end() -> None:
    found = questions(dist("torch", "2.8.0", requires=("triton", "!?")), dist("triton", "3.4.0", requires=("torch",)))
    assert found["triton"].spoiled_by == ("import torch",)


def test_a_line_for_the_shell_is_quoted() -> None:
    assert again("/opt/my app/python", "import x") == "'/opt/my app/python' -c 'import x'"
