"""Comparisons image by image: tests against scipy and by hand, missing values, tables, figures."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
import shlex
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from numpy.typing import NDArray

import harness
from harness.config.errors import HarnessError, UsageError
from harness.config.files import load_data_set
from harness.config.run_specs import TestFiles, TestSet
from harness.config.settings import Column
from harness.data.on_disk.clean_names import clean_names
from harness.evaluation.metrics import metric_facts
from harness.planning.plan import Plan
from harness.published.tables import AVERAGE
from harness.reporting.apart import seconds_apart
from harness.reporting.benchmark_table import benchmark_table
from harness.reporting.comparison.diagram import draw_ranking
from harness.reporting.comparison.pairs import (
    PairedColumn,
    extremes,
    paired_columns,
    parts_of_average,
)
from harness.reporting.comparison.rank_tests import (
    critical_difference,
    friedman_p,
    holm,
    sign_flip_p,
    signed_rank_p,
)
from harness.reporting.comparison.ranking import ranking, ranking_text
from harness.reporting.comparison.report import Comparison
from harness.reporting.comparison.values import CommonValues
from harness.reporting.plan_summary import results_by_method, summary_of
from harness.reporting.statistics import (
    Difference,
    Spread,
    difference,
    has_enough,
    pair_differences,
)
from harness.store.image_files import image_paths, write_image
from harness.store.results import append
from tests.conftest import Run
from tests.made_results import result_of
from tests.plans import plan_of

PSNR = metric_facts("psnr_rgb")
ROOT = Path(__file__).parents[1]
ARCHIVE = ROOT / "results" / "reference" / "three-task"

Value = Callable[[str, int, str, str], float | None]
"""PSNR of method, seed, column and image; None where there is none."""


def stored(out: Path, methods: Sequence[str], value: Value, **fields: object) -> Plan:
    """Return a plan of the recipe mini with made-up results: 4 clean images, 36 test images."""
    plan = plan_of(methods, out, **{"recipe": "mini", **fields})
    for run in plan.runs:
        found = []
        for column, images in plan.test.images_by_column().items():
            for image in images:
                psnr_db = value(run.method.id, run.train.seed, column, image)
                for metric, scale in zip(plan.metrics, (1.0, 0.01), strict=True):
                    if psnr_db is None:
                        continue
                    found.append(result_of(plan, run, (column, image, metric), psnr_db * scale))
        if found:
            run.folder.path.mkdir(parents=True, exist_ok=True)
            append(run.folder.results, found)
    return plan


def noisy(method: str, seed: int, column: str, image: str) -> float:
    """PSNR of which an image costs all methods alike; spm is 1 dB better, with little noise."""
    clean, _, draw = image.partition("#")
    hard = {"astronaut": 0, "chelsea": 1, "china": 2, "coffee": 3}.get(clean, 4)
    better = {"degraded-input": -9.0, "promptir": 0.0, "spm": 1.0, "cpr": 0.001}[method]
    jitter = math.sin(17 * hard + 5 * seed + 3 * len(column) + 7 * int(draw) + len(method))
    return 30.0 - 2 * hard + better + 0.1 * jitter


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    out = tmp_path_factory.mktemp("compared")
    return harness.compare(stored(out, ["spm", "promptir"], noisy, seeds=(0, 1, 2)))


def pair_in(found: Comparison, column: str, metric: str = "psnr_rgb") -> PairedColumn:
    return next(test for test in found.tests if (test.column, test.metric) == (column, metric))


def common_of(values: NDArray[np.float64], template: CommonValues) -> CommonValues:
    """Return PSNR (methods, seeds, images) as what several methods have of one column."""
    import dataclasses

    column = template.request.columns[0]
    methods = [
        dataclasses.replace(template.candidates[0], id=f"m{place}", label=f"M{place}")
        for place in range(len(values))
    ]
    return dataclasses.replace(
        template,
        candidates=tuple(methods),
        request=dataclasses.replace(
            template.request,
            columns=(column,),
            metrics=(PSNR,),
            seeds=tuple(range(values.shape[1])),
        ),
        seeds=tuple(range(values.shape[1])),
        images=tuple((column.name, f"{place}#0") for place in range(values.shape[2])),
        by_metric={PSNR.id: values},
        expected=values.shape[2],
    )


# --- tests on ranks ------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 5, 6, 12, 30, 50, 51, 300])
def test_signed_ranks_agree_with_scipy(count: int) -> None:
    from scipy.stats import wilcoxon

    differences = np.random.default_rng(count).normal(0.3, 1.0, count)
    method = "exact" if count <= 50 else "approx"
    expected = wilcoxon(differences, method=method, correction=False).pvalue
    assert signed_rank_p(differences) == pytest.approx(expected, rel=1e-9)


@given(
    values=st.lists(
        st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, np.inf, -np.inf]),
        min_size=1,
        max_size=9,
    )
)
@hypothesis_settings(max_examples=60)
def test_signed_ranks_are_exact_with_ties_and_zeros(values: list[float]) -> None:
    """Against all signs of the ranks, one after the other."""
    from scipy.stats import rankdata

    differences = np.array(values)
    changed = differences[differences != 0]
    found = signed_rank_p(differences)
    if not len(changed):
        assert found == 1.0
        return
    ranks = rankdata(np.abs(changed))
    all_sums = [
        sum(rank for rank, sign in zip(ranks, signs, strict=True) if sign)
        for signs in itertools.product((False, True), repeat=len(ranks))
    ]
    own = ranks[changed > 0].sum()
    low = np.mean([total <= own for total in all_sums])
    high = np.mean([total >= own for total in all_sums])
    assert found == pytest.approx(min(1.0, 2 * min(low, high)))
    assert found == pytest.approx(signed_rank_p(-differences))


def test_fewer_than_six_images_are_never_below_five_percent() -> None:
    assert signed_rank_p(np.arange(1.0, 6.0)) == pytest.approx(0.0625)
    assert signed_rank_p(np.arange(1.0, 7.0)) == pytest.approx(0.03125)
    assert signed_rank_p(np.array([1.0, np.nan])) is None


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_friedman_agrees_with_scipy_and_nemenyi_with_demsar() -> None:
    from scipy.stats import friedmanchisquare, rankdata

    values = np.random.default_rng(0).integers(0, 6, (12, 5)).astype(float)
    expected = friedmanchisquare(*values.T).pvalue
    assert friedman_p(rankdata(values, axis=1)) == pytest.approx(expected)
    assert friedman_p(np.ones((4, 5)) * 3) == 1.0, "all alike on every image"
    # Table 5a of Demšar (2006): q of 5 methods is 2.728, of 10 it is 3.164.
    assert critical_difference(14, 5) == pytest.approx(2.728 * math.sqrt(30 / 84), abs=1e-3)
    assert critical_difference(30, 10) == pytest.approx(3.164 * math.sqrt(110 / 180), abs=1e-3)


# --- intervals -----------------------------------------------------------------------------


def test_an_interval_agrees_with_scipy() -> None:
    from scipy.stats import bootstrap

    values = np.random.default_rng(3).normal(0.2, 1.0, 40)
    paired = pair_differences(values[None], [("c", f"{place}#0") for place in range(40)])
    found = difference(paired, "images")
    expected = bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", random_state=0
    ).confidence_interval
    assert found.low == pytest.approx(expected.low, abs=0.02)
    assert found.high == pytest.approx(expected.high, abs=0.02)


@given(
    values=st.lists(st.floats(-20, 20), min_size=8, max_size=24).filter(lambda v: len(v) % 2 == 0),
    spread=st.sampled_from(["images", "seeds and images"]),
)
@hypothesis_settings(max_examples=40)
def test_properties_of_an_interval(values: list[float], spread: Spread) -> None:
    apart = np.array(values).reshape(2, -1)
    images = [("c", f"{place}#0") for place in range(apart.shape[1])]
    found = difference(pair_differences(apart, images), spread)
    turned = difference(pair_differences(-apart, images), spread)
    assert found.low is not None
    assert found.high is not None
    assert turned.mean == pytest.approx(-found.mean)
    assert found.low - 1e-9 <= found.high
    assert min(values) - 1e-9 <= found.low
    assert found.high <= max(values) + 1e-9
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low), abs=1e-9)


@pytest.mark.parametrize(
    ("seeds", "images", "spread", "enough"),
    [
        (1, 3, "images", False),
        (1, 4, "images", True),
        (3, 9, "seeds", False),
        (4, 1, "seeds", True),
        (1, 9, "seeds and images", False),
        (2, 4, "seeds and images", True),
        (2, 3, "seeds and images", False),
    ],
)
def test_too_few_have_no_interval(seeds: int, images: int, spread: Spread, enough: bool) -> None:
    paired = pair_differences(np.ones((seeds, images)), [("c", str(i)) for i in range(images)])
    assert has_enough(paired, spread) is enough


def test_degradations_of_one_image_are_no_further_images() -> None:
    paired = pair_differences(np.ones((1, 6)), [("c", "same")] * 6)
    assert not has_enough(paired, "images")


SETS = {
    "cdd11-test": ("haze_rain/00012", "low/00012", "low/00013"),
    "sots-outdoor": ("0001_0.8_0.2", "0001_1_0.08", "0002_0.8_0.2"),
    "weatherstream-rain": ("123_0/degraded-1", "123_0/degraded-2", "260_0/degraded-1"),
    "outdoor-rain": ("im_0001_s80_a04", "im_0001_s95_a06", "im_0002_s80_a04"),
}
"""By data set on disk, two test images of one clean image and one of another."""


@pytest.mark.parametrize("name", sorted(SETS))
def test_images_on_disk_of_one_clean_image_are_known_by_their_names(name: str) -> None:
    for layout in load_data_set(name).layouts:
        first, second, other = (clean_of(name, layout.name, image) for image in SETS[name])
        assert first == second, layout.name
        assert first != other, layout.name


def test_images_of_two_sets_with_one_name_have_two_clean_images() -> None:
    assert clean_of("kodak24", "flat", "1") != clean_of("mcmaster", "flat", "1")


def clean_of(name: str, layout: str, image: str) -> str:
    files = TestFiles(column="c", set=name, layout=layout, images=(image,), sha256="")
    columns = (Column(name="c", task="t"),)
    test = TestSet.model_construct(columns=columns, photographs=(), files=(files,), folder=None)
    return clean_names(test)["c", image]


def test_every_column_needs_enough_images() -> None:
    names = [("a", f"{place}#0") for place in range(8)] + [("b", "0#0"), ("b", "1#0")]
    assert not has_enough(pair_differences(np.ones((1, 10)), names), "images")


def test_the_p_of_an_average_is_of_the_mean_over_columns() -> None:
    """Columns of many images lose a little, those of few win much: the average is a win."""
    sizes, gains = (68, 500, 100, 1111, 15), (0.5, -0.05, 0.5, -0.05, 0.5)
    images = [(str(c), f"{c}/{i}") for c, size in enumerate(sizes) for i in range(size)]
    noise = np.random.default_rng(0).normal(0, 0.3, len(images))
    apart = np.repeat(gains, sizes) + noise
    assert sign_flip_p(parts_of_average(apart, images)) == pytest.approx(1 / 10_001)
    assert parts_of_average(apart, images).sum() == pytest.approx(0.28, abs=0.05)
    apart -= np.repeat([apart[[c == str(k) for c, _ in images]].mean() for k in range(5)], sizes)
    p = sign_flip_p(parts_of_average(apart + 1e-9, images))
    assert p is not None
    assert p > 0.9


@pytest.mark.parametrize(
    ("parts", "p"),
    [([1.0, 2.0, 3.0], 0.25), ([1.0, -1.0, 0.0], 1.0), ([0.0, 0.0], 1.0), ([1.0, math.inf], None)],
)
def test_signs_of_few_parts_are_all_tried(parts: list[float], p: float | None) -> None:
    assert sign_flip_p(np.array(parts)) == p


# --- pairs ---------------------------------------------------------------------------------


def test_numbers_by_hand(compared: Comparison) -> None:
    test = pair_in(compared, "dehaze")
    frame = compared.images_dataframe()
    own = frame[(frame["metric"] == "psnr_rgb") & (frame["column"] == "dehaze")]
    apart = own["spm"] - own["promptir"]
    assert test.delta is not None
    assert test.delta.mean == pytest.approx(apart.mean())
    assert test.means == pytest.approx((own["spm"].mean(), own["promptir"].mean()))
    assert test.win_rate == 1.0
    assert (test.images, test.clean_images) == (16, 4)
    assert test.p == 0.125, "four clean images of one sign"
    average = pair_in(compared, AVERAGE)
    columns = [one.delta.mean for one in compared.tests if one.metric == PSNR.id and one.delta][:-1]
    assert average.delta is not None
    assert average.delta.mean == pytest.approx(np.mean(columns))
    assert average.delta.excludes_zero


@given(
    values=st.lists(st.integers(0, 6), min_size=8, max_size=8),
    others=st.lists(st.integers(0, 6), min_size=8, max_size=8),
)
@hypothesis_settings(max_examples=30)
def test_a_pair_turned_round(compared: Comparison, values: list[int], others: list[int]) -> None:
    array = np.array([values, others], dtype=float)[:, None]
    there = paired_columns(common_of(array, compared.common), "images", [(0, 1)])[0]
    back = paired_columns(common_of(array[::-1], compared.common), "images", [(0, 1)])[0]
    assert there.delta is not None
    assert back.delta is not None
    assert there.delta.mean == pytest.approx(-back.delta.mean)
    assert there.win_rate is not None
    assert back.win_rate is not None
    assert there.win_rate + back.win_rate == pytest.approx(1.0)
    assert there.p == pytest.approx(back.p)
    if values == others:
        assert (there.win_rate, there.p) == (0.5, 1.0)


def test_less_is_better_turns_wins_and_not_differences(compared: Comparison) -> None:
    import dataclasses

    array = np.array([[[2.0] * 6], [[1.0] * 6]])
    common = common_of(array, compared.common)
    lower = dataclasses.replace(PSNR, higher_is_better=False)
    common = dataclasses.replace(
        common, request=dataclasses.replace(common.request, metrics=(lower,))
    )
    test = paired_columns(common, "images", [(0, 1)])[0]
    assert test.delta is not None
    assert test.delta.mean == 1.0
    assert test.win_rate == 0.0


def test_values_that_are_not_finite(compared: Comparison) -> None:
    """Infinite values win and rank, and have no mean; NaN has nothing."""
    array = np.full((2, 1, 6), 30.0)
    array[0, 0, 0] = np.inf
    array[:, 0, 1] = np.inf
    array[0, 0, 2:] += 1
    test = paired_columns(common_of(array, compared.common), "images", [(0, 1)])[0]
    assert test.delta is None
    assert test.win_rate == pytest.approx(5.5 / 6), "two perfect restorations are a tie"
    assert test.p == pytest.approx(0.0625), "five of one sign; the tie is left out"
    common = common_of(array, compared.common)
    assert extremes(common, (0, 1), PSNR, 1)[0].difference == np.inf
    array[0, 0, 3] = np.nan
    test = paired_columns(common_of(array, compared.common), "images", [(0, 1)])[0]
    assert (test.delta, test.win_rate, test.p, test.p_holm) == (None, None, None, None)
    names = [one.image for one in extremes(common_of(array, compared.common), (0, 1), PSNR, 9)]
    assert "3#0" not in names


def test_extremes_are_sorted_and_never_of_the_wrong_sign(compared: Comparison) -> None:
    array = np.array([[[3.0, 1.0, 5.0, 2.0, 2.0]], [[1.0, 4.0, 2.0, 2.0, 2.5]]])
    found = extremes(common_of(array, compared.common), (0, 1), PSNR, 4)
    assert [one.difference for one in found] == [3.0, 2.0, -0.5, -3.0]
    assert (found[0].image, found[0].values) == ("2#0", (5.0, 2.0))
    assert extremes(common_of(array, compared.common), (0, 1), PSNR, 0) == []


def test_gains_are_where_the_first_method_is_better(compared: Comparison) -> None:
    common = common_of(np.array([[[2.0, 1.0]], [[1.0, 3.0]]]), compared.common)
    lower = dataclasses.replace(PSNR, higher_is_better=False)
    assert [one.image for one in extremes(common, (0, 1), lower, 1)] == ["1#0", "0#0"]


# --- pictures and names --------------------------------------------------------------------


def keep_pictures(found: Comparison) -> None:
    """Put an image in the place of each that a comparison names, of every run."""
    for number, run in enumerate(found.plan.runs):
        assert run.score is not None
        for one in found.extremes:
            for path in image_paths(run.folder, run.score, one.column, one.image).all:
                write_image(path, np.full((48, 64, 3), 40 * number, dtype=np.uint8))


def test_the_images_that_differ_most_are_drawn_or_how_to_draw_them_is_said(tmp_path: Path) -> None:
    plan = stored(tmp_path, ["spm", "promptir", "cpr"], noisy, labels={"spm": "Ours & co"})
    found = harness.compare(plan, ["spm", "promptir"], extremes=1)
    assert not [path for path in found.draw(tmp_path / "figures") if "images" in path.name]
    assert found.pictures_command() == "", "without weights nothing can be drawn"
    for run in plan.runs:
        run.folder.weights.touch()
    words = shlex.split(found.pictures_command())
    assert words[3:5] == ["figure", "grid"]
    named = [words[place + 1] for place, word in enumerate(words) if word == "--images"]
    assert named == [f"{one.column}:{one.image}" for one in found.extremes]
    assert words[words.index("--methods") + 1] == "spm,promptir"
    keep_pictures(found)
    assert found.pictures_command() == ""
    paths = [path for path in found.draw(tmp_path / "figures") if "images" in path.name]
    assert {path.suffix for path in paths} == {".png", ".pdf"}
    assert harness.compare(plan, extremes=0).pictures_command() == ""


@pytest.mark.parametrize("label", ["M", "CPL-guided (this project)", "option=value:" * 12])
def test_names_beside_ranks_are_whole_lines_inside_the_figure(
    label: str, archive: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    figures: list[Figure] = []
    monkeypatch.setattr(
        "harness.reporting.comparison.diagram.save", lambda made, stem: figures.append(made)
    )
    plan = plan_of(FIVE, archive, recipe="mini", seeds=(0, 1, 2))
    found = harness.compare(plan, extremes=0)
    labels = {name: f"{label} {place}" for place, name in enumerate(FIVE)}
    candidates = [dataclasses.replace(one, label=labels[one.id]) for one in found.common.candidates]
    common = dataclasses.replace(found.common, candidates=tuple(candidates))
    draw_ranking(found.rankings[0], common, tmp_path / "ranks")
    (figure,) = figures
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert all(box.y0 >= 0 and box.y1 <= figure.bbox.y1 for box in boxes)
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)


def test_labels_of_a_request_are_shown(tmp_path: Path) -> None:
    labels = {"spm": "Ours", "derain": "Rain"}
    found = harness.compare(stored(tmp_path, ["spm", "promptir"], noisy, labels=labels))
    text = str(found)
    assert "Images on which Ours gains" in text
    assert "Rain" in text
    assert "SPM" not in text
    with pytest.raises(UsageError, match="--label smp"):
        harness.compare(stored(tmp_path, ["spm", "promptir"], noisy, labels={"smp": "Ours"}))


def test_several_pairs_have_headings_that_a_narrow_terminal_repeats(tmp_path: Path) -> None:
    found = harness.compare(stored(tmp_path, ["spm", "promptir", "cpr"], noisy))
    text = found.to_text(width=60)
    assert max(map(len, text.splitlines())) <= 60
    pairs = [line for line in text.splitlines() if line.rstrip().endswith(":") and " − " in line]
    assert len(set(pairs)) == 3
    assert len(pairs) >= 2 * 2 * 3, "two metrics, and at least two grids of each"
    assert found.to_latex().count(r"\itshape") == 2 * 3


# --- what is missing -----------------------------------------------------------------------


def test_only_common_images_are_compared_and_the_rest_is_said(tmp_path: Path) -> None:
    def value(method: str, seed: int, column: str, image: str) -> float | None:
        is_lost = method == "spm" and seed == 1 and column == "derain" and "china" in image
        return None if is_lost else noisy(method, seed, column, image)

    found = harness.compare(stored(tmp_path, ["spm", "promptir"], value, seeds=(0, 1)))
    assert len(found.common.images) == 34
    assert pair_in(found, "derain").images == 6
    text = " ".join(str(found).split())
    assert "2 left out, which not all have (SPM lacks 2)" in text
    assert pair_in(found, "derain").delta is not None
    assert "too few" in text, "three clean images are left of derain"


def test_seeds_that_not_all_have_are_left_out(tmp_path: Path) -> None:
    def value(method: str, seed: int, column: str, image: str) -> float | None:
        return None if (method, seed) == ("spm", 2) else noisy(method, seed, column, image)

    found = harness.compare(stored(tmp_path, ["spm", "promptir"], value, seeds=(0, 1, 2)))
    assert found.common.seeds == (0, 1)
    assert "seed 2 left out" in " ".join(str(found).split())


def test_a_column_that_nobody_shares_leaves_no_average(tmp_path: Path) -> None:
    def value(method: str, seed: int, column: str, image: str) -> float | None:
        return None if (method, column) == ("spm", "dehaze") else noisy(method, seed, column, image)

    plan = stored(tmp_path, ["spm", "promptir"], value)
    text = " ".join(str(harness.compare(plan)).split())
    assert "Average: none, for Dehaze cannot be compared (--columns " in text


def test_what_is_untrained_counts_under_every_seed(tmp_path: Path) -> None:
    plan = stored(tmp_path, ["spm", "degraded-input"], noisy, seeds=(0, 1))
    found = harness.compare(plan)
    values = found.common.by_metric["psnr_rgb"][1]
    assert np.array_equal(values[0], values[1])
    assert found.common.seeds == (0, 1)


def test_one_image_and_one_seed_have_a_difference_alone(tmp_path: Path) -> None:
    plan = stored(tmp_path, ["spm", "promptir"], noisy, limit=1)
    found = harness.compare(plan)
    test = pair_in(found, "derain")
    assert test.delta is not None
    assert (test.delta.low, test.delta.high) == (None, None)
    assert test.p == 1.0
    text = " ".join(str(found).split())
    assert "No interval over images (1 clean image per column): it takes at least 4" in text


def test_nothing_stored_and_nothing_in_common(tmp_path: Path) -> None:
    plan = stored(tmp_path / "none", ["spm", "promptir"], lambda m, *_: None if m == "spm" else 1.0)
    with pytest.raises(HarnessError, match=r"no scores of spm .*run --methods spm --out"):
        harness.compare(plan)

    def halves(method: str, seed: int, column: str, image: str) -> float | None:
        return noisy(method, seed, column, image) if (seed == 0) == (method == "spm") else None

    with pytest.raises(HarnessError, match="no seed in common"):
        harness.compare(stored(tmp_path / "s", ["spm", "promptir"], halves, seeds=(0, 1)))

    def columns(method: str, seed: int, column: str, image: str) -> float | None:
        is_there = (column == "derain") == (method == "spm")
        return noisy(method, seed, column, image) if is_there else None

    with pytest.raises(HarnessError, match="no image of three-task in common"):
        harness.compare(stored(tmp_path / "c", ["spm", "promptir"], columns))


def test_wrong_requests_are_refused(compared: Comparison, tmp_path: Path) -> None:
    plan = stored(tmp_path, ["spm", "promptir"], noisy)
    with pytest.raises(UsageError, match="needs two methods"):
        harness.compare(plan, ["spm"])
    with pytest.raises(UsageError, match="the plan has no method 'cpl'"):
        harness.compare(plan, ["spm", "cpl"])
    with pytest.raises(UsageError, match="promptir"):
        harness.compare(plan, ["spm", "promptirr"])
    with pytest.raises(UsageError, match="--spread both needs several seeds"):
        harness.compare(plan, spread="both")
    with pytest.raises(UsageError, match="--extremes -1"):
        harness.compare(plan, extremes=-1)


def test_two_protocols_are_never_mixed(tmp_path: Path) -> None:
    """Results of another protocol have another score, and an archive of them is refused."""
    import dataclasses

    plan = stored(tmp_path / "a", ["spm", "promptir"], noisy)
    other = tmp_path / "b"
    other.mkdir()
    for run in plan.runs:
        results = [
            dataclasses.replace(result, protocol="another")
            for result in results_by_method(plan)[run.method.id]
        ]
        (other / run.id).mkdir()
        append(other / run.id / "results.jsonl", results)
    found = rf"--against {re.escape(str(other))} holds results of spm of protocol 'another'"
    with pytest.raises(HarnessError, match=f"{found}.*--protocol, or name another folder"):
        harness.compare(plan, against=other)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_set": "Rain100L"}, "of data set 'Rain100L', and those here are of 'synthetic'"),
        (
            {"preprocessing": "other", "score": "other"},
            "of preprocessing 'other', and those here are of 'crop16",
        ),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_a_folder_of_other_data_is_named(
    changes: dict[str, str], message: str, tmp_path: Path
) -> None:
    plan = stored(tmp_path / "a", ["spm"], noisy, columns=["derain"])
    for run in plan.runs:
        results = [
            dataclasses.replace(result, **changes)  # type: ignore[arg-type]
            for result in results_by_method(plan)[run.method.id]
        ]
        (tmp_path / "b" / run.id).mkdir(parents=True)
        append(tmp_path / "b" / run.id / "results.jsonl", results)
    with pytest.raises(HarnessError) as refused:
        harness.compare(plan, against=tmp_path / "b")
    assert f"--against {tmp_path / 'b'} holds results of spm {message}" in str(refused.value)
    assert str(refused.value).endswith(", or name another folder")


def test_what_is_no_folder_is_said(tmp_path: Path) -> None:
    plan = stored(tmp_path / "a", ["spm"], noisy, columns=["derain"])
    (tmp_path / "file").write_text("")
    with pytest.raises(HarnessError, match="file is a file and no folder; name an output folder"):
        harness.compare(plan, against=tmp_path / "file")


# --- metrics that are not scored -----------------------------------------------------------


@pytest.mark.parametrize(
    ("metrics", "scored_of", "message"),
    [
        (
            ("lpips",),
            (),
            "no scores in pyiqa:lpips of spm, promptir; leave it out of --metrics, or",
        ),
        (("lpips",), ("spm",), "no scores in pyiqa:lpips of promptir; leave it out of"),
        (
            ("lpips", "dists"),
            ("spm",),
            "no scores in pyiqa:lpips of promptir; pyiqa:dists of promptir; leave it out of",
        ),
    ],
)
def test_a_metric_that_is_not_scored_is_named(
    metrics: tuple[str, ...], scored_of: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    methods = ["spm", "promptir"]
    stored(tmp_path, methods, noisy, columns=["derain"])
    plan = plan_of(methods, tmp_path, recipe="mini", columns=["derain"], metrics=metrics)
    for run in plan.runs:
        if run.method.id in scored_of:
            for image in plan.test.images_by_column()["derain"]:
                for metric in plan.metrics[2:]:
                    result = result_of(plan, run, ("derain", image, metric), 0.5)
                    append(run.folder.results, [result])
    with pytest.raises(HarnessError, match=re.escape(message)) as refused:
        harness.compare(plan)
    missing = ",".join(method for method in methods if method not in scored_of)
    _, _, command = str(refused.value).partition("compute them with: ")
    assert command.startswith(f"python -m harness run --methods {missing} ")
    assert f"--metrics {','.join(metrics)}" in command


def test_a_metric_that_only_the_other_folder_lacks(tmp_path: Path) -> None:
    plan = stored(tmp_path / "a", ["spm"], noisy, columns=["derain"])
    for run in plan.runs:
        results = results_by_method(plan)[run.method.id]
        (tmp_path / "b" / run.id).mkdir(parents=True)
        psnr = [result for result in results if result.metric == "psnr_rgb"]
        append(tmp_path / "b" / run.id / "results.jsonl", psnr)
    place = re.escape(f"no scores in ssim_rgb_uniform7 of spm in {tmp_path / 'b'}; name another")
    with pytest.raises(HarnessError, match=f"{place} folder with --against$"):
        harness.compare(plan, against=tmp_path / "b")


def test_a_metric_of_whole_columns_is_compared_in_no_image(tmp_path: Path) -> None:
    plan = stored(tmp_path, ["spm", "promptir"], noisy, columns=["derain"])
    asked = plan_of(["spm", "promptir"], tmp_path, recipe="mini", metrics=["fid"])
    assert asked.runs[0].weights_id == plan.runs[0].weights_id
    with pytest.raises(UsageError, match=r"fid.* has one value for all images .* leave it out"):
        harness.compare(asked)


# --- ranks ---------------------------------------------------------------------------------


def test_average_ranks_and_groups(compared: Comparison) -> None:
    base = np.arange(6.0)[:, None, None] * 5
    array = base + np.random.default_rng(0).normal(0, 0.1, (6, 1, 40))
    found = ranking(common_of(array, compared.common), PSNR, "images")
    assert found is not None
    assert list(found.ranks.items()) == [(f"m{place}", 6.0 - place) for place in range(5, -1, -1)]
    assert found.critical_difference > 1.0
    assert found.groups[0] == ("m5", "m4"), "ranks that differ by one are within 1.19"
    assert len(found.groups) == 5
    assert ranking(common_of(array, compared.common), PSNR, "columns") is None, "one column"


def test_methods_that_are_alike_are_one_group(compared: Comparison) -> None:
    array = np.random.default_rng(1).normal(0, 1, (5, 1, 12))
    common = common_of(array, compared.common)
    found = ranking(common, PSNR, "images")
    assert found is not None
    assert found.friedman_p >= 0.05
    assert found.groups == (tuple(found.ranks),)
    labels = {candidate.id: candidate.label for candidate in common.candidates}
    assert "finds no difference" in ranking_text(found, labels, "PSNR")


# --- on stored results ----------------------------------------------------------------------


WIDENED = "restormer:dim=22:ffn_expansion=3.0"
FIVE = ["cpl-guided", "promptir", "cpl", WIDENED, "spm-guided"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder with what this project measured."""
    out = tmp_path_factory.mktemp("archive")
    from harness.api import import_runs

    for methods in (FIVE, ["cpl-guided", "promptir"]):
        plan = plan_of(methods, out, recipe="mini", seeds=(0, 1, 2))
        import_runs(plan, ARCHIVE)
    return out


def measured_difference(archive: Path) -> Difference:
    plan = plan_of(["cpl-guided", "promptir"], archive, recipe="mini", seeds=(0, 1, 2))
    delta = pair_in(harness.compare(plan), AVERAGE).delta
    assert delta is not None
    return delta


def test_the_interval_is_that_of_the_documents(archive: Path) -> None:
    delta = measured_difference(archive)
    interval = f"[{delta.low:+.2f}, {delta.high:+.2f}]"
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"{delta.mean:.2f} dB ahead of PromptIR here {interval}" in readme
    evidence = (ROOT / "docs/evidence_appendix.md").read_text(encoding="utf-8")
    assert f"{delta.mean:+.2f} {interval}" in evidence.replace("−", "-")


def test_the_command_prints_and_writes(archive: Path, harness_command: Run) -> None:
    words = ["compare", "cpl-guided", "promptir", "--seeds", "0-2", "--out", str(archive)]
    printed = harness_command(*words, "--extremes", "1", COLUMNS="120")
    assert printed.returncode == 0, printed.stderr
    text = " ".join(printed.stdout.split())
    delta = measured_difference(archive)
    assert f"{delta.low:+.2f} to {delta.high:+.2f}" in text
    assert "over seeds and images (3 seeds, 4 clean images per column)" in text
    assert "Images on which CPL-guided (this project) gains and loses most against PromptIR" in text
    written = {path.suffix for path in (archive / "tables").glob("*comparison*")}
    assert written == {".csv", ".md", ".tex"}
    assert {path.suffix for path in (archive / "figures").iterdir()} == {".png", ".pdf"}
    again = harness_command(*words, "--spread", "seeds")
    assert "No interval over seeds (3 seeds): it takes at least 4" in " ".join(again.stdout.split())


def test_two_ways_to_name_methods_are_refused(archive: Path, harness_command: Run) -> None:
    printed = harness_command(
        "compare", "cpl-guided", "promptir", "--methods", "cpl-guided", "--out", archive
    )
    assert printed.returncode == 2
    assert "named twice" in printed.stderr


def test_an_archive_agrees_with_itself(archive: Path) -> None:
    plan = plan_of(["cpl-guided"], archive, recipe="mini", seeds=(0, 1, 2))
    found = harness.compare(plan, against=ARCHIVE)
    test = pair_in(found, AVERAGE)
    assert (test.win_rate, test.p) == (0.5, 1.0)
    assert "CPL-guided (this project) (three-task)" in str(found)
    with pytest.raises(HarnessError, match="does not exist"):
        harness.compare(plan, against=archive / "nowhere")
    other = plan_of(["cpl-guided"], archive, recipe="mini", seeds=(7, 8))
    with pytest.raises(HarnessError, match="holds no scores of cpl-guided"):
        harness.compare(other, against=ARCHIVE)


def test_five_methods_are_ranked_and_drawn(archive: Path, tmp_path: Path) -> None:
    plan = plan_of(FIVE, archive, recipe="mini", seeds=(0, 1, 2))
    found = harness.compare(plan, ranks="images")
    assert [one.metric for one in found.rankings] == list(plan.metrics)
    assert "Average rank in PSNR over 20 clean images" in str(found)
    assert len(found.to_dataframe()) == 10 * 6 * 2
    paths = found.draw(tmp_path)
    names = {path.name for path in paths}
    assert sum("scatter" in name for name in names) == 2 * 4
    assert sum("ranks" in name for name in names) == 2 * 2
    stem = tmp_path / found.stem
    again = draw_ranking(found.rankings[0], found.common, stem.with_name("again"))
    for suffix, path in ((".png", again[0]), (".pdf", again[1])):
        first = stem.with_name(f"{stem.name}-psnr_rgb-ranks{suffix}")
        assert path.read_bytes() == first.read_bytes(), "an unchanged figure is an unchanged file"


def test_forms_of_a_comparison(compared: Comparison, tmp_path: Path) -> None:
    assert str(compared) == compared.to_text()
    assert max(map(len, compared.to_text(width=60).splitlines())) <= 60
    assert "| Column" in compared.to_markdown()
    assert r"\begin{table" in compared.to_latex()
    assert compared.to_csv().startswith("first,second,column,metric")
    paths = compared.write(tmp_path)
    assert [path.suffix for path in paths] == [".csv", ".md", ".tex", ".csv"]
    assert paths[-1].read_text().startswith("metric,column,image,spm,promptir\n")
    assert compared.write(tmp_path) == paths


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_of_a_comparison_compiles(compared: Comparison, tmp_path: Path) -> None:
    import subprocess

    lines = [r"\documentclass[twocolumn]{article}", r"\usepackage{booktabs}", r"\begin{document}"]
    text = "\n".join([*lines, compared.to_latex(), r"\end{document}"])
    (tmp_path / "a.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "a.tex"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)


# --- marks of the benchmark table -------------------------------------------------------------


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_a_second_is_marked_where_it_is_told_apart(seeds: tuple[int, ...], tmp_path: Path) -> None:
    plan = stored(tmp_path, ["spm", "promptir", "cpr"], noisy, seeds=seeds)
    apart = seconds_apart(summary_of(plan), results_by_method(plan))
    assert apart.seconds
    assert apart.told == apart.seconds
    text = str(benchmark_table(plan))
    over = "images" if len(seeds) == 1 else "seeds and images"
    assert (
        f"second _ only where the paired 95% interval of its difference to the best, over {over}"
        in (" ".join(text.split()))
    )


def test_a_second_within_the_noise_is_not_marked(tmp_path: Path) -> None:
    plan = stored(tmp_path, ["promptir", "cpr"], lambda m, s, c, i: noisy(m, s, c, i))
    table = benchmark_table(plan)
    text = " ".join(str(table).split())
    assert "_ " not in text.partition("Three degradations")[0]
    assert "Best *; no second is, for the paired 95% interval" in text
    frame = table.to_dataframe()
    seconds = frame[frame["rank"] == 2]
    assert len(seconds)
    assert not seconds["apart_from_best"].any()


def test_too_few_images_tell_nothing_apart(tmp_path: Path) -> None:
    plan = stored(tmp_path, ["spm", "promptir"], noisy, limit=1)
    text = " ".join(str(benchmark_table(plan)).split())
    assert "no second is, for so few images or seeds tell nothing apart" in text


def test_a_caption_says_nothing_of_marks_that_are_not_there(tmp_path: Path) -> None:
    plan = stored(tmp_path, ["promptir"], noisy)
    table = benchmark_table(plan)
    for text in (str(table), table.to_markdown(), table.to_latex()):
        assert "Best" not in text
        assert "{mark" not in text
