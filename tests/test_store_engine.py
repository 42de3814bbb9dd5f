"""Stored results by column: equal to what is stored line by line, whatever files there are."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import os
import random
import struct
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import load_results
from harness.config.errors import HarnessError
from harness.execution.listing import stored_runs
from harness.reporting.same_values import earlier_with_same_values
from harness.reporting.summary_frame import SeedMeans, frame_of, mean_of, spread_of
from harness.store import compact, stored_results
from harness.store.files import write_json
from harness.store.result_columns import ResultColumns
from harness.store.result_lines import read_files
from harness.store.results import Result, append, read
from harness.store.stored_results import results_in, results_of, run_files

ROW = Result(
    *("w", "s", "cpl:top_k=2", 0, "three-task", "synthetic", "derain", "china#0"),
    *("psnr_rgb", "prep", "prot", 31.25),
)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
VALUES = st.floats(-1e100, 1e100) | st.sampled_from([math.inf, -math.inf, math.nan])
ROWS = st.builds(
    Result,
    weights=NAMES,
    score=st.sampled_from(["s", "t"]),
    method=NAMES,
    seed=st.integers(-(2**62), 2**62),
    setting=NAMES,
    data_set=NAMES,
    column=NAMES,
    image=NAMES,
    metric=st.just("niqe"),
    preprocessing=NAMES,
    protocol=NAMES,
    value=VALUES,
    origin=st.sampled_from(["measured", "re-evaluated", "cited"]),
)


def bits(results: Sequence[Result]) -> list[tuple[object, ...]]:
    """Return results such that equal values are equal bits; there is one NaN in JSON."""
    found = []
    for result in results:
        value = struct.pack("d", result.value)
        if math.isnan(result.value):
            value = b"nan"
        found.append((*dataclasses.astuple(dataclasses.replace(result, value=0.0)), value))
    return found


def rows(count: int, method: str = "cpl", seed: int = 0) -> list[Result]:
    rng = random.Random(f"{method}{seed}")
    found = []
    for i in range(count):
        named = {"method": method, "seed": seed, "image": f"image{i // 2}#0"}
        named["metric"] = ("psnr_rgb", "ssim_rgb_uniform7")[i % 2]
        found.append(dataclasses.replace(ROW, **named, value=rng.random()))  # type: ignore[arg-type]
    return found


@pytest.fixture
def all_compact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make compact files of the fewest rows, and remember nothing."""
    monkeypatch.setattr(stored_results, "DIRECT_BYTES", 1)
    forget()


def forget() -> None:
    stored_results._kept.clear()


def settle(folder: Path) -> None:
    """Make files look as if they had not changed for a while, as they mostly have not."""
    for path in folder.glob("*/results.jsonl"):
        os.utime(path, ns=(10**18, 10**18))
    forget()


def folder_of(out: Path, runs: int = 3, count: int = 20) -> list[Result]:
    """Write runs, and return all results in the order of their names."""
    written = []
    for number in range(runs):
        (out / f"run{number}").mkdir(parents=True)
        found = rows(count, f"cpl:top_k={number}")
        append(out / f"run{number}" / "results.jsonl", found)
        write_json(out / f"run{number}" / "spec.json", {"method": "cpl", "seed": 0})
        written += found
    settle(out)
    return written


def read_all(out: Path) -> ResultColumns:
    return ResultColumns.joined(results_in(run_files(out)))


def compact_paths(out: Path) -> list[Path]:
    return sorted((out / "compact").glob("*.parquet"))


@settings(deadline=None, max_examples=60)
@given(results=st.lists(ROWS, max_size=12))
def test_any_results_come_back_from_rows_and_from_compact_files(
    results: list[Result], tmp_path_factory: pytest.TempPathFactory
) -> None:
    out = tmp_path_factory.mktemp("out")
    (out / "run").mkdir()
    path = out / "run" / "results.jsonl"
    append(path, results)
    assert bits(read([path])) == bits(results)
    (file,) = read_files([path])
    assert bits(file.results) == bits(results)
    compact.write_compact(out, {"run": file}, 2**62)
    (copy,) = compact.compact_files(out)
    (copied,) = copy.read([copy.runs["run"]])
    assert bits(copied) == bits(results)
    assert bits(copied.of_score("t")) == bits([r for r in results if r.score == "t"])


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line.replace("china", "ch\\u0069na"),
        lambda line: line.replace(", ", ","),
        lambda line: "\n" + line,
        lambda line: '{"column": "der\n' + line,
        lambda line: line.replace("\n", "\r\n"),
    ],
)
def test_lines_that_are_written_otherwise_are_read_all_the_same(
    tmp_path: Path, change: object
) -> None:
    path = tmp_path / "results.jsonl"
    append(path, [ROW, ROW])
    assert callable(change)
    content = {**dataclasses.asdict(ROW), "seed": 5, "value": 31}
    text = path.read_text() + change(json.dumps(content) + "\n")
    path.write_bytes(text.encode())
    assert read_files([path])[0].results == read([path])
    assert [result.seed for result in read([path])] == [0, 0, 5]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("31.25", "31.26", "line 2, is damaged: its checksum differs"),
        ('"derain"', '"dehaze"', "line 2, is damaged: its checksum differs"),
        ("31.25", "nan", "line 2, is not a result"),
        ('"measured"', '"felt"', "line 2, is damaged"),
    ],
)
def test_damage_is_named_as_ever(tmp_path: Path, old: str, new: str, reason: str) -> None:
    path = tmp_path / "results.jsonl"
    append(path, [dataclasses.replace(ROW, value=30.0), ROW])
    path.write_text(
        path.read_text().replace(old, new) if old == "31.25" else damaged(path, old, new)
    )
    with pytest.raises(HarnessError, match=reason):
        results_in([path])


def damaged(path: Path, old: str, new: str) -> str:
    first, second = path.read_text().splitlines()
    return f"{first}\n{second.replace(old, new)}\n"


def test_a_value_that_cannot_be_is_refused_with_its_checksum_right(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    append(path, [ROW, dataclasses.replace(ROW, value=2000.0)])
    with pytest.raises(HarnessError, match="line 2, has psnr_rgb 2000, which cannot be"):
        results_in([path])


@pytest.mark.usefixtures("all_compact")
@given(cut=st.integers(1, 300))
@settings(deadline=None, max_examples=30)
def test_a_line_cut_off_loses_itself_alone(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    out = tmp_path_factory.mktemp("out")
    written = folder_of(out, runs=2, count=4)
    path = out / "run0" / "results.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    whole = 4 if cut == 1 else 3
    assert list(read_all(out)) == written[:whole] + written[4:]
    append(path, [ROW])
    forget()
    assert list(read_all(out)) == [*written[:whole], ROW, *written[4:]]


@pytest.mark.usefixtures("all_compact")
def test_many_rows_are_copied_once_and_read_from_the_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = folder_of(tmp_path)
    assert list(read_all(tmp_path)) == written
    (path,) = compact_paths(tmp_path)
    forget()
    monkeypatch.setattr(stored_results, "read_files", lambda paths: [] if not paths else 1 / 0)
    assert list(read_all(tmp_path)) == written
    assert compact_paths(tmp_path) == [path]
    (found,) = results_in([tmp_path / "run1" / "results.jsonl"])
    assert list(found) == written[20:40]


@pytest.mark.usefixtures("all_compact")
def test_a_run_that_goes_on_is_read_anew_and_the_others_are_not(tmp_path: Path) -> None:
    written = folder_of(tmp_path)
    read_all(tmp_path)
    append(tmp_path / "run1" / "results.jsonl", [ROW])
    settle(tmp_path)
    expected = [*written[:40], ROW, *written[40:]]
    assert list(read_all(tmp_path)) == expected
    assert len(compact_paths(tmp_path)) == 2
    forget()
    assert list(read_all(tmp_path)) == expected


@pytest.mark.usefixtures("all_compact")
@pytest.mark.parametrize("when_ns", [10**18, 10**18 + 1, None])
def test_rows_changed_in_place_are_noticed(tmp_path: Path, when_ns: int | None) -> None:
    """The size stays; whether the time does, is up to the clock of the file system."""
    folder_of(tmp_path)
    path = tmp_path / "run1" / "results.jsonl"
    if when_ns == 10**18:
        os.utime(path)  # just written, so its time does not tell
        when_ns = path.stat().st_mtime_ns
    read_all(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"seed": 0', b'"seed": 1'))
    if when_ns is not None:
        os.utime(path, ns=(when_ns, when_ns))
    forget()
    with pytest.raises(HarnessError, match=r"run1/results.jsonl, line 1, is damaged"):
        read_all(tmp_path)


@pytest.mark.usefixtures("all_compact")
def test_a_folder_that_was_copied_keeps_its_compact_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = folder_of(tmp_path)
    read_all(tmp_path)
    for path in run_files(tmp_path):
        os.utime(path)
    forget()
    monkeypatch.setattr(stored_results, "read_files", lambda paths: [] if not paths else 1 / 0)
    assert list(read_all(tmp_path)) == written


@pytest.mark.usefixtures("all_compact")
@pytest.mark.parametrize("damage", ["byte", "cut", "empty", "other", "missing", "renamed"])
def test_damaged_compact_files_are_ignored_and_made_anew(tmp_path: Path, damage: str) -> None:
    written = folder_of(tmp_path)
    read_all(tmp_path)
    (path,) = compact_paths(tmp_path)
    content = path.read_bytes()
    middle = len(content) // 2
    if damage == "byte":
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif damage == "cut":
        path.write_bytes(content[:middle])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "other":
        pd.DataFrame({"a": [1]}).to_parquet(path)
    elif damage == "missing":
        path.unlink()
    else:
        path.rename(path.with_name("00000000.parquet"))
    forget()
    assert list(read_all(tmp_path)) == written
    assert [file.read_bytes() for file in compact_paths(tmp_path)] != []
    assert len(compact.compact_files(tmp_path)) == len(compact_paths(tmp_path)) == 1


@pytest.mark.usefixtures("all_compact")
def test_a_folder_that_may_only_be_read_is_read_with_a_note(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    written = folder_of(tmp_path)
    (tmp_path / "compact").write_text("")  # root may write where it should not
    with caplog.at_level(logging.WARNING):
        assert list(read_all(tmp_path)) == written
    assert "compact is not written" in caplog.text


def test_without_pyarrow_rows_are_read_as_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, all_compact: None
) -> None:
    written = folder_of(tmp_path)
    monkeypatch.setattr(stored_results, "can_compact", lambda: False)
    assert list(read_all(tmp_path)) == written
    assert not compact_paths(tmp_path)


@pytest.mark.usefixtures("all_compact")
def test_appending_while_compact_files_are_made_loses_nothing(tmp_path: Path) -> None:
    folder_of(tmp_path)
    path = tmp_path / "run1" / "results.jsonl"
    more = rows(300, "more")

    def go_on() -> None:
        for row in more:
            append(path, [row])

    writer = threading.Thread(target=go_on)
    writer.start()
    seen = []
    while writer.is_alive():
        forget()
        (found,) = results_in([path])
        seen.append(len(found))
        read_all(tmp_path)
    writer.join()
    assert seen == sorted(seen)
    forget()
    (found,) = results_in([path])
    assert list(found) == read([path])
    assert len(found) == 20 + 300


def test_what_did_not_change_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_of(tmp_path)
    path = tmp_path / "run0" / "results.jsonl"
    times = []
    monkeypatch.setattr(
        stored_results, "read_files", lambda paths: times.extend(paths) or read_files(paths)
    )
    for _ in range(3):
        assert len(results_in([path])[0].of_score("s")) == 20
    assert times == [path]
    append(path, [ROW])
    assert len(results_in([path])[0].of_score("s")) == 21
    assert len(results_in([path])[0].of_score("another")) == len(results_of(path, None)) == 0
    assert len(results_in([tmp_path / "no" / "results.jsonl"])[0]) == 0


@pytest.mark.usefixtures("all_compact")
def test_frames_and_listings_are_the_same_from_either(tmp_path: Path) -> None:
    written = folder_of(tmp_path)
    expected = pd.DataFrame(list(map(dataclasses.asdict, written)))
    for _ in range(2):
        pd.testing.assert_frame_equal(load_results(tmp_path), expected, check_exact=True)
        listed = stored_runs(tmp_path)
        assert [(run.id, run.state) for run in listed] == [(f"run{i}", "scored") for i in range(3)]
        assert {run.settings for run in listed} == {("three-task",)}
        size = sum(file.stat().st_size for file in (tmp_path / "run0").iterdir())
        assert listed[0].bytes == size
        forget()
    assert compact_paths(tmp_path)


def test_a_folder_that_is_not_there_has_no_files(tmp_path: Path) -> None:
    assert run_files(tmp_path / "no") == []


# --- columns -----------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(results=st.lists(ROWS, max_size=10), data=st.data())
def test_columns_answer_like_a_list(results: list[Result], data: st.DataObject) -> None:
    columns = ResultColumns.of(results)
    chosen = data.draw(st.lists(st.booleans(), min_size=len(results), max_size=len(results)))
    expected = [result for result, is_chosen in zip(results, chosen, strict=True) if is_chosen]
    selected = columns.select(np.array(chosen, dtype=bool))
    again = selected.select(np.ones(len(expected), dtype=bool))
    cut = data.draw(st.integers(0, len(results)))
    assert bits(again) == bits(expected)
    assert bits(ResultColumns.joined([columns[:cut], columns[cut:]])) == bits(results)
    assert bits(ResultColumns.joined([selected, results, columns])) == bits(
        [*expected, *results, *results]
    )
    assert bits([columns[i] for i in range(len(results))]) == bits(results)
    assert bits([selected[-1]] if expected else []) == bits(expected[-1:])
    assert columns.distinct("image") == list(dict.fromkeys(r.image for r in results))
    by_score = {name: bits(part) for name, part in columns.by("score").items()}
    for name, part in by_score.items():
        assert part == bits([r for r in results if r.score == name])
    renamed = columns.with_name("method", "x")
    assert bits(renamed) == bits([dataclasses.replace(r, method="x") for r in results])


@settings(deadline=None, max_examples=40)
@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=12, max_size=12),
    drop=st.integers(0, 11),
)
def test_means_are_bit_for_bit_those_of_each_part(values: list[float], drop: int) -> None:
    made = []
    for place, value in enumerate(values):
        named = {"seed": place % 2, "column": ("b", "a")[place // 2 % 2], "image": f"{place // 4}"}
        made.append(dataclasses.replace(ROW, **named, value=value))  # type: ignore[arg-type]
    del made[drop]
    made.append(made[0])  # the same value twice counts once
    means = SeedMeans.of(frame_of(ResultColumns.of(made)))
    plain = pd.DataFrame(list(map(dataclasses.asdict, made[:-1])))
    for column in ("a", "b"):
        part = plain[plain["column"] == column]
        expected = part.groupby("seed")["value"].mean()
        found = means.of_seeds((ROW.method, column, ROW.metric))
        assert mean_of(found) == float(expected.mean())
        assert spread_of(found) == float(expected.std(ddof=1))
        assert means.scored((ROW.method, column, ROW.metric)) == len(part)
    per_seed = plain.groupby(["seed", "column"])["value"].mean().groupby("seed").mean()
    assert means.of_averages(ROW.method, ROW.metric).tolist() == per_seed.tolist()


def test_two_values_of_one_image_are_refused() -> None:
    with pytest.raises(HarnessError, match="two values of psnr_rgb on china#0"):
        frame_of(ResultColumns.of([ROW, dataclasses.replace(ROW, value=1.0)]))


def test_methods_with_the_same_values_are_found_whatever_the_order() -> None:
    first, nan = rows(6), dataclasses.replace(ROW, value=math.nan)
    swapped = [
        dataclasses.replace(r, value=v.value) for r, v in zip(first, first[::-1], strict=True)
    ]
    by_method = {
        "a": [*first, nan],
        "b": [*swapped, nan],
        "c": ResultColumns.of([nan, *first[::-1]]),
        "d": [],
    }
    assert earlier_with_same_values(by_method) == {"c": "a"}
