import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from gpu_doctor.facts import parse
from gpu_doctor.facts.tables import Facts


@pytest.mark.parametrize(
    ("parser", "value", "result"),
    [
        (parse.text, "a", "a"),
        (parse.integer, 0, 0),
        (parse.flag, False, False),
        (parse.version, "525.60.13", Version("525.60.13")),
        (parse.capability, "12.0", (12, 0)),
        (parse.capabilities, ["8.9", "9.0"], ((8, 9), (9, 0))),
        (parse.versions, ["9.9", "9.10"], (Version("9.9"), Version("9.10"))),
        (parse.version_range, ["3.9", "3.13"], (Version("3.9"), Version("3.13"))),
        (parse.machine_code, ["sm_90", "sm_90a", "sm_100"], ("sm_90", "sm_90a", "sm_100")),
        (parse.ptx, [], ()),
        (parse.requirements, ["nvidia-cublas<=13.1.1.3,>=13.1.0.3"], ("nvidia-cublas<=13.1.1.3,>=13.1.0.3",)),
    ],
)
def test_a_value_that_fits(parser, value, result):
    assert parser(value) == result


@pytest.mark.parametrize(
    ("parser", "value"),
    [
        (parse.text, ""),
        (parse.text, 8.9),
        (parse.integer, -1),
        (parse.integer, True),
        (parse.integer, "12"),
        (parse.flag, 1),
        (parse.version, "12.x"),
        (parse.specifier, "> nine"),
        (parse.capability, "89"),
        (parse.capability, 8.9),
        (parse.capability, "8.10"),
        (parse.texts, "ab"),
        (parse.texts, ["a", "a"]),
        (parse.versions, ["9.10", "9.9"]),
        (parse.versions, ["9.9", "9.9.0"]),
        (parse.version_range, ["3.13", "3.9"]),
        (parse.version_range, ["3.9"]),
        (parse.machine_code, ["sm_100", "sm_90"]),
        (parse.machine_code, ["compute_90"]),
        (parse.machine_code, ["sm_9"]),
        (parse.ptx, ["sm_90"]),
        (parse.requirements, ["triton"]),
        (parse.requirements, ["Triton==3.4.0"]),
        (parse.requirements, ["triton==3.4.0; python_version < '3.9'"]),
    ],
)
def test_a_value_that_does_not_fit(parser, value):
    with pytest.raises(ValueError):
        parser(value)


def test_every_real_requirement_is_one():
    facts = Facts.load()
    pins = [pin for build in facts.torch_builds() for pin in build.pins]
    extras = [extra for release in facts.onnxruntime_releases() for extra in release.extras]
    assert [str(Requirement(text).name) for text in pins + extras] == [
        text.partition("=")[0].rstrip("<>~") if "<" not in text else text.partition("<")[0] for text in pins + extras
    ]
