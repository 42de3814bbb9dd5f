"""Dead leaves: radii, coverage and determinism."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.config.seeding import generator
from harness.config.settings import DeadLeavesSpec
from harness.data.synthetic.dead_leaves import canvas, mirror, power_law


def dead_leaves(textured: float = 0.7, side: int = 64) -> DeadLeavesSpec:
    return DeadLeavesSpec(
        canvas_px=side, crops_per_canvas=1, radius_px=(4, 30), exponent=3.0, textured=textured
    )


def photograph(low: int, high: int, seed: int = 0) -> np.ndarray:
    return generator("leaf", seed).integers(low, high, (40, 50, 3)).astype(np.uint8)


@settings(max_examples=15)
@given(key=st.integers(0, 10**6), textured=st.sampled_from([0.0, 0.5, 1.0]))
def test_a_canvas_depends_on_its_key_alone(key: int, textured: float) -> None:
    sources = [photograph(0, 256), photograph(50, 90, 1)]
    first, again = (canvas(dead_leaves(textured), sources, generator(key)) for _ in range(2))
    assert first.shape == (64, 64, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)


def test_nothing_but_the_photographs_colours_is_seen() -> None:
    # Bright sources and no texture: a hole in the coverage would be black. A gradient
    # darkens a colour by at most 60 levels.
    drawn = canvas(dead_leaves(textured=0.0), [photograph(180, 200)], generator("holes"))
    assert drawn.min() >= 180 - 60


def test_edges_are_mixtures_of_both_sides() -> None:
    # Two flat colours: a hard edge would leave nothing between them.
    sources = [np.full((8, 8, 3), v, np.uint8) for v in (20, 220)]
    drawn = canvas(dead_leaves(textured=1.0), sources, generator("edges"))
    assert ((drawn > 60) & (drawn < 180)).any()


@pytest.mark.parametrize("exponent", [1.0, 2.0, 3.0])
def test_radii_follow_thepower_law(exponent: float) -> None:
    rng = generator("radii", str(exponent))
    radii = np.array([power_law(4, 100, exponent, rng) for _ in range(6000)])
    assert radii.min() >= 4
    assert radii.max() <= 100
    at, power = 10.0, 1 - exponent
    expected = (
        np.log(at / 4) / np.log(25)
        if exponent == 1
        else (at**power - 4**power) / (100**power - 4**power)
    )
    assert (radii < at).mean() == pytest.approx(expected, abs=0.025)


@given(index=st.integers(0, 500), size=st.integers(1, 60))
def test_mirroring_stays_inside_and_is_continuous(index: int, size: int) -> None:
    here, there = mirror(np.array([index, index + 1]), size)
    assert 0 <= here < size
    assert abs(int(here) - int(there)) <= 1
