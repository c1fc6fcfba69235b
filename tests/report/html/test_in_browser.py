"""The page in a real browser, where there is one: its script may run, nothing is amiss, and it fits narrow windows."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gpu_doctor.report.bench import as_bench_history
from gpu_doctor.report.html import as_html
from tests.bench.samples import bench
from tests.report import full, patients, planned, preflights

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium here")

# Asks the page how wide it became: at this width nothing but a table that scrolls by itself may be wider.
FRAME = """<!DOCTYPE html><meta charset="utf-8"><title>waiting</title>
<iframe id="page" src="page.html" style="border:0" width="{width}" height="900"></iframe>
<script>
document.getElementById("page").addEventListener("load", () => {{
  const page = document.getElementById("page").contentDocument.documentElement;
  document.title = `wide ${{page.scrollWidth}}`;
}});
</script>
"""


def browse(folder: Path, name: str) -> tuple[str, str]:
    """Return what became of a page, and what the browser said on its console."""
    assert BROWSER is not None
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--allow-file-access-from-files",
        "--enable-logging=stderr",
    ]
    profile = f"--user-data-dir={folder / 'profile'}"
    command = [BROWSER, *options, profile, "--virtual-time-budget=5000", "--dump-dom", (folder / name).as_uri()]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return ended.stdout, "\n".join(re.findall(r"CONSOLE.*", ended.stderr))


LONG = "a_name_that_is_much_longer_than_any_window_" * 4
PAGES = {
    "sick": patients.sick(),
    "healthy": patients.healthy(),
    "preflight": preflights.preflight(),
    "plan": planned.planned(),
    "figures": planned.measured(),
    "long words": full.everything(lambda: LONG),
}


HISTORY = [bench(1), bench(2, seconds=2.1), bench(3, ending="crashed", reason=LONG, model=LONG, runs=())]


@pytest.mark.parametrize("name", PAGES)
def test_the_script_runs_and_the_console_is_silent(tmp_path: Path, name: str) -> None:
    (tmp_path / "page.html").write_text(as_html.render(PAGES[name]), encoding="utf-8")
    became, said = browse(tmp_path, "page.html")
    assert said == ""
    # Without its script the page has no such button.
    assert re.search(r'<button type="button" id="all" aria-pressed="false">', became)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_no_wider_than_its_window(tmp_path: Path, name: str, width: int) -> None:
    require_fit(tmp_path, as_html.render(PAGES[name]), width)


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_of_a_history_is_no_wider_than_its_window(tmp_path: Path, width: int) -> None:
    require_fit(tmp_path, as_bench_history.render_html(HISTORY), width)


def require_fit(folder: Path, page: str, width: int) -> None:
    (folder / "page.html").write_text(page, encoding="utf-8")
    (folder / "frame.html").write_text(FRAME.format(width=width), encoding="utf-8")
    became, _ = browse(folder, "frame.html")
    found = re.search(r"<title>wide (\d+)</title>", became)
    assert found is not None
    assert int(found[1]) <= width
