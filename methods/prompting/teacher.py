"""The teacher router: learning using privileged information for the choice of prompts.

It sees degraded minus clean, which only training has (Vapnik and Vashist, Neural Networks 2009:
learning using privileged information). The released CPL names a term ``privilege_post`` and does
not define it; that its training used the clean image in this way is a guess.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from harness.method import Routing
from methods.prompting.load_balancing import load_balancing_loss
from methods.prompting.options import PromptOptions
from methods.prompting.pooling import BANDS, frequency_bands, log_magnitude, mean_magnitude
from methods.prompting.routers import RunningNorm
from methods.prompting.routing import select_top_k

_EPSILON = 1e-9
_GAIN = 10.0
"""Factor on the scores of centred inputs: under Adam, weights that are as many times smaller at the
start change the scores as many times faster."""


def seen_of(degraded: Tensor, clean: Tensor) -> Tensor:
    """Return what a teacher router sees of images (N, 3, H, W): (N, 12) logarithms of magnitudes.

    They are those of degraded minus clean, of each channel in octave bands and as a whole.
    """
    difference = degraded - clean
    whole = log_magnitude(mean_magnitude(difference))
    return torch.cat([frequency_bands(difference), whole], dim=1)


class TeacherRouter(nn.Module):
    """Groups training samples by their degradation, from degraded minus clean.

    It gets no task labels. Its load-balancing loss makes samples of a group alike and groups
    equally large. The routers that are used at test learn its choice from the degraded image.

    Its inputs are logarithms far from zero, so with ``raw`` ones the weights of all prompts grow
    along their mean first, and a softmax that is certain too early keeps two kinds together for
    good. ``centred`` ones leave that direction out (benchmarks/teacher_starts.py).

    Args:
        options: number of prompts, selection and load balancing.
    """

    def __init__(self, options: PromptOptions) -> None:
        super().__init__()
        self.options = options
        inputs = 3 * (BANDS + 1)
        self.linear_layer = nn.Linear(inputs, options.prompts)
        is_centred = options.teacher_inputs == "centred"
        self.centre = RunningNorm(inputs, scaled=False) if is_centred else nn.Identity()
        self.gain = _GAIN if is_centred else 1.0
        with torch.no_grad():
            for parameter in self.linear_layer.parameters():
                parameter.div_(self.gain)

    def forward(self, degraded: Tensor, clean: Tensor) -> Routing:
        """Weigh the prompts for images (N, 3, H, W); the load-balancing loss is weighted."""
        return self.weigh(seen_of(degraded, clean))

    def weigh(self, seen: Tensor) -> Routing:
        """Weigh the prompts for what :func:`seen_of` returns."""
        options = self.options
        logits = self.gain * self.linear_layer(self.centre(seen))
        probabilities = (logits / options.router_temperature).softmax(dim=-1)
        loss = load_balancing_loss(options.load_balancing, probabilities)
        chosen = select_top_k(probabilities, probabilities, options).detach()
        return Routing(chosen, probabilities, options.load_balancing_weight * loss)


def teacher_loss(teacher: Routing, routing: Mapping[str, Routing]) -> Tensor:
    """Return the cross-entropy of the routers to the teacher's probabilities, summed over routers.

    Levels that share a router count once. No gradient reaches the teacher.
    """
    target = teacher.probabilities
    if target is None:
        raise ValueError("a teacher's routing has probabilities")
    target = target.detach()
    students = {}
    for routed in routing.values():
        if routed.probabilities is not None:
            students[id(routed.probabilities)] = routed.probabilities
    losses = []
    for probabilities in students.values():
        cross_entropy = -(target * (probabilities + _EPSILON).log()).sum(dim=-1)
        losses.append(cross_entropy.mean())
    return torch.stack(losses).sum()
