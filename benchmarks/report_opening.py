"""How fast a report of 500 test images and eight methods opens: python -m benchmarks.report_opening

Results and images are made up; twelve images repeat under many names. The pages are opened from
disk in headless Chromium (Debian's package, and playwright), each time in a fresh profile; what is
reported are medians and ranges of:

- opening: from the request of the page until the list, the first image's two sides and its table
  of values are there;
- writing: the whole site, and the same again when it is there.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from harness.reporting.site.report import write_report
from tests.pages import until
from tests.sites import made_plan

METHODS = ("cpl", "promptir", "restormer", "adair", "airnet", "nafnet", "uformer", "mprnet")
COLUMNS = 2
WHOLE = (
    "document.documentElement.dataset.ready === 'true' && (() => {"
    " const shown = [...document.querySelectorAll('.layer img')];"
    " return shown.length === 2 && shown.every((one) => one.complete && one.naturalWidth > 0)"
    " && document.querySelectorAll('#values td').length > 0; })()"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=500, help="test images over both columns")
    parser.add_argument("--turns", type=int, default=9)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        plan = made_plan(root, METHODS, asked.images // COLUMNS, size=(480, 320), distinct=12)
        for what in ("written", "written again"):
            began = time.perf_counter()
            write_report(plan, root / "site")
            print(f"{what}: {time.perf_counter() - began:.2f} s", flush=True)
        for name, condition in (
            ("index.html", "document.documentElement.dataset.ready === 'true'"),
            ("images.html", WHOLE),
        ):
            show(name, opened(root / "site" / name, condition, asked.turns))


def opened(page: Path, condition: str, turns: int) -> list[float]:
    """Return the seconds until a page is there, of several turns."""
    times_s = []
    chromium = shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for _ in range(turns):
            times_s.append(_opened_once(browser, page, condition))
        browser.close()
    return times_s


def _opened_once(browser: Any, page: Path, condition: str) -> float:
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    began = time.perf_counter()
    tab.goto(page.as_uri())
    until(tab, condition)
    taken_s = time.perf_counter() - began
    context.close()
    return taken_s


def show(name: str, times_s: list[float]) -> None:
    low, high = min(times_s), max(times_s)
    print(f"{name} opens in {statistics.median(times_s):.2f} s ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
