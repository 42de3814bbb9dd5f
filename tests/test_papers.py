"""One CSV adds a paper's rows, and works are cited by what this project knows of them."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from harness.config.errors import HarnessError
from harness.config.files import data_set_names, setting_names
from harness.published.audit import audit
from harness.published.papers import PAPER_FIELDS
from harness.published.reading import load_published, published_folder
from harness.published.works import load_works
from harness.registry import catalogue
from harness.reporting.site.cited_lists import CitedContext, cited_lists
from harness.reporting.site.sources import Sources

COLUMNS = ("denoise15", "denoise25", "denoise50", "dehaze", "derain")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(published_folder(), tmp_path / "published"))


def write_paper(folder: Path, mean: str = "32.00", **changes: str) -> Path:
    """Write a table of one method whose columns average to 32.00; ``changes`` are of line 2."""
    lines = []
    for number, column in enumerate((*COLUMNS, "average")):
        line = {
            "table": "2",
            "reference": "Ours, 2026, Table 2",
            "setting": "three-task",
            "column": column,
            "method": "BrandNew",
            "venue": "CVPR'26",
            "params": "12M",
            "metric": "psnr",
            "value": mean if column == "average" else f"{30 + number}.00",
            "average": "printed" if column == "average" else "",
            "protocol": "rgb-float-uniform7",
        }
        lines.append({**dict.fromkeys(PAPER_FIELDS, ""), **line})
    lines[0] |= changes
    path = folder / "papers" / "ours.csv"
    path.parent.mkdir()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, PAPER_FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    return path


def test_one_file_adds_a_paper_to_audit_and_leaderboard(copy: Path) -> None:
    before = audit(load_published(copy))
    write_paper(copy)
    tables = load_published(copy)
    assert (tables[-1].source, tables[-1].table) == ("ours", "2")
    found = audit(tables)
    assert found.averages == before.averages + 1
    assert len(found.discrepancies) == len(before.discrepancies)
    (own,) = cited_lists(tables[-1], CitedContext.of(Sources(), found))
    (others,) = [
        one
        for one in cited_lists(tables[0], CitedContext.of(Sources(), found))
        if one.key.protocol == "rgb-float-uniform7"
    ]
    assert own.key == others.key, "rows of one protocol stand in one list"


def test_a_wrong_average_of_a_paper_is_found(copy: Path) -> None:
    before = {item.row.source for item in audit(load_published(copy)).discrepancies}
    write_paper(copy, mean="32.40")
    after = {item.row.source for item in audit(load_published(copy)).discrepancies}
    assert after - before == {"ours"}


def test_a_known_spelling_is_the_known_method(copy: Path) -> None:
    write_paper(copy, method="PromptIR + CPL")
    row = load_published(copy)[-1].rows[0]
    assert (row.method, row.method_id) == ("PromptIR+CPL", "cpl")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"setting": "three-tusk"}, "unknown setting 'three-tusk'; did you mean 'three-task'"),
        ({"column": "denoise51"}, "unknown column 'denoise51'"),
        ({"metric": "psnr_rgb"}, "unknown metric 'psnr_rgb'"),
        ({"protocol": "rgb"}, "unknown protocol 'rgb'"),
        ({"value": "30"}, "'30' is no printed decimal number"),
        ({"params": "many"}, "'many' are no parameters"),
        ({"average": "printed"}, "average is 'printed' or 'computed' in column 'average'"),
        ({"column": "denoise25"}, "has a value already"),
        ({"reference": ""}, "'reference' is empty"),
        ({"note": " odd"}, "begins or ends with a space"),
    ],
)
def test_what_does_not_fit_is_named(copy: Path, changes: dict[str, str], words: str) -> None:
    path = write_paper(copy, **changes)
    with pytest.raises(HarnessError, match=words) as error:
        load_published(copy)
    assert f"{path}, line" in str(error.value)


def test_a_paper_never_has_the_name_of_a_source(copy: Path) -> None:
    path = write_paper(copy)
    path.rename(path.with_name("cpl.csv"))
    with pytest.raises(HarnessError, match="source 'cpl' is in tables"):
        load_published(copy)


def test_works_name_methods_settings_and_data_sets_that_there_are() -> None:
    known = {
        "method": set(catalogue().specs),
        "set": set(data_set_names()),
        "setting": set(setting_names()),
        "metric": {"ssim"},
    }
    for work in load_works():
        assert work.names, work.key
        for name in work.names:
            kind, _, rest = name.partition(":")
            assert rest in known[kind], name


def test_entries_leave_out_what_is_not_known() -> None:
    works = {work.key: work for work in load_works()}
    entry = works["cpl2025"].bibtex
    assert entry.startswith("@article{cpl2025,\n  title = {{Beyond Degradation Redundancy")
    assert "author" not in entry
    assert "  eprint = {2504.09973},\n  archiveprefix = {arXiv}" in entry
    assert "year" not in works["bsd"].bibtex
    for work in works.values():
        assert work.bibtex.count("{") == work.bibtex.count("}")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ssim2004,article,,,Again,,,,,,", "given twice"),
        ("a b,article,,,Title,,,,,,", "is no key"),
        ("key,book,,,Title,,,,,,", "type 'book' is none of"),
        ("key,misc,,,,,,,,,", "needs a title"),
        ("key,misc,,,A {brace,,,,,,", "a brace"),
        ("key,misc,,,Title,,,,20x4,,", "is no year"),
        ("key,misc", "2 fields instead of 11"),
    ],
)
def test_a_work_that_does_not_fit_is_named(copy: Path, line: str, words: str) -> None:
    path = copy / "works.csv"
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(HarnessError, match=words):
        load_works(copy)
