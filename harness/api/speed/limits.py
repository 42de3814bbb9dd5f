"""How far a step is from the machine's limit, by what its operators do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from harness.api.speed.result import Machine
from harness.reporting.renderers.terminal import body
from harness.reporting.table import plain_table
from harness.store.files import write_json

Part = Literal["products", "depthwise", "rest"]

_SHOWN = 16


@dataclass(frozen=True)
class OperatorTime:
    """An operator's calls in one step.

    Attributes:
        name: as torch calls it.
        part: matrix products and convolutions, depth-wise convolutions, or everything else.
        own_s: seconds in it, and in no operator that it calls.
        calls: how often it ran.
    """

    name: str
    part: Part
    own_s: float
    calls: int


@dataclass(frozen=True)
class StepProfile:
    """One step by operator, and what the machine would need for the same at least.

    Attributes:
        name: whose step.
        step_s: seconds of the step under the profiler, what Python does between operators included.
        operators: the operators, those with the most time first.
        gflop: of matrix products and convolutions, depth-wise ones left out; None where they
            cannot be counted.
        depthwise_bytes: of the maps and weights that depth-wise convolutions read and write, each
            once.
        machine: its rates, measured just before.
    """

    name: str
    step_s: float
    operators: tuple[OperatorTime, ...]
    gflop: float | None
    depthwise_bytes: int
    machine: Machine

    def seconds(self, part: Part) -> float:
        """Return the seconds of a part; those of all parts sum to the step's."""
        by_part = {"products": 0.0, "depthwise": 0.0}
        for operator in self.operators:
            if operator.part in by_part:
                by_part[operator.part] += operator.own_s
        if part == "rest":
            return self.step_s - sum(by_part.values())
        return by_part[part]

    def share(self, part: Part) -> float:
        """Return the share of a part in the step, in [0, 1]."""
        return self.seconds(part) / self.step_s

    @property
    def matrix_share(self) -> float | None:
        """The rate that products and convolutions reach, as a share of the machine's."""
        if self.gflop is None or not self.seconds("products"):
            return None
        return self.gflop / self.seconds("products") / self.machine.fp32_gflops

    @property
    def products_alone(self) -> float | None:
        """How many times as fast the step would be if everything but the products were free."""
        products_s = self.seconds("products")
        return self.step_s / products_s if products_s else None

    @property
    def at_matrix_rate(self) -> float | None:
        """How many times as fast it would be if products also ran at the machine's rate."""
        if not self.gflop:
            return None
        return self.step_s / (self.gflop / self.machine.fp32_gflops)

    @property
    def depthwise_over_copy(self) -> float | None:
        """How many times as long depth-wise convolutions take as a copy of as many bytes."""
        if not self.depthwise_bytes:
            return None
        copy_s = self.depthwise_bytes / (self.machine.copy_gb_s * 1e9)
        return self.seconds("depthwise") / copy_s

    def text(self) -> str:
        """Return the operators and the limits as a person reads them."""
        lines = []
        for operator in self.operators[:_SHOWN]:
            share = f"{operator.own_s / self.step_s:.1%}"
            lines.append([operator.name, share, f"{operator.own_s:.3f}", str(operator.calls)])
        table = body(plain_table(("Operator", "Share", "Own time (s)", "Calls"), lines))
        limits = body(plain_table(("Part of the step", "Share", "Limit"), self._limits()))
        return f"{self.name}: {self.step_s:.2f} s\n{table}\n\n{limits}\n{self._bounds()}"

    def _limits(self) -> list[list[str]]:
        products = "-"
        if self.gflop is not None and self.matrix_share is not None:
            products = (
                f"{self.gflop:.0f} GFLOP at {self.matrix_share:.0%} of the machine's "
                f"{self.machine.fp32_gflops:.0f} GFLOP/s"
            )
        depthwise = "-"
        if self.depthwise_over_copy is not None:
            depthwise = (
                f"{self.depthwise_over_copy:.1f} times as long as copying "
                f"{self.depthwise_bytes / 1e9:.1f} GB at {self.machine.copy_gb_s:.0f} GB/s"
            )
        return [
            ["matrix products and convolutions", f"{self.share('products'):.0%}", products],
            ["depth-wise convolutions", f"{self.share('depthwise'):.0%}", depthwise],
            ["everything else", f"{self.share('rest'):.0%}", "-"],
        ]

    def _bounds(self) -> str:
        if self.products_alone is None:
            return "no matrix products or convolutions"
        text = (
            f"If everything but products and convolutions were free: {self.products_alone:.2f} "
            "times as fast"
        )
        if self.at_matrix_rate is not None:
            text += f"; if they ran at the machine's rate besides: {self.at_matrix_rate:.2f}"
        return text

    def to_json(self) -> dict[str, Any]:
        """Return all that :meth:`text` shows, in seconds, bytes and ratios."""
        return {
            "name": self.name,
            "step_s": self.step_s,
            "shares": {part: self.share(part) for part in ("products", "depthwise", "rest")},
            "gflop": self.gflop,
            "matrix_share": self.matrix_share,
            "products_alone": self.products_alone,
            "at_matrix_rate": self.at_matrix_rate,
            "depthwise_bytes": self.depthwise_bytes,
            "depthwise_over_copy": self.depthwise_over_copy,
            "operators": [asdict(operator) for operator in self.operators],
        }


@dataclass(frozen=True)
class StepProfiles:
    """The profiles of one step of each side, taken one after the other on one machine."""

    steps: Sequence[StepProfile]

    def __str__(self) -> str:
        return "\n\n".join(step.text() for step in self.steps)

    def write(self, path: Path) -> None:
        """Write the profiles and the machine as JSON."""
        machine = self.steps[0].machine.model_dump(mode="json")
        write_json(path, {"machine": machine, "steps": [step.to_json() for step in self.steps]})
