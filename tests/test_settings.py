"""The settings of the project above: found from the current folder, and their rules proven."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_doctor.errors import UsageError
from gpu_doctor.model.config import Config
from gpu_doctor.settings import read_settings


def written(folder: Path, text: str) -> Path:
    (folder / "gpu-doctor.toml").write_text(text)
    return folder


def test_settings_above_are_found_and_named_shortly_where_they_lie_here(tmp_path: Path) -> None:
    below = tmp_path / "below"
    below.mkdir()
    written(tmp_path, 'require = ["stft"]\n')
    assert read_settings(str(tmp_path)).require[0].where == "gpu-doctor.toml:1"
    assert read_settings(str(below)).require[0].where == f"{tmp_path}/gpu-doctor.toml:1"


def test_a_named_file_is_read_instead(tmp_path: Path) -> None:
    written(tmp_path, 'require = ["stft"]\n')
    (tmp_path / "other.toml").write_text('require = ["cudnn"]\n')
    (word,) = read_settings(str(tmp_path), "other.toml").require
    assert (word.text, word.where) == ("cudnn", "other.toml:1")


def test_without_a_file_there_are_none(tmp_path: Path) -> None:
    assert read_settings(str(tmp_path)) == Config()


@pytest.mark.parametrize(
    "text",
    ['\nselect = ["driver-to-old"]\n', '\nignore = [{rule = "driver-to-old", reason = "x"}]\n'],
)
def test_a_rule_that_does_not_exist_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_settings(str(written(tmp_path, text)))
    assert refused.value.message == "gpu-doctor.toml:2: there is no rule 'driver-to-old'"
    assert refused.value.hint == "did you mean driver-too-old?"
