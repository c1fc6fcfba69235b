import pytest
from packaging.version import Version

from gpu_doctor.errors import FactsError, UnknownHardware
from gpu_doctor.facts.drivers import Drivers, DriverSpan
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.unknown import Unknown
from tests.facts.slips import slip


@pytest.fixture(scope="module")
def facts():
    return Facts.load()


@pytest.mark.parametrize("text", ["570.86.15", "525.60.13", "580", " 570.86 ", "R580", "v535.54.03"])
def test_a_driver_version_is_parsed(facts, text):
    assert facts.parse_driver(text) == Version(text.strip().lstrip("Rv"))


@pytest.mark.parametrize("text", ["", "12.8", "latest", "570.86.15.1", "57", "5700", "570.86-open", "570.", "5\n70"])
def test_nonsense_is_not_a_driver_version(facts, text):
    with pytest.raises(UnknownHardware, match="not a driver version"):
        facts.parse_driver(text)


@pytest.mark.parametrize(
    ("driver", "cuda"),
    [
        ("450.51.05", "11.0"),
        ("525.60.13", "12.0"),
        ("535.183.01", "12.2"),
        ("565.57.01", "12.7"),
        ("570.86", "12.8"),
        ("572.61", "12.8"),  # a Windows number of branch 570, as WSL shows it
        ("580.65.06", "13.0"),
        ("617.14", "13.4"),
    ],
)
def test_the_newest_cuda_of_a_driver(facts, driver, cuda):
    assert facts.driver_cuda(Version(driver)) == Version(cuda)


def test_a_driver_outside_the_table_is_unknown_not_wrong(facts):
    assert facts.driver_cuda(Version("620.10")) == Unknown(f"driver 620.10 is newer than the facts of {facts.date}")
    assert facts.driver_cuda(Version("418.1")) == Unknown("driver 418.1 is older than the facts, which begin with 450")


def test_525_is_enough_for_all_of_cuda_12_and_not_for_13(facts):
    driver = Version("525.60.13")
    for cuda in ("12.0", "12.1", "12.4", "12.8", "12.9"):
        assert driver >= facts.minimum_driver(Version(cuda)).minor
    assert Version("525.60.11") < facts.minimum_driver(Version("12.8")).minor
    for cuda in ("13.0", "13.2", "13.4"):
        assert driver < facts.minimum_driver(Version(cuda)).minor


def test_what_the_toolkit_itself_asks_for(facts):
    minimum = facts.minimum_driver(Version("12.8"))
    assert (minimum.minor_text, minimum.full_text, minimum.full) == ("525.60.13", "570.26", Version("570.26"))
    assert (minimum.checked, "minor version" in minimum.source) == ("2026-11-20", True)
    assert facts.minimum_driver(Version("12.8.1")).full_text == "570.26"
    assert facts.minimum_driver(Version("13.0")).full_text == "580.65.06"
    assert facts.minimum_driver(Version("13.4")).full is None


def test_windows_has_numbers_of_its_own(facts):
    minimum = facts.minimum_driver(Version("12.8"), "windows")
    assert (minimum.minor_text, minimum.full_text) == ("527.41", "570.65")
    assert facts.minimum_driver(Version("13.0"), "windows").full is None


def test_the_first_toolkit_of_a_major_may_ask_for_less_than_the_major(facts):
    assert facts.minimum_driver(Version("11.0")).minor_text == "450.51.05"
    assert facts.minimum_driver(Version("11.1")).minor_text == "450.80.02"


def test_a_cuda_outside_the_table_is_unknown(facts):
    assert facts.minimum_driver(Version("14.0")) == Unknown(f"CUDA 14.0 is newer than the facts of {facts.date}")
    assert facts.minimum_driver(Version("10.2")) == Unknown(f"CUDA 10.2 is older than the facts of {facts.date}")


def test_which_drivers_support_a_gpu(facts):
    volta = facts.driver_span((7, 0))
    assert isinstance(volta, DriverSpan)
    assert (volta.first, volta.last_branch) == (None, 580)
    assert facts.driver_span((12, 0)).first == Version("570.26")
    assert facts.driver_span((12, 0), "windows").first == Version("570.65")
    assert facts.driver_span((8, 9)) is None


def test_no_toolkit_asks_for_less_than_its_major_except_the_first(facts):
    """Two documents of NVIDIA must not contradict each other."""
    for cuda in ("11.1", "11.8", "12.0", "12.4", "12.9", "13.0", "13.2"):
        minimum = facts.minimum_driver(Version(cuda))
        assert minimum.full >= minimum.minor


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[[major]]\ncuda = 13", "[[major]]\ncuda = 12", r"major 3 \(12\): has the same key as major 2"),
        ('linux = "525.60.13"', 'linux = "449"', r"major 2 \(12\): linux is lower"),
        ('linux = "450.80.02"', 'linux = "450.x"', r"major 1 \(11\): linux does not fit"),
        ('cuda = "11.1"\nupdate = 1', 'cuda = "11.1"\nupdate = 0', r"toolkit 4 \(11.1\): has the same key"),
        ('cuda = "11.2"\nupdate = 0', 'cuda = "11.0"\nupdate = 2', r"toolkit 5 \(11.0\): cuda is lower"),
        ('linux = "460.27.03"', 'linux = "455.00"', r"toolkit 5 \(11.2\): linux is lower"),
        ("branch = 455", "branch = 450", r"branch 2 \(450\): has the same key"),
        ("branch = 455", "branch = 445", r"branch 2 \(445\): branch is lower"),
        ('branch = 535\ncuda = "12.2"', 'branch = 535\ncuda = "12.0"', r"branch 12 \(535\): cuda is lower"),
        ("branch = 535", "branch = 535\nmax = 1", r"branch 12 \(535\): unknown key max"),
        ('"10.0", "12.0"]', '"7.0", "12.0"]', r"hardware 3 \(570.26\): has the same key as hardware 2"),
        ("last_branch = 470", "last_brunch = 470", r"hardware 1 \(470\): unknown key last_brunch"),
    ],
)
def test_a_slip_in_the_table_is_named(tmp_path, old, new, message):
    with pytest.raises(FactsError, match=r"drivers\.toml, " + message):
        Drivers(slip(tmp_path, "drivers", old, new))
