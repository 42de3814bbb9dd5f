"""Which weights of a training are scored: the last, their moving average, or the best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from harness.config.errors import RunError
from harness.config.recipes import Optimisation
from harness.method import Method
from harness.training.validation import ValidationOutcome, Validator

Weights = dict[str, Tensor]


@dataclass
class ScoredWeights:
    """Moving average and best weights of one training.

    Attributes:
        optimisation: whether weights are averaged, and which are scored.
        ema: exponential moving average of the weights, if the recipe asks for one.
        best: weights with the best validation, if the recipe scores those.
        best_score: of all validations so far.
        best_step: the step of that validation.
        validation: the last validation in a few words.
    """

    optimisation: Optimisation
    ema: Weights | None = None
    best: Weights | None = None
    best_score: float | None = None
    best_step: int | None = None
    validation: str = ""

    @classmethod
    def of(cls, method: Method, optimisation: Optimisation) -> ScoredWeights:
        """Return the state before the first step."""
        ema = None if optimisation.ema_decay is None else copied(method.state_dict())
        return cls(optimisation, ema)

    def average(self, method: Method) -> None:
        """Take the weights after a step into the moving average."""
        decay = self.optimisation.ema_decay
        if self.ema is None or decay is None:
            return
        averages, values = [], []
        for key, value in method.state_dict().items():
            average = self.ema[key]
            if average.is_floating_point():
                averages.append(average)
                values.append(value.to(average.dtype))
            else:  # counters have no mean
                average.copy_(value)
        with torch.no_grad():
            # All of them at once: one by one, a GPU would wait for the next to be asked for.
            average_all = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
            average_all(averages, values, 0)

    def validate(
        self, method: Method, validator: Validator, device: torch.device, step: int
    ) -> ValidationOutcome:
        """Validate the weights as they would be scored; ``method`` has its own again after."""
        if self.ema is None:
            outcome = validator.score(method, device)
        else:
            own = copied(method.state_dict())
            method.load_state_dict(self.ema)
            outcome = validator.score(method, device)
            method.load_state_dict(own)
        self.validation = outcome.text
        if self._is_best(outcome.score):
            self.best_score, self.best_step = outcome.score, step
            if self.optimisation.scored_checkpoint == "best-on-validation":
                self.best = copied(method.state_dict() if self.ema is None else self.ema)
        return outcome

    def _is_best(self, score: float) -> bool:
        """Return whether a score is the best so far; one that is not finite never is."""
        if not math.isfinite(score):
            return False
        best = self.best_score
        return best is None or not math.isfinite(best) or score > best

    def final(self, method: Method) -> Mapping[str, Tensor]:
        """Return the weights to score after the last step.

        Raises:
            RunError: the best are asked for, and no validation had a finite score.
        """
        if self.optimisation.scored_checkpoint == "best-on-validation":
            if self.best is None and self.validation:
                raise RunError(
                    f"no validation had a finite score ({self.validation} at the last), so there "
                    "are no best weights; train with a lower learning rate, or score the last "
                    "weights with 'scored_checkpoint: last' in the recipe"
                )
            scored = self.best
        else:
            scored = self.ema
        return method.state_dict() if scored is None else scored


def copied(weights: Mapping[str, Tensor]) -> Weights:
    """Return a copy of weights."""
    return {key: value.detach().clone() for key, value in weights.items()}
