"""Checks of options that several baselines share. Imports no torch."""

from __future__ import annotations

from harness.method import OptionError

_LARGEST_RATIO = 64


def require_at_least(least: float, **values: float) -> None:
    """Refuse an option below ``least``; ``values`` are options by name.

    Raises:
        OptionError: an option is too small; the text names it.
    """
    for name, value in values.items():
        if value < least:
            raise OptionError(f"{name}={value} must be at least {least}")


def require_blocks(**values: tuple[int, ...]) -> None:
    """Refuse a level without blocks; ``values`` are block counts per level, by option name.

    Raises:
        OptionError: an option has a level without blocks; the text names the option.
    """
    for name, value in values.items():
        if not value or min(value) < 1:
            raise OptionError(f"{name}={value} must have at least one block everywhere")


def require_mlp_ratio(mlp_ratio: float, dim: int) -> None:
    """Refuse a ratio that leaves a feed-forward network no hidden channel, or is beyond measure.

    Raises:
        OptionError: ``mlp_ratio`` is no such ratio for ``dim`` channels.
    """
    if mlp_ratio > _LARGEST_RATIO or int(dim * mlp_ratio) < 1:
        raise OptionError(
            f"mlp_ratio={mlp_ratio} with dim={dim} must leave at least one hidden channel, and be "
            f"at most {_LARGEST_RATIO}"
        )


def require_drop_path(drop_path: float) -> None:
    """Refuse a rate of stochastic depth outside [0, 1).

    Raises:
        OptionError: ``drop_path`` is no such rate.
    """
    if not 0 <= drop_path < 1:
        raise OptionError(f"drop_path={drop_path} is a rate from 0 to below 1")
