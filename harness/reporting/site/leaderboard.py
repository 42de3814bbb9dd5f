"""The leaderboard: cited and measured rows of all settings on one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.config.version import __version__
from harness.published.audit import audit
from harness.published.reading import load_published
from harness.reporting.site.cited_lists import CitedContext, cited_lists
from harness.reporting.site.folder import SiteFolder, data_script
from harness.reporting.site.measured import grouped, measured_runs
from harness.reporting.site.measured_lists import FactsOf, measured_list
from harness.reporting.site.rank_list import RankList, joined_lists
from harness.reporting.site.rendering import page
from harness.reporting.site.score_table import ScoreTable
from harness.reporting.site.sources import Sources


@dataclass(frozen=True)
class ShownList:
    """A list as the page shows it."""

    setting: str
    protocol: str
    about: str
    table: ScoreTable


@dataclass(frozen=True)
class ShownSetting:
    """The lists of one setting."""

    name: str
    title: str
    lists: tuple[ShownList, ...]


def write_leaderboard(folder: Path, measured: Sequence[Path], facts_of: FactsOf) -> Path:
    """Write the leaderboard of cited rows and of what was measured, and return its page.

    Args:
        folder: of the site; it must not hold anything else.
        measured: output folders, archives, or folders of archives.
        facts_of: returns what is known of a method by its id.

    Raises:
        UsageError: the folder holds something else.
        HarnessError: published or measured rows are damaged, or the folder cannot be written.
    """
    site = SiteFolder(folder, "leaderboard")
    site.check()
    tables = load_published()
    sources = Sources()
    context = CitedContext.of(sources, audit(tables))
    lists: list[RankList] = []
    for table in tables:
        lists += cited_lists(table, context)
    runs = []
    for path in measured:
        runs += measured_runs(path)
    for group in grouped(runs):
        lists.append(measured_list(group, context, facts_of))
    settings = _shown(joined_lists(lists))
    site.start()
    site.write_assets()
    site.write("data/sources.js", data_script("sources", sources.sections))
    text = page(
        "leaderboard.html.j2",
        site_title="Leaderboard",
        site_name="All-in-one image restoration",
        title="Leaderboard",
        pages=(),
        current="index.html",
        version=__version__,
        settings=settings,
        protocols=sorted({one.key.protocol for one in lists}),
    )
    path = site.write("index.html", text)
    site.finish()
    return path


def _shown(lists: Sequence[RankList]) -> list[ShownSetting]:
    by_setting: dict[str, list[ShownList]] = {}
    titles: dict[str, str] = {}
    for number, one in enumerate(lists, start=1):
        name = one.key.setting
        titles.setdefault(name, one.title)
        shown = ShownList(name, one.key.protocol, " ".join(one.about), one.table(number))
        by_setting.setdefault(name, []).append(shown)
    return [ShownSetting(name, titles[name], tuple(found)) for name, found in by_setting.items()]
