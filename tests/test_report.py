"""The report: pages that are valid, escaped and whole, and that work from disk in a browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from PIL import Image

from harness.api import Resources, check_image_choice, compute, report
from harness.config.errors import HarnessError, UsageError
from harness.planning.plan import Plan
from harness.reporting.apart import seconds_apart
from harness.reporting.benchmark_table import benchmark_table_of
from harness.reporting.plan_summary import results_by_method, summary_of
from harness.reporting.site.cases import cases_of, notable_cases, worst_cases
from harness.reporting.site.curves import Chart, Curve
from harness.reporting.site.folder import SiteFolder, data_script
from harness.reporting.site.overview import PlanSources, score_table
from harness.reporting.site.rendering import number_text
from harness.reporting.site.report import write_report
from harness.reporting.site.sources import Sources
from tests.conftest import Run
from tests.pages import (
    CheckedPage,
    WatchedPage,
    check_pages,
    offline_browser,
    serious_findings,
    site_data,
    until,
)
from tests.plans import quick_plan
from tests.sites import HOSTILE, SCRIPT, made_plan

PAGES = ("index.html", "images.html", "probes.html", "training.html", "references.html")


@pytest.fixture(scope="module")
def environment() -> Iterator[None]:
    """Forget the files of one's own that these tests name."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory, environment: None) -> Plan:
    return made_plan(tmp_path_factory.mktemp("report"), hostile=True)


@pytest.fixture(scope="module")
def site(plan: Plan) -> Path:
    folder = plan.out.parent / "site"
    report(plan, folder, images="none")
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with offline_browser() as found:
        yield found


@pytest.fixture
def watched(browser: Any) -> Iterator[WatchedPage]:
    page = WatchedPage(browser, viewport={"width": 1280, "height": 900})
    yield page
    page.close()


def test_pages_are_valid_and_their_links_exist(site: Path) -> None:
    assert {page.path.name for page in check_pages(site)} == set(PAGES)


def test_images_of_the_browser_exist(site: Path, plan: Plan) -> None:
    data = site_data(site, "images")
    assert len(data["cases"]) == 12
    for column, _, name, present, values, size in data["cases"]:
        folder = data["columns"][column]["folder"]
        assert len(present) == len(data["sources"]) == 5
        for place in present:
            path = f"{data['sources'][place]['folder']}/{folder}/{name}.png"
            with Image.open(site / unquote(path)) as image:
                assert list(image.size) == size
        with Image.open(site / unquote(f"images/small/{folder}/{name}.webp")) as image:
            assert max(image.size) <= 240
        assert len(values) == len(plan.method_ids)


def test_every_number_names_sections_that_exist(site: Path) -> None:
    sections = site_data(site, "sources")

    class Numbers(CheckedPage):
        def _note(self, name: str, value: str) -> None:
            super()._note(name, value)
            if name == "data-sources":
                assert value
                found.extend(map(int, value.split()))

    found: list[int] = []
    for name in ("index.html", "probes.html", "training.html"):
        Numbers(site / name)
    assert max(found) < len(sections)
    assert len(found) > 100
    titles = {section["title"] for section in sections}
    assert {"CPL, seed 0", "Scoring", "Average"} <= titles
    of_run = next(section for section in sections if section["title"] == "CPL, seed 0")
    facts = dict(map(tuple, of_run["facts"]))
    assert facts["Commit"] == "0123456789abcdef"
    assert facts["Weights"] in facts["Run"]
    assert '"optimisation"' in of_run["json"]


@pytest.mark.parametrize("name", PAGES)
def test_names_stay_text(site: Path, name: str) -> None:
    text = (site / name).read_text(encoding="utf-8")
    assert "<img src=x" not in text
    assert "<script>window" not in text
    assert "&lt;img src=x" in text  # the title of the setting is on every page


def test_the_table_marks_what_the_printed_table_marks(plan: Plan) -> None:
    """A second that cannot be told apart from the best is not underlined."""
    summary = summary_of(plan)
    apart = seconds_apart(summary, results_by_method(plan))
    printed = benchmark_table_of(summary, None, replace(apart, told=frozenset()))
    found = score_table(plan, printed, PlanSources.of(plan, Sources()))
    ranks = {}
    for row in printed.table.rows:
        for key, cell in row.cells.items():
            ranks[row.label, key] = cell.rank
    shown = {}
    for group in found.groups:
        for line in group.rows:
            for key, score in line.scores.items():
                shown[line.label, key] = score.rank
    assert shown == {key: ranks[key] for key in shown}
    by_value = {entry.rank for entry in printed.summary.entries.values()}
    assert 2 in by_value, "otherwise this test could not fail"
    assert set(shown.values()) == {None, 1}


def test_labels_of_a_request_are_shown(plan: Plan, tmp_path: Path) -> None:
    labels = {"cpl": "CPL <ours>", "denoise25": "little"}
    asked = replace(plan, request=plan.request.model_copy(update={"labels": labels}))
    report(asked, tmp_path / "site", images="none")
    data = site_data(tmp_path / "site", "images")
    assert "CPL <ours>" in [source["label"] for source in data["sources"]]
    assert data["columns"][0]["short"] == "little"
    assert "CPL &lt;ours&gt;" in (tmp_path / "site" / "index.html").read_text()


def test_a_second_report_updates_the_site(plan: Plan, site: Path) -> None:
    stale = site / "images" / "stale.png"
    stale.write_bytes(b"")
    listing = (site / "files.json").read_text()
    (site / "files.json").write_text(listing.replace('"files": [', '"files": ["images/stale.png",'))
    own = site / "mine.txt"
    own.write_text("kept")
    thumbnail = next((site / "images" / "small").rglob("*.webp"))
    before = thumbnail.stat().st_mtime_ns
    write_report(plan, site)
    assert not stale.exists()
    assert own.read_text() == "kept"
    assert thumbnail.stat().st_mtime_ns == before
    assert (site / "files.json").read_text() == listing
    assert not list(site.rglob("*.tmp"))
    own.unlink()


def test_other_folders_are_refused(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds files that are no report"):
        report(plan, tmp_path, images="none")
    file = tmp_path / "thesis.txt"
    with pytest.raises(UsageError, match="is a file"):
        report(plan, file, images="none")
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("name", ["../outside.txt", "/outside.txt", "link/outside.txt", ""])
def test_a_site_never_leaves_its_folder(tmp_path: Path, name: str) -> None:
    site = SiteFolder(tmp_path / "site", "report")
    site.check()
    (tmp_path / "elsewhere").mkdir()
    (site.path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HarnessError, match="outside the site"):
        site.write(name, "text")


def test_a_listing_removes_nothing_outside(plan: Plan, tmp_path: Path) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("mine")
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "files.json").write_text('{"kind": "report", "files": ["../victim.txt"]}')
    write_report(plan, folder)
    assert victim.exists()


def test_nothing_stored_is_an_error(plan: Plan, tmp_path: Path) -> None:
    from harness.planning.plan import make_plan

    empty = make_plan(plan.request.model_copy(update={"out": tmp_path / "none"}))
    with pytest.raises(HarnessError, match="holds no scores"):
        report(empty, tmp_path / "site")
    assert not (tmp_path / "site" / "index.html").exists()


def test_images_that_are_not_kept_are_made_from_the_weights(tmp_path: Path) -> None:
    plan = quick_plan(tmp_path / "runs")
    compute(plan, Resources(device="cpu"))
    report(plan, tmp_path / "site", images="worst:1")
    restored = list((tmp_path / "site" / "images" / "restored").rglob("*.png"))
    assert len(restored) == len(plan.shown_columns)
    data = site_data(tmp_path / "site", "images")
    assert [case[3] for case in data["cases"]] == [[0, 1, 2]] * len(restored)
    plan.runs[-1].folder.weights.unlink()
    report(plan, tmp_path / "site", images="all")  # as of an archive: nothing to restore with


@pytest.mark.parametrize("choice", ["best:3", "worst:0", "notable", "worst:", "ALL", ""])
def test_a_wrong_choice_of_images_is_refused(choice: str) -> None:
    with pytest.raises(UsageError, match="none of notable:N, worst:N, all and none"):
        check_image_choice(choice)


def test_notable_cases_are_the_worst_best_and_most_disputed(plan: Plan) -> None:
    ranked = ["cpl", "promptir", "hostile"]
    for column in ("denoise25", "denoise50"):
        means, ranges = {}, {}
        for case in cases_of(plan):
            if case.column == column:
                values = case.finite(ranked, "psnr_rgb")
                means[case.image] = sum(values) / len(values)
                ranges[case.image] = max(values) - min(values)
        chosen = [image for name, image in notable_cases(plan, 1) if name == column]
        expected = {
            min(means, key=means.__getitem__),
            max(means, key=means.__getitem__),
            max(ranges, key=ranges.__getitem__),
        }
        assert set(chosen) == expected
        worst = [image for name, image in worst_cases(plan, 2) if name == column]
        assert worst == sorted(means, key=means.__getitem__)[:2]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (-0.001, "0.00"),
        (-1.5, "−1.50"),
        (float("inf"), "∞"),
        (float("-inf"), "−∞"),
        (float("nan"), "NaN"),
    ],
)
def test_numbers_as_text(value: float | None, text: str) -> None:
    assert number_text(value, 2) == text


@pytest.mark.parametrize(
    "values", [(20.5, 22.0), (0.0, 0.1), (19.97, 20.03), (5.0, 5.0), (-3, 1e4)]
)
def test_ticks_are_written_as_what_they_are(values: tuple[float, float]) -> None:
    points = tuple(zip((10, 200), values, strict=True))
    chart = Chart("curve", "dB", (Curve("method", points, "c0"),), "0")
    texts = [mark.text.replace("−", "-") for mark in chart.y_marks]
    places = [mark.place for mark in chart.y_marks]
    assert len(set(texts)) == len(texts) >= 2
    steps = [other - one for one, other in pairwise(map(float, texts))]
    gaps = [one - other for one, other in pairwise(places)]
    assert steps == pytest.approx([steps[0]] * len(steps))
    assert gaps == pytest.approx([gaps[0]] * len(gaps), abs=0.2)


def test_data_never_ends_a_script() -> None:
    text = data_script("images", {"name": SCRIPT, "line": "\u2028"})
    assert "<" not in text
    assert text.isascii()


def test_the_command_writes_a_report(harness_command: Run, plan: Plan, tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    request.write_text(plan.request.model_dump_json(exclude={"keep_images"}))
    written = harness_command(
        *("report", "--config", str(request), "--to", str(tmp_path / "site"), "--images", "none")
    )
    assert written.returncode == 0, written.stderr
    assert str(tmp_path / "site" / "index.html") in written.stdout
    check_pages(tmp_path / "site")
    refused = harness_command("report", "--config", str(request), "--images", "some")
    assert refused.returncode == 2
    assert "notable:N" in refused.stderr


def test_hostile_names_do_nothing_in_a_browser(site: Path, watched: WatchedPage) -> None:
    for name in PAGES:
        page = watched.open(site / name)
        assert page.evaluate("window.hacked") is None
    page = watched.open(site / "images.html", "#denoise25/" + quote(HOSTILE, safe=""))
    assert page.inner_text("#case-title") == f"{HOSTILE}, {SCRIPT}"
    page.click("#values .n")
    page.wait_for_selector("dialog[open]")
    assert SCRIPT in page.inner_text("#sources-body")
    assert page.evaluate("window.hacked") is None


def test_the_table_sorts_by_mouse_and_keys(site: Path, watched: WatchedPage) -> None:
    page = watched.open(site / "index.html")
    head = page.locator("th[data-place='1']")

    def order() -> list[str]:
        return page.locator("tbody.methods tr.row td:nth-child(2)").all_inner_texts()

    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    down = order()
    assert down == sorted(down, reverse=True)
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert order() == down[::-1]
    assert page.locator("tbody").first.inner_text().startswith("Degraded input")
    page.locator("th[data-place='0'] button").press("Space")
    assert head.get_attribute("aria-sort") == "none"


def test_the_table_filters(site: Path, watched: WatchedPage) -> None:
    page = watched.open(site / "index.html")
    page.fill(".filter-rows", "prompt")
    assert page.locator("tr.row:visible").count() == 1
    page.fill(".filter-rows", "")
    page.fill(".filter-columns", "σ=50")
    page.select_option(".filter-metric", "SSIM")
    assert page.locator("thead th[data-metric]:visible").count() == 1
    assert page.locator("thead th[scope='colgroup']:visible").all_inner_texts() == ["Noise\nσ=50"]
    assert "1 of 6 columns" in page.inner_text(".status")


def test_a_number_opens_its_sources_by_keys(site: Path, watched: WatchedPage) -> None:
    page = watched.open(site / "index.html")
    number = page.locator("tbody.methods .n").first
    number.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]")
    assert "own-images" in page.inner_text("#sources-body")
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()
    assert number.evaluate("element => element === document.activeElement")


def test_the_divider_moves_by_mouse_and_keys(site: Path, watched: WatchedPage) -> None:
    page = watched.open(site / "images.html")
    box = page.locator(".pane").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 40, steps=4)
    page.mouse.up()
    assert _split(page) == pytest.approx(25, abs=1)
    page.locator("#stage").focus()
    page.keyboard.press("ArrowRight")
    assert _split(page) == pytest.approx(27, abs=1)
    page.locator("#divider").focus()
    page.keyboard.press("End")
    assert _split(page) == 100


def _split(page: Any) -> float:
    return float(page.locator("#stage").evaluate("one => one.style.getPropertyValue('--split')"))


def test_all_images_zoom_in_step(site: Path, watched: WatchedPage) -> None:
    page = watched.open(site / "images.html")
    page.select_option("#view", "grid")
    until(page, "[...document.querySelectorAll('.pane img')].every((one) => one.src)")
    box = page.locator(".pane").nth(1).bounding_box()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -500)
    page.locator("#stage").focus()
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    shown = page.locator(".pane img").evaluate_all(
        "images => images.map((image) => {"
        " const matrix = new DOMMatrix(getComputedStyle(image).transform);"
        " return [matrix.a, matrix.e / image.clientWidth, matrix.f / image.clientHeight]; })"
    )
    assert len(shown) == 5
    assert shown[0][0] > 2
    for other in shown[1:]:
        assert other == pytest.approx(shown[0], abs=0.01)
    page.keyboard.press("0")
    assert page.inner_text("#zoom") == "100%"


def test_links_lead_to_an_image_and_its_methods(site: Path, watched: WatchedPage) -> None:
    page = watched.open(site / "images.html", "#denoise50/image%20003/clean/promptir")
    assert page.inner_text("#case-title") == "image 003, σ=50"
    assert page.locator("#left option:checked").inner_text() == "Ground truth"
    assert page.locator("#right option:checked").inner_text() == "PromptIR"
    page.select_option("#order", "name")
    page.click("#next")
    until(page, "location.hash.includes('image%20003') === false")
    page.go_back()
    until(page, "document.querySelector('#case-title').textContent.includes('003')")
    until(
        page,
        "[...document.querySelectorAll('.layer img')].every((one) => one.naturalWidth === 160)",
    )


def test_cases_are_ordered_and_filtered(site: Path, watched: WatchedPage) -> None:
    page = watched.open(site / "images.html")
    page.select_option("#column", "1")
    page.select_option("#order", "best")

    def values() -> list[float]:
        texts = page.locator("#cases .value").all_inner_texts()
        return [float(text.split("·")[1].split()[-2]) for text in texts]

    assert len(values()) == 6
    assert values() == sorted(values(), reverse=True)
    page.select_option("#order", "worst")
    assert values() == sorted(values())
    page.select_option("#order", "range")
    assert values() == sorted(values(), reverse=True)
    page.fill("#name", "004")
    assert page.inner_text("#count") == "1 of 12 images"


def test_pinching_zooms(site: Path, browser: Any) -> None:
    watched = WatchedPage(browser, viewport={"width": 390, "height": 800}, has_touch=True)
    page = watched.open(site / "images.html")
    box = page.locator(".pane").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = watched.context.new_cdp_session(page)
    for kind, reach in (("touchStart", 20), ("touchMove", 60), ("touchMove", 80)):
        points = [{"x": x - reach, "y": y, "id": 0}, {"x": x + reach, "y": y, "id": 1}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert int(page.inner_text("#zoom").removesuffix("%")) > 200
    watched.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(site: Path, browser: Any, scheme: str) -> None:
    watched = WatchedPage(browser, color_scheme=scheme)
    for name in PAGES:
        page = watched.open(site / name)
        assert serious_findings(page) == [], name
    page = watched.open(site / "index.html")
    page.click("tbody.methods .n >> nth=0")
    page.wait_for_selector("dialog[open]")
    assert serious_findings(page) == [], "with its sources open"
    watched.page.keyboard.press("Escape")
    watched.close()


def test_colours_are_chosen_and_remembered(site: Path, browser: Any) -> None:
    watched = WatchedPage(browser, color_scheme="light")
    page = watched.open(site / "index.html")
    background = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(background)
    page.click("#theme")
    page.click("#theme")
    assert "dark" in page.inner_text("#theme")
    assert page.evaluate(background) != light
    page = watched.open(site / "images.html")
    assert page.evaluate(background) != light
    watched.close()


def test_narrow_screens_need_no_sideways_scrolling(site: Path, browser: Any) -> None:
    watched = WatchedPage(browser, viewport={"width": 390, "height": 844})
    for name in PAGES:
        page = watched.open(site / name)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
    watched.close()
