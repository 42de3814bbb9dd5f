"""Images that are restored in tiles, and how their values differ from those of the whole image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.config.errors import HarnessError
from harness.data.sources.samples import Pair
from harness.evaluation.evaluate import Scoring, Subject, evaluate
from harness.evaluation.memory import MemoryBudget, bytes_per_px
from harness.evaluation.metrics import resolve_metrics
from harness.evaluation.prompt_choice import CROP_PX, choose_on_crops, crops_of
from harness.evaluation.restore import restore_image
from harness.evaluation.restored_image import tiles_sentence
from harness.evaluation.restorer import Restorer, TilingOptions, restore_large, restore_pixels
from harness.evaluation.tiling import (
    Seams,
    Tiling,
    as_unit,
    restore_tiled,
    restored_rows,
    tiling_within,
)
from tests.networks import TASKS, build_tiny
from tests.plans import plan_of

CPU = torch.device("cpu")
RNG = np.random.default_rng(3)


class Local(torch.nn.Module):
    """Convolutions, three of them at an eighth of the sides: it sees 35 pixels far."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first = torch.nn.Conv2d(3, 4, 3, padding=1)
            self.coarse = torch.nn.Conv2d(256, 256, 3, padding=1, groups=64)
            self.last = torch.nn.Conv2d(4, 3, 3, padding=1)

    def restore(self, degraded: torch.Tensor, tasks: object = None) -> torch.Tensor:
        height, width = degraded.shape[-2:]
        padded = F.pad(degraded, (0, -width % 8, 0, -height % 8), mode="replicate")
        inner = F.pixel_unshuffle(self.first(padded).relu(), 8)
        for _ in range(3):
            inner = self.coarse(inner).tanh()
        return self.last(F.pixel_shuffle(inner, 8))[..., :height, :width]


def local(image: np.ndarray) -> np.ndarray:
    return restore_image(Local(), image, CPU)  # type: ignore[arg-type]


def restorer_of(method: Any, load: dict[str, Any] | None = None, oracle: bool = False) -> Restorer:
    return Restorer(method.eval(), "a network", TASKS, oracle, CPU, load or {})


def in_tiles(side: int = 192) -> TilingOptions:
    return TilingOptions(MemoryBudget(CPU), side)


@given(
    height=st.integers(1, 460),
    width=st.integers(1, 460),
    tile=st.tuples(st.sampled_from([192, 200, 256, 320]), st.sampled_from([192, 256])),
    blend=st.sampled_from([2, 32, 64]),
)
@settings(max_examples=25)
def test_a_local_network_gives_the_values_of_the_whole_image(
    height: int, width: int, tile: tuple[int, int], blend: int
) -> None:
    image = np.random.default_rng(height * 1000 + width).random((height, width, 3), np.float32)
    tiled, seams = restore_tiled(local, image, Tiling(*tile, blend_px=blend))
    assert tiled.shape == image.shape
    assert np.abs(tiled - local(image)).max() < 1e-5
    assert seams.largest < 0.1
    assert (seams.values > 0) == (height > tile[0] or width > tile[1])


@given(
    height=st.integers(1, 3000),
    width=st.integers(1, 3000),
    pixels=st.integers(192**2, 10**6),
    context=st.sampled_from([64, 128]),
)
@settings(max_examples=50)
def test_tiles_cover_the_image_and_are_as_small_as_allowed(
    height: int, width: int, pixels: int, context: int
) -> None:
    pixels = max(pixels, (2 * context + 64) ** 2)
    tiling = tiling_within(height, width, pixels, context)
    if tiling is None:
        assert height * width <= pixels
        return
    assert min(height, tiling.height_px) * min(width, tiling.width_px) <= pixels
    sizes: list[int] = []

    def restore(tile: np.ndarray) -> np.ndarray:
        sizes.append(tile.shape[0] * tile.shape[1])
        return tile

    rows = np.arange(height * width, dtype=np.float32).reshape(height, width, 1)
    image = np.broadcast_to(rows / rows.size, (height, width, 3))
    fresh: list[int] = []
    parts = list(restored_rows(restore, image, tiling, Seams(), fresh.append))
    assert np.allclose(np.concatenate(parts), image, atol=1e-6)
    assert len(sizes) == len(fresh) == tiling.count(height, width)
    assert max(sizes) <= pixels


def test_a_network_that_sees_the_whole_image_is_said_to() -> None:
    class Mean(torch.nn.Module):
        def restore(self, degraded: torch.Tensor, tasks: object = None) -> torch.Tensor:
            return degraded - degraded.mean(dim=(-2, -1), keepdim=True)

    pixels = np.zeros((300, 400, 3), np.uint8)
    pixels[:, 200:] = 200
    found = restore_pixels(restorer_of(Mean()), pixels, None, in_tiles(), lambda _: None)
    assert found.tiles > 1
    assert found.seams.largest > 1
    assert "larger tiles (--memory) differ less" in tiles_sentence(found)
    local_one = restore_pixels(restorer_of(Local()), pixels, None, in_tiles(), lambda _: None)
    assert local_one.seams.largest < 0.1
    assert "larger tiles" not in tiles_sentence(local_one)
    assert tiles_sentence(local_one).startswith(f"{local_one.tiles} tiles of up to 192x192")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"context_px": 60}, "multiple of 64"),
        ({"height_px": 191}, "at least 192"),
        ({"blend_px": 3}, "even number"),
        ({"blend_px": 66}, "even number"),
    ],
)
def test_tilings_that_cannot_be_are_refused(fields: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Tiling(**{"height_px": 192, "width_px": 192, **fields})


def test_memory_decides_how_large_tiles_are(monkeypatch: pytest.MonkeyPatch) -> None:
    image = RNG.random((300, 200, 3), dtype=np.float32)
    per_px = bytes_per_px(image, local)
    assert per_px > 4 * 3
    monkeypatch.setattr("harness.evaluation.memory.resident_bytes", lambda: 10**8)
    budget = MemoryBudget(CPU, 2 * 10**8)
    pixels = budget.pixels(image, local, held_bytes=10**7, row_bytes=0)
    assert pixels is not None
    assert budget.bytes_per_px == per_px
    assert pixels == pytest.approx(0.9e8 / (2 * per_px + 36), rel=1e-3)
    fewer = budget.pixels(image, local, held_bytes=10**7, row_bytes=20_000)
    assert fewer is not None
    assert fewer < pixels
    with pytest.raises(HarnessError, match=r"--memory 0\.2 is less than program"):
        budget.pixels(image, local, held_bytes=10**9, row_bytes=0)
    with pytest.raises(HarnessError, match="tiles of 128x128 pixels are all that fits"):
        tiling_within(2000, 2000, 150**2)


def test_small_memory_cuts_an_image_that_is_restored_whole_otherwise() -> None:
    pixels = RNG.integers(0, 256, (700, 800, 3), dtype=np.uint8)
    restorer = restorer_of(Local())
    whole = restore_pixels(restorer, pixels, None, TilingOptions(MemoryBudget(CPU)), lambda _: None)
    assert whole.tiles == 1
    budget = MemoryBudget(CPU)
    budget.bytes_per_px = 10_000.0
    budget._allowed = lambda held: 3e9  # type: ignore[method-assign]
    cut = restore_pixels(restorer, pixels, None, TilingOptions(budget), lambda _: None)
    assert cut.tiles > 1
    assert np.abs(cut.pixels.astype(int) - whole.pixels).max() <= 1


class Hungry(Local):
    """It has no memory for more than ``most_px`` pixels."""

    def __init__(self, most_px: int) -> None:
        super().__init__()
        self.most_px = most_px

    def restore(self, degraded: torch.Tensor, labels: Any = None) -> torch.Tensor:
        if degraded.shape[-1] * degraded.shape[-2] > self.most_px:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return super().restore(degraded, labels)


@pytest.mark.parametrize("options", [TilingOptions(MemoryBudget(CPU), 1024), in_tiles(640)])
def test_without_memory_tiles_are_halved_and_that_is_said(options: TilingOptions) -> None:
    pixels = RNG.integers(0, 256, (700, 800, 3), dtype=np.uint8)
    whole = restore_pixels(
        restorer_of(Local()), pixels, None, TilingOptions(MemoryBudget(CPU), 1024), lambda _: None
    )
    cut = restore_pixels(restorer_of(Hungry(320**2)), pixels, None, options, lambda _: None)
    assert cut.tiles > 1
    assert cut.is_cut_smaller
    assert not whole.is_cut_smaller
    assert "larger ones took more memory than there is" in tiles_sentence(cut)
    assert np.abs(cut.pixels.astype(int) - whole.pixels).max() <= 1
    with pytest.raises(RuntimeError, match="out of memory"):  # not even the smallest fits
        restore_pixels(restorer_of(Hungry(64**2)), pixels, None, options, lambda _: None)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_values_of_files_become_floats(dtype: type) -> None:
    most = 1 if dtype is np.float32 else np.iinfo(dtype).max
    image = np.array([0, most], dtype).reshape(1, 2, 1)
    assert as_unit(image).ravel().tolist() == [0.0, 1.0]
    assert as_unit(image).dtype == np.float32


# --- prompts ----------------------------------------------------------------------------


def two_halves() -> np.ndarray:
    """Return an image whose halves a router sends to different prompts, or may."""
    pixels = RNG.integers(0, 40, (400, 640, 3), dtype=np.uint8)
    pixels[:, 320:] = RNG.integers(0, 256, (400, 320, 3), dtype=np.uint8)
    return pixels


@pytest.mark.parametrize("name", ["promptir", "cpl"])
def test_all_tiles_receive_the_prompts_of_one_choice(name: str) -> None:
    method = build_tiny(name)
    forced: list[Any] = []
    decode = method.decode

    def spy(features: Any, override: Any = None) -> Any:
        forced.append(override)
        return decode(features, override)

    method.decode = spy
    pixels = two_halves()
    found = restore_pixels(restorer_of(method), pixels, None, in_tiles(320), lambda _: None)
    assert found.choice is not None
    assert found.choice.chosen_by == "the router"
    assert "crops" in found.choice.seen
    tiles = forced[len(crops_of(pixels)) :]
    assert len(tiles) == found.tiles > 1
    for override in tiles:
        assert set(override) == set(method.levels)
        for level in method.levels:
            weights = tuple(override[level][0].tolist())
            assert weights == pytest.approx(found.choice.levels[level].weights)


def test_a_router_that_selects_gets_a_selection_it_made() -> None:
    method = build_tiny("cpl")
    pixels = np.concatenate([two_halves()] * 3, axis=1)
    assert len(crops_of(pixels)) > 1
    choice = choose_on_crops(method, pixels, None, CPU)
    for level in choice.levels.values():
        assert sum(weight != 0 for weight in level.weights) == 3
        assert level.probabilities is not None
        assert 0 <= level.entropy <= 1


def test_dense_routing_is_averaged_over_crops() -> None:
    method = build_tiny("promptir").eval()
    pixels = np.concatenate([two_halves()] * 3, axis=1)
    choice = choose_on_crops(method, pixels, None, CPU)
    weights = []
    for crop in crops_of(pixels):
        weights.append(choose_on_crops(method, crop, None, CPU).levels["level3"].weights)
    assert choice.levels["level3"].weights == pytest.approx(np.mean(weights, axis=0), abs=1e-5)
    assert all(crop.shape[0] <= CROP_PX and crop.shape[1] <= CROP_PX for crop in crops_of(pixels))


def test_whole_and_tiled_values_are_near_each_other_for_channel_attention() -> None:
    """Attention over all pixels makes tiles differ; the same prompts keep the difference small."""
    method = build_tiny("promptir")
    pixels = two_halves()
    options = TilingOptions(MemoryBudget(CPU))
    whole = restore_pixels(restorer_of(method), pixels, None, options, lambda _: None)
    assert whole.choice is not None
    assert whole.choice.seen == "the whole image"
    tiled = restore_pixels(restorer_of(method), pixels, None, in_tiles(384), lambda _: None)
    assert np.abs(tiled.pixels.astype(int) - whole.pixels).max() < 20


# --- scoring ----------------------------------------------------------------------------


def test_scores_of_tiles_have_a_protocol_of_their_own() -> None:
    plain, tiled = plan_of(["promptir"]), plan_of(["promptir"], evaluation={"tile_large_images": 1})
    assert plain.setting.protocol.tile_px is None
    assert tiled.setting.protocol.tile_px == 1024
    assert tiled.setting.protocol.id == f"{plain.setting.protocol.id}-tiles-1024"
    assert "tile_px" not in plain.setting.protocol.model_dump(mode="json")
    first, second = plain.runs[-1], tiled.runs[-1]
    assert first.weights_id == second.weights_id
    assert first.score_id != second.score_id


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_large_test_images_are_restored_in_tiles(value: float) -> None:
    image = RNG.random((300, 400, 3), dtype=np.float32)
    image[150, 200] = value or image[150, 200]
    restored = restore_large(restorer_of(Local()), image, "derain", 256)
    if np.isnan(value):
        assert np.isnan(restored).all()
    else:
        assert np.allclose(restored, local(image), atol=1e-5)


def test_the_protocol_decides_which_images_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []

    class Watched(Local):
        def restore(self, degraded: torch.Tensor, tasks: object = None) -> torch.Tensor:
            seen.append(tuple(degraded.shape[-2:]))  # type: ignore[arg-type]
            return super().restore(degraded, tasks)

    monkeypatch.setattr("harness.evaluation.evaluate.TILED_ABOVE_PX", 300 * 300)
    subject = Subject(Watched(), "local", 0, False, CPU)  # type: ignore[arg-type]
    plan = plan_of(["promptir"])
    spec = plan.runs[-1].score
    assert spec is not None

    class Pairs:
        def names(self) -> list[tuple[str, str]]:
            return [("derain", "small"), ("derain", "large")]

        def data_set(self, column: str) -> str:
            return "synthetic"

        def make(self, column: str, image: str) -> Pair:
            side = 301 if image == "large" else 300
            clean = RNG.random((side, side, 3), dtype=np.float32)
            return Pair(column, "derain", image, image, clean, clean)

    for tile_px, expected in ((None, {(300, 300), (301, 301)}), (256, None)):
        seen.clear()
        ruled = spec.protocol.model_copy(update={"tile_px": tile_px})
        scoring = Scoring(
            spec.model_copy(update={"protocol": ruled}), resolve_metrics(["psnr_rgb"])
        )
        results = list(evaluate(subject, Pairs(), scoring))
        assert len(results) == 2
        if expected is not None:
            assert set(seen) == expected
        else:
            assert (300, 300) in seen
            assert (301, 301) not in seen
            assert len(seen) > 3
