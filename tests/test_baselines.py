"""General baselines through spandrel's classes, and checkpoints that spandrel knows."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from harness.cli.methods import methods as list_methods
from harness.config.errors import HarnessError, UsageError
from harness.method import BuildContext, OptionError, WeightsFile
from harness.registry import MethodChoice, catalogue, find, instantiate, resolve_options
from harness.training.checkpoint import load_weights, save_weights
from harness.training.pretrained import read_weights
from methods.baselines.extra_package import INSTALL_EXTRA, extra_installed
from methods.baselines.spandrel_checkpoint import network as spandrel_network
from methods.baselines.spandrel_checkpoint.network import SpandrelNetwork
from tests.networks import TASKS, batch, build_tiny
from tests.plans import plan_of

SHARED = Path(__file__).parents[2] / "shared"
FREE = ("nafnet", "swinir", "uformer")
RESTRICTED = ("mprnet", "mirnetv2")
PARAMETERS = {
    "nafnet": 17_111_907,
    "swinir": 11_504_163,
    "uformer": 50_880_946,
    "mprnet": 15_741_025,
    "mirnetv2": 5_858_560,
}

needs_extra = pytest.mark.skipif(not extra_installed(), reason=f"needs `{INSTALL_EXTRA}`")
ALL = [*FREE, *(pytest.param(name, marks=needs_extra) for name in RESTRICTED)]


def load_spandrel(path: Path, architecture: str | None = None) -> SpandrelNetwork:
    return spandrel_network.load_spandrel(WeightsFile(path), read_weights, architecture)


def image(height: int, width: int, count: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(height * 1000 + width)
    return torch.rand(count, 3, height, width, generator=generator)


def options(name: str, size: str = "full", **overrides: str) -> Any:
    choice = MethodChoice(name, catalogue().specs[name], overrides)
    return resolve_options(choice, size, TASKS, micro_batch=len(TASKS))


def network(architecture: str, **sizes: Any) -> nn.Module:
    """Build a small network with spandrel's own class."""
    module = importlib.import_module(f"spandrel.architectures.{architecture}")
    torch.manual_seed(0)
    return getattr(module, architecture)(**sizes).eval()


def published_swinir() -> nn.Module:
    """Build what ``swinir`` is at its tiny size, from spandrel's class."""
    sizes = {"img_size": 32, "embed_dim": 16, "window_size": 4, "mlp_ratio": 2.0}
    return network("SwinIR", depths=[2, 2], num_heads=[2, 2], upsampler="", **sizes)


@torch.no_grad()
def restored(method: Any, degraded: Tensor) -> Tensor:
    return method.eval().restore(degraded)


# The published classes


@pytest.mark.parametrize("name", ALL)
def test_full_size_is_the_published_one(name: str) -> None:
    method = instantiate(find(name).spec, BuildContext(options(name), TASKS, {}))
    assert sum(p.numel() for p in method.parameters()) == PARAMETERS[name]


# SwinIR has a test of its own: it stores no masks, without which spandrel's loader will not do.
@pytest.mark.parametrize("name", [one for one in ALL if one != "swinir"])
def test_spandrel_recognises_our_weights_and_computes_the_same(name: str, tmp_path: Path) -> None:
    method = build_tiny(name, output_gain="1")
    loaded = load_spandrel(saved(tmp_path / "weights.pth", method.state_dict()))
    degraded = image(128, 128)  # what all of them take without padding
    expected = restored(method, degraded).clamp(0, 1)
    assert not torch.allclose(expected, degraded, atol=1e-3), "the network does nothing"
    torch.testing.assert_close(restored(loaded, degraded), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", ALL)
def test_weights_go_through_the_file_of_a_run(name: str, tmp_path: Path) -> None:
    method, other = build_tiny(name), build_tiny(name, seed=1)
    run = plan_of([name], tmp_path).runs[-1]
    save_weights(tmp_path / "weights.safetensors", method.state_dict(), run.train)
    weights = load_weights(tmp_path / "weights.safetensors", run.weights_id, name)
    other.load_state_dict(weights, strict=True)
    assert torch.equal(restored(method, image(16, 16)), restored(other, image(16, 16)))


@pytest.mark.parametrize("name", ["swinir", "uformer"])
def test_stochastic_depth_is_drawn_from_the_given_generator_alone(name: str) -> None:
    method = build_tiny(name, drop_path="0.6", output_gain="1").train()

    def loss(seed: int, global_seed: int) -> float:
        torch.manual_seed(global_seed)
        before = torch.get_rng_state()
        value = method.losses(batch(), torch.Generator().manual_seed(seed))["l1"]
        assert torch.equal(torch.get_rng_state(), before), "the global generator was used"
        return float(value.detach())

    assert loss(0, global_seed=0) == loss(0, global_seed=1)
    assert len({loss(seed, global_seed=0) for seed in range(4)}) > 1


def test_swinir_restores_any_order_of_sizes_alike() -> None:
    sizes = [(16, 24), (13, 9), (32, 32), (16, 24), (8, 8)]
    method = build_tiny("swinir", output_gain="1")
    for size in sizes:
        alone = restored(build_tiny("swinir", output_gain="1"), image(*size))
        assert torch.equal(restored(method, image(*size)), alone)


def test_swinir_stores_no_masks_and_reads_checkpoints_that_do() -> None:
    method = build_tiny("swinir", output_gain="1")
    published = published_swinir()
    state = published.state_dict()
    assert any(key.endswith("attn_mask") for key in state)
    method.load_state_dict(method.adapt_state(state), strict=True)
    assert not any(key.endswith("attn_mask") for key in method.state_dict())
    for size in [(32, 32), (16, 40)]:
        with torch.no_grad():
            expected = published(image(*size))
        torch.testing.assert_close(restored(method, image(*size)), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("size", "side"), [((8, 8), 32), ((32, 32), 32), ((33, 47), 64), ((20, 70), 96)]
)
def test_uformer_works_on_squares(size: tuple[int, int], side: int) -> None:
    method, seen = build_tiny("uformer"), []
    method.input_proj.register_forward_hook(lambda module, x, y: seen.append(x[0].shape[-2:]))
    assert restored(method, image(*size)).shape[-2:] == size
    assert seen == [(side, side)]


@needs_extra
def test_every_stage_of_mprnet_takes_part_in_its_loss() -> None:
    from methods.baselines.mprnet.losses import edges

    method, samples = build_tiny("mprnet", output_gain="1").train(), batch()
    stages = method.restore_stages(samples.degraded)
    terms = method.losses(samples, torch.Generator())
    errors = [stage - samples.clean for stage in stages]
    charbonnier = sum((e**2 + 1e-6).sqrt().mean() for e in errors)
    of_edges = sum(((edges(s) - edges(samples.clean)) ** 2 + 1e-6).sqrt().mean() for s in stages)
    torch.testing.assert_close(terms["charbonnier"], charbonnier)
    torch.testing.assert_close(terms["edge"], 0.05 * of_edges, rtol=1e-4, atol=1e-6)
    assert torch.equal(method.restore(samples.degraded), stages[0])
    differences = [(stages[i] - stages[j]).abs().max() for i, j in ((0, 1), (1, 2))]
    assert min(differences) > 1e-4, "stages must differ"


@needs_extra
def test_mprnet_without_edges() -> None:
    terms = build_tiny("mprnet", edge_weight="0").losses(batch(), torch.Generator())
    assert set(terms) == {"charbonnier"}


@needs_extra
def test_edges_of_a_flat_image_are_nothing_and_of_a_point_what_the_paper_gives() -> None:
    from methods.baselines.mprnet.losses import edges

    flat = edges(torch.full((1, 3, 16, 16), 0.7))
    assert flat[..., 3:-3, 3:-3].abs().max() < 1e-6
    point = torch.zeros(1, 1, 17, 17)
    point[..., 8, 8] = 1
    # Of the blurred point, 0.4^2, 0.4 x 0.05 and 0.05^2 lie at even positions; blurred again, they
    # make its centre 4 (0.4^2 0.4^2 + 4 (0.4 0.05)^2 + 4 (0.05^2)^2).
    subtracted = 4 * (0.16 * 0.16 + 4 * 0.02 * 0.02 + 4 * 0.0025 * 0.0025)
    assert float(edges(point)[..., 8, 8]) == pytest.approx(1 - subtracted, abs=1e-6)


# Specs and options


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("nafnet", {"width": "0"}, "width=0 must be at least 1"),
        ("nafnet", {"encoder_blocks": "1,1,0,1"}, "encoder_blocks=.* at least one block"),
        ("nafnet", {"blocks": "1"}, "no option 'blocks'; did you mean"),
        ("swinir", {"heads": "7"}, "dim=180 is no multiple of heads=7"),
        ("swinir", {"drop_path": "1"}, "drop_path=1.0 is a rate"),
        ("uformer", {"window": "1"}, "window=1 must be at least 2"),
        pytest.param("mprnet", {"dim": "3"}, "dim=3 must be at least 4", marks=needs_extra),
        pytest.param(
            "mirnetv2", {"dim": "24"}, "dim=24 must be a multiple of 16", marks=needs_extra
        ),
        ("spandrel", {}, "name it with checkpoint=FILE"),
        ("spandrel", {"checkpoint": "/nowhere.pth"}, "checkpoint=/nowhere.pth: there is no such"),
    ],
)
def test_options_that_cannot_be_are_refused_by_name(
    name: str, overrides: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        options(name, **overrides)


@pytest.mark.parametrize("name", RESTRICTED)
def test_without_the_extra_its_methods_name_the_command_to_install_it(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    for module in (f"methods.baselines.{name}.network", "methods.baselines.extra_classes"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    spec = find(name).spec
    command = r"pip install -e '\.\[noncommercial\]'"
    with pytest.raises(OptionError, match=command):
        instantiate(spec, BuildContext(spec.options(), TASKS, {}))
    with pytest.raises(UsageError, match=command):
        options(name)
    list_methods()
    assert (
        f"{name} needs a package that is not installed: {spec.install}" in capsys.readouterr().out
    )


def test_listing_methods_imports_neither_torch_nor_spandrel() -> None:
    code = (
        "import sys\nsys.argv = ['harness', 'methods']\nfrom harness.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'spandrel', 'spandrel_extra_arches'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert all(name in done.stdout for name in (*FREE, *RESTRICTED, "spandrel"))


def test_a_plan_includes_no_checkpoint_by_default(tmp_path: Path) -> None:
    plan = plan_of(["nafnet"], tmp_path)
    assert plan.method_ids == ["degraded-input", "nafnet"]


# Checkpoints


def dncnn(channels: int = 3) -> nn.Module:
    return network("DnCNN", in_nc=channels, out_nc=channels, nc=8, nb=9, act_mode="R")


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"params": state},
        lambda state: {"state_dict": {f"net.{key}": value for key, value in state.items()}},
        lambda state: {f"module.{key}": value for key, value in state.items()},
    ],
    ids=["plain", "basicsr", "lightning", "parallel"],
)
def test_a_checkpoint_is_recognised_and_run(wrap: Any, tmp_path: Path) -> None:
    published = dncnn()
    path = saved(tmp_path / "net.pth", wrap(published.state_dict()))
    loaded = load_spandrel(path)
    assert loaded.architecture == "DnCNN"
    assert not any(p.requires_grad for p in loaded.parameters())
    degraded = image(21, 34, count=3)
    with torch.no_grad():
        expected = published(degraded).clamp(0, 1)
    torch.testing.assert_close(restored(loaded, degraded), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(8, 8), (17, 40), (33, 47)], ids=str)
@pytest.mark.parametrize("name", ["nafnet", "swinir"])
def test_size_requirements_are_met_by_padding(
    name: str, size: tuple[int, int], tmp_path: Path
) -> None:
    published = published_swinir() if name == "swinir" else build_tiny(name)
    save_file(published.state_dict(), tmp_path / "weights.safetensors")
    loaded = load_spandrel(tmp_path / "weights.safetensors")
    degraded = image(*size, count=3)
    together = restored(loaded, degraded)
    assert together.shape == degraded.shape
    assert torch.equal(together, torch.cat([restored(loaded, one[None]) for one in degraded]))


def test_uformer_runs_on_a_square(tmp_path: Path) -> None:
    save_file(build_tiny("uformer").state_dict(), tmp_path / "weights.safetensors")
    loaded, seen = load_spandrel(tmp_path / "weights.safetensors"), []
    loaded.net.input_proj.register_forward_hook(lambda module, x, y: seen.append(x[0].shape[-2:]))
    assert restored(loaded, image(20, 30)).shape[-2:] == (20, 30)
    assert seen == [(128, 128)]


def test_the_choice_spandrel_builds_from_its_options(tmp_path: Path) -> None:
    path = saved(tmp_path / "net.pth", dncnn().state_dict())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    spec = find("spandrel").spec
    chosen = options("spandrel", checkpoint=str(path), architecture="dncnn", sha256=digest)
    context = BuildContext(chosen, TASKS, {}, read_weights=read_weights)
    method = instantiate(spec, context)
    assert isinstance(method, SpandrelNetwork)
    with pytest.raises(NotImplementedError, match="not trained"):
        method.losses(batch(), torch.Generator())
    with pytest.raises(OptionError, match="checkpoint=FILE"):
        instantiate(spec, BuildContext(spec.options(), TASKS, {}, read_weights=read_weights))
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(OptionError, match="not the digest that was asked for"):
        instantiate(spec, context)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("DnCN", "did you mean 'DnCNN'"),
        ("NAFNet", "keys of a NAFNet; spandrel recognises a DnCNN"),
    ],
)
def test_a_wrong_name_is_answered_with_the_right_one(
    asked: str, message: str, tmp_path: Path
) -> None:
    path = saved(tmp_path / "net.pth", dncnn().state_dict())
    with pytest.raises(OptionError, match=message):
        load_spandrel(path, asked)


def test_what_is_not_for_one_rgb_image_is_refused(tmp_path: Path) -> None:
    grey = saved(tmp_path / "grey.pth", dncnn(channels=1).state_dict())
    with pytest.raises(OptionError, match=r"grey\.pth: this DnCNN is for grey images"):
        load_spandrel(grey)
    upscaler = network("Compact", num_feat=8, num_conv=2, upscale=2)
    doubled = saved(tmp_path / "x2.pth", upscaler.state_dict())
    with pytest.raises(OptionError, match="Compact enlarges images 2 times"):
        load_spandrel(doubled)


@pytest.mark.parametrize("prefix", ["", "net."])
def test_promptir_is_not_taken_for_restormer(prefix: str, tmp_path: Path) -> None:
    state = {prefix + key: value for key, value in build_tiny("promptir").state_dict().items()}
    path = saved(tmp_path / "model.ckpt", {"state_dict": state})
    with pytest.raises(OptionError, match=r"PromptIR .* mistake for a Restormer"):
        load_spandrel(path)


class _Trap:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt"])
def test_objects_are_never_unpickled(suffix: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    content = {"state_dict": dncnn().state_dict(), "hyper_parameters": _Trap(mark)}
    path = saved(tmp_path / f"net{suffix}", content)
    with pytest.raises(HarnessError, match="could run code"):
        load_spandrel(path)
    assert not mark.exists()


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [1, 2], {"a.weight": torch.ones(2)}])
def test_what_is_no_network_is_refused(content: Any, tmp_path: Path) -> None:
    expected = r"no dictionary of weights|no weights under|no architecture that spandrel knows"
    with pytest.raises((HarnessError, OptionError), match=expected):
        load_spandrel(saved(tmp_path / "net.pth", content))


def test_broken_files_and_missing_tensors_are_refused(tmp_path: Path) -> None:
    for name, message in (
        ("a.pth", "cannot be read"),
        ("a.safetensors", "no readable safetensors"),
    ):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with pytest.raises(HarnessError, match=message):
            load_spandrel(tmp_path / name)
    state = dncnn().state_dict()
    state["model.2.weight"] = torch.zeros(1)
    with pytest.raises(OptionError, match=r"does not hold the tensors of a DnCNN \(RuntimeError"):
        load_spandrel(saved(tmp_path / "b.pth", state))


# A published denoiser on real images; all of them: benchmarks/dncnn.py


CROPS = ("101085", "109053", "145086", "167062")
CROPS_DB = {15: 34.059, 25: 31.533, 50: 28.225}


def test_published_denoiser_reaches_its_figures() -> None:
    weights, folder = SHARED / "weights/dncnn_color_blind.pth", SHARED / "data/CBSD68"
    if not weights.exists() or not folder.is_dir():
        pytest.skip("needs the colour blind DnCNN and CBSD68 in ../shared")
    from benchmarks.dncnn import denoised_psnr_db
    from harness.data.synthetic.photographs import read_image

    denoiser = load_spandrel(weights)
    for sigma_255, expected_db in CROPS_DB.items():
        values = []
        for name in CROPS:
            crop = read_image(folder / f"{name}.png")[96:224, 96:224]
            values.append(denoised_psnr_db(denoiser, crop, name, sigma_255))
        assert sum(values) / len(values) == pytest.approx(expected_db, abs=0.02)
