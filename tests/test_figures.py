"""Figures for papers: what they show, their sizes and fonts, and what is refused."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from PIL import Image

import harness
from harness import api
from harness.api import figures
from harness.config.errors import HarnessError, UsageError
from harness.config.hashing import spec_hash
from harness.evaluation.metrics import metric_facts
from harness.execution.execute import execute
from harness.execution.process import Worker
from harness.planning.plan import Plan
from harness.reporting.columns import multiply_accumulates
from harness.reporting.figures.crops import Box, largest_difference, parse_crop
from harness.reporting.figures.curves import course_of
from harness.reporting.figures.image_rows import Cell, ImageRow, draw_rows
from harness.reporting.figures.registry import FIGURES, figure_module
from harness.reporting.figures.request import FigureRequest
from harness.reporting.figures.scatter import draw_diagonal, scatter_panel
from harness.reporting.figures.shown_images import (
    ShownImage,
    Version,
    best_texts,
    most_disputed,
)
from harness.reporting.figures.steps import lengths_of
from harness.reporting.figures.style import (
    legend_above,
    new_figure,
    paper_style,
    text_width_in,
    wrapped,
)
from harness.reporting.table import MISSING
from harness.reporting.wording import worded
from harness.store.files import write_json
from harness.store.results import Result, append, read
from tests.plans import QUICK_RECIPE, plan_of

CPU = api.Resources(device="cpu", threads=1)
METHODS = ("promptir", "restormer")


def plan_in(out: Path, methods: Iterable[str] = METHODS, **fields: object) -> Plan:
    out.mkdir(parents=True, exist_ok=True)
    recipe = out / "recipe.yaml"
    recipe.write_text(QUICK_RECIPE)
    return plan_of(list(methods), out, recipe=str(recipe), **fields)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Two methods, trained for two steps and scored on one image of each column."""
    made = plan_in(tmp_path_factory.mktemp("runs") / "out")
    for run in made.runs:
        assert not execute(run, made, Worker(device="cpu", threads=1)).error
    return made


def results(plan: Plan, number: int, values: dict[tuple[str, str], float]) -> None:
    """Store values as the results of a run, the same in every metric."""
    run = plan.runs[number]
    assert run.score is not None
    run.folder.path.mkdir(parents=True, exist_ok=True)
    found = []
    for (column, image), value in values.items():
        for metric in plan.metrics:
            found.append(
                Result(
                    *(run.weights_id, spec_hash(run.score), run.method.id, run.train.seed),
                    *(plan.setting.name, "synthetic", column, image, metric),
                    *(plan.setting.preprocessing.id, plan.setting.protocol.id, value),
                )
            )
    append(run.folder.results, found)


def drawn(kind: str, plan: Plan) -> Figure:
    with paper_style():
        return figure_module(kind).draw(FigureRequest(plan))


def legends(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def texts(figure: Figure) -> list[str]:
    found = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        found += [text.get_text() for text in axes.texts]
        found += [axes.get_title(), axes.get_xlabel(), axes.get_ylabel()]
    return found


# --- every kind --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(set(FIGURES) - {"steps"}))
def test_every_kind_is_written_in_the_size_and_fonts_of_a_paper(kind: str, plan: Plan) -> None:
    paths = api.figure(plan, kind, resources=CPU, width="full")
    assert {path.suffix for path in paths} == {".png", ".pdf"}
    png, pdf = sorted(paths, key=lambda path: path.suffix, reverse=True)
    with Image.open(png) as image:
        width, height = image.size
    assert width == pytest.approx(6.9 * 300, abs=40)
    assert height < 9 * 300
    content = pdf.read_bytes()
    assert b"/Type3" not in content, "fonts are embedded as outlines"
    assert b"/FontFile2" in content
    before = png.read_bytes()
    assert api.figure(plan, kind, resources=CPU, width="full") == paths
    assert (png.read_bytes(), pdf.read_bytes()) == (before, content)


def test_every_kind_is_a_module_with_its_names() -> None:
    for kind in FIGURES:
        module = figure_module(kind)
        assert isinstance(module.NEEDS_IMAGES, bool)
        assert isinstance(module.NEEDS_SCORES, bool)
        assert callable(module.left_out)
        assert callable(module.draw)
    assert api.figure_kinds() == sorted(FIGURES)


def test_figures_are_drawn_from_the_door_and_the_command_line(
    plan: Plan,
    harness_command,  # type: ignore[no-untyped-def]
) -> None:
    paths = harness.figure(plan, "scatter", width="column")
    words = ("--methods", ",".join(METHODS), "--recipe", str(plan.out / "recipe.yaml"))
    words = (*words, "--out", str(plan.out))
    printed = harness_command("figure", "scatter", *words, "--width", "column")
    assert printed.returncode == 0, printed.stderr
    assert paths[0].name in printed.stdout
    printed = harness_command("figure", "grid", *words, "--images", "astronout#0")
    assert printed.returncode == 2
    assert "did you mean" in printed.stderr


# --- images ------------------------------------------------------------------------------


def pixels(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def rows_of(count: int, height: int = 60, width: int = 90, box: bool = True) -> list[ImageRow]:
    whole = pixels(height, width)
    place = Box(10, 10, 16, 16) if box else None
    shown = whole if place is None else place.cut(whole)
    cells = []
    for number in range(count):
        title = ("Degraded", "CPL", "moceir-s:spectral_balancing=on", "Ground truth")[number % 4]
        bold = (frozenset[int](), frozenset({0, 1}), frozenset({1}), frozenset({0}))[number % 4]
        cells.append(Cell(shown, title, ("28.42", "0.817"), best=bold))
    return [ImageRow(whole, place, "Derain: rain-001_with_a_long_name", tuple(cells))] * 2


@pytest.mark.parametrize("count", [2, 3, 5, 7, 10])
@pytest.mark.parametrize("width_in", [3.3, 6.9])
@pytest.mark.parametrize("box", [True, False])
@pytest.mark.parametrize("size", [(60, 90), (90, 60)], ids=["wide", "high"])
def test_grids_stay_legible(count: int, width_in: float, box: bool, size: tuple[int, int]) -> None:
    with paper_style():
        figure = draw_rows(rows_of(count, *size, box), width_in)
        figure.canvas.draw()
    assert figure.get_size_inches()[0] <= width_in + 0.01
    edges = figure.bbox
    boxes = []
    for text in figure.texts:
        assert text.get_fontsize() >= 8
        if text.get_text().strip():
            boxes.append(text.get_window_extent())
    images = [axes.get_window_extent() for axes in figure.axes]
    for place in [*boxes, *images]:
        assert edges.x0 - 1 <= place.x0
        assert place.x1 <= edges.x1 + 1
        assert edges.y0 - 1 <= place.y0
        assert place.y1 <= edges.y1 + 1
    for one, other in combinations(boxes, 2):
        assert not _overlap(one, other)
    for one in boxes:
        assert not any(_overlap(one, other) for other in images)
    per_row = count + 1 if box else count
    for number, image in enumerate(images):
        is_whole = box and number % per_row == 0
        assert is_whole or image.width / figure.dpi >= 0.8


def _overlap(one, other) -> bool:  # type: ignore[no-untyped-def]
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    up = min(one.y1, other.y1) - max(one.y0, other.y0)
    return bool(across > 1 and up > 1)


def test_enlarged_crops_are_not_blurred() -> None:
    row = rows_of(2)[0]
    with paper_style():
        figure = draw_rows([row], 6.9)
    shown = figure.axes[1].images[0]
    assert shown.get_interpolation() == "none"
    array = np.asarray(shown.get_array())
    assert array.shape[0] >= 16 * 10
    assert {tuple(p) for p in array.reshape(-1, 3).tolist()} == {
        tuple(p)
        for p in row.cells[0].pixels.reshape(-1, 3).tolist()  # type: ignore[union-attr]
    }


def test_a_grid_shows_all_methods_their_values_and_the_best_in_bold(plan: Plan) -> None:
    name = ("derain", "astronaut#0")
    api.keep_images(plan, [name], CPU)
    with paper_style():
        figure = figure_module("grid").draw(FigureRequest(plan, names=(name,)))
    shown = texts(figure)
    for text in ("Degraded", "PromptIR", "Restormer", "Ground truth", "PSNR / SSIM"):
        assert text in shown
    values: dict[str, list[float]] = {}
    for run in plan.runs:
        for result in read([run.folder.results]):
            if (result.column, result.image) == name and run.method.id in METHODS:
                values.setdefault(result.metric, []).append(result.value)
    expected = []
    for metric, decimals in zip(plan.metrics, (2, 3), strict=True):
        shown = [f"{value:.{decimals}f}" for value in values[metric]]
        expected += [max(shown, key=float)] * shown.count(max(shown, key=float))
    bold = []
    for text in figure.texts:
        if text.get_fontweight() == "bold":
            bold += text.get_text().split(" / ")
    assert sorted(bold) == sorted(expected)


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ([(28.42, 0.81), (28.51, 0.80)], [{1}, {0}]),
        ([(28.421, 0.81), (28.424, 0.80)], [{0, 1}, {0}]),
        ([(28.42, 0.8101), (28.51, 0.8104)], [{1}, {0, 1}]),
        ([(28.42, 0.81), (28.51, math.nan), (28.40, 0.82)], [set(), {0}, {1}]),
        ([(28.42, 0.81)], [set()]),
    ],
    ids=["one each", "equal digits", "equal digits of the second", "not finite", "alone"],
)
def test_the_best_of_a_row_is_that_of_each_metric_by_the_digits_shown(
    values: list[tuple[float, float]], best: list[set[int]]
) -> None:
    metrics = [metric_facts("psnr_rgb"), metric_facts("ssim_rgb_uniform7")]
    versions = []
    for psnr_db, ssim in values:
        own = {"psnr_rgb": psnr_db, "ssim_rgb_uniform7": ssim}
        versions.append(Version("one", None, own))
    degraded = Version("Degraded", None, {"psnr_rgb": 99.0, "ssim_rgb_uniform7": 1.0})
    image = ShownImage(("c", "i"), "", pixels(4, 4), degraded, tuple(versions))
    assert best_texts(image, metrics) == best


@pytest.mark.parametrize(
    ("width_in", "best", "written", "bold"),
    [
        (2.0, {0, 1}, ["28.42 / 0.817"], ["28.42 / 0.817"]),
        (2.0, {1}, ["28.42", "/", "0.817"], ["0.817"]),
        (2.0, set(), ["28.42 / 0.817"], []),
        (0.5, {0}, ["28.42", "0.817"], ["28.42"]),
    ],
)
def test_values_below_an_image_are_bold_by_themselves(
    width_in: float, best: set[int], written: list[str], bold: list[str]
) -> None:
    cell = Cell(pixels(8, 8), "", ("28.42", "0.817"), frozenset(best))
    with paper_style():
        figure = draw_rows([ImageRow(pixels(8, 8), None, "", (cell,))], width_in)
    shown = [text for text in figure.texts if text.get_text()]
    assert [text.get_text() for text in shown] == written
    assert [text.get_text() for text in shown if text.get_fontweight() == "bold"] == bold


def test_error_maps_have_the_mean_absolute_difference(plan: Plan) -> None:
    name = ("derain", "astronaut#0")
    paths = api.keep_images(plan, [name], CPU)
    clean, degraded = (
        np.asarray(Image.open(next(p for p in paths if kind in p.parts))).astype(float)
        for kind in ("clean", "degraded")
    )
    with paper_style():
        figure = figure_module("errors").draw(FigureRequest(plan, names=(name,)))
    assert f"{np.abs(degraded - clean).mean():.2f}" in texts(figure)
    assert "mean absolute difference (grey levels)" in texts(figure)


def test_a_crop_is_found_where_images_differ_most() -> None:
    one = pixels(120, 200)
    other = one.copy()
    other[70:95, 150:175] = 255 - other[70:95, 150:175]
    found = largest_difference([one, other])
    assert (found.width, found.height) == (32, 32)
    assert found.x <= 150 < 175 <= found.x + 32
    assert found.y <= 70 < 95 <= found.y + 32
    tiny = largest_difference([pixels(20, 50), pixels(20, 50, 1)])
    assert (tiny.width, tiny.height) == (20, 20)


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "-1,0,5,5", "0,0,0,5", "1.5,0,4,4"]
)
def test_a_crop_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--crop"):
        parse_crop(text)


def test_a_crop_outside_the_image_is_refused(plan: Plan) -> None:
    assert parse_crop("1, 2,3,4") == Box(1, 2, 3, 4)
    with pytest.raises(UsageError, match=r"60,0,8,8 lies outside image .*64x64 pixels"):
        api.figure(plan, "grid", images=["derain:astronaut#0"], crop="60,0,8,8", resources=CPU)
    paths = api.figure(plan, "grid", images=["derain:astronaut#0"], crop="56,0,8,8", resources=CPU)
    assert paths[0].exists()


def test_a_crop_is_refused_before_anything_is_restored(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "keep_images", pytest.fail)
    with pytest.raises(UsageError, match="lies outside"):
        api.figure(plan, "errors", images=["dehaze:astronaut#0"], crop="0,60,8,8", resources=CPU)


def test_images_are_chosen_where_methods_differ_most(tmp_path: Path) -> None:
    plan = plan_of(METHODS, tmp_path)
    names = [(c, i) for c, images in plan.test.images_by_column().items() for i in images]
    first, second = plan.runs[1:3]
    for run in (first, second):
        run.folder.path.mkdir(parents=True)
        run.folder.weights.touch()
    results(plan, 1, dict.fromkeys(names, 20.0))
    changed = dict.fromkeys(names, 20.0)
    changed[("derain", names[-1][1])] = 25.0
    changed[("derain", names[-2][1])] = 24.0
    changed[("dehaze", names[-1][1])] = 17.0
    changed[("denoise15", names[0][1])] = float("inf")
    results(plan, 2, changed)
    assert most_disputed(plan, 2) == [("derain", names[-1][1]), ("dehaze", names[-1][1])]
    assert len(most_disputed(plan, 500)) == len(names)


# --- plots -------------------------------------------------------------------------------


def test_a_scatter_counts_the_images_on_which_a_method_is_better() -> None:
    across = {("x", "1"): 20.0, ("x", "2"): 21.0, ("y", "1"): 30.0, ("y", "9"): 1.0}
    up = {("x", "1"): 22.0, ("x", "2"): 20.0, ("y", "1"): 31.0, ("z", "1"): 1.0}
    psnr = metric_facts("psnr_rgb")
    for metric, wins in ((psnr, 2), (replace(psnr, higher_is_better=False), 1)):
        figure = new_figure(3, 3)
        axes = figure.subplots()
        scatter_panel(axes, (across, up), {"x": "X", "y": "Y"}, metric)
        assert f"better on {wins} of 3" in texts(figure)
        assert axes.get_xlim() == axes.get_ylim()
        assert axes.get_legend_handles_labels()[1] == ["X", "Y"]


def test_a_scatter_takes_the_seeds_that_both_methods_have(tmp_path: Path) -> None:
    plan = plan_in(tmp_path / "out", seeds=(0, 1))
    names = [(c, i) for c, images in plan.test.images_by_column().items() for i in images]
    own = {run.method.id: n for n, run in enumerate(plan.runs) if run.train.seed == 0}
    other = {run.method.id: n for n, run in enumerate(plan.runs) if run.train.seed == 1}
    results(plan, own["promptir"], dict.fromkeys(names, 20.0))
    results(plan, other["promptir"], dict.fromkeys(names, 40.0))
    results(plan, own["restormer"], dict.fromkeys(names, 25.0))
    assert any(f"better on 0 of {len(names)}" in text for text in texts(drawn("scatter", plan)))
    apart = plan_in(tmp_path / "apart", seeds=(0, 1))
    results(apart, own["promptir"], {names[0]: 20.0})
    results(apart, other["restormer"], {names[0]: 25.0})
    with pytest.raises(HarnessError, match="no seed in common"):
        drawn("scatter", apart)


def test_no_label_of_many_scatters_is_cut(tmp_path: Path) -> None:
    plan = plan_in(tmp_path / "out", ["promptir", "restormer", "nafnet", "adair", "cpl", "spm"])
    names = [(c, i) for c, images in plan.test.images_by_column().items() for i in images]
    for number in range(1, len(plan.runs)):
        results(plan, number, {name: 20.0 + place for place, name in enumerate(names)})
    (png,) = (p for p in api.figure(plan, "scatter", width="column") if p.suffix == ".png")
    with Image.open(png) as image:
        edge = np.asarray(image.convert("L"))[:, [0, -1]]
    assert edge.min() > 200


def test_the_first_method_of_a_scatter_runs_up(tmp_path: Path) -> None:
    plan = plan_in(tmp_path)
    results(plan, 1, {("derain", "a"): 30.0, ("derain", "b"): 20.0})
    results(plan, 2, {("derain", "a"): 25.0, ("derain", "b"): 15.0})
    figure = drawn("scatter", plan)
    assert "better on 2 of 2" in texts(figure)
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Restormer, PSNR (dB)", "PromptIR, PSNR (dB)")


def test_differences_are_from_the_first_method_with_the_intervals_of_a_comparison(
    tmp_path: Path,
) -> None:
    plan = plan_of(["promptir", "nafnet", "restormer"], tmp_path, recipe="mini")
    names = [(c, i) for c, images in plan.test.images_by_column().items() for i in images]
    values = 30 + np.random.default_rng(0).standard_normal((2, len(names)))
    for number, own in zip((1, 3), values.tolist(), strict=True):
        results(plan, number, dict(zip(names, own, strict=True)))
    figure = drawn("differences", plan)
    compared = api.compare(plan, ["promptir", "restormer"])
    shown = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title() for axes in shown][-2:] == ["Derain", "Average"]
    # Of nafnet nothing is scored.
    assert [label.get_text() for label in shown[0].get_yticklabels()] == ["Restormer"]
    tests = [test for test in compared.tests if test.metric == plan.metrics[0]]
    for axes, test in zip(shown, tests, strict=True):
        assert test.delta is not None
        assert test.delta.low is not None
        assert test.delta.high is not None
        assert -test.delta.mean in [pytest.approx(line.get_xdata()[0]) for line in axes.lines]
        (bar,) = axes.collections
        # The other way around: the ends change places, up to what the bootstrap draws.
        ends = sorted(bar.get_segments()[0][:, 0])
        assert ends == pytest.approx([-test.delta.high, -test.delta.low], abs=0.02)
    assert "difference from PromptIR, 95% over images" in " ".join(texts(figure))


def test_a_method_of_fewer_seeds_takes_none_from_the_others(tmp_path: Path) -> None:
    methods = ["promptir", "nafnet", "restormer"]
    plan = plan_of(methods, tmp_path, recipe="mini", seeds=(0, 1, 2, 3), metrics=("lpips",))
    names = [(c, i) for c, images in plan.test.images_by_column().items() for i in images]
    rng = np.random.default_rng(0)
    for number, run in enumerate(plan.runs):
        if run.method.id in ("promptir", "restormer") or run.train.seed == 1:
            values = 30 + rng.standard_normal(len(names))
            results(plan, number, dict(zip(names, values.tolist(), strict=True)))
    figure = drawn("differences", plan)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["NAFNet, 1 of 4 seeds", "Restormer"]
    assert "95% over seeds and images, or images" in " ".join(texts(figure))


def test_where_less_is_better_a_figure_of_differences_says_so(tmp_path: Path) -> None:
    plan = plan_of(["promptir", "restormer"], tmp_path)
    names = [(c, i) for c, images in plan.test.images_by_column().items() for i in images]
    for metric, is_said in ((plan.metrics[0], False), ("pyiqa:lpips", True)):
        shown = replace(plan, metrics=(metric,))
        for number in (1, 2):
            results(shown, number, dict.fromkeys(names, 1.0))
        assert ("less LPIPS is better" in " ".join(texts(drawn("differences", shown)))) is is_said


def test_differences_need_the_first_method(tmp_path: Path) -> None:
    plan = plan_of(["promptir", "nafnet", "restormer"], tmp_path)
    for number in (2, 3):
        results(plan, number, {("derain", "a"): 30.0})
    with pytest.raises(HarnessError, match="no scores of the first of these methods"):
        drawn("differences", plan)


@pytest.mark.parametrize("points", [[], [[20.0, 20.0]], [[1.0, 2.0], [3.0, 0.0]]])
def test_axes_around_a_diagonal_are_alike(points: list[list[float]]) -> None:
    axes = new_figure(3, 3).subplots()
    draw_diagonal(axes, np.array(points).reshape(-1, 2))
    low, high = axes.get_xlim()
    assert low < high
    assert axes.get_ylim() == (low, high)
    assert list(axes.get_xticks()) == list(axes.get_yticks())


def test_a_legend_of_long_names_takes_its_own_height() -> None:
    heights = []
    for length in (3, 90):
        with paper_style():
            figure = new_figure(3.3, 2.0)
            axes = figure.subplots()
            for number in range(8):
                axes.plot([0, 1], [number, number], label=f"{number}" * length)
            legend_above(figure, axes, 3.3)
            figure.canvas.draw()
        (legend,) = figure.legends
        box = legend.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1
        heights.append(axes.get_window_extent().height)
    assert heights[1] == pytest.approx(heights[0], rel=0.15)


# --- names of one's own ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["swap", "routing"])
def test_prompts_are_shown_by_the_labels_of_columns(kind: str, plan: Plan) -> None:
    labels = {"promptir": "Ours", "derain": "Rain $1"}
    asked = replace(plan, request=plan.request.model_copy(update={"labels": labels}))
    first = drawn(kind, worded(asked)).axes[0]
    rows = [label.get_text() for label in first.get_yticklabels()]
    assert (rows[0], rows[-1]) == ("σ=15", r"Rain \$1")
    assert "Ours" in first.get_title()


@pytest.mark.parametrize("kind", ["grid", "scatter", "differences", "cost"])
def test_figures_show_the_labels_of_a_request(kind: str, plan: Plan) -> None:
    labels = {"promptir": "Ours $1", "derain": "Rain", "psnr": "Quality"}
    asked = replace(plan, request=plan.request.model_copy(update={"labels": labels}))
    name = next(iter(plan.test.images_by_column()["derain"]))
    if kind == "grid":
        api.keep_images(plan, [("derain", name)], CPU)
    request = FigureRequest(worded(asked), None, (("derain", name),))
    with paper_style():
        figure = figure_module(kind).draw(request)
    shown = " ".join([*texts(figure), *legends(figure)])
    assert "Ours" in shown
    assert "Quality" in shown
    assert "PromptIR" not in shown
    assert ("Rain: " in shown) == (kind == "grid")


def test_a_label_that_nothing_has_or_two_methods_share_is_refused(plan: Plan) -> None:
    for labels, message in (
        ({"promtir": "Ours"}, "did you mean 'promptir'"),
        ({"promptir": "Ours", "restormer": "Ours"}, "calls both promptir and restormer 'Ours'"),
        ({"promptir": "Restormer"}, "calls both promptir and restormer 'Restormer'"),
    ):
        asked = replace(plan, request=plan.request.model_copy(update={"labels": labels}))
        with pytest.raises(UsageError, match=message):
            api.figure(asked, "scatter")


def test_labels_are_refused_before_an_image_is_restored(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.api.figures.keep_images", pytest.fail)
    request = plan.request.model_copy(update={"labels": {"promtir": "Ours"}})
    with pytest.raises(UsageError, match="did you mean 'promptir'"):
        api.figure(replace(plan, request=request), "grid")


def test_a_method_without_scores_is_said_to_be_left_out(plan: Plan) -> None:
    more = plan_in(plan.out, [*METHODS, "nafnet"])
    for kind in FIGURES:
        assert api.left_out_note(plan, kind) == ""
        assert "of nafnet; the figure is without them" in api.left_out_note(more, kind)
    fewer = plan_in(plan.out, seeds=(0, 1))
    said = {kind: api.left_out_note(fewer, kind) for kind in ("cost", "swap", "routing", "scatter")}
    assert "not all scores of promptir, restormer" in said["cost"]
    assert "nothing on the prompts of promptir seed 1" in said["swap"] == said["routing"]
    assert said["scatter"] == ""


@pytest.mark.parametrize("kind", ["scatter", "differences"])
def test_a_figure_of_pairs_needs_two_methods(kind: str, plan: Plan) -> None:
    with pytest.raises(UsageError, match="--methods A,B"):
        drawn(kind, plan_in(plan.out, ["promptir"]))


def validate(plan: Plan, number: int, values: dict[int, float]) -> None:
    folder = plan.runs[number].folder
    folder.path.mkdir(parents=True, exist_ok=True)
    lines = []
    for step, value in values.items():
        line = {"step": step, "score": value, "per_task": {"derain": value}}
        lines.append(json.dumps({**line, "losses": {"l1": value / 100}}))
    folder.validation.write_text("\n".join(lines) + "\n")


def test_curves_are_means_over_seeds_with_their_range(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, ["promptir"], seeds=(0, 1))
    validate(plan, 1, {10: 20.0, 20: 24.0})
    validate(plan, 2, {10: 22.0, 20: 30.0})
    figure = drawn("curves", plan)
    assert [axes.get_title() for axes in figure.axes] == [
        *("mean over tasks (dB)", "Derain (dB)"),
        "loss l1",
    ]
    (line,) = figure.axes[0].lines
    assert line.get_ydata().tolist() == [21.0, 27.0]  # type: ignore[union-attr]
    (band,) = figure.axes[0].collections
    assert band.get_datalim(figure.axes[0].transData).intervaly.tolist() == [20.0, 30.0]


def test_trainings_store_their_loss_terms(plan: Plan) -> None:
    course = course_of(plan.runs[1])
    assert list(course) == [2]
    terms = [name for name in course[2] if name.startswith("loss ")]
    assert terms == ["loss l1"]
    assert 0 < course[2]["loss l1"] < 1


def test_a_repeated_validation_counts_once_and_damage_is_named(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, ["promptir"])
    validate(plan, 1, {10: 20.0})
    path = plan.runs[1].folder.validation
    path.write_text(path.read_text() + path.read_text().replace("20.0", "21.0"))
    assert course_of(plan.runs[1]) == {
        10: {"mean over tasks": 21.0, "derain": 21.0, "loss l1": 0.2}
    }
    path.write_text('{"step": 1}\n')
    with pytest.raises(HarnessError, match=r"validation\.jsonl, line 1, is no validation"):
        course_of(plan.runs[1])


def test_runs_of_other_lengths_and_seeds_are_shown_by_steps(plan: Plan, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(plan.out, out)
    longer = out / "longer.yaml"
    longer.write_text(
        QUICK_RECIPE.replace("{steps: 2,", "{steps: 3,").replace("decay_steps: 2", "decay_steps: 3")
    )
    smaller = out / "smaller.yaml"
    smaller.write_text(QUICK_RECIPE.replace("{steps: 2,", "{batch: 1, steps: 2,"))
    for recipe, value in ((longer, 33.0), (smaller, 44.0)):
        other = plan_of(["promptir"], out, recipe=str(recipe), seeds=(0, 1))
        names = [(c, i) for c, images in other.test.images_by_column().items() for i in images]
        for number in (1, 2):
            results(other, number, dict.fromkeys(names, value + number))
            run = other.runs[number]
            write_json(run.folder.spec, run.train.model_dump(mode="json"))
    shown = plan_in(out, seeds=(0, 1))
    lengths = lengths_of(shown, shown.runs[1])
    assert {seed: sorted(by_steps) for seed, by_steps in lengths.items()} == {0: [2, 3], 1: [3]}
    assert lengths[0][3]["derain"] == 34.0
    assert lengths[0][3]["average"] == 34.0
    # Seed 1 has no training of two steps: the line is of seed 0 alone, and three have a range.
    figure = drawn("steps", shown)
    line = figure.axes[0].lines[0]
    assert line.get_xdata().tolist() == [2, 3]  # type: ignore[union-attr]
    assert line.get_ydata()[1] == 34.0  # type: ignore[index]
    (bar,) = (lines for lines in figure.axes[0].collections if isinstance(lines, LineCollection))
    assert bar.get_segments()[0].tolist() == [[3, 34.0], [3, 35.0]]
    label = "training steps; lines: seed 0; bands: range of seeds 0, 1 at 3"
    assert figure.get_supxlabel() == label
    titles = [axes.get_title() for axes in figure.axes if axes.axison]
    assert titles[-2:] == ["Derain", "Average"]
    with pytest.raises(HarnessError, match="two numbers of steps"):
        drawn("steps", plan_in(out, seeds=(1,)))


def test_lengths_that_are_not_one_training_each_are_not_mixed(plan: Plan, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(plan.out, out)
    folder = plan_in(out).runs[1].folder.path
    spec = json.loads((folder / "spec.json").read_text())
    for name, changes in {
        "own-length": {"warmup_steps": 1},
        "longer": {"steps": 3},
        "longer-too": {"steps": 3, "warmup_steps": 1},
    }.items():
        shutil.copytree(folder, out / name)
        optimisation = {**spec["optimisation"], **changes}
        write_json(out / name / "spec.json", {**spec, "optimisation": optimisation})
        if name == "longer":
            shown = plan_in(out)
            lengths = lengths_of(shown, shown.runs[1])
            own = read([shown.runs[1].folder.results])
            of_column = [r.value for r in own if (r.column, r.metric) == ("derain", "psnr_rgb")]
            assert lengths[0][2]["derain"] == pytest.approx(np.mean(of_column))
    with pytest.raises(HarnessError, match="longer-too are both of 3 steps and seed 0; move one"):
        drawn("steps", plan_in(out))


def test_costs_leave_out_what_was_counted_of_other_options(plan: Plan) -> None:
    promptir, restormer = plan.runs[1:]
    other = replace(restormer.method, overrides={"dim": "22"})
    assert multiply_accumulates([restormer]) != MISSING
    assert multiply_accumulates([replace(restormer, method=other)]) == MISSING
    assert multiply_accumulates([promptir]) != MISSING


def test_costs_are_the_extra_columns_that_are_known(plan: Plan) -> None:
    labels = [axes.get_xlabel() for axes in drawn("cost", plan).axes]
    assert labels == ["Params (M)", "MACs (G, full size)", "Training (min)"]


@pytest.mark.parametrize("kind", ["swap", "routing"])
def test_prompts_are_shown_in_the_columns_that_are_asked_for(kind: str, plan: Plan) -> None:
    request = plan.request.model_copy(update={"columns": ("derain", "denoise25")})
    axes = drawn(kind, replace(plan, request=request)).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["σ=25", "Derain"]
    is_swap = kind == "swap"
    assert not is_swap or len(axes.texts) == 4


@pytest.mark.parametrize("kind", ["swap", "routing"])
def test_titles_above_prompts_do_not_overlap(kind: str, plan: Plan) -> None:
    name = "A name that is longer than any panel of these figures is wide"
    request = plan.request.model_copy(update={"labels": {"promptir": name}})
    figure = drawn(kind, worded(replace(plan, request=request)))
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    figure.draw_without_rendering()
    boxes = [axes.title.get_window_extent(renderer) for axes in figure.axes if axes.axison]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width for box in boxes)


def test_a_width_that_is_too_small_for_prompts_is_refused(plan: Plan) -> None:
    labels = {"derain": "rain that falls on a long name of a column"}
    asked = replace(plan, request=plan.request.model_copy(update={"labels": labels}))
    with pytest.raises(UsageError, match=r"--width 3.3 in is too small .* leave --width out"):
        api.figure(asked, "routing", width="column")


def test_swaps_and_routing_show_every_run_with_prompts(plan: Plan) -> None:
    titles = [axes.get_title() for axes in drawn("routing", plan).axes]
    assert "PromptIR\nlevel1" in titles
    assert not any("Restormer" in title for title in titles)
    swaps = drawn("swap", plan)
    assert [axes.get_title() for axes in swaps.axes] == ["PromptIR"]
    columns = len(plan.columns)
    assert len(swaps.axes[0].texts) == columns**2
    with pytest.raises(HarnessError, match="nothing on the prompts"):
        drawn("swap", plan_in(plan.out, ["restormer"]))


# --- what is refused ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(FIGURES))
def test_nothing_stored_says_what_to_run(kind: str, tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"python -m harness run --methods|--recipe|--probes"):
        api.figure(plan_in(tmp_path), kind, resources=CPU)
    assert not (tmp_path / "figures").exists()


def test_a_plan_of_one_length_says_how_to_get_two(plan: Plan) -> None:
    with pytest.raises(HarnessError, match="two numbers of steps"):
        api.figure(plan, "steps")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda plan: api.figure(plan, "gird"), "no figure 'gird'; did you mean 'grid'"),
        (lambda plan: api.figure(plan, "grid", images=["astro"]), "no image .* did you mean"),
        (lambda plan: api.figure(plan, "grid", images=[("rain", "a")]), "no column 'rain'"),
        (lambda plan: api.figure(plan, "curves", images=["astronaut#0"]), "shows no images"),
        (lambda plan: api.figure(plan, "grid", width="wide"), "no width 'wide'"),
        (lambda plan: api.figure(plan, "grid", rows=51), "at most 50 images, not 51"),
        (lambda plan: api.figure(plan, "grid", colour="red"), "the options images, rows"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    call: Callable[[Plan], object], message: str, plan: Plan
) -> None:
    with pytest.raises(UsageError, match=message):
        call(plan)


def test_long_names_are_broken_into_lines_that_fit() -> None:
    broken = wrapped("mioir-ep:prompt_maps=everything:top_k=2", 1.0)
    assert all(text_width_in(line) <= 1.0 for line in broken.split("\n"))
    assert broken.count("\n") <= 2
    assert wrapped("a" * 200, 0.5).endswith("…")
    assert wrapped("CPL", 1.0) == "CPL"
