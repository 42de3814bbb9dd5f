"""What every registered method must do; a newly registered method is tested without a change."""

from __future__ import annotations

import pytest
import torch
from typer.testing import CliRunner

from harness.cli import app
from harness.config.errors import UsageError
from harness.execution.complexity import count
from harness.method import MethodSpec, Prompted, PromptHost
from harness.registry import find, option_lines, resolve_options
from methods import row_bands
from methods.catalogue import ALIASES
from methods.kernels.depthwise import native
from tests.networks import RESTORERS, TASKS, TRAINED, batch, build_tiny, restore, single_runs

SIZES = [(16, 16), (33, 47), (17, 40), (8, 8)]


def by_name(spec: MethodSpec) -> str:
    return spec.name


@pytest.mark.parametrize("spec", RESTORERS, ids=by_name)
def test_every_option_is_documented(spec: MethodSpec) -> None:
    for name, _, text in option_lines(spec):
        assert text, f"{spec.name}: the docstring of its options leaves out {name}"
        assert "`" not in text


@pytest.mark.parametrize("spec", RESTORERS, ids=by_name)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_restores_any_size(spec: MethodSpec, size: tuple[int, int]) -> None:
    image = torch.rand(1, 3, *size)
    restored = restore(spec, build_tiny(spec.name), image)
    assert restored.shape == image.shape
    assert torch.isfinite(restored).all()


# Histoformer sorts pixels: where two tie within fp32's rounding, a batch may order them otherwise.
IN_DOUBLE_PRECISION = {"histoformer"}


@pytest.mark.parametrize("spec", RESTORERS, ids=by_name)
def test_batch_of_three_equals_three_single_runs(spec: MethodSpec) -> None:
    method = build_tiny(spec.name)
    images = torch.rand(3, 3, 24, 40, generator=torch.Generator().manual_seed(3))
    if spec.name in IN_DOUBLE_PRECISION:
        method, images = method.double(), images.double()
    together = restore(spec, method, images)
    single = single_runs(spec.name, method, images)
    torch.testing.assert_close(together, single, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("spec", RESTORERS, ids=by_name)
def test_parts_without_gradients_equal_the_whole_with_them(
    spec: MethodSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = build_tiny(spec.name)
    image = torch.rand(2, 3, 40, 24, generator=torch.Generator().manual_seed(3))
    if spec.name in IN_DOUBLE_PRECISION:
        method, image = method.double(), image.double()
    tasks = tuple(TASKS[:2]) if spec.needs_task_labels else None
    whole = method.eval().restore(image, tasks).detach()
    monkeypatch.setattr(row_bands, "WHOLE_ELEMENTS", 0)
    monkeypatch.setattr(row_bands, "LEAST_BAND_ROWS", 3)
    for limits in ("BAND_ELEMENTS", "STREAMED_ELEMENTS"):
        monkeypatch.setattr(row_bands, limits, {"cpu": 1, "cuda": 1})
    parts = restore(spec, method, image)
    torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("spec", TRAINED, ids=by_name)
def test_state_dict_round_trip(spec: MethodSpec) -> None:
    method, other = build_tiny(spec.name, seed=0), build_tiny(spec.name, seed=1)
    image = torch.rand(1, 3, 32, 32)
    other.load_state_dict(method.state_dict(), strict=True)
    assert torch.equal(restore(spec, method, image), restore(spec, other, image))


@pytest.mark.parametrize("spec", TRAINED, ids=by_name)
def test_gradient_reaches_every_trained_parameter(spec: MethodSpec) -> None:
    method = build_tiny(spec.name).train()
    losses = method.losses(batch(), torch.Generator().manual_seed(0))
    torch.stack(list(losses.values())).sum().backward()
    trained = {n: p for n, p in method.named_parameters() if p.requires_grad}
    assert {n for n, p in trained.items() if p.grad is not None} == set(trained)


@pytest.mark.parametrize("spec", TRAINED, ids=by_name)
def test_a_few_steps_lower_the_loss(spec: MethodSpec) -> None:
    method = build_tiny(spec.name).train()
    optimiser = torch.optim.AdamW([p for p in method.parameters() if p.requires_grad], lr=3e-3)
    totals = []
    for _ in range(8):
        terms = method.losses(batch(), torch.Generator().manual_seed(0))
        total = torch.stack(list(terms.values())).sum()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append(float(total.detach()))
    assert min(totals[4:]) < totals[0]


@pytest.mark.parametrize("spec", TRAINED, ids=by_name)
def test_losses_depend_on_the_generator_alone(spec: MethodSpec) -> None:
    # Two builds, as a method may keep state from one call to the next.
    methods = (build_tiny(spec.name).train() for _ in range(2))
    first, second = (m.losses(batch(), torch.Generator().manual_seed(7)) for m in methods)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


PROMPTED = [c for c in RESTORERS if isinstance(build_tiny(c.name), Prompted)]


def test_specs_of_prompted_methods_state_how_prompts_are_chosen() -> None:
    """The reverse does not hold: one prompt for the whole network cannot be forced by level."""
    assert PROMPTED
    assert {c.name for c in PROMPTED} <= {c.name for c in RESTORERS if c.prompting != "none"}


@pytest.mark.parametrize("spec", PROMPTED, ids=by_name)
def test_override_forces_the_prompt(spec: MethodSpec) -> None:
    method = build_tiny(spec.name).eval()
    image = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        features = method.encode(image)
        forced = torch.eye(method.prompts)[[0, 0]]
        decoded = method.decode(features, dict.fromkeys(method.levels, forced))
        other = method.decode(features, dict.fromkeys(method.levels, forced.roll(1, -1)))
    assert list(decoded.routing) == list(method.levels)
    assert all(torch.equal(r.weights, forced) for r in decoded.routing.values())
    assert not decoded.auxiliary, "terms of a forced decode must be dropped"
    assert not torch.equal(decoded.restored, other.restored)


def test_oracle_needs_task_labels() -> None:
    with pytest.raises(ValueError, match="no tasks were given"):
        build_tiny("oracle").restore(torch.rand(1, 3, 16, 16))


def test_oracle_gives_each_task_its_prompt() -> None:
    chosen = build_tiny("oracle").choose(torch.rand(2, 3, 16, 16), (TASKS[3], TASKS[1]))
    assert all(w.argmax(-1).tolist() == [3, 1] for w in chosen.values())


def test_explicit_follows_its_frozen_classifier() -> None:
    method = build_tiny("explicit").train()
    image = torch.rand(4, 3, 32, 32)
    decided = method.prompting.classifier.classify(image).argmax(-1)
    assert all(torch.equal(w.argmax(-1), decided) for w in method.choose(image, None).values())
    assert not method.prompting.classifier.training
    assert not any(p.requires_grad for p in method.prompting.classifier.parameters())


HOSTS = [c for c in RESTORERS if c.insertion_points]
ADDITIONS = [c for c in RESTORERS if c.adapter is not None]


@pytest.mark.parametrize("host", HOSTS, ids=by_name)
def test_hosts_have_the_insertion_points_that_their_specs_name(host: MethodSpec) -> None:
    method = build_tiny(host.name).eval()
    assert isinstance(method, PromptHost)
    assert tuple(method.insertion_channels) == host.insertion_points
    image = torch.rand(2, 3, 33, 47)
    seen: dict[str, int] = {}

    def note(level: str, x: torch.Tensor) -> torch.Tensor:
        seen[level] = x.shape[1]
        return x

    with torch.no_grad():
        features = method.encode(image)
        restored = method.decode_with(features, note).restored
        twice = method.decode_with(features.repeat(2), note).restored
    assert seen == dict(method.insertion_channels)
    torch.testing.assert_close(restored, restore(host, method, image))
    torch.testing.assert_close(twice, restored.repeat(2, 1, 1, 1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("host", HOSTS, ids=by_name)
def test_what_is_inserted_is_used(host: MethodSpec) -> None:
    method, image = build_tiny(host.name).eval(), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        features = method.encode(image)
        plain = method.decode_with(features, lambda level, x: x).restored
        for point in host.insertion_points:
            other = method.decode_with(features, lambda level, x, p=point: x + (level == p))
            assert not torch.equal(plain, other.restored), point


@pytest.mark.parametrize("addition", ADDITIONS, ids=by_name)
def test_additions_can_be_added_to_a_host(addition: MethodSpec) -> None:
    name = f"restormer+{addition.name}"
    spec, method = find(name).spec, build_tiny(name).train()
    losses = method.losses(batch(step=100), torch.Generator().manual_seed(0))
    assert ("cpr" in losses) == ("CPR" in addition.objective)
    torch.stack(list(losses.values())).sum().backward()
    reached = {n for n, p in method.named_parameters() if p.grad is not None}
    assert reached == {n for n, p in method.named_parameters() if p.requires_grad}
    image = torch.rand(1, 3, 17, 24)
    assert restore(spec, method, image).shape == image.shape


@pytest.mark.parametrize("host", HOSTS, ids=by_name)
@pytest.mark.parametrize(
    ("addition", "terms"),
    [("cpl", {"cpr"}), ("cpl-guided", {"load_balancing", "teacher", "cpr"})],
)
def test_cpl_can_be_added_to_every_host(host: MethodSpec, addition: str, terms: set[str]) -> None:
    method = build_tiny(f"{host.name}+{addition}").train()
    assert isinstance(method, Prompted)
    assert method.levels == host.insertion_points
    losses = method.losses(batch(step=100), torch.Generator().manual_seed(0))
    added = {name for name in losses if not name.startswith("host_")}
    own = build_tiny(host.name).train().losses(batch(), torch.Generator().manual_seed(0))
    own.pop("load_balancing", None)  # of the host's router, with a prefix
    assert added == {*own, *terms}
    torch.stack(list(losses.values())).sum().backward()
    assert all(p.grad is not None for p in method.parameters() if p.requires_grad)
    image = torch.rand(2, 3, 24, 40)
    with torch.no_grad():
        features = method.eval().encode(image)
        forced = torch.eye(method.prompts)[[0, 0]]
        decoded = method.decode(features, dict.fromkeys(method.levels, forced))
        other = method.decode(features, dict.fromkeys(method.levels, forced.roll(1, -1)))
    assert not decoded.auxiliary
    assert not torch.equal(decoded.restored, other.restored)


def test_what_cannot_be_split_or_added_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="drsformer cannot be split"):
        find("drsformer+cpl")
    with pytest.raises(UsageError, match=r"'restormer' in 'adair.restormer' cannot be added"):
        find("adair+restormer")
    with pytest.raises(UsageError, match="no option 'cpr_wieght'; did you mean 'cpr_weight'"):
        build_tiny("adair+cpl", cpr_wieght="1")
    assert find("promptir+cpl").spec.name == "cpl"
    assert find("adair+cpl:top_k=2").id == "adair+cpl:top_k=2"


# Networks whose path depends on values are run with real weights, so on smaller images. Their work
# grows with the pixels alone, apart from which experts MoCE-IR's router selects.
RUN_WITH_WEIGHTS = {"airnet": 5e-3, "swinir": 5e-3, "moceir": 0.1, "moceir-s": 0.1}
COUNTED = [c for c in TRAINED if c.macs]


@pytest.mark.parametrize("spec", COUNTED, ids=by_name)
def test_listed_complexity_is_that_of_torchs_counter(spec: MethodSpec) -> None:
    side_px = 64 if spec.name in RUN_WITH_WEIGHTS else 256
    counted = count(spec, side_px)
    assert counted.parameters == spec.parameters
    macs = counted.macs * (256 / side_px) ** 2
    assert macs == pytest.approx(spec.macs, rel=RUN_WITH_WEIGHTS.get(spec.name, 5e-3))


def test_compiled_kernels_change_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    if not native(torch.zeros(1)):
        pytest.skip("no compiled kernels")
    # The router of MoCE-IR looks at values, so the network is computed where kernels are.
    spec = find("moceir-s").spec
    with_kernels = count(spec, 64)
    monkeypatch.setattr("methods.kernels.depthwise.native", lambda x: False)
    assert count(spec, 64) == with_kernels


def test_every_restorer_has_a_listed_complexity() -> None:
    assert {c.name for c in TRAINED if c.role != "auxiliary" and not c.macs} == set()


@pytest.mark.parametrize("name", ["explicit", "oracle", "restormer+oracle"])
def test_choice_by_task_has_a_prompt_for_every_task(name: str) -> None:
    choice = find(name)
    for tasks, prompts in ((3, 5), (5, 5), (11, 11)):
        names = tuple(f"task{number}" for number in range(tasks))
        assert resolve_options(choice, "tiny", names, micro_batch=5).prompts == prompts
    with pytest.raises(UsageError, match="set prompts=11"):
        resolve_options(find(f"{name}:prompts=5"), "tiny", names, micro_batch=5)


# --- the listing -------------------------------------------------------------------------


def listing(columns: int, *arguments: str) -> str:
    environment = {"COLUMNS": str(columns)}
    return CliRunner().invoke(app, ["methods", *arguments], env=environment).stdout


def test_the_list_of_methods_fits_a_narrow_terminal() -> None:
    narrow, wide = listing(80), listing(200)
    assert max(map(len, narrow.splitlines())) <= 90, "the longest line is a sentence below it"
    table = narrow[: narrow.index("methods NAME says")]
    assert max(map(len, table.splitlines())) <= 80
    for spec in RESTORERS:
        assert f"\n{spec.name} " in table
    assert "Amazingren/MIRAGE" not in narrow
    assert "Amazingren/MIRAGE" in wide
    assert max(map(len, listing(40, "dfpir").splitlines())) <= 80


@pytest.mark.parametrize("spec", RESTORERS, ids=by_name)
def test_what_a_method_is_listed_to_take_can_be_asked_for(spec: MethodSpec) -> None:
    printed = listing(120, spec.name)
    taken = next((line for line in printed.splitlines() if line.startswith("takes ")), "takes ")
    listed = [name for name in taken.removeprefix("takes ").split(", ") if name]
    for name in ("+cpl", "+sipl", "@dcpt"):
        reference = find(spec.name).spec.name + name
        if name in listed:
            assert find(reference).spec.name
        elif reference not in ALIASES:
            with pytest.raises(UsageError, match=spec.name):
                find(reference)


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("histoformer", ["licence of the published code: no licence file", "16.62 M parameters"]),
        ("dfpir", ["it is given the true degradation at test too", "takes @dcpt"]),
        ("adair+sipl", ["licence of the published code: MIT; SIPL: none stated"]),
        ("restormer@dcpt", ["(non-commercial); DCPT: none stated", "classification first"]),
        ("degraded-input", ["it is not trained", "it has no options"]),
    ],
)
def test_a_method_says_its_licence_size_and_objective(name: str, facts: list[str]) -> None:
    printed = listing(120, name)
    for fact in facts:
        assert fact in printed
