"""The points that a search tries: a sequence that fills a space evenly, each point by its number.

A point is a function of the search's seed, its number, and what is searched: names and their order.
So trials may be computed in any order and side by side, a search that was cut off goes on with the
same ones, and one of more trials begins with those of a shorter one. A sampler that learns from
earlier trials (TPE, Gaussian processes) has none of this: its trials depend on which others were
finished first.

The sequence is Halton's with digits permuted at random (Halton 1960; Braaten and Weller 1979). It
leaves smaller gaps than independent draws.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from harness.config.recipes import Optimisation
from harness.config.seeding import generator
from harness.registry import Choices, Interval, OptionValue, SearchRange

WARMUP = "warmup_steps"
TRAINING_VALUES = ("lr", "weight_decay", "patch_px", WARMUP)
"""What is searched of a training, where the recipe allows it."""
_LR_FACTOR = 4.0
_WEIGHT_DECAY = Interval(1e-5, 1e-1, log=True)
_PATCH_FACTORS = (0.5, 1.0, 1.5)
_PATCH_UNIT_PX = 16
_LONGEST_WARMUP = 0.2
_PRECISION = 2.0**-20


def training_ranges(train: Optimisation) -> dict[str, SearchRange]:
    """Return what is searched of a training, for every method alike, around a recipe's values.

    The learning rate from a quarter of the recipe's to four times it, the weight decay, patches of
    half, one and one and a half times the recipe's side, and a warm-up of up to a fifth of all
    steps, where the recipe's schedule allows one.
    """
    ranges: dict[str, SearchRange] = {
        "lr": Interval(train.lr / _LR_FACTOR, min(100.0, train.lr * _LR_FACTOR), log=True),
        "weight_decay": _WEIGHT_DECAY,
    }
    sides: set[int] = set()
    for factor in _PATCH_FACTORS:
        units = int(train.patch_px * factor) // _PATCH_UNIT_PX
        sides.add(max(1, units) * _PATCH_UNIT_PX)
    if len(sides) > 1:
        ranges["patch_px"] = Choices(tuple(sorted(sides)))
    longest = int(train.steps * _LONGEST_WARMUP)
    if longest >= 1 and train.lr_restart_steps is None and train.lr_halving_steps is None:
        ranges[WARMUP] = Interval(0, longest)
    return ranges


def point(ranges: Mapping[str, SearchRange], seed: int, number: int) -> dict[str, OptionValue]:
    """Return point ``number`` (from 1) of a search, a value for each option.

    The options' order matters: those that several methods share come first, so that they get the
    same values for all of them.
    """
    values: dict[str, OptionValue] = {}
    for (name, searched), base in zip(ranges.items(), _primes(), strict=False):
        values[name] = searched.at(_place(name, base, seed, number))
    return values


def _place(name: str, base: int, seed: int, number: int) -> float:
    """Return the number's digits in ``base``, each permuted, mirrored at the point: in [0, 1)."""
    place, width, rest, digit = 0.0, 1.0, number, 0
    while width > _PRECISION:
        order = generator("search", seed, name, base, digit).permutation(base)
        width /= base
        place += width * int(order[rest % base])
        rest //= base
        digit += 1
    return place


def _primes() -> Iterator[int]:
    found: list[int] = []
    for candidate in itertools.count(2):
        if all(candidate % prime for prime in found):
            found.append(candidate)
            yield candidate
