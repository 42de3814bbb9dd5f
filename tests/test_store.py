"""Rows and files that survive being cut off."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config.errors import HarnessError
from harness.planning.plan import make_plan
from harness.store.files import check_writable, write_atomically, write_json
from harness.store.results import Result, append, read
from harness.store.run_folder import RunFolder

ROW = Result(
    "w",
    "s",
    "cpl:top_k=2",
    0,
    "three-task",
    "synthetic-twin",
    "derain",
    "china#0",
    "psnr_rgb",
    "prep",
    "prot",
    31.25,
)


def test_rows_come_back(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [ROW, dataclasses.replace(ROW, value=float("inf")), dataclasses.replace(ROW, seed=1)]
    append(path, rows[:1])
    append(path, rows[1:])
    assert read([path]) == rows


@given(cut=st.integers(1, 200))
def test_a_line_cut_off_loses_itself_alone(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    append(path, [ROW, ROW])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - min(cut, len(whole) // 2 - 1)])
    survivors = len(read([path]))
    assert survivors in (1, 2)
    append(path, [dataclasses.replace(ROW, seed=7)])
    after = read([path])
    assert len(after) == survivors + 1
    assert after[-1].seed == 7


@pytest.mark.parametrize("line", ['{"a": 1}', "[1]", "text}"])
def test_other_damage_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "rows.jsonl"
    append(path, [ROW])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(HarnessError, match=r"rows.jsonl, line 2"):
        read([path])


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    write_json(path, {"a": 1})

    def fail(file: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(HarnessError, match=r"f.json cannot be written: No space left"):
        write_atomically(path, fail)
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["f.json"]


def test_an_output_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HarnessError, match=r"cannot be written.*--out"):
        check_writable(tmp_path / "file" / "out")


def test_a_cell_folder_of_another_cell_is_refused(tmp_path: Path) -> None:
    plan = make_plan(["promptir", "cpl"], "three-task", "smoke", [0], [], tmp_path)
    folder = RunFolder(tmp_path / "run")
    folder.write_spec(plan.runs[-1].spec)
    folder.write_spec(plan.runs[-1].spec)
    with pytest.raises(HarnessError, match=r"describes cpl .* not promptir"):
        folder.write_spec(plan.runs[-2].spec)
