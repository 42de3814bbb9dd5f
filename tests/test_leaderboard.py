"""The leaderboard: cited and measured rows, each with its source, and protocols never mixed."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.api import export_runs, leaderboard
from harness.config.data_sets import Expected
from harness.config.errors import HarnessError, UsageError
from harness.config.files import load_data_set, load_setting
from harness.evaluation.metrics import metric_ids
from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.published.audit import audit
from harness.published.reading import load_published
from harness.reporting import paper_images
from harness.reporting.paper_images import TestImages, difference_to_papers
from harness.reporting.plan_summary import summary_of
from harness.reporting.site.cited_lists import CitedContext, cited_lists
from harness.reporting.site.measured import MeasuredRun, grouped, measured_runs, told_apart
from harness.reporting.site.measured_lists import MethodFacts, measured_list
from harness.reporting.site.rank_list import NOT_STATED, PUBLISHED, RankList, joined_lists
from harness.reporting.site.sources import Sources
from harness.store.archive import read_archive
from harness.store.files import write_json
from harness.store.result_columns import ResultColumns
from harness.store.results import RESULT_FIELDS, WHOLE_COLUMN, Result, append
from harness.store.stored_results import results_in
from tests.conftest import Run as Command
from tests.pages import WatchedPage, check_pages, serious_findings, site_data
from tests.test_on_disk_scoring import built
from tests.test_on_disk_training import write_rain

(FID,) = metric_ids(["fid"])
SIDES = {"small": 32, "large": 48}

REFERENCE = Path(__file__).parents[1] / "results" / "reference"


def facts_of(method: str) -> MethodFacts:
    return MethodFacts(method, "input" if method == "degraded-input" else "methods")


@pytest.fixture(scope="module")
def context() -> CitedContext:
    return CitedContext.of(Sources(), audit(load_published()))


@pytest.fixture(scope="module")
def lists(context: CitedContext) -> list[RankList]:
    found: list[RankList] = []
    for table in load_published():
        found += cited_lists(table, context)
    for group in grouped(measured_runs(REFERENCE)):
        found.append(measured_list(group, context, facts_of))
    return joined_lists(found)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return leaderboard(tmp_path_factory.mktemp("leaderboard") / "site", [REFERENCE]).parent


def test_every_printed_value_is_there_once(lists: list[RankList]) -> None:
    shown = 0
    for one in lists:
        for row in one.rows:
            if row.row.attributes["origin"] == "cited":
                shown += len(row.row.scores)
    assert shown == sum(len(table.rows) for table in load_published())


def test_a_list_is_of_one_setting_protocol_and_average(lists: list[RankList]) -> None:
    assert len({one.key for one in lists}) == len(lists)
    for one in lists:
        names = [column.key for column in one.columns]
        assert len(set(names)) == len(names)
        assert set(one.key.columns) <= set(names)


def test_nothing_is_ranked_where_no_protocol_is_stated(lists: list[RankList]) -> None:
    ranked = {True: 0, False: 0}
    for number, one in enumerate(lists):
        for group in one.table(number).groups:
            for row in group.rows:
                marks = [score.rank for score in row.scores.values() if score.rank]
                ranked[one.key.protocol == NOT_STATED] += len(marks)
    assert ranked[True] == 0
    assert ranked[False] > 0
    unstated = [one for one in lists if one.key.protocol == NOT_STATED]
    assert unstated
    assert all("may differ" in " ".join(one.about) for one in unstated)


def test_synthetic_and_incomplete_images_are_never_with_papers(lists: list[RankList]) -> None:
    for one in lists:
        origins = {row.row.attributes["origin"] for row in one.rows}
        if one.key.test == PUBLISHED:
            assert origins == {"cited"}
        else:
            assert origins == {"measured"}
    words = [" ".join(one.about) for one in lists if one.key.test != PUBLISHED]
    assert any("synthetic images" in text for text in words)
    assert any("CBSD68" in text and "Rain100L" in text for text in words)


def test_measured_rows_are_means_over_seeds(lists: list[RankList]) -> None:
    results = read_archive(REFERENCE / "rain100l")
    promptir = "promptir:prompt_init=channel-normal"
    values: dict[tuple[int, float, float], dict[str, list[float]]] = {}
    for result in results:
        if (result.method, result.column, result.metric) == (promptir, "derain", "psnr_rgb"):
            (run,) = (REFERENCE / "rain100l/runs").glob(f"*-{result.weights}.json")
            own = json.loads(run.read_text())["spec"]["optimisation"]
            by_training = values.setdefault((own["steps"], own["lr"], own["lr_min"]), {})
            by_training.setdefault(result.weights, []).append(result.value)
    rows = {}
    for one in lists:
        if "Rain100L" in " ".join(one.about):
            found = [row.row for row in one.rows if row.row.label == promptir]
            rows |= {row.facts["From"]: row.scores["derain", "psnr_rgb"].value for row in found}
    expected = {}
    for (steps, rate, lowest), by_training in values.items():
        means = [sum(of_images) / len(of_images) for of_images in by_training.values()]
        seeds = f"{len(means)} seeds" if len(means) > 1 else "seed 0"
        # Two rates of 6,000 steps are told apart.
        apart = f"lr {rate}, lr_min {lowest}, " if steps == 6000 else ""
        expected[f"measured, {steps:,} steps, {apart}{seeds}"] = sum(means) / len(means)
    assert "measured, 2,000 steps, 3 seeds" in expected
    assert len(expected) == 4
    assert rows == pytest.approx(expected)


def trained(**spec: Any) -> list[MeasuredRun]:
    """Return the only run of a training with such a spec."""
    names = ("weights", "score", "setting", "data_set", "column", "image", "preprocessing")
    result = Result(
        **dict.fromkeys(names, "x"),
        **{"method": "mine", "seed": 0, "protocol": "skimage-rgb", "metric": "psnr_rgb"},
        **{"value": 30.0, "origin": "measured"},
    )
    shared = {"optimisation": {"steps": 9, "lr": 0.1}}
    return [MeasuredRun("mine-s0", "runs", ResultColumns.of([result]), shared | spec, {})]


FOLDER = {"set": "photos", "images": ["a", "b"], "sha256": "0"}


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (
            {"optimisation": {"steps": 9, "lr": 0.1}},
            {"optimisation": {"steps": 9, "lr": 0.2}},
            ["lr 0.1"],
        ),
        (
            {"optimisation": {"steps": 9, "lr_halving_steps": 3}},
            {"optimisation": {"steps": 9}},
            ["lr_halving_steps 3"],
        ),
        ({"optimisation": {"steps": 9}}, {"optimisation": {"steps": 8}, "data": {}}, []),
        ({"optimisation": None}, {"optimisation": {"lr": 1}}, []),
        ({"options": {"dim": 48}}, {"options": {"dim": 16}}, ["dim 48"]),
        (
            {"data": {"train_folder": FOLDER}},
            {"data": {"train": ["cat"]}},
            ["trained on 2 images of photos"],
        ),
        (
            {"data": {"train": ["cat"]}},
            {"data": {"train_folder": FOLDER}},
            ["trained on 1 embedded photographs"],
        ),
        (
            {"data": {"files": [{"set": "its"}, {"set": "wed"}, {"set": "its"}]}},
            {},
            ["trained on its, wed"],
        ),
        (
            {"data": {"train_folder": FOLDER}},
            {"data": {"train_folder": FOLDER | {"sha256": "1"}}},
            ["run mine-s0"],
        ),
        (
            {"data": {"train": None, "files": None, "train_folder": None}},
            {"data": "none"},
            ["run mine-s0"],
        ),
        ({"data": {"files": [3]}}, {"data": {"train": ["cat"]}}, ["trained on None"]),
        ({"plugin_sha256": "abcdef0123"}, {"plugin_sha256": "1"}, ["plug-in abcdef01"]),
        (
            {"checkpoint_parts": {"entry": "ema"}},
            {"checkpoint_parts": {"entry": "params"}},
            ["entry ema"],
        ),
        ({"initial_sha256": "abcdef0123"}, {}, ["from weights abcdef01"]),
        ({"method_version": 2}, {"method_version": 1}, ["version 2"]),
        ({"tasks": ["a"]}, {"tasks": ["b"]}, ["run mine-s0"]),
    ],
)
def test_trainings_of_one_method_are_told_apart(
    one: dict[str, Any], other: dict[str, Any], words: list[str]
) -> None:
    first, second = trained(**one), trained(**other)
    assert told_apart({"first": first, "second": second})["first"] == words
    assert told_apart({"first": first})["first"] == []


def results_of(
    name: str,
    metrics: Mapping[str, float],
    ending: str = "",
    fewer: int = 0,
    method: str = "mine",
) -> list[Result]:
    """Return results on a setting's data sets, ``fewer`` images of each column than papers have."""
    setting = load_setting(name)
    columns = len(setting.test_sources)
    results = []
    for source in setting.test_sources:
        data_set = load_data_set(source.set)
        pairs = data_set.expected.pairs or 0
        images = pairs // columns if source.group else pairs
        for metric, value in metrics.items():
            names = [str(number) for number in range(images - fewer)]
            for image in [WHOLE_COLUMN] if metric == FID else names:
                results.append(
                    Result(
                        **{"weights": f"w-{method}", "score": f"s-{method}", "seed": 0},
                        method=method,
                        setting=name,
                        data_set=data_set.label,
                        column=source.column,
                        image=image,
                        metric=metric,
                        preprocessing=f"{setting.preprocessing.id}{ending}",
                        protocol=setting.protocol.id,
                        value=value,
                    )
                )
    return results


def list_of(results: Sequence[Result], folder: Path, context: CitedContext) -> RankList:
    """Store results of one group; return their list."""
    folder.mkdir(exist_ok=True)
    append(folder / "results.jsonl", results)
    (group,) = grouped(measured_runs(folder.parent))
    return measured_list(group, context, facts_of)


@pytest.mark.parametrize(
    ("setting", "ending"),
    [
        ("three-task", ""),
        ("three-task", "-published-stream"),
        ("three-task", "-centre-192"),
        ("composite", ""),
        ("seven-task", ""),
    ],
)
def test_complete_published_images_join_the_papers(
    setting: str, ending: str, context: CitedContext, tmp_path: Path
) -> None:
    results = results_of(setting, {"psnr_rgb": 40.0}, ending)
    mine = list_of(results, tmp_path / "run", context)
    if ending.startswith("-centre"):
        assert mine.key.test != PUBLISHED
        return
    assert mine.key.test == PUBLISHED
    cited = []
    for table in load_published():
        cited += cited_lists(table, context)
    (joined,) = [one for one in joined_lists([*cited, mine]) if one.key == mine.key]
    (methods,) = [group.rows for group in joined.table(1).groups if group.kind == "methods"]
    assert methods[0].label == "mine"
    assert methods[0].scores["average", "psnr"].rank == 1
    assert ("published noise stream" in methods[0].facts["From"]) == bool(ending)
    assert "PromptIR" in [row.label for row in methods]


@pytest.mark.parametrize("setting", ["three-task", "composite", "seven-task"])
def test_incomplete_images_do_not_join_the_papers(
    setting: str, context: CitedContext, tmp_path: Path
) -> None:
    results = results_of(setting, {"psnr_rgb": 40.0}, fewer=1)
    assert list_of(results, tmp_path / "run", context).key.test != PUBLISHED


@pytest.mark.parametrize("other", ["psnr_y601", "ssim_y601_gauss11", "pyiqa:lpips", FID])
@pytest.mark.parametrize("is_first", [True, False])
def test_only_metrics_of_the_protocol_are_called_as_papers_call_them(
    other: str, is_first: bool, context: CitedContext, tmp_path: Path
) -> None:
    values = {"psnr_rgb": 30.0, "ssim_rgb_uniform7": 0.9}
    values = {other: 77.0, **values} if is_first else {**values, other: 77.0}
    mine = list_of(results_of("three-task", values), tmp_path / "run", context)
    assert mine.key.test == PUBLISHED
    (row,) = mine.rows
    scores = {metric: score.value for (_, metric), score in row.row.scores.items()}
    assert scores == {"psnr": 30.0, "ssim": 0.9, other: 77.0}
    cited = []
    for table in load_published():
        cited += cited_lists(table, context)
    (joined,) = [one for one in joined_lists([*cited, mine]) if one.key == mine.key]
    for column in joined.columns:
        for names in zip(*((metric.id, metric.label) for metric in column.metrics), strict=True):
            assert len(set(names)) == len(names)


def test_a_value_of_a_whole_column_is_no_image(context: CitedContext, tmp_path: Path) -> None:
    values = {"psnr_rgb": 30.0, FID: 50.0}
    mine = list_of(results_of("three-task", values), tmp_path / "run", context)
    assert "σ=15 68" in " ".join(mine.about)
    scores = mine.rows[0].row.scores
    assert {score.note for score in scores.values()} == {""}
    for metric in ("psnr", FID):
        assert scores["average", metric].is_whole
    runs = measured_runs(tmp_path)
    without = results_of("three-task", {"psnr_rgb": 31.0}, method="other")
    (tmp_path / "other").mkdir()
    append(tmp_path / "other" / "results.jsonl", without)
    assert len(runs) == 1
    (group,) = grouped(measured_runs(tmp_path))
    assert len(group.runs) == 2, "whether FID was asked for does not change the images"


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_metrics_that_are_not_loaded_keep_their_direction(
    kind: str, context: CitedContext, tmp_path: Path
) -> None:
    """A metric of a plug-in file, of which lower is better, in a run of another day."""
    results = []
    summary = {"higher_is_better": {"mae_of_another_day": False}}
    for method, value in (("worse", 0.2), ("better", 0.1)):
        own = results_of("weatherbench", {"mae_of_another_day": value}, method=method)
        results += own
        if kind == "folder":
            folder = tmp_path / f"{method}-w-{method}"
            folder.mkdir()
            append(folder / "results.jsonl", own)
            write_json(folder / "prompt_summary.json", summary)
        else:
            write_json(tmp_path / "runs" / f"{method}-w-{method}.json", {"prompt_summary": summary})
    if kind == "archive":
        with (tmp_path / "results.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, RESULT_FIELDS)
            writer.writeheader()
            writer.writerows(asdict(result) for result in results)
    (group,) = grouped(measured_runs(tmp_path))
    table = measured_list(group, context, facts_of).table(1)
    rows = table.groups[0].rows
    assert [row.label for row in rows] == ["better", "worse"]
    assert [row.scores["average", "mae_of_another_day"].rank for row in rows] == [1, 2]


@pytest.mark.parametrize(
    ("count", "words"), [(200, ""), (22, ""), (21, "has 21 images, not 22 or 200")]
)
def test_every_layout_of_a_data_set_may_have_its_own_count(
    count: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = load_setting("composite")
    data_set = load_data_set("cdd11-test")
    (layout,) = data_set.layouts
    smaller = layout.model_copy(
        update={"name": "smaller", "expected": Expected(pairs=242), "about": ""}
    )
    changed = data_set.model_copy(update={"layouts": (layout, smaller)})
    monkeypatch.setattr(paper_images, "load_data_set", lambda name: changed)
    columns = [column.name for column in setting.columns]
    images = TestImages(
        setting.preprocessing.id,
        dict.fromkeys(columns, data_set.label),
        dict.fromkeys(columns, count),
    )
    found = difference_to_papers(images, setting)
    assert found.endswith(words)
    assert bool(found) == bool(words)


def test_slips_are_noted_and_not_corrected(lists: list[RankList]) -> None:
    for one in lists:
        for row in one.rows:
            score = row.row.scores.get(("average", "psnr"))
            if row.row.label == "MPRNet" and one.key.setting == "three-task" and score:
                assert score.text == "30.63"
                assert "30.6360" in score.note
                return
    pytest.fail("MPRNet's average is not there")


def test_the_same_score_counts_once() -> None:
    runs = measured_runs(REFERENCE / "three-task")
    once, twice = grouped(runs), grouped([*runs, *runs])
    assert [len(group.runs) for group in twice] == [len(group.runs) for group in once]


def plan_of_centres(out: Path, name: str, side: int, **request: Any) -> Plan:
    """Return a plan of the degraded inputs alone, scored on centres of one side."""
    recipe = out.parent / f"{name}.yaml"
    recipe.write_text(f"base: smoke\ntest: {{centre_px: {side}}}\n", encoding="utf-8")
    return harness.plan(methods=["degraded-input"], recipe=str(recipe), out=out, **request)


def scored(plan: Plan) -> tuple[Run, ResultColumns]:
    """Score a plan of one run; return the run and its results as they are stored."""
    harness.run(plan)
    (run,) = plan.runs
    (stored,) = results_in([run.folder.results])
    return run, stored


@pytest.mark.parametrize("on_disk", [False, True], ids=["photographs", "on-disk"])
def test_centres_of_two_sides_are_two_lists(
    on_disk: bool, context: CitedContext, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    request: dict[str, Any] = {}
    if on_disk:
        root = built(tmp_path / "data")
        write_rain(root / "raintrainl", 20, 0)
        request = {"data": {"root": root, "train_sets": {"denoise": "raintrainl"}}}
    plans = [plan_of_centres(out, name, side, **request) for name, side in SIDES.items()]
    for plan in plans:
        harness.run(plan)
    groups = grouped(measured_runs(out))
    assert {group.preprocessing for group in groups} == {
        f"crop16-uint8-centre-{side}" for side in SIDES.values()
    }
    lists = [measured_list(group, context, facts_of) for group in groups]
    assert len({one.key for one in lists}) == len(SIDES)
    assert PUBLISHED not in {one.key.test for one in lists}
    inputs = [summary_of(plan).request.preprocessing for plan in plans]
    assert inputs == [f"crop16-uint8-centre-{side}" for side in SIDES.values()]


def test_earlier_centres_get_the_id_that_they_have_now(tmp_path: Path) -> None:
    plan = plan_of_centres(tmp_path / "out", "small", 32)
    run, stored = scored(plan)
    run.folder.results.unlink()
    append(run.folder.results, list(stored.with_name("preprocessing", "crop16-uint8")))
    export_runs(plan, tmp_path / "archive")
    assert {r.preprocessing for r in read_archive(tmp_path / "archive")} == {
        "crop16-uint8-centre-32"
    }
    assert summary_of(plan).request.preprocessing == "crop16-uint8-centre-32"


def test_a_score_with_two_ids_of_its_preprocessing_has_its_last(tmp_path: Path) -> None:
    """Rows of a metric that was added after the id had changed stand beside earlier ones."""
    plan = plan_of_centres(tmp_path / "out", "small", 32)
    run, stored = scored(plan)
    run.folder.results.unlink()
    is_psnr = stored.are("metric", "psnr_rgb".__eq__)
    earlier = stored.select(is_psnr).with_name("preprocessing", "crop16-uint8")
    append(run.folder.results, [*earlier, *stored.select(~is_psnr)])
    (group,) = grouped(measured_runs(tmp_path / "out"))
    assert group.preprocessing == "crop16-uint8-centre-32"
    assert set(harness.load_results(tmp_path / "out")["preprocessing"]) == {group.preprocessing}
    assert summary_of(plan).request.preprocessing == group.preprocessing


def test_an_earlier_folder_is_compared_with_its_present_ids(tmp_path: Path) -> None:
    plan = plan_of_centres(tmp_path / "out", "small", 32)
    run, stored = scored(plan)
    old = tmp_path / "old" / run.id
    old.mkdir(parents=True)
    append(old / "results.jsonl", list(stored.with_name("preprocessing", "crop16-uint8")))
    found = harness.compare(plan, against=tmp_path / "old")
    assert all(test.win_rate == 0.5 for test in found.tests)


def test_pages_are_valid(site: Path) -> None:
    assert len(check_pages(site)) == 1
    assert len(site_data(site, "sources")) > 100


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="holds no results"):
        leaderboard(tmp_path / "site", [tmp_path])
    (tmp_path / "site").mkdir(exist_ok=True)
    (tmp_path / "site" / "files.json").write_text('{"kind": "report", "files": []}')
    with pytest.raises(UsageError, match="no leaderboard"):
        leaderboard(tmp_path / "site", [REFERENCE])


def test_the_command_writes_it(harness_command: Command, tmp_path: Path) -> None:
    archive = Path(shutil.copytree(REFERENCE / "rain100l", tmp_path / "<b>archive"))
    folder = tmp_path / "site"
    written = harness_command("leaderboard", "--to", str(folder), "--results", str(archive))
    assert written.returncode == 0, written.stderr
    check_pages(folder)
    missing = harness_command("leaderboard", "--to", str(folder), "--results", "nowhere")
    assert missing.returncode == 1
    assert "nowhere" in missing.stderr


def test_rows_are_filtered_and_sorted(site: Path, watched: WatchedPage) -> None:
    page = watched.open(site / "index.html")
    rows = page.locator("tr.row:visible")
    everything = rows.count()
    page.select_option("[name=origin]", "measured")
    assert 0 < rows.count() < everything
    page.select_option("[name=origin]", "")
    page.select_option("[name=setting]", "composite")
    assert page.locator(".setting:visible").count() == 1
    page.select_option("[name=setting]", "")
    page.fill("[name=method]", "adair")
    assert all("AdaIR" in text for text in rows.all_inner_texts())
    page.fill("[name=method]", "")
    page.fill("[name=parameters]", "3")
    assert 0 < rows.count() < everything
    page.fill("[name=parameters]", "")
    assert rows.count() == everything
    table = page.locator(".protocol").first
    head = table.locator("th[data-metric]").first
    assert head.get_attribute("aria-sort") == "descending"
    before = table.locator("tr.row th").all_inner_texts()
    head.locator("button").press("Enter")
    assert table.locator("tr.row th").all_inner_texts() == before[::-1]


def test_a_cited_number_opens_its_source(site: Path, watched: WatchedPage) -> None:
    page = watched.open(site / "index.html")
    page.locator("tr[data-origin=cited] .n").first.press("Enter")
    page.wait_for_selector("dialog[open]")
    text = page.inner_text("#sources-body")
    assert "cited, digit by digit" in text
    assert "arXiv 2504.09973" in text
    page.keyboard.press("Escape")
    page.locator("tr[data-origin=measured] .n").nth(3).click()
    page.wait_for_selector("dialog[open]")
    assert "Weights" in page.inner_text("#sources-body")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(site: Path, browser: Any, scheme: str) -> None:
    watched = WatchedPage(browser, color_scheme=scheme)
    page = watched.open(site / "index.html")
    page.select_option("[name=setting]", "weatherbench")  # the markup of all is the same
    assert serious_findings(page) == []
    watched.close()


def test_narrow_screens_need_no_sideways_scrolling(site: Path, browser: Any) -> None:
    watched = WatchedPage(browser, viewport={"width": 390, "height": 844})
    page = watched.open(site / "index.html")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    watched.close()
