"""The report of a plan as a site: what is stored, and where every number comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.config.version import __version__
from harness.planning.plan import Plan
from harness.published.works import load_works
from harness.reporting.benchmark_table import benchmark_table
from harness.reporting.plan_text import incomplete_sentence
from harness.reporting.site.curves import charts_of
from harness.reporting.site.folder import SiteFolder, data_script
from harness.reporting.site.image_browser import OnImage, browser_data
from harness.reporting.site.matrices import run_probes
from harness.reporting.site.overview import PlanSources, run_lines, score_table
from harness.reporting.site.rendering import page
from harness.reporting.site.sources import Sources
from harness.reporting.site.used_works import used_works

PAGES = (
    ("index.html", "Overview"),
    ("images.html", "Images"),
    ("probes.html", "Probes"),
    ("training.html", "Training"),
    ("references.html", "References"),
)
"""Files of the report, and what the navigation calls them."""


def no_image(done: int, total: int) -> None:
    """Receive how many images were written, and do nothing."""


@dataclass(frozen=True)
class ReportWriter:
    """Writes the pages of one plan into one folder.

    Attributes:
        plan: what is shown.
        site: the folder.
        sources: sections that numbers name.
        plan_sources: those of the plan under its first protocol.
    """

    plan: Plan
    site: SiteFolder
    sources: Sources
    plan_sources: PlanSources

    def page(self, name: str, template: str, **values: Any) -> Path:
        """Write one page."""
        heading = dict(PAGES)[name]
        text = page(
            template,
            site_title=self.plan.setting.title,
            site_name="Report",
            title=heading,
            pages=PAGES,
            current=name,
            version=__version__,
            **values,
        )
        return self.site.write(name, text)


def write_report(plan: Plan, folder: Path, on_image: OnImage = no_image) -> list[Path]:
    """Write the report of what is stored of a plan, and return the paths of its pages.

    Images are those that are kept; the first page comes first. A second call updates the site:
    images that are there are not copied again, and files of results that are gone are removed.
    Pages are written last.

    Args:
        plan: what is shown.
        folder: of the site; it must not hold anything else.
        on_image: receives how many test images were looked at.

    Raises:
        UsageError: the folder holds something else.
        HarnessError: something stored is damaged, or the folder cannot be written.
    """
    site = SiteFolder(folder, "report")
    site.check()
    site.start()
    sources = Sources()
    # The sections of all protocols come first, since pages name them by number.
    parts = [(part, PlanSources.of(part, sources)) for part in plan.by_protocol]
    tables = []
    warnings: list[str] = []
    for part, part_sources in parts:
        found = benchmark_table(part)
        warnings += found.warnings
        tables.append(score_table(part, found, part_sources))
    if len(tables) == 1:
        tables = [replace(tables[0], title="Benchmark")]
    writer = ReportWriter(plan, site, sources, parts[0][1])
    site.write_assets()
    images = browser_data(plan, site, writer.plan_sources, on_image)
    site.write("data/images.js", data_script("images", images))
    site.write("data/sources.js", data_script("sources", sources.sections))
    notes = [*dict.fromkeys(warnings), incomplete_sentence(plan)]
    pages = _write_pages(writer, tables, [note for note in notes if note])
    site.finish()
    return pages


def _write_pages(writer: ReportWriter, tables: Sequence[Any], notes: Sequence[str]) -> list[Path]:
    plan = writer.plan
    probes = run_probes(plan, writer.plan_sources)
    charts = charts_of(plan, writer.plan_sources)
    works, without = used_works(plan, load_works())
    pages = [
        writer.page("images.html", "images.html.j2"),
        writer.page("probes.html", "probes.html.j2", probes=probes),
        writer.page("training.html", "training.html.j2", charts=charts),
        writer.page("references.html", "references.html.j2", works=works, without=without),
    ]
    writer.site.write("references.bib", "\n\n".join(work.bibtex for work in works) + "\n")
    runs = run_lines(plan, writer.plan_sources)
    index = writer.page("index.html", "overview.html.j2", tables=tables, notes=notes, runs=runs)
    return [index, *pages]
