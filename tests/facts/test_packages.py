import pytest
from packaging.version import Version

from gpu_doctor.errors import FactsError
from gpu_doctor.facts import packages
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.unknown import Unknown
from tests.facts.slips import slip


@pytest.fixture(scope="module")
def facts():
    return Facts.load()


@pytest.mark.parametrize(
    ("version", "cuda_major", "cudnn", "bundled"),
    [
        ("3.24.0", 11, "8", "8.1.1"),
        ("4.4.0", 12, "8", "8.9.7"),
        ("4.6.1", 12, "9", "9.1.0"),
        ("4.6.3", 12, None, None),
        ("4.8.5", 12, None, None),
    ],
)
def test_ctranslate2(facts, version, cuda_major, cudnn, bundled):
    fact = facts.ctranslate2(Version(version))
    assert (fact.cuda_major, fact.cudnn) == (cuda_major, cudnn)
    assert fact.bundled_cudnn == (bundled and Version(bundled))
    assert f"libcublas.so.{cuda_major}" in fact.loads


def test_ctranslate2_without_cudnn_begins_with_4_6_3(facts):
    assert facts.first_ctranslate2_without_cudnn() == Version("4.6.3")


def test_a_newest_ctranslate2_that_needs_cudnn_again_breaks_the_promise(tmp_path):
    folder = slip(tmp_path, "ctranslate2", 'version = "4.8.5"', 'version = "4.8.5"\ncudnn = 9')
    with pytest.raises(FactsError, match="the newest release needs cuDNN"):
        Facts.load(folder).first_ctranslate2_without_cudnn()


@pytest.mark.parametrize(
    ("version", "cuda_major", "cudnn_major", "preloads"),
    [("1.18.1", 11, 8, False), ("1.20.2", 12, 9, False), ("1.22.0", 12, 9, True), ("1.27.0", 13, 9, True)],
)
def test_onnxruntime(facts, version, cuda_major, cudnn_major, preloads):
    fact = facts.onnxruntime(Version(version))
    assert (fact.cuda_major, fact.cudnn_major, fact.preload_dlls) == (cuda_major, cudnn_major, preloads)


def test_what_was_not_read_of_a_release_is_none_not_empty(facts):
    assert facts.onnxruntime(Version("1.19.2")).sass is None
    assert facts.onnxruntime(Version("1.31.1")).ptx == ()
    assert "libcudnn_adv.so.9" in facts.onnxruntime(Version("1.20.2")).needs


def test_releases_come_oldest_first(facts):
    for releases in (facts.onnxruntime_releases(), facts.ctranslate2_releases()):
        versions = [fact.version for fact in releases]
        assert versions == sorted(versions)
        assert len(versions) > 20


def test_unknown_releases_are_none(facts):
    assert facts.ctranslate2(Version("99.0")) is None
    assert facts.onnxruntime(Version("99.0")) is None
    assert facts.ctranslate2(Version("4.6.1+local")) == facts.ctranslate2(Version("4.6.1"))


@pytest.mark.parametrize(
    ("package", "version", "capability", "answer"),
    [
        ("nvidia-cudnn-cu12", "9.10.2.21", (6, 1), True),
        ("nvidia-cudnn-cu12", "9.11.0.98", (7, 0), False),
        ("nvidia-cudnn-cu12", "9.11.0.98", (7, 5), True),
        ("nvidia-cudnn-cu12", "9.6.0.74", (12, 0), False),
        ("nvidia-cudnn-cu12", "9.7.1.26", (10, 3), True),
        ("nvidia-cudnn-cu13", "9.20.0.48", (7, 0), False),
    ],
)
def test_cudnn_has_code_for(facts, package, version, capability, answer):
    assert facts.cudnn_has_code_for(package, Version(version), capability) is answer


def test_a_cudnn_outside_the_table_is_unknown(facts):
    unknown = Unknown(f"nvidia-cudnn-cu12 99.0 is not in the facts of {facts.date}")
    assert facts.cudnn_has_code_for("nvidia-cudnn-cu12", Version("99.0"), (8, 0)) == unknown
    assert isinstance(facts.cudnn_has_code_for("nvidia-cudnn-cu99", Version("9.1"), (8, 0)), Unknown)


def test_withdrawn_cudnn_wheels_are_not_offered(facts):
    versions = facts.cudnn_versions("nvidia-cudnn-cu12")
    assert Version("9.25.1.1") in versions
    assert Version("9.25.0.15") not in versions
    assert facts.cudnn_versions("nvidia-cudnn-cu99") == ()


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        ("ctranslate2", 'version = "3.21.0"', 'version = "3.20.0"', r"release 2 \(3.20.0\): has the same key"),
        ("ctranslate2", 'version = "3.21.0"', 'version = "3.19.0"', r"release 2 \(3.19.0\): version is lower"),
        ("ctranslate2", 'bundled_cudnn = "9.1.0"', 'bundled_cudnn = "8.1.0"', "of another major version than cudnn"),
        ("ctranslate2", 'ptx = ["compute_86"]', 'ptx = ["sm_86"]', r"release 1 \(3.20.0\): ptx does not fit"),
        ("onnxruntime", "preload_dlls = false", 'preload_dlls = "no"', "preload_dlls does not fit"),
        ("onnxruntime", "cudnn = 8\n", "", r"release 1 \(.*\): cudnn is missing"),
        ("onnxruntime", "tensorrt", "tensort", r"unknown key tensort"),
        ("cudnn", 'lowest = "5.0"', 'lowest = "9.9"', r"range 1 .*: lowest is above highest"),
        ("cudnn", 'since = "9.7.0.66"', 'since = "9.7.0.67"', r"range 2 .*: since is not a listed version"),
        ("cudnn", 'since = "9.7.0.66"', 'since = "8.8.0.121"', r"range 2 .*: has the same key as range 1"),
        ("cudnn", 'yanked = ["9.25.0.15"]', 'yanked = ["9.25.0.16"]', "yanked names a version that is not listed"),
        ("cudnn", '"8.5.0.96", "8.6.0.163"', '"8.6.0.163", "8.5.0.96"', r"wheel 1 .*: versions does not fit"),
    ],
)
def test_a_slip_in_the_table_is_named(tmp_path, table, old, new, message):
    with pytest.raises(FactsError, match=rf"{table}\.toml, .*{message}"):
        getattr(packages, table)(slip(tmp_path, table, old, new))
