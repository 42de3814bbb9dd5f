"""Damage in what is stored, and stored values that cannot be, are refused in one sentence."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from harness.config.errors import HarnessError, UsageError
from harness.config.recipe_files import load_recipe
from harness.config.recipes import Optimisation
from harness.config.settings import DeadLeavesSpec, Task
from harness.execution.execute import RunOutcome, execute
from harness.execution.listing import stored_runs
from harness.execution.networks import initial_network, trained_network
from harness.execution.process import Worker
from harness.planning.plan import Plan, make_plan
from harness.planning.plan_files import load_plan, store_plan
from harness.planning.request import RunRequest
from harness.planning.run import Run
from harness.store.archive import read_archive
from harness.store.files import write_json
from harness.store.prompt_files import stored_analysis, stored_summary
from harness.store.results import Result, append, read
from harness.training.checkpoint import TrainingState, load_state, save_state, save_weights
from harness.training.weight_files import read_weight_file
from tests.plans import plan_of, quick_plan

ROW = Result(
    *("w", "s", "cpl", 0, "three-task", "synthetic", "derain", "china#0", "psnr_rgb", "crop16"),
    "rgb-float-uniform7",
    31.25,
)


def compute(plan: Plan) -> list[RunOutcome]:
    return [execute(run, plan, Worker("cpu", 1)) for run in plan.all_runs]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished")
    assert not any(outcome.error for outcome in compute(quick_plan(out)))
    return out


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> tuple[Plan, Run]:
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    plan = quick_plan(out)
    return plan, plan.runs[-1]


def flipped(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    path.write_bytes(content)


def state_of(run: Run, step: int = 1) -> TrainingState:
    """Return a state as a training of the run has it after a step."""
    network = initial_network(run)
    adamw = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    adamw.step()
    return TrainingState(
        step=step,
        model=network.state_dict(),
        optimiser=adamw.state_dict(),
        ema=None,
        best=None,
        best_score=1.5,
        best_step=1,
        validation="",
        threads=1,
        wall_s=1.0,
    )


# --- checksums ---------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 0.9999])
def test_a_flipped_bit_in_a_checkpoint_is_refused(share: float, tmp_path: Path) -> None:
    run = quick_plan(tmp_path).runs[-1]
    path = tmp_path / "checkpoint.pt"
    save_state(path, run.weights_id, "promptir", state_of(run))
    assert load_state(path, run.weights_id, "promptir").step == 1
    flipped(path, int(path.stat().st_size * share))
    with pytest.raises(HarnessError, match=r"checkpoint.pt cannot be read .*delete it to train"):
        load_state(path, run.weights_id, "promptir")


@pytest.mark.parametrize("change", [{"step": 2}, {"optimiser": {"state": {}, "param_groups": []}}])
def test_an_edited_checkpoint_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    run = quick_plan(tmp_path).runs[-1]
    path = tmp_path / "checkpoint.pt"
    save_state(path, run.weights_id, "promptir", state_of(run))
    content = torch.load(path, weights_only=True)
    torch.save({**content, **change}, path)
    with pytest.raises(HarnessError, match="its checksum differs"):
        load_state(path, run.weights_id, "promptir")


@pytest.mark.parametrize(
    ("step", "emptied", "reason"),
    [
        (2, False, "claims step 2 of 2"),
        (0, False, "claims step 0"),
        (1, True, "optimiser is empty"),
    ],
)
def test_a_checkpoint_that_no_training_writes_is_refused(
    step: int, emptied: bool, reason: str, tmp_path: Path
) -> None:
    plan = quick_plan(tmp_path)
    run = plan.runs[-1]
    state = state_of(run, step)
    if emptied:
        empty = {**state.optimiser, "state": {}}
        state = dataclasses.replace(state, optimiser=empty)
    save_state(run.folder.checkpoint, run.weights_id, "promptir", state)
    outcome = execute(run, plan, Worker("cpu", 1))
    assert reason in outcome.error
    assert "delete it to train" in outcome.error
    run.folder.checkpoint.unlink()
    assert not execute(run, plan, Worker("cpu", 1)).error, "the advice works"


@pytest.mark.parametrize("share", [0.001, 0.1, 0.4, 0.7, 0.999])
def test_a_flipped_bit_in_weights_is_refused(share: float, copy: tuple[Plan, Run]) -> None:
    plan, run = copy
    flipped(run.folder.weights, 9 + int((run.folder.weights.stat().st_size - 10) * share))
    with pytest.raises(HarnessError, match="delete the file to train the run again"):
        trained_network(run)
    with pytest.raises(HarnessError, match="fetch it again"):
        read_weight_file(run.folder.weights)
    run.folder.results.unlink()
    assert "delete the file" in execute(run, plan, Worker("cpu", 1)).error
    run.folder.weights.unlink()
    assert not execute(run, plan, Worker("cpu", 1)).error, "the advice works"


def test_a_flipped_bit_in_a_file_of_torch_save_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save({"params": {"weight": torch.ones(64, 64)}}, path)
    assert read_weight_file(path)[0]["params"]["weight"].sum() == 64 * 64
    flipped(path, path.stat().st_size // 2)
    with pytest.raises(HarnessError, match=r"model.pth cannot be read .*fetch it again"):
        read_weight_file(path)


def test_a_pretrained_file_that_changed_after_the_plan_is_refused(
    copy: tuple[Plan, Run], tmp_path: Path
) -> None:
    source = tmp_path / "author.safetensors"
    shutil.copy(copy[1].folder.weights, source)
    request = {"checkpoint": {"file": source}, "out": tmp_path / "o"}
    plan = plan_of([], **request)
    run = plan.runs[-1]
    spec = copy[1].train.model_copy(update={"seed": 5})
    save_weights(source, trained_network(copy[1]).state_dict(), spec)
    assert "has changed since this run was planned" in execute(run, plan, Worker("cpu", 1)).error


def test_a_changed_line_of_results_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    append(path, [ROW, ROW])
    path.write_text(path.read_text().replace("31.25", "31.75", 1))
    with pytest.raises(HarnessError, match=r"results.jsonl, line 1, is damaged"):
        read([path])


def test_lines_without_a_checksum_are_read(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(json.dumps(dataclasses.asdict(ROW)) + "\n")
    assert read([path]) == [ROW]


# --- equal weights are equal bytes -------------------------------------------------------


def test_the_same_weights_are_the_same_bytes(copy: tuple[Plan, Run], tmp_path: Path) -> None:
    _, run = copy
    weights = trained_network(run).state_dict()
    stored = run.folder.weights.read_bytes()
    for number in range(8):  # the library's own order of metadata differs from file to file
        again = tmp_path / f"{number}.safetensors"
        save_weights(again, weights, run.train)
        assert again.read_bytes() == stored


# --- stored values -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("value", True),
        ("value", None),
        ("value", "31.2"),
        ("value", -5.0),
        ("value", 1e308),
        ("value", []),
        ("seed", "0"),
        ("seed", True),
        ("seed", 0.5),
        ("method", 7),
        ("image", ""),
        ("origin", "guessed"),
    ],
)
def test_a_row_with_a_value_that_cannot_be_is_refused(
    field: str, value: Any, tmp_path: Path
) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(json.dumps({**dataclasses.asdict(ROW), field: value}) + "\n")
    with pytest.raises(HarnessError, match=r"results.jsonl, line 1, has .*move the file away"):
        read([path])


def test_values_at_the_border_are_read(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    unclamped = dataclasses.replace(ROW, protocol="rgb-unclamped-gauss11", value=-5.0)
    other = dataclasses.replace(ROW, metric="pyiqa:brisque", value=-5.0)
    equal = dataclasses.replace(ROW, value=float("inf"))
    append(path, [unclamped, other, equal])
    assert read([path]) == [unclamped, other, equal]


def test_an_archive_is_checked_like_rows(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    fields = dataclasses.asdict(ROW)
    for name, value in (("value", "1e308"), ("seed", "one"), ("origin", "x"), ("value", "true")):
        line = {**fields, name: value}
        path.write_text(",".join(fields) + "\n" + ",".join(map(str, line.values())) + "\n")
        with pytest.raises(UsageError, match=r"results.csv, line 2, is no result"):
            read_archive(tmp_path)
    path.write_bytes(b"\xff\xfe broken")
    with pytest.raises(HarnessError, match=r"results.csv cannot be read"):
        read_archive(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",seed,", ",sead,", "lacks the column seed and has 'sead' instead"),
        (",seed,", ",", "lacks the column seed; restore"),
        (",seed,setting,", ",", "lacks the columns seed, setting; restore"),
        (",seed,", ",seed,note,", "has 'note', which is no column of it"),
        (
            ",seed,setting,",
            ",setting,seed,",
            "has a column twice, or not in the order weights,",
        ),
        (",seed,", ",seed,seed,", "has a column twice"),
        ("weights", "\ufeffweights", r"lacks the column weights and has '\ufeffweights' instead"),
    ],
)
def test_columns_that_an_archive_lacks_are_named(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    fields = dataclasses.asdict(ROW)
    head = ",".join(fields)
    assert old in head
    text = head.replace(old, new, 1) + "\n" + ",".join(map(str, fields.values())) + "\n"
    (tmp_path / "results.csv").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        read_archive(tmp_path)
    assert f"{tmp_path / 'results.csv'} {message}" in str(refused.value)
    assert str(refused.value).endswith("or write it again with run --export FOLDER")


def test_an_empty_archive_has_no_columns(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text("")
    with pytest.raises(UsageError, match=r"begins with none of its columns.* first is weights"):
        read_archive(tmp_path)


# --- files of the wrong kind -------------------------------------------------------------

NOT_TEXT = b'{"method": "\xff\xfe"}'
DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize("content", [NOT_TEXT, DEEP, b"[1, 2]", b"7", b"null", b"{"])
@pytest.mark.parametrize("name", ["spec", "provenance", "prompt_summary", "prompt_analysis"])
def test_json_that_is_not_what_it_should_be_is_named(
    name: str, content: bytes, copy: tuple[Plan, Run]
) -> None:
    plan, run = copy
    path: Path = getattr(run.folder, name)
    path.write_bytes(content)
    readers = {
        "spec": lambda: run.folder.write_spec(run.train),
        "provenance": run.folder.read_provenance,
        "prompt_summary": lambda: stored_summary(run.folder),
        "prompt_analysis": lambda: stored_analysis(run.folder, run.score_id),
    }
    with pytest.raises(HarnessError, match=rf"{path.name} .*move it away and run again"):
        readers[name]()
    if name == "spec":
        with pytest.raises(HarnessError, match=r"spec.json cannot be read"):
            stored_runs(plan.out)


@pytest.mark.parametrize("content", [NOT_TEXT + b"\n", DEEP + b"\n"])
def test_results_that_are_no_text_are_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(content)
    with pytest.raises(HarnessError, match=r"results.jsonl"):
        read([path])


@pytest.mark.parametrize(
    "prompts",
    [
        5,
        {"tasks": ["a"], "expert_load": {}, "psnr_db": "x"},
        {
            "tasks": ["a", "b"],
            "expert_load": {"level1": {"a": [1.0]}},
            "psnr_db": [[1.0]],
            "prompt_swap_gap_db": 0.1,
            "collapsed": False,
        },
    ],
)
def test_a_prompt_summary_of_another_shape_is_named(prompts: Any, copy: tuple[Plan, Run]) -> None:
    _, run = copy
    write_json(run.folder.prompt_summary, {"prompts": prompts})
    with pytest.raises(HarnessError, match=r"prompt_summary.json is damaged .*move it away"):
        stored_summary(run.folder)


def test_a_prompt_analysis_of_another_shape_is_named(copy: tuple[Plan, Run]) -> None:
    _, run = copy
    write_json(run.folder.prompt_analysis, {str(run.score_id): {"columns": 3}})
    with pytest.raises(HarnessError, match=r"prompt_analysis.json is damaged"):
        stored_analysis(run.folder, run.score_id)


def test_a_spec_of_another_kind_is_named(copy: tuple[Plan, Run]) -> None:
    _, run = copy
    write_json(run.folder.spec, {"method": "promptir"})
    with pytest.raises(HarnessError, match=r"spec.json does not hold the spec of a run"):
        run.folder.write_spec(run.train)


@pytest.mark.parametrize("runs", [7, [[1]], "abc"])
def test_a_plan_of_another_kind_is_named(runs: Any, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    store_plan(quick_plan(tmp_path), path)
    write_json(path, {**json.loads(path.read_text()), "runs": runs})
    with pytest.raises(UsageError, match=r"plan.json holds no plan"):
        load_plan(path)


@pytest.mark.parametrize("damage", ["name", "shape"])
def test_stored_weights_of_other_names_or_shapes_are_named(
    damage: str, copy: tuple[Plan, Run]
) -> None:
    _, run = copy
    weights = dict(trained_network(run).state_dict())
    first = next(iter(weights))
    value = weights.pop(first)
    weights[first if damage == "shape" else "other"] = (
        torch.zeros(3) if damage == "shape" else value
    )
    save_weights(run.folder.weights, weights, run.train)
    with pytest.raises(HarnessError, match=r"do not fit their network.*delete the file"):
        trained_network(run)


@pytest.mark.parametrize("options", ["{", "[1]", "7", "[" * 100_000])
def test_options_in_metadata_that_do_not_parse_are_named(options: str, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "author.safetensors"
    metadata = {"method": "restormer", "options": options}
    save_file({"weight": np.ones(3, dtype=np.float32)}, path, metadata)
    with pytest.raises(HarnessError, match=r"states options .*name the method with --method"):
        make_plan(RunRequest.model_validate({"checkpoint": {"file": path}, "recipe": "smoke"}))


# --- values of specs ---------------------------------------------------------------------

RANGES = [
    {"kind": "noise", "sigma_255": [-1, 5]},
    {"kind": "noise", "sigma_255": [5, 1e300]},
    {"kind": "noise", "sigma_255": [50, 15]},
    {"kind": "haze", "beta": [0.5, 0.1], "airlight": [0.8, 1.0]},
    {"kind": "haze", "beta": [0.5, 1.0], "airlight": [0.8, 1.5]},
    {"kind": "jpeg", "quality": [0, 70]},
    {"kind": "defocus", "radius_px": [1, 1e9]},
    {"kind": "low-light", "gamma": [-3, 1]},
    {"kind": "resample", "factor": 10**9, "kernel": "point"},
    {"kind": "gaussian-blur", "sigma_px": [1, 2], "kernel_px": [10**7 + 1]},
    {"kind": "composed", "parts": [{"kind": "noise", "sigma_255": [-1, 5]}]},
]


@pytest.mark.parametrize("degradation", RANGES)
def test_a_degradation_out_of_bounds_is_refused(degradation: dict[str, Any]) -> None:
    content = {"name": "t", "family": "t", "degradation": degradation}
    with pytest.raises(ValueError, match=r"must lie between|begins above its end|less than or eq"):
        Task.model_validate(content)


@pytest.mark.parametrize(
    "change",
    [
        {"betas": [2, 3]},
        {"betas": [0.9, 1.0]},
        {"betas": [-0.1, 0.9]},
        {"lr": 1e300},
        {"lr": 0.0},
        {"lr_min": 0.5, "lr": 0.1},
        {"weight_decay": 1e300},
        {"patch_px": 10**9},
    ],
)
def test_an_optimisation_out_of_bounds_is_refused(change: dict[str, Any]) -> None:
    good = load_recipe("smoke").train.model_dump()
    with pytest.raises(ValueError, match=next(iter(change))):
        Optimisation.model_validate({**good, **change})


def test_dead_leaves_out_of_bounds_are_refused() -> None:
    good = {"canvas_px": 192, "crops_per_canvas": 4, "radius_px": [5, 100], "exponent": 3}
    for change in ({"radius_px": [100, 5]}, {"radius_px": [-1, 5]}, {"exponent": 1e300}):
        with pytest.raises(ValueError, match=next(iter(change))):
            DeadLeavesSpec.model_validate({**good, "textured": 0.5, **change})


def test_the_plan_refuses_a_test_set_out_of_bounds_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\nversion: 1\ntitle: T\nsources: []\n"
        "tasks:\n  - {name: n, family: denoise, degradation: {kind: noise, sigma_255: [-1, -1]}}\n"
        "columns:\n  - {name: n, task: n, label: n, latex_label: n, group: g, draws: 1}\n"
    )
    with pytest.raises(UsageError, match=r"mine.yaml, line 6: .*must lie between 0 and 1000"):
        plan_of(["promptir"], evaluation={"test_set": str(path)})


# --- plug-ins ----------------------------------------------------------------------------


def test_an_edited_plug_in_is_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (Path(__file__).parents[1] / "examples" / "residual_cnn.py").read_text()
    plugin = tmp_path / "residual_edit.py"
    plugin.write_text(source)
    before = plan_of(["residual-cnn"], plugins=(plugin,)).runs[-1]
    same = plan_of(["residual-cnn"], plugins=(plugin,)).runs[-1]
    plugin.write_text(source + "\n# edited\n")
    # A process that has imported a file refuses another; this is what a new one does.
    for name in [name for name in sys.modules if name.endswith("_residual_edit")]:
        monkeypatch.delitem(sys.modules, name)
    after = plan_of(["residual-cnn"], plugins=(plugin,)).runs[-1]
    assert before.id == same.id
    assert before.id != after.id
    assert before.score_id != after.score_id


# --- stored hashes of images -------------------------------------------------------------


def test_rehash_reads_the_files_again(
    copy: tuple[Plan, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_IMAGE_CACHE", str(tmp_path / "cache" / "images"))
    root = tmp_path / "data"
    (root / "CBSD68").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(3):
        pixels = rng.integers(0, 256, (48, 64, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(root / "CBSD68" / f"{number}.png")
    digests = tmp_path / "cache" / "digests.jsonl"

    def score_id(**data: Any) -> str | None:
        weights = {"file": copy[1].folder.weights}
        return plan_of([], checkpoint=weights, data={"root": root, **data}).runs[-1].score_id

    right = score_id()
    # As after a change that path, size and times of change do not show.
    lines = [json.loads(line) for line in digests.read_text().splitlines()]
    digests.write_text("".join(json.dumps([state, "0" * 64]) + "\n" for state, _ in lines))
    assert score_id() != right
    assert score_id(rehash=True) == right
    assert score_id() == right


def test_rehash_is_about_data_on_disk_and_in_no_stored_plan(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--rehash is about images on disk; add --data-root"):
        plan_of(["promptir"], data={"rehash": True})
    request = RunRequest.model_validate({"data": {"root": tmp_path, "rehash": True}})
    assert "rehash" not in request.model_dump(mode="json")["data"]
