import pytest
from packaging.version import Version

from gpu_doctor.errors import FactsError
from gpu_doctor.facts.tables import Facts
from gpu_doctor.facts.torch import TorchBuilds
from tests.facts.slips import slip


@pytest.fixture(scope="module")
def facts():
    return Facts.load()


def named(builds):
    return [f"{build.release}+{build.tag}" for build in builds]


def default(facts, release, machine="x86_64"):
    return next(build for build in facts.torch_builds(Version(release), machine) if build.default)


def suitable(facts, capability, driver=None, python=None, machine="x86_64"):
    known = {"driver": driver and Version(driver), "python": python and Version(python)}
    return named(facts.torch_builds_for(capability, **known, machine=machine))


def test_builds_come_newest_first_and_the_default_first_of_a_release(facts):
    assert named(facts.torch_builds(Version("2.8.0"))) == ["2.8.0+cu128", "2.8.0+cu129", "2.8.0+cu126"]
    releases = [build.release for build in facts.torch_builds()]
    assert releases == sorted(releases, reverse=True)


def test_a_local_version_is_its_release_and_an_unknown_one_has_no_builds(facts):
    assert facts.torch_builds(Version("2.8.0+cu128")) == facts.torch_builds(Version("2.8.0"))
    assert facts.torch_builds(Version("9.9.9")) == ()


def test_the_first_builds_for_blackwell_are_cu128(facts):
    """The default build of 2.7.1 stops at sm_90; `2.7.1+cu128` and every default from 2.8.0 on have sm_120."""
    assert "sm_120" not in default(facts, "2.7.1").sass
    assert suitable(facts, (12, 0))[-2:] == ["2.7.1+cu128", "2.7.0+cu128"]
    assert "sm_120" in default(facts, "2.8.0").sass
    assert "2.6.0+cu124" not in suitable(facts, (12, 0))


def test_an_rtx_4090_runs_what_was_built_for_sm_86(facts):
    assert "sm_89" not in default(facts, "2.8.0").sass
    assert "2.8.0+cu128" in suitable(facts, (8, 9))
    assert "1.13.1+cu117" in suitable(facts, (8, 9))


def test_a_build_with_a_library_that_lacks_the_architecture_is_not_offered(facts):
    """`libtorch_cuda_linalg.so` of 2.11 to 2.14 for CUDA 13 has no sm_75, though the build promises it."""
    assert default(facts, "2.12.0").lacking == ("sm_75",)
    assert not default(facts, "2.12.0").runs_natively_on((7, 5))
    assert default(facts, "2.12.0").runs_natively_on((8, 0))
    assert suitable(facts, (7, 5))[0] == "2.15.0+cu132"
    assert suitable(facts, (7, 5), python="3.10")[0] == "2.14.1+cu126"


def test_an_old_driver_leaves_builds_for_its_cuda_major(facts):
    assert suitable(facts, (8, 9), driver="525.60.13")[0] == "2.15.0+cu126"
    assert suitable(facts, (12, 0), driver="570.86")[0].endswith(("+cu128", "+cu129"))
    assert suitable(facts, (8, 0), driver="450.80.02")[0].endswith("+cu118")
    assert suitable(facts, (8, 9), driver="440.10") == []


def test_a_python_leaves_releases_that_have_a_wheel_for_it(facts):
    assert suitable(facts, (8, 0), python="3.9.19")[0].startswith("2.8.0+")
    assert suitable(facts, (8, 0), python="3.14")[-1].startswith("2.9.0+")


def test_a_gpu_that_no_build_serves(facts):
    assert suitable(facts, (3, 5)) == []
    assert suitable(facts, (8, 7)) == []  # sm_80 and sm_86 code does not run on Orin


def test_aarch64_has_builds_of_its_own(facts):
    assert default(facts, "2.10.0", "aarch64").tag == "cpu"
    assert suitable(facts, (12, 1), machine="aarch64")[-1] == "2.11.0+cu130"
    assert suitable(facts, (11, 0)) == []


def test_pins_of_the_default_build(facts):
    assert "nvidia-cudnn-cu12==9.10.2.21" in default(facts, "2.8.0").pins
    assert "nvidia-nvjitlink-cu12==12.8.93" in default(facts, "2.8.0").pins
    assert "nvidia-cublas<=13.1.1.3,>=13.1.0.3" in default(facts, "2.12.0").pins


def test_companions(facts):
    companions = facts.torch_companions(Version("2.8.0+cu128"))
    assert (str(companions.torchvision), str(companions.torchaudio)) == ("0.23.0", "2.8.0")
    assert companions.torchcodec == "<0.8,>=0.6"
    assert facts.torch_companions(Version("2.1.0")).torchcodec is None
    assert facts.torch_companions(Version("9.9")) is None


def test_what_is_not_certain_is_marked(facts):
    sure = {build.confidence for build in facts.torch_builds() if build.default}
    assert sure == {"high"}
    doubtful = next(build for build in facts.torch_builds(Version("2.13.0")) if build.tag == "cu132")
    assert doubtful.confidence == "derived"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('torch = "1.13.1"', 'torch = "1.13.0"', r"release 2 \(1.13.0\): has the same key as release 1"),
        ('torch = "1.13.1"', 'torch = "1.12.1"', r"release 2 \(1.12.1\): torch is lower"),
        (
            'tag = "cu116"',
            'tag = "cu117"',
            r"release 1 \(1.13.0\), build 2 \(cu117\): the tag of this CUDA .* is cu116",
        ),
        ("default = true\n", "", r"release 1 \(1.13.0\): no default build"),
        ('cuda = "11.6"\n', 'cuda = "11.6"\ndefault = true\n', r"build 2 \(cu116\): has the same key as .*build 1"),
        ('"sm_37", "sm_50"', '"sm_50", "sm_37"', r"build 1 \(cu117\): sass does not fit"),
        (
            'lacking = ["sm_75"]',
            'lacking = ["sm_70"]',
            r"build 1 \(cu130\): lacking names what the build does not promise",
        ),
        ('python = ["3.7", "3.11"]', 'python = ["3.11", "3.7"]', r"release 1 \(1.13.0\).*: python does not fit"),
        ('"triton==2.0.0"', '"triton"', r"build 1 \(cu117\): pins does not fit"),
        ('source = "builder"\n', "", r"release 1 \(1.13.0\), build 2 \(cu116\): source is missing"),
        ('tag = "cpu"', 'cuda = "12.1"\ntag = "cu121"', r"build 2 \(aarch64\)|only builds for CUDA have GPU code"),
    ],
)
def test_a_slip_in_the_table_is_named(tmp_path, old, new, message):
    with pytest.raises(FactsError, match=r"torch\.toml, .*" + message):
        TorchBuilds(slip(tmp_path, "torch", old, new))
