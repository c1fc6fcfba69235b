"""Distributions are listed as Python would see them, damaged metadata included."""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from gpu_doctor.model.inventory import Distribution, Observation, PathEntry
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.packages.wheels import canonical, read_distributions, redact
from tests.kit import interpreter
from tests.readers.patient import age, install


def read(*sites: Path) -> tuple[tuple[Distribution, ...], tuple[Observation, ...]]:
    entries = tuple(PathEntry(str(site), "site-packages", "test") for site in sites)
    return read_distributions(interpreter(search_path=entries))


def only(site: Path) -> Distribution:
    (found,), observations = read(site)
    assert observations == ()
    return found


def test_a_wheel_with_everything(tmp_path: Path) -> None:
    requires = "Requires-Dist: numpy>=1.21\nRequires-Dist: nvidia-cudnn-cu12==9.10.2.21; platform_system == 'Linux'\n"
    info = install(tmp_path, "Torch_Audio.Extra", "2.8.0+cu128", headers=requires, installer="uv")
    found = only(tmp_path)
    assert (found.name, found.version) == ("torch-audio-extra", Version("2.8.0+cu128"))
    assert found.requires == ("numpy>=1.21", "nvidia-cudnn-cu12==9.10.2.21; platform_system == 'Linux'")
    assert (found.location, found.metadata, found.installer) == (str(tmp_path), str(info), "uv")
    assert found.record
    assert found.active
    assert found.built_for is not None
    assert found.built_for.cuda == Version("12.8")


def test_the_description_is_not_read_as_headers(tmp_path: Path) -> None:
    info = install(tmp_path, "package")
    for newline in ("\n", "\r\n"):
        lines = ["Name: package", "Version: 1.0", "Requires-Dist: a", "", "Version: 9", "Requires-Dist: not-me"]
        (info / "METADATA").write_bytes(newline.join(lines).encode())
        assert (only(tmp_path).version, only(tmp_path).requires) == (Version("1.0"), ("a",))


def test_the_first_folder_of_the_search_path_wins(tmp_path: Path) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    install(near, "torch", "2.6.0")
    install(far, "torch", "2.8.0")
    install(far, "numpy", "2.0")
    found, observations = read(near, far)
    assert [(d.name, str(d.version), d.active) for d in found] == [
        ("torch", "2.6.0", True),
        ("numpy", "2.0", True),
        ("torch", "2.8.0", False),
    ]
    assert observations == ()


def test_of_two_records_in_one_folder_the_last_written_counts_and_both_are_told(tmp_path: Path) -> None:
    install(tmp_path, "torch", "2.8.0")
    age(install(tmp_path, "torch", "2.9.0"), seconds=7200)
    found, (observation,) = read(tmp_path)
    assert [(str(d.version), d.active) for d in found] == [("2.8.0", True), ("2.9.0", False)]
    assert observation.what == "torch is recorded twice in this folder: 2.8.0 and 2.9.0, 2.8.0 written last"


def test_leftovers_are_observations(tmp_path: Path) -> None:
    (tmp_path / "~orch-2.0.dist-info").mkdir()
    (tmp_path / "gone-1.0.dist-info").mkdir()
    found, observations = read(tmp_path)
    assert found == ()
    assert {(Path(o.where).name, o.what) for o in observations} == {
        ("~orch-2.0.dist-info", "left over by an interrupted pip uninstall or upgrade"),
        ("gone-1.0.dist-info", "holds no METADATA: left over, or damaged"),
    }


def test_name_and_version_come_from_the_folder_where_the_metadata_lacks_them(tmp_path: Path) -> None:
    info = install(tmp_path, "some-package", "1.2.3")
    (info / "METADATA").write_text("Metadata-Version: 2.1\n")
    assert (only(tmp_path).name, only(tmp_path).version) == ("some-package", Version("1.2.3"))


def test_a_version_that_is_none_is_unknown(tmp_path: Path) -> None:
    info = install(tmp_path, "package")
    (info / "METADATA").write_text("Name: package\nVersion: 1.0-\x1b[31mfinal" + "!" * 500 + "\n")
    version = only(tmp_path).version
    assert isinstance(version, Unknown)
    assert version.reason.startswith(f"{info} holds no valid version: '1.0-\\x1b[31mfinal!!!")
    assert len(version.reason) < len(str(info)) + 150


def test_binary_garbage_is_survived(tmp_path: Path) -> None:
    info = install(tmp_path, "package")
    for name in ("METADATA", "INSTALLER", "direct_url.json"):
        (info / name).write_bytes(bytes(range(256)) * 10)
    found = only(tmp_path)
    assert (found.name, found.direct_url) == ("package", None)


@pytest.mark.parametrize("text", ["9" * 9000, "1." * 50_000, "1!" + "0" * 9000 + "+cu128"])
def test_endless_names_and_versions_are_cut(tmp_path: Path, text: str) -> None:
    (install(tmp_path, "package") / "METADATA").write_text(f"Name: {text}\nVersion: {text}\n")
    found = only(tmp_path)
    assert len(found.name) <= 200
    assert len(str(found.version)) < 1000


def test_metadata_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    info = install(tmp_path, "package")
    (info / "METADATA").unlink()
    os.mkfifo(info / "METADATA")
    assert [o.what for o in read(tmp_path)[1]] == ["holds no METADATA: left over, or damaged"]


def test_a_package_without_record_says_so(tmp_path: Path) -> None:
    (install(tmp_path, "package", installer="conda") / "RECORD").unlink()
    assert (only(tmp_path).record, only(tmp_path).installer) == (False, "conda")


@pytest.mark.parametrize(
    ("direct", "url", "editable"),
    [
        ({"url": "file:///opt/app", "dir_info": {"editable": True}}, "file:///opt/app", True),
        ({"url": "file:///opt/app", "dir_info": {}}, "file:///opt/app", False),
        (
            {"url": "https://me:secret@git.example/a.git", "vcs_info": {"vcs": "git", "commit_id": "abc123"}},
            "git+https://git.example/a.git@abc123",
            False,
        ),
        ({"url": "https://example.org/a.whl?token=secret#sha256=1"}, "https://example.org/a.whl", False),
        ({"url": 7, "dir_info": {"editable": True}}, None, False),
        ({"dir_info": []}, None, False),
        ([], None, False),
    ],
)
def test_direct_urls(tmp_path: Path, direct: object, url: str | None, editable: bool) -> None:
    (install(tmp_path, "package") / "direct_url.json").write_text(json.dumps(direct))
    assert (only(tmp_path).direct_url, only(tmp_path).editable) == (url, editable)


def test_secrets_never_leave_a_url() -> None:
    assert redact("https://user:pa@ss@host/path?key=1#frag") == "https://host/path"
    assert redact("ssh://git@host/path") == "ssh://host/path"
    assert redact("https://host/path@v1") == "https://host/path@v1"


def test_an_egg_info_folder_and_its_requirements(tmp_path: Path) -> None:
    egg = tmp_path / "old_package.egg-info"
    egg.mkdir()
    (egg / "PKG-INFO").write_text("Name: old-package\nVersion: 0.9\n")
    (egg / "requires.txt").write_text('numpy\n\n[fast]\ncython>=3\n\n[:python_version < "3.9"]\nbackport\n')
    found = only(tmp_path)
    assert (found.name, found.version, found.record) == ("old-package", Version("0.9"), False)
    assert found.requires == ("numpy", 'cython>=3 ; extra == "fast"', 'backport ; (python_version < "3.9")')


def test_an_egg_info_file_and_an_egg(tmp_path: Path) -> None:
    (tmp_path / "distro_package-1.1-py3.11.egg-info").write_text(
        "Metadata-Version: 1.1\nName: distro-package\nVersion: 1.1\n"
    )
    egg = tmp_path / "zipped-2.0-py3.11.egg"
    (egg / "EGG-INFO").mkdir(parents=True)
    (egg / "EGG-INFO" / "PKG-INFO").write_text("Name: zipped\nVersion: 2.0\n")
    found, observations = read(tmp_path, egg)
    assert [d.name for d in found] == ["distro-package", "zipped"]
    assert observations == ()


def test_a_folder_that_cannot_be_read_is_an_observation(tmp_path: Path) -> None:
    found, (observation,) = read(tmp_path / "absent")
    assert (found, observation.what) == ((), "cannot be read: No such file or directory")


def test_names_are_canonical() -> None:

    for name in ("NVIDIA_cuDNN.cu12", "a--b__c..d", "PyYAML", "zope.interface"):
        assert canonical(name) == canonicalize_name(name)


def test_a_real_environment_lists_what_pythons_own_reader_lists() -> None:

    folder = next(entry for entry in sys.path if entry.endswith("site-packages"))
    real = {canonical(d.metadata["Name"]): d for d in importlib.metadata.distributions(path=[folder])}
    found, _ = read(Path(folder))
    assert {d.name for d in found} == set(real)
    for item in found:
        assert str(item.version) == str(Version(real[item.name].version))
        assert item.requires == tuple(real[item.name].requires or ())
