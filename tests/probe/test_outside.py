from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpu_doctor.probe.outside import lies_in, outside


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("/opt/app/bin", True),
        ("/opt/app", True),
        ("/opt/app/../app/lib", True),
        ("/opt/app2/bin", False),
        ("/usr", False),
    ],
)
def test_what_lies_in_an_environment(path: str, inside: bool) -> None:
    assert lies_in(path, "/opt/app") is inside
    assert lies_in(path, "/opt/app/") is inside


def test_a_link_lies_where_it_is_and_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "real" / "bin").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "to-bin").symlink_to("real/bin")
    (tmp_path / "real" / "out").symlink_to("../elsewhere")
    real, link = str(tmp_path / "real"), str(tmp_path / "link")
    assert all(lies_in(str(tmp_path / name), prefix) for name in ("link/bin", "to-bin") for prefix in (real, link))
    assert lies_in(str(tmp_path / "real" / "out"), real)


@pytest.mark.parametrize("prefix", ["/", "/usr", "/usr/local", None])
def test_what_is_the_systems_is_not_the_targets(prefix: str | None) -> None:
    assert not lies_in("/usr/bin/nvidia-smi", prefix)


def test_only_the_targets_entries_are_left_out() -> None:
    environ = {
        "PATH": "/opt/app/bin:/usr/bin::/bin",
        "LD_LIBRARY_PATH": "/opt/app/lib;/usr/lib:",
        "LD_PRELOAD": "/opt/app/a.so libm.so.6:/usr/lib/b.so",
        "HOME": "/opt/app",
    }
    assert outside(environ, "/opt/app") == {
        "PATH": "/usr/bin::/bin",
        "LD_LIBRARY_PATH": "/usr/lib:",
        "LD_PRELOAD": "libm.so.6:/usr/lib/b.so",
        "HOME": "/opt/app",
    }
    assert outside(os.environ, None).keys() == os.environ.keys()
