"""Published numbers: what ships is complete and read strictly, as printed."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from harness.config.errors import HarnessError, UsageError
from harness.config.files import load_protocol, load_setting, protocol_names, setting_names
from harness.published.reading import load_published, published_folder
from harness.published.tables import AVERAGE, CitedTable, tables_of
from harness.registry import catalogue, find

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="module")
def tables() -> tuple[CitedTable, ...]:
    return load_published()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(published_folder(), tmp_path / "published"))


def one(tables: tuple[CitedTable, ...], source: str, name: str) -> CitedTable:
    return next(t for t in tables if (t.source, t.table) == (source, name))


def test_all_tables_are_there(tables: tuple[CitedTable, ...]) -> None:
    counts = Counter(table.source for table in tables for _ in table.rows)
    assert counts == {
        "cpl": 696,
        "weatherbench": 180,
        "mioir": 96,
        "onerestore": 408,
        "survey": 2182,
    }
    assert [len(t.rows) for t in tables if t.source == "cpl"] == [192, 204, 56, 148, 96]


@pytest.mark.parametrize(
    ("source", "table", "method", "column", "metric", "printed"),
    [
        ("cpl", "I", "PromptIR+CPL", AVERAGE, "psnr", "32.78"),
        ("cpl", "I", "DL", "dehaze", "ssim", "0.391"),
        ("cpl", "I", "MPRNet", "dehaze", "psnr", "28.00"),
        ("cpl", "I", "MPRNet", "denoise15", "ssim", "0.920"),
        ("cpl", "II", "AdaIR", "lowlight", "psnr", "23.00"),
        ("cpl", "III", "PromptIR+CPL", "dark", "psnr", "40.55"),
        ("cpl", "IV", "WeatherDiff64", "snow-small", "ssim", "0.9566"),
        ("cpl", "V", "OneRestore", "haze-snow", "psnr", "30.46"),
        ("weatherbench", "results", "WGWSNet", "rain", "lpips", "0.1169"),
        ("mioir", "performance", "SwinIR-S+AP", AVERAGE, "psnr", "32.00"),
        ("onerestore", "workbook", "OneRestore (visual)", "low", "psnr", "26.4774"),
    ],
)
def test_values_keep_every_printed_digit(
    tables: tuple[CitedTable, ...],
    source: str,
    table: str,
    method: str,
    column: str,
    metric: str,
    printed: str,
) -> None:
    row = one(tables, source, table).values[method, column, metric]
    assert str(row.value) == printed
    assert isinstance(row.value, Decimal)


def test_values_are_those_of_the_transcription(tables: tuple[CitedTable, ...]) -> None:
    """Every value of the reference transcription, in its order, and nothing else."""
    if not (SHARED / "published.csv").is_file():
        pytest.skip("the reference transcription is not beside the repository")
    ours = [
        [r.dataset, r.printed_method, r.type, r.venue, str(int(r.starred)), r.metric, str(r.value)]
        for table in tables
        if table.source == "cpl"
        for r in table.rows
    ]
    fields = ["dataset", "method", "type", "venue", "cited_star", "metric", "value"]
    with (SHARED / "published.csv").open(newline="") as file:
        theirs = [[line[field] for field in fields] for line in csv.DictReader(file)]
    assert ours == theirs
    with (SHARED / "published_other.csv").open(newline="") as file:
        other = Counter((x["method"], x["metric"], x["value"]) for x in csv.DictReader(file))
    assert other == Counter(
        (row.printed_method, row.metric, str(row.value))
        for table in tables
        if table.source not in ("cpl", "survey")
        for row in table.rows
    )
    with (SHARED / "published_survey.csv").open(newline="") as file:
        survey = Counter(
            (x["method"], x["column"], x["metric"], x["value"], x["venue"])
            for x in csv.DictReader(file)
        )
    assert survey == Counter(
        (r.printed_method.removesuffix(" (arXiv'25)"), r.dataset, r.metric, str(r.value), r.venue)
        for table in tables
        if table.source == "survey"
        for r in table.rows
    )


def test_settings_and_columns_are_those_of_the_settings(tables: tuple[CitedTable, ...]) -> None:
    cited = {table.setting for table in tables}
    assert set(setting_names()) - {"union"} <= cited, "no paper prints the union"
    for table in tables:
        if table.setting not in setting_names():
            continue  # cited alone
        names = {column.name for column in load_setting(table.setting).columns}
        found = {column.name for column in table.columns}
        assert found <= names, table.setting
        assert found == names or table.source == "survey"


def test_methods_have_one_name_and_known_ids(tables: tuple[CitedTable, ...]) -> None:
    spellings: dict[str, set[str]] = {}
    known = set()
    for table in tables:
        for row in table.rows:
            spellings.setdefault(row.method, set()).add(row.printed_method)
            # A name may wait for its method, as a plug-in or one that is not built in.
            if row.method_id.partition("@")[0] in catalogue().specs:
                assert find(row.method_id).id == row.method_id
                known.add(row.method_id)
    assert {"cpl", "promptir", "adair", "restormer", "nafnet", "degraded-input"} <= known
    assert spellings["PromptIR+CPL"] == {"PromptIR + CPL", "PromptIR+CPL", "CPL_PromptIR"}
    assert spellings["WGWSNet"] == {"WGWS-Net", "WGWSNet"}
    folded = Counter(name.lower().replace("-", "").replace(" ", "") for name in spellings)
    assert max(folded.values()) == 1, "two names differ by case or hyphens alone"


def test_protocols_are_named_as_their_files(tables: tuple[CitedTable, ...]) -> None:
    ids = {load_protocol(name).protocol.id for name in protocol_names()}
    used = {row.protocol for table in tables for row in table.rows} - {""}
    assert used <= ids
    assert one(tables, "mioir", "performance").rows[0].protocol == "rgb-uint8-border4"


def test_queries_name_what_is_known(tables: tuple[CitedTable, ...]) -> None:
    assert [t.source for t in tables_of(tables, "composite")] == ["cpl", "onerestore", "survey"]
    assert [t.table for t in tables_of(tables, "seven-task", "mioir")] == ["performance"]
    with pytest.raises(UsageError, match="three-task"):
        tables_of(tables, "three-tasks")
    with pytest.raises(UsageError, match="'mioir' prints no table of setting 'composite'"):
        tables_of(tables, "composite", "mioir")


def test_metrics_and_methods_come_in_printed_order(tables: tuple[CitedTable, ...]) -> None:
    weather = one(tables, "weatherbench", "results")
    assert [m.id for m in weather.metrics] == ["psnr", "ssim", "lpips"]
    assert [m.higher_is_better for m in weather.metrics] == [True, True, False]
    assert one(tables, "cpl", "III").methods[0] == "SwinIR-S"
    assert one(tables, "cpl", "III").methods[-1] == "PromptIR+CPL"


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("cpl.csv", "psnr,33.27,", "psnr,33.27x,", "'33.27x' is no printed decimal"),
        ("cpl.csv", "psnr,33.27,", "psnr,nan,", "'nan' is no printed decimal"),
        ("cpl.csv", "psnr,33.27,", "psn,33.27,", "unknown metric 'psn'.*psnr"),
        ("cpl.csv", "psnr,33.27,", "psnr, 33.27,", "begins or ends with a space"),
        ("cpl.csv", ",psnr,33.27,", ",psnr,33.27,,", "17 fields instead of 16"),
        ("cpl.csv", "denoise15,CBSD68", "denoise25,CBSD68", "is not 'CBSD68_sigma15'"),
        ("cpl.csv", "MPRNet,MPRNet", "MPRNet,MPRNett", "'MPRNett' is '' in methods.csv"),
        ("cpl.csv", "cpl,I,three", "cpl,VI,three", "table 'VI' of 'cpl' does not belong"),
        (
            "cpl.csv",
            "value,average",
            "value,mean",
            "lacks the column average and has 'mean' instead; put",
        ),
        ("methods.csv", "AirNet,airnet,AirNet", "AirNet,airnet,AdaIR", "'AdaIR' is already AdaIR"),
        ("columns.csv", "dehaze,SOTS", "derain,SOTS", "column"),
        ("tables.csv", "cpl,II,five-task", "cpl,I,five-task", "cpl I is given twice"),
    ],
)
def test_damage_is_named_with_its_place(
    copy: Path, file: str, old: str, new: str, message: str
) -> None:
    text = (copy / file).read_text(encoding="utf-8")
    assert old in text
    (copy / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(HarnessError, match=message) as error:
        load_published(copy)
    assert str(copy) in str(error.value)


def test_a_value_that_is_given_twice_is_refused(copy: Path) -> None:
    lines = (copy / "mioir.csv").read_text(encoding="utf-8").splitlines()
    (copy / "mioir.csv").write_text("\n".join([*lines, lines[-1]]) + "\n", encoding="utf-8")
    with pytest.raises(HarnessError, match=r"line 98: performance, SwinIR-S\+AP.*value already"):
        load_published(copy)


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "mioir.csv").unlink()
    with pytest.raises(HarnessError, match=r"mioir\.csv cannot be read"):
        load_published(copy)


def test_the_wheel_carries_them() -> None:
    import tomllib

    root = published_folder().parents[1]
    included = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    target = included["targets"]["wheel"]["force-include"]["results/published"]
    assert target == "harness/results/published"
