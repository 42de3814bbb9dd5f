"""OneRestore beyond its parity: scenes, the embedder, MS-SSIM, the contrast, and versions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from harness.config.errors import HarnessError
from harness.data.images.cache import FOLDER_VARIABLE
from harness.execution.complexity import count
from harness.method import BuildContext, CheckContext, OptionError, WeightsFile
from harness.registry import catalogue
from harness.training.pretrained import load_pretrained, read_pretrained, read_weights
from methods.onerestore.block import SceneAttention
from methods.onerestore.contrast import contrast_loss, pixels
from methods.onerestore.embedder import Embedder
from methods.onerestore.network import OneRestore, build_named, build_visual
from methods.onerestore.scenes import draw_scenes
from methods.onerestore.similarity import ms_ssim
from methods.onerestore.spec import (
    SCENES,
    EmbedderOptions,
    NamedOptions,
    OneRestoreOptions,
    check_embedder,
    check_named,
    check_onerestore,
)
from tests.networks import TASKS, batch, build_tiny, first_of, loss_of_two_steps
from tests.plans import plan_of
from tests.test_on_disk_training import write_rain

COMPOSITE = ("low", "haze", "low-haze", "low-haze-rain")
PUBLISHED_MACS = 11.60e9


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_parameters_and_multiply_accumulates_are_the_published_ones() -> None:
    counted = count(catalogue().specs["onerestore"])
    assert counted.parameters == 5_980_396
    # Attention is folded into the output projection, which spares its product with the values:
    # d^2 / 8 per place in both attentions of ten blocks, the same at every level.
    spared = 20 * 256 * 256 * 32**2 / 8
    # Hidden widths of 85, 170 and 340 are computed as 88, 176 and 344, in two blocks each.
    added = 0
    for level, channels in enumerate((3, 6, 4)):
        pixels_of_level, width = (256 >> level) ** 2, 32 << level
        added += 2 * pixels_of_level * channels * (3 * width + 2 * 9)
    assert counted.macs + spared - added == pytest.approx(PUBLISHED_MACS, rel=1e-3)


def test_the_embedder_has_the_published_parameters() -> None:
    embedder = Embedder(EmbedderOptions(), TASKS)
    trunk = sum(p.numel() for p in embedder.feat_extractor.parameters())
    assert trunk == 11_176_512
    assert sum(p.numel() for p in embedder.parameters()) - trunk == 858_436


def test_scene_attention_equals_its_definition() -> None:
    torch.manual_seed(0)
    layer = SceneAttention(16, OneRestoreOptions(channels=16, heads=4))
    layer.temperature.data = torch.rand(4, 1, 1, generator=rng()) * 8
    x, embedding = torch.randn(2, 16, 25, 21, generator=rng(1)), torch.randn(2, 324)
    k, v = layer.kv_dwconv(layer.kv(x)).chunk(2, dim=1)
    k = F.interpolate(k, size=(18, 18), mode="bilinear", align_corners=False)
    q = layer.q(embedding)[:, None, None].expand(2, 4, 4, 324)
    k, v = k.reshape(2, 4, 4, 324), v.reshape(2, 4, 4, 25 * 21)
    logits = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1)
    out = (logits * layer.temperature).softmax(dim=-1) @ v
    expected = layer.project_out(out.reshape(2, 16, 25, 21))
    found = layer(x.permute(0, 2, 3, 1).contiguous(), embedding).permute(0, 3, 1, 2)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_zero_last_convolution_leaves_the_published_mean_with_one() -> None:
    network = build_tiny("onerestore").eval()
    network.out_conv.weight.data.zero_()
    image = torch.rand(1, 3, 21, 15, generator=rng())
    with torch.no_grad():
        torch.testing.assert_close(network.restore(image, TASKS[:1]), (image + 1) / 2)


def test_scenes_are_keyed_by_words() -> None:
    table = draw_scenes(COMPOSITE)
    assert table.shape == (5, 324)
    assert (table >= 0).all()
    assert torch.equal(draw_scenes(("low-haze", "low"))[1], table[3])
    assert len({tuple(row.tolist()) for row in table}) == 5


def test_the_true_task_chooses_the_scene_and_none_is_an_error() -> None:
    network = build_tiny("onerestore").eval()
    image = torch.rand(1, 3, 16, 16, generator=rng())
    with torch.no_grad():
        restored = [network.restore(image, (task,)) for task in TASKS]
        named = network.restore_under(image, draw_scenes(TASKS)[3:4])
    assert torch.equal(restored[2], named)
    assert not torch.equal(restored[1], restored[2])
    with pytest.raises(ValueError, match="no tasks were given"):
        network.restore(image)


def test_the_embedder_chooses_among_all_scenes_and_is_frozen() -> None:
    network = build_tiny("onerestore-visual").train()
    assert not network.embedder.training
    assert not any(p.requires_grad for p in network.embedder.parameters())
    images = torch.rand(3, 3, 40, 32, generator=rng())
    with torch.no_grad():
        similarities = network.embedder.similarities(images)
        restored = network.restore(images)
        chosen = network.scene_embeddings[similarities.argmax(dim=-1)]
        assert torch.equal(restored, network.restore_under(images, chosen))
    assert similarities.shape == (3, 1 + len(TASKS))
    assert (similarities.abs() <= 20 + 1e-4).all(), "cosines over 0.05"
    assert torch.equal(network.embedder.classify(images), similarities[:, 1:])


def test_the_embedder_learns_clear_images_too() -> None:
    embedder = build_tiny("onerestore-embedder", dropout="0").train()
    sample = batch()
    state = {key: value.clone() for key, value in embedder.state_dict().items()}
    seed = next(s for s in range(99) if (torch.rand(5, generator=rng(s)) < 1 / 6).any())
    loss = embedder.losses(sample, rng(seed))["cross_entropy"]
    embedder.load_state_dict(state)
    clear = torch.rand(5, generator=rng(seed)) < 1 / 6
    images = torch.where(clear[:, None, None, None], sample.clean, sample.degraded)
    wanted = torch.arange(1, 6).masked_fill(clear, 0)
    expected = F.cross_entropy(embedder.similarities(images), wanted)
    torch.testing.assert_close(loss, expected)


def published_ms_ssim(x: torch.Tensor, y: torch.Tensor, value_range: float) -> float:
    """Compute MS-SSIM from scikit-image's SSIM maps, without what the code infers."""
    from skimage.metrics import structural_similarity

    value, similarities, contrasts = 1.0, [], []
    for level in range(5):
        if level:
            x, y = (F.avg_pool2d(image, 2) for image in (x, y))
        a, b = (image[0].permute(1, 2, 0).double().numpy() for image in (x, y))
        settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        _, whole = structural_similarity(
            a, b, channel_axis=2, data_range=value_range, full=True, **settings
        )
        # Without luminance: of images whose means are equal, which they are in each window.
        _, luminance = structural_similarity(
            a, b, channel_axis=2, data_range=value_range, full=True, K2=1e9, **settings
        )
        inner = (slice(5, -5), slice(5, -5))
        similarities.append((whole[inner].mean() + 1) / 2)
        contrasts.append(((whole[inner] / luminance[inner]).mean() + 1) / 2)
    weights = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    for contrast, weight in zip(contrasts[:4], weights[:4], strict=True):
        value *= contrast**weight * similarities[4] ** weights[4]
    return float(value)


@pytest.mark.parametrize(("scale", "shift", "value_range"), [(1, 0, 1), (2, -1, 2), (300, 0, 255)])
def test_ms_ssim_follows_its_definition(scale: float, shift: float, value_range: float) -> None:
    # Smooth images, whose means stay far from the thresholds after pooling.
    coarse = torch.rand(1, 3, 6, 6, generator=rng(1))
    coarse[..., :3, :], coarse[..., 3:, :3] = 0.05, 0.95
    x = F.interpolate(coarse, size=(192, 192), mode="bilinear") * scale + shift
    y = x + scale * 0.1 * torch.rand(x.shape, generator=rng(2))
    expected = published_ms_ssim(x, y, value_range)
    assert float(ms_ssim(x, y)) == pytest.approx(expected, rel=1e-3)
    assert float(ms_ssim(x, x)) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("side", [16, 33, 64])
def test_ms_ssim_of_small_crops_is_finite_and_has_a_gradient(side: int) -> None:
    x = torch.rand(2, 3, side, side, generator=rng(1), requires_grad=True)
    y = torch.rand(2, 3, side, side, generator=rng(2))
    value = ms_ssim(x, y)
    value.backward()
    assert 0 < float(value.detach()) < 1
    assert bool(x.grad.isfinite().all())


def test_the_contrast_is_a_ratio_of_distances_in_each_feature_map() -> None:
    out, clean, *others = torch.rand(5, 2, 3, 8, 8, generator=rng())

    def features(image: torch.Tensor) -> list[torch.Tensor]:
        return [image, image.square()]

    ratios = []
    for number in range(2):
        maps = [features(image)[number] for image in (out, clean, *others)]
        distances = [(maps[0] - other).abs().mean() for other in maps[1:]]
        ratios.append(distances[0] / (sum(distances[1:]) / 3 + 1e-7))
    expected = torch.stack(ratios).mean()
    torch.testing.assert_close(contrast_loss(out, clean, others, features), expected)
    assert float(contrast_loss(clean, clean, others, pixels)) == 0


def test_the_objective_is_the_published_one() -> None:
    network, sample = build_tiny("onerestore").train(), batch()
    terms = network.losses(sample, rng())
    restored = network.restore(sample.degraded, TASKS)
    assert list(terms) == ["smooth_l1", "ms_ssim", "contrast"]
    error = F.smooth_l1_loss(restored, sample.clean)
    torch.testing.assert_close(terms["smooth_l1"], 0.6 * error)
    torch.testing.assert_close(terms["ms_ssim"], 0.3 * (1 - ms_ssim(restored, sample.clean)))
    degraded = [sample.degraded, *sample.versions.unbind(1)]
    contrast = contrast_loss(restored, sample.clean, degraded, pixels)
    torch.testing.assert_close(terms["contrast"], 0.1 * contrast)
    options = OneRestoreOptions()
    assert (options.ssim_weight, options.contrast_weight) == (0.3, 0.1)
    lean = build_tiny("onerestore", contrast_weight="0", ssim_weight="0").train()
    assert list(lean.losses(replace(sample, versions=None), rng())) == ["smooth_l1"]
    with pytest.raises(ValueError, match=r"fill Batch\.versions"):
        network.losses(replace(sample, versions=None), rng())


def test_the_full_size_trains() -> None:
    options = OneRestoreOptions(contrast_features="pixels")
    network = OneRestore(options, TASKS, draw_scenes(TASKS))
    first, second = loss_of_two_steps(network, first_of(batch(side=64)))
    assert second < first


def authors_embedder(folder: Path) -> Path:
    """Write a file as the authors' embedder_model.tar is described, with random weights."""
    embedder = Embedder(EmbedderOptions(), ("one",))
    state = {k: v for k, v in embedder.state_dict().items() if not k.startswith("scene")}
    state["embedder.weight"] = torch.randn(12, 300, generator=rng(3))
    state["mlp.0.weight"] = torch.randn(324, 300, generator=rng(4))
    state["mlp.0.bias"] = torch.randn(324, generator=rng(5))
    path = folder / "embedder_model.tar"
    torch.save(state, path)
    return path


def context_of(path: Path | None, **required: Any) -> BuildContext:
    options = NamedOptions(channels=8, heads=2, embedder=path)
    return BuildContext(options, COMPOSITE, required, read_weights=read_weights)


def test_the_authors_embedder_gives_the_scenes_and_recognises_them(tmp_path: Path) -> None:
    path = authors_embedder(tmp_path)
    state = torch.load(path)
    table = F.relu(F.linear(state["embedder.weight"], state["mlp.0.weight"], state["mlp.0.bias"]))
    embedder = Embedder(EmbedderOptions(), COMPOSITE)
    load_pretrained(embedder, read_pretrained(WeightsFile(path)), "onerestore-embedder")
    named = build_named(context_of(path))
    visual = build_visual(context_of(None, **{"onerestore-embedder": embedder}))
    rows = [SCENES.index(scene) for scene in ("clear", "low", "haze", "low_haze", "low_haze_rain")]
    for network in (named, visual, visual.embedder):
        torch.testing.assert_close(network.scene_embeddings, table[rows])
    first = state["feat_extractor.block0.0.weight"]
    assert torch.equal(visual.embedder.feat_extractor["block0"][0].weight, first)


def test_another_file_for_the_embedder_is_refused_by_name(tmp_path: Path) -> None:
    path = authors_embedder(tmp_path)
    state = torch.load(path)
    short = tmp_path / "short.tar"
    torch.save({**state, "mlp.0.bias": torch.zeros(5)}, short)
    with pytest.raises(OptionError, match="from 300 to 324"):
        build_named(context_of(short))
    for tasks, file in ((COMPOSITE, short), (("derain",), path)):
        embedder = Embedder(EmbedderOptions(), tasks)
        with pytest.raises(HarnessError, match=r"does not fit.*unexpected \(embedder.weight"):
            load_pretrained(embedder, read_pretrained(WeightsFile(file)), "onerestore-embedder")
    context = CheckContext(("derain",), 4)
    with pytest.raises(OptionError, match="no scene for task 'derain'"):
        check_named(NamedOptions(embedder=path), context)
    with pytest.raises(OptionError, match="no such file"):
        check_named(NamedOptions(embedder=tmp_path / "none"), context)


@pytest.mark.parametrize("name", ["onerestore", "onerestore-visual"])
def test_the_authors_checkpoints_load(name: str, tmp_path: Path) -> None:
    """A training's file has an entry and a prefix; a released one is the bare state dict."""
    theirs = build_tiny("onerestore", seed=0)
    bare = {k: v for k, v in theirs.state_dict().items() if not k.startswith("scene")}
    training = {f"module.{key}": value for key, value in bare.items()}
    contents = {"released": bare, "training": {"epoch": 3, "state_dict": training}}
    for number, (file, content) in enumerate(contents.items()):
        path = tmp_path / f"{file}.tar"
        torch.save(content, path)
        ours = build_tiny(name, seed=number + 1)
        load_pretrained(ours, read_pretrained(WeightsFile(path)), name)
        image, scenes = torch.rand(1, 3, 16, 16), draw_scenes(TASKS)[:1]
        with torch.no_grad():
            found = ours.eval().restore_under(image, scenes)
            assert torch.equal(found, theirs.eval().restore_under(image, scenes))


def test_versions_are_the_same_crops_under_the_other_tasks() -> None:
    plan = plan_of(["onerestore"], setting="composite")
    spec = plan.runs[-1].train
    plain, stream = (plan.source.stream(spec, 1, versions=v) for v in (False, True))
    samples, again = stream.batch(3), stream.batch(3)
    assert plain.batch(3).versions is None
    assert np.array_equal(plain.batch(3).degraded, samples.degraded)
    n, _, side, _ = samples.degraded.shape
    assert samples.versions.shape == (n, 10, 3, side, side)
    assert np.array_equal(samples.versions, again.versions)
    names = [task.name for task in stream.tasks]
    hazy = next(i for i, task in enumerate(samples.tasks) if "haze" not in task)
    others = [name for name in names if name != samples.tasks[hazy]]
    version = samples.versions[hazy, others.index("haze")]
    # Haze mixes a crop with one colour, so it keeps its shape.
    shape = [image - image.mean() for image in (version, samples.clean[hazy])]
    cosine = (shape[0] * shape[1]).sum() / np.prod([np.linalg.norm(part) for part in shape])
    assert cosine > 0.8
    assert not np.array_equal(version, samples.clean[hazy])


def write_cdd11(folder: Path, groups: list[str]) -> None:
    colours = np.random.default_rng(0).integers(0, 255, (12, 40, 48, 3)).astype(np.uint8)
    for number, image in enumerate(colours):
        for level, group in enumerate(["clear", *groups]):
            path = folder / group / f"{number:05}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            # The last bits of each value say which version of the image this is.
            Image.fromarray(image // 16 * 16 + level).save(path)


def test_versions_on_disk_are_the_files_of_the_same_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache"))
    for name in ("CDD-11_train", "CDD-11_test"):
        write_cdd11(tmp_path / name, [scene for scene in SCENES if scene != "clear"])
    data = {"root": tmp_path}
    plan = plan_of(["onerestore"], setting="composite", recipe="smoke", data=data)
    stream = plan.source.stream(plan.runs[-1].train, 1, versions=True)
    names = [task.name for task in stream.tasks]
    samples = stream.batch(0)
    for slot, task in enumerate(samples.tasks):
        clean = np.rint(samples.clean[slot] * 255).astype(int)
        others = [name for name in names if name != task]
        for number, other in enumerate(others):
            found = np.rint(samples.versions[slot, number] * 255).astype(int)
            assert (found - clean == 1 + names.index(other)).all()


def test_an_image_without_all_versions_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache"))
    for name in ("CDD-11_train", "CDD-11_test"):
        write_cdd11(tmp_path / name, [scene for scene in SCENES if scene != "clear"])
    write_rain(tmp_path / "raintrainl", 20, 0)
    data = {"root": tmp_path, "train_sets": {"snow": "raintrainl"}}
    plan = plan_of(["onerestore"], setting="composite", recipe="smoke", data=data)
    stream = plan.source.stream(plan.runs[-1].train, 1, versions=True)
    with pytest.raises(HarnessError, match=r"\.png has no version with snow among"):
        stream.batch(0)


def test_training_without_vggs_weights_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_VGG16_WEIGHTS", str(tmp_path / "none.pth"))
    network = build_tiny("onerestore", contrast_features="vgg16")
    with pytest.raises(OptionError, match=r"none.pth is not there.*use contrast_features=pixels"):
        network.prepare_training()
    build_tiny("onerestore", contrast_features="vgg16", contrast_weight="0").prepare_training()
    build_tiny("onerestore").prepare_training()


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"channels": 30}, "channels=30"),
        ({"ffn_expansion": 0.01}, "ffn_expansion=0.01"),
        ({"ssim_weight": -1.0}, "ssim_weight=-1.0"),
        ({"contrast_weight": -1.0}, "contrast_weight=-1.0"),
    ],
)
def test_what_cannot_be_built_is_refused_by_name(values: dict[str, Any], named: str) -> None:
    with pytest.raises(OptionError, match=named):
        check_onerestore(OneRestoreOptions(**values), CheckContext(TASKS, 4))


def test_a_contrast_of_one_degradation_is_refused() -> None:
    options = OneRestoreOptions(contrast_features="pixels")
    with pytest.raises(OptionError, match="contrast_weight=0"):
        check_onerestore(options, CheckContext(("low",), 4, steps=10))


@pytest.mark.parametrize("name", ["width", "blocks", "features", "input_px", "temperature"])
def test_an_embedder_of_nothing_is_refused_by_name(name: str) -> None:
    with pytest.raises(OptionError, match=f"{name}=0"):
        check_embedder(EmbedderOptions(**{name: 0}), CheckContext(TASKS, 4))
