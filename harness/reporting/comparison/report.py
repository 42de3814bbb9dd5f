"""A comparison of methods that can be shown in every form, drawn, and written to files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.config.errors import UsageError
from harness.planning.plan import Plan
from harness.reporting.comparison.diagram import draw_ranking
from harness.reporting.comparison.notes import not_finite_notes
from harness.reporting.comparison.pairs import (
    Extreme,
    PairedColumn,
    extremes,
    paired_columns,
    pairs_of,
    told_pairs,
)
from harness.reporting.comparison.pictures import MOST_PICTURES, PairPictures
from harness.reporting.comparison.ranking import (
    FEWEST_METHODS,
    Ranking,
    RanksOver,
    ranking,
    ranking_text,
)
from harness.reporting.comparison.scatter import draw_scatter, pair_name
from harness.reporting.comparison.tables import FIELDS, Shown, extremes_table, pair_table
from harness.reporting.comparison.values import (
    CommonValues,
    candidates_in,
    candidates_of,
    common_values,
)
from harness.reporting.renderers import csv, latex, markdown, terminal
from harness.reporting.statistics import Spread, natural_spread
from harness.reporting.table import Table
from harness.reporting.table_files import check_free, marked, table_id, table_stem
from harness.reporting.table_report import write_texts

if TYPE_CHECKING:
    import pandas as pd

_MOST_TOLD = 4
"""Methods of which every pair is shown image by image; of more, those with the first method."""


@dataclass(frozen=True)
class ComparisonOptions:
    """How methods are compared.

    Attributes:
        spread: what intervals are over; None for all that the number of seeds lets them show.
        extremes: how many gains and how many losses are named.
        ranks: what five and more methods are ranked in.
        against: an archive or output folder whose results of the same methods are compared too.
    """

    spread: Spread | None = None
    extremes: int = 3
    ranks: RanksOver = "columns"
    against: Path | None = None


@dataclass(frozen=True)
class Comparison:
    """Methods compared image by image.

    Attributes:
        common: the values that are compared.
        tests: every pair in every column and metric.
        extremes: the images that differ most in the first metric, by pair.
        rankings: average ranks by metric; empty of fewer than five methods.
        tables: of pairs, one per metric, then those of images.
        texts: of the ranks, one per metric.
        plan: whose runs are compared.
        stem: name of the files, without suffix.
        identity: what tells it from other comparisons.
        warnings: sentences on what a reader must know before using the numbers.
    """

    common: CommonValues
    tests: tuple[PairedColumn, ...]
    extremes: tuple[Extreme, ...]
    rankings: tuple[Ranking, ...]
    tables: tuple[Table, ...]
    texts: tuple[str, ...]
    plan: Plan
    stem: str
    identity: str
    warnings: tuple[str, ...]

    def to_text(self, colour: bool = False, width: int | None = None) -> str:
        """Return all tables for a terminal of ``width`` characters, None for one of any width."""
        parts = [terminal.render(table, colour, width) for table in self.tables]
        parts += [terminal.wrapped(text, width) for text in (*self.texts, *self.warnings)]
        return "\n\n".join(parts)

    def to_markdown(self) -> str:
        """Return all tables in GitHub-flavoured Markdown."""
        parts = list(map(markdown.render, self.tables))
        parts += map("{}\n".format, map(markdown.escape, (*self.texts, *self.warnings)))
        return "\n".join(parts)

    def to_latex(self) -> str:
        """Return all tables in LaTeX, with the sentences on ranks as comments behind them."""
        comments = map("% {}\n".format, (*self.texts, *self.warnings))
        return "\n".join([*map(latex.render, self.tables), *comments])

    def to_csv(self) -> str:
        """Return one line per pair, column and metric, in full precision."""
        return csv.lines(FIELDS, self._records())

    def to_dataframe(self) -> pd.DataFrame:
        """Return one row per pair, column and metric, in full precision."""
        import pandas as pd

        return pd.DataFrame(self._records(), columns=list(FIELDS))

    def images_dataframe(self) -> pd.DataFrame:
        """Return one row per metric, column and image, with the mean over seeds of each method."""
        import pandas as pd

        return pd.DataFrame(self._image_records(), columns=list(self._image_fields))

    def write(self, folder: str | Path) -> list[Path]:
        """Write tables as CSV, Markdown and LaTeX, and every image's values; return the paths.

        Raises:
            UsageError: another comparison is stored there under the name of this one.
        """
        folder = Path(folder)
        check_free(folder, self.stem, self.identity)
        texts = {".csv": self.to_csv(), ".md": self.to_markdown(), ".tex": self.to_latex()}
        paths = write_texts(folder, self.stem, marked(texts, self.identity))
        images = csv.lines(self._image_fields, self._image_records())
        return [*paths, *write_texts(folder, f"{self.stem}-images", {".csv": images})]

    def draw(self, folder: str | Path) -> list[Path]:
        """Draw each pair image by image, and ranks of five and more methods; return the paths.

        The images on which a pair differs most are drawn where all of them are kept.
        """
        folder = Path(folder)
        paths = []
        for pair in told_pairs(self.common, _MOST_TOLD):
            paths += draw_scatter(self.common, pair, folder / self.stem)
            paths += self._draw_pictures(pair, folder)
        for found in self.rankings:
            paths += draw_ranking(found, self.common, folder / self.stem)
        return paths

    def pictures_command(self) -> str:
        """Return the command that draws what methods made of the images that differ most.

        It is empty where every such image is drawn already, where none is named, and where there
        are no weights to make them with.
        """
        for pair in told_pairs(self.common, _MOST_TOLD):
            shown = self._pictures(pair)
            if shown is not None and not shown.are_kept and shown.command:
                return shown.command
        return ""

    def _pictures(self, pair: tuple[int, int]) -> PairPictures | None:
        """Return the images on which a pair differs most; None of methods in two folders."""
        ids = tuple(self.common.candidates[place].id for place in pair)
        names = []
        for extreme in self.extremes:
            if (extreme.first, extreme.second) == ids:
                names.append((extreme.column, extreme.image))
        if not names or not set(ids) <= set(self.plan.method_ids):
            return None
        return PairPictures.of(self.plan, ids, names)

    def _draw_pictures(self, pair: tuple[int, int], folder: Path) -> list[Path]:
        shown = self._pictures(pair)
        if shown is None or len(shown.names) > MOST_PICTURES or not shown.are_kept:
            return []
        first, second = (self.common.candidates[place].id for place in pair)
        return shown.draw(folder / f"{self.stem}-{pair_name(first, second)}-images")

    def __str__(self) -> str:
        return self.to_text()

    def _records(self) -> list[Any]:
        return list(chain.from_iterable(table.records for table in self.tables))

    @property
    def _image_fields(self) -> tuple[str, ...]:
        return ("metric", "column", "image", *self.common.labels)

    def _image_records(self) -> list[dict[str, Any]]:
        methods = list(self.common.labels)
        records = []
        for metric, values in self.common.by_metric.items():
            means = values.mean(axis=1).T
            for (column, image), of_image in zip(self.common.images, means, strict=True):
                own = dict(zip(methods, map(float, of_image), strict=True))
                records.append({"metric": metric, "column": column, "image": image, **own})
        return records


def comparison_identity(
    plan: Plan, methods: Sequence[str], options: ComparisonOptions
) -> tuple[str, str]:
    """Return the stem and the identity of a comparison's files, before anything is computed."""
    runs = [run for run in plan.runs if run.method.id in methods]
    shown = options.spread or natural_spread(len(plan.seeds))
    identity = table_id(
        plan,
        runs,
        compared=list(methods),
        spread=shown,
        extremes=options.extremes,
        ranks=options.ranks,
        against=str(options.against or ""),
    )
    return table_stem(plan, identity, "comparison"), identity


def comparison_of(plan: Plan, methods: Sequence[str], options: ComparisonOptions) -> Comparison:
    """Return the comparison of methods of a plan from what is stored of them.

    Args:
        plan: whose runs are compared.
        methods: ids of methods of the plan, in the order of the pairs.
        options: how they are compared.

    Raises:
        HarnessError: nothing is stored of a method, or there is nothing that all have.
        UsageError: there are fewer than two methods.
    """
    if len(methods) < 2 and options.against is None:
        raise UsageError(
            "a comparison needs two methods, as in python -m harness compare cpl promptir; or one "
            "and --against FOLDER"
        )
    candidates = candidates_of(plan, methods)
    if options.against is not None:
        candidates += candidates_in(options.against, plan, candidates)
    common = common_values(plan, candidates)
    spread = options.spread or natural_spread(len(common.seeds))
    many = len(common.candidates) >= FEWEST_METHODS
    shown = Shown(common, spread, averages_only=many and common.is_whole)
    tests = paired_columns(common, spread, pairs_of(common))
    tables = [pair_table(shown, tests, metric) for metric in common.request.metrics]
    told = []
    first_metric = common.request.metrics[0]
    for pair in told_pairs(common, _MOST_TOLD):
        found = extremes(common, pair, first_metric, options.extremes)
        told += found
        if found:
            tables.append(
                extremes_table(shown, found, first_metric, (found[0].first, found[0].second))
            )
    rankings, texts = _rankings(common, options.ranks, shown.labels) if many else ([], [])
    stem, identity = comparison_identity(plan, methods, options)
    return Comparison(
        common=common,
        tests=tuple(tests),
        extremes=tuple(told),
        rankings=tuple(rankings),
        tables=tuple(tables),
        texts=tuple(texts),
        plan=plan,
        stem=stem,
        identity=identity,
        warnings=tuple(not_finite_notes(common)),
    )


def _rankings(
    common: CommonValues, over: RanksOver, labels: dict[str, str]
) -> tuple[list[Ranking], list[str]]:
    """Return the ranks in each metric, and what they say."""
    rankings, texts = [], []
    for metric in common.request.metrics:
        found = ranking(common, metric, over)
        if found is None:
            texts.append(f"No ranks in {metric.label}: fewer than two {over} can be ranked in.")
            continue
        rankings.append(found)
        texts.append(ranking_text(found, labels, metric.label))
    return rankings, texts
