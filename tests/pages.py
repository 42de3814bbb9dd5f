"""What tests of sites share: checks of HTML, and a browser that has no network."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import pytest

VOID = {"meta", "link", "input", "img", "br", "hr", "col"}
SVG_LEAVES = {"line", "polyline"}
SERIOUS = {"serious", "critical"}


class CheckedPage(HTMLParser):
    """Reads a page strictly: what is open is closed in order, and ids are there once."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.path = path
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.labels: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self.open == [], f"{path}: not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag}: an attribute is there twice"
        for name, value in attrs:
            assert not name.startswith("on"), f"{tag} has {name}={value}"
            assert name != "style", f"{tag} has a style, which the policy forbids"
            self._note(name, value or "")
        if tag == "script":
            assert "src" in names, "a script inside a page is forbidden by the policy"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SVG_LEAVES | VOID, f"{tag} may not be empty"
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def _note(self, name: str, value: str) -> None:
        if name == "id":
            assert value not in self.ids, f"id {value} is there twice"
            self.ids.add(value)
        if name in ("href", "src"):
            self.links.append(value)
        if name in ("aria-labelledby", "aria-describedby", "for"):
            self.labels.append(value)


def check_pages(site: Path) -> list[CheckedPage]:
    """Check every page of a site: markup, labels, and that local links lead to files in it."""
    pages = [CheckedPage(path) for path in sorted(site.rglob("*.html"))]
    for page in pages:
        missing = [label for label in page.labels if label not in page.ids]
        assert not missing, f"{page.path} has labels of nothing: {missing}"
        for link in page.links:
            if link.startswith("https://"):
                continue
            name, part = urldefrag(link)
            target = page.path.parent / unquote(name) if name else page.path
            assert target.is_file(), f"{page.path} links to {link}"
            assert target.resolve().is_relative_to(site.resolve())
            assert not part or name or part in page.ids, f"{page.path} links to #{part}"
    return pages


def site_data(site: Path, name: str) -> Any:
    """Return what a data script hands to the page."""
    text = (site / "data" / f"{name}.js").read_text(encoding="utf-8")
    start, end = f'site.receive("{name}",', ");\n"
    assert text.startswith(start)
    assert text.endswith(end)
    assert "<" not in text
    return json.loads(text.removeprefix(start).removesuffix(end))


@contextmanager
def headless_browser() -> Iterator[Any]:
    """Yield a headless Chromium; skip the test with a reason where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium on this machine (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


def until(page: Any, condition: str, timeout_s: float = 20.0) -> None:
    """Wait until a condition holds; playwright's own waiting needs what the policy forbids."""
    end = time.monotonic() + timeout_s
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(10)


class WatchedPage:
    """A page without network that remembers errors and what it asked for beyond its folder."""

    def __init__(self, browser: Any, **options: Any) -> None:
        self.context = browser.new_context(offline=True, **options)
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def open(self, path: Path, part: str = "") -> Any:
        self.page.goto(path.as_uri() + part)
        until(self.page, "document.documentElement.dataset.ready === 'true'")
        return self.page

    def close(self) -> None:
        self.context.close()
        outside = [url for url in self.asked if not url.startswith("file://")]
        assert not self.errors, self.errors
        assert not outside, outside


def serious_findings(page: Any) -> list[str]:
    """Return what axe-core finds serious or critical on a page, with the first element."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    # Fetching style sheets is what the policy of the pages forbids, and what these rules can do
    # without.
    found = axe.Axe().run(page, options={"preload": False}).response["violations"]
    return [
        f"{item['id']}: {item['nodes'][0]['html'][:200]}"
        for item in found
        if item["impact"] in SERIOUS
    ]
