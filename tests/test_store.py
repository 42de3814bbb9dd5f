"""Rows and files that survive being cut off."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config.errors import HarnessError
from harness.config.hashing import spec_hash
from harness.planning.plan import make_plan
from harness.planning.request import RunRequest
from harness.planning.run import Run
from harness.store.archive import import_runs
from harness.store.files import check_writable, write_atomically, write_json
from harness.store.legacy.archives import legacy_id_of
from harness.store.legacy.identity import legacy_options, legacy_score_id
from harness.store.results import Result, append, read
from harness.store.run_folder import RunFolder
from harness.store.stored_run import StoredRun
from harness.store.weights import read_metadata

ROW = Result(
    "w",
    "s",
    "cpl:top_k=2",
    0,
    "three-task",
    "synthetic",
    "derain",
    "china#0",
    "psnr_rgb",
    "prep",
    "prot",
    31.25,
)


def test_results_come_back(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    rows = [ROW, dataclasses.replace(ROW, value=float("inf")), dataclasses.replace(ROW, seed=1)]
    append(path, rows[:1])
    append(path, rows[1:])
    assert read([path]) == rows


@given(cut=st.integers(1, 200))
def test_a_line_cut_off_loses_itself_alone(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("rows") / "results.jsonl"
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
    path = tmp_path / "results.jsonl"
    append(path, [ROW])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(HarnessError, match=r"results.jsonl, line 2"):
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


def test_the_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    plan = make_plan(RunRequest(methods=("promptir", "cpl"), recipe="smoke", out=tmp_path))
    folder = RunFolder(tmp_path / "run")
    folder.write_spec(plan.runs[-1].train)
    folder.write_spec(plan.runs[-1].train)
    with pytest.raises(HarnessError, match=r"describes cpl .* not promptir"):
        folder.write_spec(plan.runs[-2].train)


# --- version 0.1 -------------------------------------------------------------------------


def stored_run(run: Run) -> StoredRun:
    needed = tuple(stored_run(needed) for needed in run.requires)
    return StoredRun(run.method.id, run.train, run.score, run.folder, needed)


LEGACY_IDS = {
    ("three-task", "mini", "degraded-input"): "53b3c90e29b62ff2",
    ("three-task", "mini", "promptir"): "36653391393ac9c2",
    ("three-task", "mini", "explicit"): "f8ccb5d642461176",
    ("three-task", "mini", "cpl-guided"): "67edbb60936fc4b6",
    ("all-weather", "smoke", "promptir"): "51eb40534067cbb0",
    ("five-task", "smoke", "promptir"): "7a4eb9cc7bf3b693",
    ("seven-task", "smoke", "promptir"): "aa3935b13fe1148c",
    ("composite", "smoke", "promptir"): "71adabf6bd9d2712",
    ("weatherbench", "smoke", "promptir"): "c17df80ed1d1dfb1",
}
"""Names of runs that version 0.1 computed."""

FORMER_TRAIN = (
    "train: {{lr: 1.0e-3, lr_min: 1.0e-5, weight_decay: 1.0e-4, warmup_steps: {warmup}}}\n"
)
"""What recipes had before the search."""

FORMER_METHODS = {
    "cpl-guided": "cpl-guided:cpr_form=margin-db:cpr_gradient=full:cpr_negatives=in-use:"
    "cpr_start=0.1:cpr_weight=0.002:load_balancing_weight=0.05:router_temperature=0.2:"
    "teacher_inputs=raw:teacher_weight=0.05"
}


@pytest.mark.parametrize(("setting", "recipe", "method"), LEGACY_IDS)
def test_runs_of_version_0_1_are_recognised(
    setting: str, recipe: str, method: str, tmp_path: Path
) -> None:
    path = tmp_path / "former.yaml"
    warmup = {"mini": 20, "smoke": 2}[recipe]
    path.write_text(f"base: {recipe}\n" + FORMER_TRAIN.format(warmup=warmup), encoding="utf-8")
    former = FORMER_METHODS.get(method, method)
    request = RunRequest(methods=(former,), setting=setting, recipe=str(path), out=tmp_path)
    runs = [run for run in make_plan(request).runs if run.method.spec.name == method]
    assert legacy_id_of(stored_run(runs[0])) == LEGACY_IDS[setting, recipe, method]


def test_a_training_that_ended_before_cpr_began_is_another_one(tmp_path: Path) -> None:
    """In version 0.1 CPR began at step 60 of any training, also of smoke's twelve."""
    run = make_plan(RunRequest(methods=("cpl-guided",), recipe="smoke", out=tmp_path)).runs[-1]
    assert legacy_id_of(stored_run(run)) != "8618c214bfff6b85"


def test_options_are_renamed_back_and_others_stay() -> None:
    options = {"load_balancing": "share", "routing_gradient": "selected", "dim": 16}
    assert legacy_options(options, 400) == {
        "balance": "share",
        "routing_gradient": "kept",
        "dim": 16,
    }
    old = {"balance": "share", "routing_gradient": "kept", "dim": 16}
    assert legacy_options(old, 400) == old


def legacy_row(run: StoredRun, column: str, value: float) -> dict[str, object]:
    assert run.score is not None
    weights = legacy_id_of(run)
    return {
        "weights": weights,
        "score": legacy_score_id(run.score, weights),
        "method": "cpl",
        "seed": 0,
        "setting": "three-task",
        "dataset": "synthetic-twin",
        "column": column,
        "image": "china#0",
        "metric": "psnr_rgb",
        "preparation": "crop16-uint8",
        "protocol": "rgb-float-uniform7",
        "value": value,
        "origin": "measured",
    }


def write_legacy_output(folder: Path, run: StoredRun) -> None:
    """Write what version 0.1 stored of a run."""
    from safetensors.numpy import save_file

    weights = legacy_id_of(run)
    old = folder / "cells" / f"cpl-s0-{weights}"
    row = legacy_row(run, "derain", 31.25)
    write_json(old / "spec.json", {})
    write_json(old / "record.json", {"wall_s": 5.0, "source_sha256": "abc"})
    prompts = {
        "tasks": ["derain"],
        "usage": {"level1": {"derain": [1.0]}},
        "psnr_db": [[30.0]],
        "wrong_prompt_cost_db": 0.5,
        "collapsed": True,
    }
    write_json(old / "probes.json", {"prompts": prompts, "higher_is_better": {"psnr_rgb": True}})
    write_json(old / "full_probes.json", {row["score"]: LEGACY_ANALYSIS})
    other = {**row, "score": "another"}
    (old / "rows.jsonl").write_text(f"{json.dumps(row)}\n{json.dumps(other)}\n")
    tensors = {
        "prompting.privileged.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "prompting.usage.level1": np.ones(2, dtype=np.float32),
        "places.level1.reduce.weight": np.ones(2, dtype=np.float32),
        "body.weight": np.ones(3, dtype=np.float32),
    }
    metadata = {"weights_id": weights, "method": "cpl", "source_sha256": "", "options": "{}"}
    save_file(tensors, old / "weights.safetensors", metadata)


LEGACY_ANALYSIS = {
    "columns": ["derain"],
    "families": ["derain"],
    "images": {"derain": 1},
    "input_db": [20.0],
    "routing": {
        "level1": {
            "use": {"derain": [1.0]},
            "entropy_of_images": 0.0,
            "entropy_of_use": 0.0,
            "information": {
                "tasks": 1.0,
                "families": 1.0,
                "tasks_by_chance": 0.1,
                "families_by_chance": 0.1,
            },
        }
    },
    "redundancy": {},
    "control": {"psnr_db": [[30.0]], "advantage_db": [None], "unused": {}},
    "explicit": {
        "tasks": ["derain"],
        "confusion": {"derain": [1]},
        "psnr_db": {"derain": {"right": 30.0, "wrong": None, "wrong_if_told": None}},
    },
    "elsewhere": [
        {
            "kind": "k",
            "name": "n",
            "input_db": 1.0,
            "restored_db": 2.0,
            "use": {"level1": [1.0]},
        }
    ],
}


def test_an_output_folder_of_version_0_1_is_imported(tmp_path: Path) -> None:
    plan = make_plan(RunRequest(methods=("cpl-guided",), recipe="smoke", out=tmp_path / "new"))
    run = stored_run(next(run for run in plan.runs if run.method.id == "cpl-guided"))
    write_legacy_output(tmp_path / "old", run)
    assert import_runs([run], tmp_path / "old") == 1
    (result,) = read([run.folder.results])
    assert (result.value, result.data_set, result.preprocessing) == (
        31.25,
        "synthetic",
        "crop16-uint8-centre-96",
    )
    assert (result.weights, result.score) == (run.weights_id, run.score_id)
    provenance = json.loads(run.folder.provenance.read_text())
    assert provenance == {"wall_s": 5.0, "checkpoint_sha256": "abc"}
    summary = json.loads(run.folder.prompt_summary.read_text())
    assert summary["prompts"]["prompt_swap_gap_db"] == 0.5
    assert "usage" not in summary["prompts"]
    analysis = json.loads(run.folder.prompt_analysis.read_text())[run.score_id]
    assert analysis["routing"]["level1"]["expert_load"] == {"derain": [1.0]}
    assert analysis["explicit"]["psnr_db"]["derain"]["wrong_with_true_task"] is None
    assert import_runs([run], tmp_path / "old") == 0, "what is there stays"


def test_weights_of_version_0_1_keep_their_values(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    plan = make_plan(RunRequest(methods=("cpl-guided",), recipe="smoke", out=tmp_path / "new"))
    run = stored_run(next(run for run in plan.runs if run.method.id == "cpl-guided"))
    write_legacy_output(tmp_path / "old", run)
    import_runs([run], tmp_path / "old")
    found = load_file(run.folder.weights)
    assert set(found) == {
        "prompting.teacher.weight",
        "prompting.expert_load.level1",
        "insertion_points.level1.reduce.weight",
        "body.weight",
    }
    assert found["prompting.teacher.weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    metadata = read_metadata(run.folder.weights)
    assert metadata["weights_id"] == spec_hash(run.spec)
    assert metadata["method"] == "cpl-guided", "cpl of version 0.1"
    assert json.loads(metadata["options"]) == run.spec.options
