"""What a search tries of an option: numbers between two ends, or some values."""

from __future__ import annotations

from dataclasses import dataclass

OptionValue = bool | int | float | str | None
"""A value that an option can be set to from a flag."""
_DIGITS = 3


@dataclass(frozen=True)
class Interval:
    """Numbers between two ends, both included; whole ones where both ends are whole.

    Attributes:
        low: the least.
        high: the largest.
        log: whether a doubling counts alike everywhere, as for learning rates and weights.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        """Refuse ends that hold nothing between them; raises :class:`ValueError`."""
        if self.low >= self.high or (self.log and self.low <= 0):
            raise ValueError(f"an interval from {self.low} to {self.high} holds nothing to search")

    def at(self, place: float) -> OptionValue:
        """Return the number at ``place`` in [0, 1), of three significant digits."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return self.low + int(place * (self.high - self.low + 1))
        if self.log:
            value = self.low * (self.high / self.low) ** place
        else:
            value = self.low + place * (self.high - self.low)
        return min(max(float(f"{value:.{_DIGITS}g}"), self.low), self.high)

    def __str__(self) -> str:
        words = f"{self.low:g} to {self.high:g}"
        return f"{words} (log)" if self.log else words


@dataclass(frozen=True)
class Choices:
    """Some values of an option, each as likely as the others."""

    values: tuple[OptionValue, ...]

    def __post_init__(self) -> None:
        """Refuse a list that leaves nothing to choose; raises :class:`ValueError`."""
        if len(set(self.values)) < 2:
            raise ValueError(f"{self.values} leaves nothing to search")

    def at(self, place: float) -> OptionValue:
        """Return the value at ``place`` in [0, 1)."""
        return self.values[int(place * len(self.values))]

    def __str__(self) -> str:
        return ", ".join("none" if value is None else str(value) for value in self.values)


SearchRange = Interval | Choices
"""What a search tries of one option."""
