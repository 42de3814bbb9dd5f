"""Routing at test: the weights of each variant, and the probe that measures what they do."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from harness import api
from harness.config.errors import HarnessError
from harness.data.sources.samples import Pair
from harness.evaluation.probes import prompt_analysis
from harness.evaluation.probes.observe import Observer
from harness.evaluation.probes.out_of_distribution import ood_tasks
from harness.evaluation.probes.prompt_analysis import analyse_prompts
from harness.execution.execute import execute
from harness.execution.process import Worker
from harness.execution.status import run_status
from harness.method import Decoded, HasRoutingVariants, Prompted, Routing
from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.reporting.analysed_runs import AnalysedRun, analysed_runs
from harness.reporting.probe_tables import latex_of, markdown_of, report, report_of
from harness.reporting.routing_table import routing_records, routing_table
from harness.store.files import write_json
from harness.store.prompt_files import AS_TRAINED, BEST_PROMPT, ROUTING_VARIANTS, stored_analysis
from methods.prompting.options import PromptOptions
from methods.prompting.prompt_module import routed_by
from methods.prompting.routing import select_top_k
from methods.prompting.routing_variants import FallBack, Selection, routing_variants
from tests.networks import build_tiny
from tests.plans import QUICK_RECIPE, plan_of
from tests.test_probes import COLUMNS, Constructed, Flat

RELEASED = PromptOptions(top_k=1)
SCALED = PromptOptions(top_k=1, renormalise=True)
PROBABILITIES = (0.1, 0.5, 0.05, 0.3, 0.05)


def trained(probabilities: Tensor, options: PromptOptions) -> Routing:
    """Return what a router of these options makes of its softmax."""
    return Routing(select_top_k(probabilities, probabilities, options), probabilities)


def weights_by_name(options: PromptOptions) -> dict[str, list[float]]:
    routing = trained(torch.tensor([PROBABILITIES]).log().softmax(-1), options)
    found = {}
    for variant in routing_variants(options):
        found[variant.name] = variant.weights(routing)[0].tolist()
    return found


def check_weights(options: PromptOptions, expected: dict[str, list[float]]) -> None:
    """Compare names, their order, and the weights of each."""
    found = weights_by_name(options)
    assert list(found) == list(expected)
    for name, weights in expected.items():
        assert found[name] == pytest.approx(weights, abs=1e-6), name


def tempered(temperature: float) -> list[float]:
    powers = [probability ** (1 / temperature) for probability in PROBABILITIES]
    return [power / sum(powers) for power in powers]


# --- weights ---------------------------------------------------------------------------


def test_weights_that_keep_the_selected_probability() -> None:
    second, fourth = tempered(2)[1], tempered(4)[1]
    expected = {
        "top-2": [0, 0.5, 0, 0.3, 0],
        "top-3": [0.1, 0.5, 0, 0.3, 0],
        "top-1, sum 1": [0, 1, 0, 0, 0],
        "top-2, sum 1": [0, 0.625, 0, 0.375, 0],
        "temperature 2": [0, second, 0, 0, 0],
        "temperature 4": [0, fourth, 0, 0, 0],
        "dense below 0.5": [0, 0.5, 0, 0, 0],
        "dense below 0.9": list(PROBABILITIES),
        "dense": list(PROBABILITIES),
    }
    check_weights(RELEASED, expected)


def test_weights_that_sum_to_one() -> None:
    expected = {
        "top-2": [0, 0.625, 0, 0.375, 0],
        "top-3": [1 / 9, 5 / 9, 0, 3 / 9, 0],
        "dense, temperature 2": tempered(2),
        "dense, temperature 4": tempered(4),
        "dense below 0.5": [0, 1, 0, 0, 0],
        "dense below 0.9": list(PROBABILITIES),
        "dense": list(PROBABILITIES),
    }
    check_weights(SCALED, expected)


def test_more_prompts_than_were_selected_and_fewer_than_all() -> None:
    names = [variant.name for variant in routing_variants(replace(RELEASED, top_k=2))]
    assert [name for name in names if name.startswith("top")] == [
        *("top-3", "top-4", "top-2, sum 1", "top-3, sum 1"),
    ]
    names = [variant.name for variant in routing_variants(PromptOptions(prompts=2, top_k=1))]
    assert [name for name in names if name.startswith("top")] == ["top-1, sum 1"]


@pytest.mark.parametrize(
    "options",
    [
        PromptOptions(),
        PromptOptions(top_k=5),
        PromptOptions(top_k=1, chooser="true-task"),
        PromptOptions(top_k=1, chooser="classifier"),
    ],
)
def test_only_a_router_that_selects_has_variants(options: PromptOptions) -> None:
    assert routing_variants(options) == ()


logits = st.lists(st.floats(-8, 8), min_size=5, max_size=5)


@given(st.lists(logits, min_size=1, max_size=4), st.sampled_from([RELEASED, SCALED]))
def test_weights_are_a_choice_of_prompts(rows: list[list[float]], options: PromptOptions) -> None:
    routing = trained(torch.tensor(rows, dtype=torch.float64).softmax(-1), options)
    for variant in routing_variants(options):
        weights = variant.weights(routing)
        assert weights.shape == routing.weights.shape
        assert (weights >= 0).all()
        assert (weights.sum(-1) <= 1 + 1e-6).all()
        if isinstance(variant, Selection):
            assert ((weights > 0).sum(-1) <= variant.options.selected).all()
            if variant.options.renormalise:
                torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[:, 0]))


@given(logits, st.floats(0.25, 8))
def test_a_temperature_keeps_the_order(row: list[float], temperature: float) -> None:
    routing = trained(torch.tensor([row], dtype=torch.float64).softmax(-1), SCALED)
    dense = Selection("dense", replace(SCALED, top_k=None), temperature)
    weights, probabilities = dense.weights(routing)[0], routing.probabilities
    assert probabilities is not None
    assert weights.sum() == pytest.approx(1)
    # Logits nearer to each other than rounding may change places.
    assert weights[probabilities[0].argmax()] == pytest.approx(float(weights.max()))
    assert dense.weights(routing)[0].std() <= probabilities.std() or temperature < 1


@given(st.lists(logits, min_size=1, max_size=4), st.sampled_from([RELEASED, SCALED]))
def test_a_fall_back_is_between_sparse_and_dense(
    rows: list[list[float]], options: PromptOptions
) -> None:
    routing = trained(torch.tensor(rows).softmax(-1), options)
    probabilities = routing.probabilities
    assert probabilities is not None
    never, always = FallBack("never", 0.0), FallBack("always", 1.0)
    assert torch.equal(never.weights(routing), routing.weights)
    assert never.keeps(routing)
    torch.testing.assert_close(always.weights(routing), probabilities)
    half = FallBack("half", 0.5)
    sure = probabilities.max(-1).values >= 0.5
    assert torch.equal(half.weights(routing)[sure], routing.weights[sure])
    assert torch.equal(half.weights(routing)[~sure], probabilities[~sure])
    assert half.keeps(routing) == bool(sure.all())


def test_a_bias_on_the_selection_selects_here_too() -> None:
    routing = Routing(torch.tensor([[0.0, 0.0, 0.2]]), torch.tensor([[0.5, 0.3, 0.2]]))
    top_2 = Selection("top-2", PromptOptions(prompts=3, top_k=2))
    found = top_2.weights(routing, torch.tensor([-0.4, 0.0, 0.4]))
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.3, 0.2]]))


def test_forced_prompts_have_nothing_to_be_weighed_by() -> None:
    with pytest.raises(ValueError, match="forced have no probabilities"):
        FallBack("dense", 1.0).weights(Routing(torch.eye(3), None))


# --- networks --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["cpl", "spm", "cpl-guided", "restormer+cpl", "restormer+cpl-guided", "cpl@dcpt"]
)
@torch.no_grad()
def test_routers_of_every_level_follow_a_variant(name: str) -> None:
    method: Any = build_tiny(name).eval()
    assert isinstance(method, HasRoutingVariants)
    assert isinstance(method, Prompted)
    features = method.encode(torch.rand(2, 3, 32, 32))
    before = method.decode(features)
    by_name = {variant.name: variant for variant in method.routing_variants()}
    found = method.decode_variant(features, by_name["dense"])
    assert list(found.routing) == list(method.levels)
    for routing in found.routing.values():
        torch.testing.assert_close(routing.weights, routing.probabilities)
    deepest = method.levels[0]
    assert torch.equal(found.routing[deepest].probabilities, before.routing[deepest].probabilities)
    more = 1 + int((before.routing[deepest].weights > 0).sum(-1)[0])
    for routing in method.decode_variant(features, by_name[f"top-{more}"]).routing.values():
        assert ((routing.weights > 0).sum(-1) == more).all()
    never = method.decode_variant(features, FallBack("never", 0.0))
    assert torch.equal(never.restored, before.restored)
    assert torch.equal(method.decode(features).restored, before.restored), "it ends with the call"


@torch.no_grad()
def test_a_variant_ends_where_decoding_fails() -> None:
    method: Any = build_tiny("cpl").eval()
    features = method.encode(torch.rand(1, 3, 32, 32))
    before = method.decode(features).restored
    dense = method.routing_variants()[-1]
    with pytest.raises(RuntimeError, match="meanwhile"), routed_by(method, dense):
        raise RuntimeError("meanwhile")
    assert torch.equal(method.decode(features).restored, before)


@pytest.mark.parametrize("name", ["promptir", "oracle", "cpr", "promptir@dcpt", "mioir-ap"])
def test_other_methods_have_none(name: str) -> None:
    method = build_tiny(name)
    assert not isinstance(method, HasRoutingVariants) or method.routing_variants() == ()


# --- the probe -------------------------------------------------------------------------


class Unsure(Constructed):
    """Is as sure of its prompt as the image's mean value says; every prompt but its own errs.

    The error of mixed prompts is that of their weights, so the best image is that of one prompt.
    """

    def routing_variants(self) -> tuple[Any, ...]:
        return routing_variants(PromptOptions(prompts=6, top_k=1))

    def decode(self, features: Tensor, override: Any = None) -> Any:
        return self._decoded(features, override, None)

    def decode_variant(self, features: Tensor, variant: Any) -> Any:
        return self._decoded(features, None, variant)

    def _decoded(self, features: Tensor, override: Any, variant: Any) -> Any:
        sure = features.mean((1, 2, 3))[:, None]
        own = torch.eye(6)[self._own(features)]
        probabilities = own * sure + (1 - own) * (1 - sure) / 5
        routing = trained(probabilities, RELEASED)
        if variant is not None:
            routing = replace(routing, weights=variant.weights(routing))
        if override is not None:
            routing = Routing(override["lower"], None)
        error = 0.2 - 0.1 * (routing.weights * own).sum(-1)
        restored = features - error[:, None, None, None]
        return Decoded(restored, dict.fromkeys(self.levels, routing), {})


@pytest.fixture(scope="module")
def three_task() -> Any:
    return plan_of(["promptir"]).test


def analyse(test: Any, method: Any) -> dict[str, Any]:
    observer = Observer(method, False, torch.device("cpu"))
    return analyse_prompts(observer, Flat(), test.model_copy(update={"photographs": ()}))


def test_a_constructed_router_is_seen_through(three_task: Any) -> None:
    found = analyse(three_task, Unsure())[ROUTING_VARIANTS]
    assert found["left_out"] == ""
    assert found["variants"][-2:] == ["dense", BEST_PROMPT]
    columns = {column["name"]: column for column in found["columns"]}
    assert list(columns) == list(COLUMNS)
    weakest, strongest = columns["denoise25"], columns["derain"]
    assert strongest["kind"] == "trained"
    assert strongest["images"] == ["first", "second"]
    assert strongest["confidence"] == pytest.approx({"upper": 0.8, "lower": 0.8})
    share = -(0.8 * math.log(0.8) + 0.2 * math.log(0.04)) / math.log(6)
    assert strongest["entropy"]["upper"] == pytest.approx(share, abs=1e-4)
    # An image of value v has the prompt that serves it with the weight v: its error is 0.2 - v/10.
    assert strongest["psnr_db"][AS_TRAINED] == pytest.approx([-20 * math.log10(0.12)] * 2, abs=0.01)
    whole = pytest.approx([20, 20], abs=0.01)
    assert strongest["psnr_db"]["top-1, sum 1"] == whole
    assert strongest["psnr_db"]["dense below 0.5"] == strongest["psnr_db"][AS_TRAINED]
    assert strongest["rerouted"]["dense below 0.5"] == 0
    assert strongest["rerouted"]["dense below 0.9"] == 2
    assert weakest["rerouted"]["dense below 0.5"] == 2, "of 0.3 the router is not sure"
    assert strongest["rerouted"][BEST_PROMPT] == 0, "no other prompt is better"
    assert strongest["psnr_db"][BEST_PROMPT] == strongest["psnr_db"][AS_TRAINED]


def test_images_that_keep_their_weights_are_not_restored_again(three_task: Any) -> None:
    calls: list[str] = []

    class Counted(Unsure):
        def decode_variant(self, features: Tensor, variant: Any) -> Any:
            calls.append(variant.name)
            return super().decode_variant(features, variant)

    found = analyse(three_task, Counted())[ROUTING_VARIANTS]
    for name in set(calls):
        assert calls.count(name) == sum(c["rerouted"][name] for c in found["columns"])
    assert 0 < calls.count("dense below 0.5") < calls.count("dense")


@pytest.mark.parametrize(("explicit", "reason"), [(False, "mix all prompts"), (True, "a router")])
def test_a_method_without_sparse_routers_is_left_out_with_a_reason(
    three_task: Any, explicit: bool, reason: str
) -> None:
    found = analyse(three_task, Constructed(explicit))
    varied = found[ROUTING_VARIANTS]
    assert varied["variants"] == []
    assert reason in varied["left_out"]
    assert [set(column["psnr_db"]) for column in varied["columns"]] == [{AS_TRAINED}] * 5
    alone = AnalysedRun("constructed seed 0", found)
    assert routing_table([alone]) is None
    beside = AnalysedRun("unsure seed 0", analyse(three_task, Unsure()))
    text = report_of([beside, alone])
    assert f"no other routing, as {varied['left_out']}" in text.replace("\n", " ")
    assert "constructed seed 0:" in text, "its own values stand beside"


def test_few_images_of_a_degradation_are_varied(three_task: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(prompt_analysis, "MOST_VARIED", 1)
    counted: list[tuple[int, int]] = []
    observer = Observer(Unsure(), False, torch.device("cpu"))
    assert len(three_task.photographs) > 1
    found = analyse_prompts(
        observer, Flat(), three_task, lambda done, total: counted.append((done, total))
    )
    unseen = [c for c in found[ROUTING_VARIANTS]["columns"] if c["kind"] != "trained"]
    assert [column["name"] for column in unseen] == [
        entry["name"] for entry in found["out_of_distribution"]
    ]
    assert all(len(column["images"]) == 1 for column in unseen)
    assert [done for done, _ in counted] == list(range(1, counted[-1][1] + 1))
    assert len({total for _, total in counted}) == 1


def test_clean_images_of_a_folder_get_unseen_degradations_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompt_analysis, "MOST_VARIED", 1)
    monkeypatch.setattr(prompt_analysis, "ood_tasks", lambda tasks: [*ood_tasks(tasks)][:5])
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        pixels = rng.integers(0, 256, (64, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    plan = plan_of(["promptir"], data={"clean_images": {"test": str(tmp_path)}})
    observer = Observer(Unsure(), False, torch.device("cpu"))
    found = analyse_prompts(observer, plan.source.pairs(plan.test), plan.test)
    unseen = [c for c in found[ROUTING_VARIANTS]["columns"] if c["kind"] != "trained"]
    assert [c["images"] for c in unseen] == [["a"]] * 5
    assert found["images"] == dict.fromkeys(COLUMNS, 2), "other probes see all of them"
    inputs = [c["input_db"][0] for c in unseen]
    assert len(set(inputs)) == 5, "each is another degradation"
    again = analyse_prompts(observer, plan.source.pairs(plan.test), plan.test)
    assert again == found


def test_images_that_are_varied_are_spread_over_all_clean_images(
    three_task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Drawn(Flat):
        def names(self) -> Iterator[tuple[str, str]]:
            for name in ("first#0", "first#1", "second#0", "second#1"):
                yield "derain", name

        def make(self, column: str, image: str) -> Pair:
            return replace(super().make(column, image), photograph=image.partition("#")[0])

    monkeypatch.setattr(prompt_analysis, "MOST_VARIED", 2)
    observer = Observer(Unsure(), False, torch.device("cpu"))
    no_photographs = three_task.model_copy(update={"photographs": ()})
    found = analyse_prompts(observer, Drawn(), no_photographs)
    (column,) = found[ROUTING_VARIANTS]["columns"]
    assert found["images"] == {"derain": 4}
    assert column["images"] == ["first", "second"]
    assert column["rerouted"]["dense"] == 2


# --- tables ----------------------------------------------------------------------------


def made_up(variants: dict[str, list[float]], trained_db: list[float]) -> dict[str, Any]:
    """Return columns ``a`` (trained) and ``b`` (unseen), one of each value per image."""
    images = [f"image{place}" for place in range(len(trained_db))]
    columns = []
    for kind, name, shift in (("trained", "a", 0.0), ("mixed", "b", -2.0)):
        psnr_db: dict[str, Any] = {AS_TRAINED: [value + shift for value in trained_db]}
        for variant, values in variants.items():
            psnr_db[variant] = [value - shift for value in values]
        columns.append(
            {
                "kind": kind,
                "name": name,
                "images": images,
                "input_db": [20.0] * len(images),
                "psnr_db": psnr_db,
                "rerouted": dict.fromkeys(variants, 1),
                "confidence": {"level1": 0.9, "level2": 0.7},
                "entropy": {"level1": 0.1, "level2": 0.3},
            }
        )
    return {"variants": list(variants), "left_out": "", "columns": columns}


def test_differences_are_paired_by_image() -> None:
    own, other = [20.0, 22.0, 21.0, 21.0], [19.0, 21.5, 20.5, 20.0]
    runs = [AnalysedRun("m seed 0", {ROUTING_VARIANTS: made_up({"dense": other}, own)}, "abc")]
    by_key = {(r["variant"], r["kind"], r["column"]): r for r in routing_records(runs)}
    of_trained = by_key["dense", "trained", "average"]
    assert of_trained["difference_db"] == pytest.approx(-0.75)
    assert -1 <= of_trained["low_db"] < -0.75 < of_trained["high_db"] <= -0.5
    assert by_key["dense", "trained", "a"]["low_db"] == of_trained["low_db"]
    unseen = by_key["dense", "unseen", "average"]
    assert unseen["difference_db"] == pytest.approx(3.25)
    assert (unseen["below_input"], unseen["rerouted"], unseen["images"]) == (0, 1, 4)
    as_trained = by_key[AS_TRAINED, "mixed", "b"]
    assert (as_trained["below_input"], as_trained["difference_db"]) == (1, None)
    assert as_trained["confidence"] == pytest.approx(0.8)
    assert as_trained["entropy"] == pytest.approx(0.2)
    table = routing_table(runs)
    assert table is not None
    texts = [[cell.text for cell in row.cells.values()] for row in table.rows]
    assert texts[0] == ["20.00", "--", "--", "20.00", "--", "--", "--"]
    assert texts[1] == ["21.00", "--", "--", "19.00", "--", "--", "1 of 1"]
    assert texts[2][0] == "20.25"
    assert texts[2][1].startswith("-0.75 [-")
    assert texts[2][2] == "1 of 4"
    assert texts[2][6] == "0 of 1"
    assert table.remarks == (
        "m seed 0: the router's largest probability is 0.80 on trained columns (entropy 0.20) and "
        "0.80 on unseen ones (entropy 0.20).",
    )


def test_few_images_have_no_interval_and_unknown_values_no_difference() -> None:
    few = made_up({"dense": [21.0, 22.0, 23.0]}, [20.0, 20.0, 20.0])
    records = routing_records([AnalysedRun("few", {ROUTING_VARIANTS: few})])
    (found,) = [r for r in records if (r["variant"], r["column"]) == ("dense", "a")]
    assert (found["difference_db"], found["low_db"], found["high_db"]) == (2.0, None, None)
    unknown = made_up({"dense": [21.0, 22.0, 23.0]}, [20.0, 20.0, 20.0])
    unknown["columns"][0]["psnr_db"]["dense"][1] = None
    unknown["columns"][0]["confidence"]["level1"] = None
    records = routing_records([AnalysedRun("unknown", {ROUTING_VARIANTS: unknown})])
    (found,) = [r for r in records if (r["variant"], r["column"]) == ("dense", "a")]
    assert (found["psnr_db"], found["difference_db"], found["confidence"]) == (None, None, None)
    table = routing_table([AnalysedRun("unknown", {ROUTING_VARIANTS: unknown})])
    assert table is not None
    assert [cell.text for cell in list(table.rows)[2].cells.values()][:2] == ["--", "--"]


# --- stored with the run ---------------------------------------------------------------


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plan]:
    """A plan whose probes look at small images of two degradations that training never showed."""
    out = tmp_path_factory.mktemp("probed")
    recipe = out / "recipe.yaml"
    recipe.write_text(QUICK_RECIPE)
    plan = plan_of(["cpl", "promptir"], out, recipe=str(recipe), probes=True)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(prompt_analysis, "SIDE_PX", 48)
        patched.setattr(prompt_analysis, "ood_tasks", lambda tasks: [*ood_tasks(tasks)][2:4])
        for run in plan.runs:
            execute(run, plan, Worker(device="cpu", threads=1))
        yield plan


def cpl_of(plan: Plan) -> Run:
    return next(run for run in plan.runs if run.train.method == "cpl")


def test_a_run_stores_and_shows_its_variants(probed: Plan, tmp_path: Path) -> None:
    run = cpl_of(probed)
    analysis = stored_analysis(run.folder, run.score_id)
    assert analysis is not None
    varied = analysis[ROUTING_VARIANTS]
    by_name = {entry["name"]: entry for entry in analysis["out_of_distribution"]}
    for column in varied["columns"]:
        if column["kind"] != "trained":
            entry = by_name[column["name"]]
            assert column["psnr_db"][AS_TRAINED] == pytest.approx([entry["restored_db"]])
            assert column["input_db"] == pytest.approx([entry["input_db"]])
        assert column["psnr_db"][BEST_PROMPT][0] >= column["psnr_db"][AS_TRAINED][0]
    text, paths = api.probe_report(probed, tmp_path)
    assert "Routing at test" in text
    (table,) = [path for path in paths if path.suffix == ".csv"]
    frame = api.routing_at_test(probed)
    assert len(table.read_text().splitlines()) == len(frame) + 1
    of_cpl = frame[frame["weights"] == run.weights_id]
    assert set(of_cpl["variant"]) == {AS_TRAINED, *varied["variants"]}
    assert set(frame[frame["weights"] != run.weights_id]["variant"]) == {AS_TRAINED}
    (written,) = [path.read_text() for path in paths if path.suffix == ".md"]
    assert written.count("## Routing at test") == 2, "the summary, and the columns of one run"
    (typeset,) = [path.read_text() for path in paths if path.suffix == ".tex"]
    assert r"\label{tab:routing-at-test}" in typeset


def test_tables_of_probes_have_the_labels_of_the_request(probed: Plan) -> None:
    labels = {cpl_of(probed).method.id: "Ours"}
    named = replace(probed, request=probed.request.model_copy(update={"labels": labels}))
    runs = analysed_runs(named)
    for text in (report(named), markdown_of(runs), latex_of(runs)):
        assert "Ours seed 0" in text
        assert "cpl seed 0" not in text
    in_files = set(api.routing_at_test(named)["run"])
    assert in_files == set(api.routing_at_test(probed)["run"]), "there a run keeps its name"


def test_what_an_older_analysis_lacks_is_probed_if_there_are_weights(probed: Plan) -> None:
    run = cpl_of(probed)
    whole = json.loads(run.folder.prompt_analysis.read_text())
    older = json.loads(run.folder.prompt_analysis.read_text())
    del older[run.score_id][ROUTING_VARIANTS]
    write_json(run.folder.prompt_analysis, older)
    weights = run.folder.weights.read_bytes()
    try:
        assert run_status(run, probed) == "to score"
        run.folder.weights.unlink()
        assert run_status(run, probed) == "done", "there is nothing to probe it with"
        assert "Routing at test" not in report(probed), "no other run has variants either"
        found = stored_analysis(run.folder, run.score_id)
        assert found is not None
        beside = AnalysedRun("m", {**found, ROUTING_VARIANTS: made_up({"dense": [1.0]}, [2.0])})
        for shown in (report_of, markdown_of, latex_of):
            said = " ".join(shown([AnalysedRun("older", found), beside]).split())
            assert "older: not probed: its analysis is of an older version" in said
    finally:
        run.folder.weights.write_bytes(weights)
    execute(run, probed, Worker(device="cpu", threads=1))
    assert json.loads(run.folder.prompt_analysis.read_text()) == whole
    assert run_status(run, probed) == "done"


def test_a_damaged_part_is_named(probed: Plan) -> None:
    run = cpl_of(probed)
    whole = run.folder.prompt_analysis.read_bytes()
    damaged = json.loads(whole)
    damaged[run.score_id][ROUTING_VARIANTS]["columns"][0]["psnr_db"]["dense"] = []
    write_json(run.folder.prompt_analysis, damaged)
    try:
        with pytest.raises(HarnessError, match=r"is damaged .*lacks images under 'dense'"):
            stored_analysis(run.folder, run.score_id)
    finally:
        run.folder.prompt_analysis.write_bytes(whole)
