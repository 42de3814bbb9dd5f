"""Contrastive prompt regularisation (CPR): negatives must not restore well.

CPL (arXiv 2504.09973) describes CPR in words and a figure: the same features decoded under prompts
that were not chosen give negatives, from which the output is pushed away while it is pulled to the
ground truth. Its formula is not public, so the form is an option here, after the authors'
documented precedents. With d(a, b) = sum over feature layers of w * mean |f(a) - f(b)|:

- ``ratio``: sum over layers of w * d+ / (mean over negatives of d- + 1e-7), the form of
  PCL (Aitical/PCL-SISR, src/loss/cl.py) and of OneRestore;
- ``difference``: d+ - push * mean d-, the form of MCIR (Aitical/MCLIR,
  basicsr/models/sr_neg_model.py), where the distance to negatives is subtracted;
- ``margin``: mean over samples and negatives of max(0, margin + d+ - d-), bounded below by zero;
- ``margin-db``: the same of max(0, margin - 20 log10(e- / e+)), in dB: e is the distance to the
  ground truth, so that an image which is easy to restore counts as much as a hard one. The output
  is pulled to the ground truth until it is so much better than its negatives. It is not pushed from
  them; they are pushed from the ground truth, where they have a gradient;
- ``infonce``: mean over samples of log(1 + sum over negatives of w exp((d+ - d-) / tau)), with w
  how much a negative counts, the form of van den Oord et al., 2018 (arXiv 1807.03748) with
  distances in place of similarities.

d+ is d(output, clean), d- is d(output, negative).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from harness.method import OptionError
from methods.prompting.options import PromptOptions
from methods.prompting.pixels import Pixels
from methods.vgg16 import Vgg16, Vgg16Use

_EPSILON = 1e-7
_VGG16 = Vgg16Use("cpr_features=vgg16", "cpr_features=pixels")
_LEAST_DISTANCE = 1e-4
"""Smallest distance of which a logarithm is taken: a fortieth of a grey level of 255."""


@dataclass(frozen=True)
class _Distances:
    """Distances of N samples with K negatives each, in L feature layers.

    Attributes:
        to_clean: (L, N), from the output to the ground truth.
        to_negatives: (K, L, N), from the output to each negative.
        layer_weights: (L, 1).
        weights: (K, N), how much each negative counts.
        negative_errors: (K, N), from each negative to the ground truth, for ``margin-db``.
    """

    to_clean: Tensor
    to_negatives: Tensor
    layer_weights: Tensor
    weights: Tensor
    negative_errors: Tensor | None = None

    def positive(self) -> Tensor:
        """Return d+, (N,)."""
        return (self.layer_weights * self.to_clean).sum(dim=0)

    def negative(self) -> Tensor:
        """Return d-, (K, N)."""
        return (self.layer_weights * self.to_negatives).sum(dim=1)


class PromptContrast(nn.Module):
    """CPR with the form and features of the options; it has no parameters to train.

    Args:
        options: form, features and their constants.
    """

    def __init__(self, options: PromptOptions) -> None:
        super().__init__()
        self.options = options
        if options.cpr_features != "encoder":
            self.space = Vgg16(_VGG16) if options.cpr_features == "vgg16" else Pixels()

    def compare(
        self,
        output: Tensor,
        clean: Tensor,
        negatives: list[Tensor],
        weights: Tensor | None = None,
        network: Any = None,
    ) -> Tensor:
        """Return the unweighted loss of ``output``.

        Args:
            output: (N, 3, H, W).
            clean: ground truth, of the same shape.
            negatives: restorations under negatives, each of the same shape.
            weights: (negatives, N), how much each counts; None for 1.
            network: whose encoder gives the features, with ``cpr_features=encoder``.
        """
        own, layer_weights = self._features(output, network)
        with torch.no_grad():
            target, _ = self._features(clean, network)
        others = [self._features(negative, network)[0] for negative in negatives]
        to_clean = _layer_distances(own, target)
        to_negatives = torch.stack([_layer_distances(own, other) for other in others])
        if weights is None:
            weights = to_clean.new_ones(len(negatives), len(output))
        of_layers = torch.tensor(layer_weights).to(to_clean, non_blocking=True)[:, None]
        distances = _Distances(to_clean, to_negatives, of_layers, weights)
        if self.options.cpr_form == "margin-db":
            distances = _with_negative_errors(distances, others, target)
        if self.options.cpr_hardest:
            distances = _hardest_only(distances, others, target)
        return _FORMS[self.options.cpr_form](distances, self.options)

    def _features(self, image: Tensor, network: Any) -> tuple[list[Tensor], tuple[float, ...]]:
        """Return feature maps of ``image`` and the weight of each."""
        if self.options.cpr_features != "encoder":
            return self.space(image), self.space.weights
        # The encoder is not trained by what it measures, or it would learn to enlarge the
        # distance to negatives.
        with frozen(network.parameters()):
            encoded = network.encode(image)
        if not hasattr(encoded, "maps"):
            raise OptionError(
                f"cpr_features=encoder needs an encoder whose features have maps(), and "
                f"{type(encoded).__name__} has none; use cpr_features=pixels"
            )
        maps = encoded.maps()
        return maps, (1 / len(maps),) * len(maps)


def _with_negative_errors(
    distances: _Distances, others: list[list[Tensor]], target: list[Tensor]
) -> _Distances:
    """Add the distance of each negative to the ground truth."""
    errors = []
    for other in others:
        by_layer = _layer_distances(other, target)
        errors.append((distances.layer_weights * by_layer).sum(dim=0))
    return replace(distances, negative_errors=torch.stack(errors))


def _hardest_only(
    distances: _Distances, others: list[list[Tensor]], target: list[Tensor]
) -> _Distances:
    """Leave each sample the one negative that restores it best."""
    errors = torch.stack([_layer_distances(other, target).mean(dim=0) for other in others])
    hardest = errors.argmin(dim=0, keepdim=True)  # (1, N)
    to_negatives = distances.to_negatives
    at_every_layer = hardest[:, None].expand(1, *to_negatives.shape[1:])
    negative_errors = distances.negative_errors
    if negative_errors is not None:
        negative_errors = negative_errors.gather(0, hardest)
    return replace(
        distances,
        to_negatives=to_negatives.gather(0, at_every_layer),
        weights=distances.weights.gather(0, hardest),
        negative_errors=negative_errors,
    )


def _ratio(distances: _Distances, options: PromptOptions) -> Tensor:
    mean_to_negatives = distances.to_negatives.mean(dim=(0, -1))
    by_layer = distances.to_clean.mean(dim=-1) / (mean_to_negatives + _EPSILON)
    return (distances.layer_weights[:, 0] * by_layer).sum() * distances.weights.mean()


def _difference(distances: _Distances, options: PromptOptions) -> Tensor:
    positive, negative = distances.positive(), distances.negative()
    return positive.mean() - options.cpr_push * (distances.weights * negative).mean()


def _margin(distances: _Distances, options: PromptOptions) -> Tensor:
    positive, negative = distances.positive(), distances.negative()
    shortfall = (options.cpr_margin + positive - negative).clamp_min(0)
    return (distances.weights * shortfall).mean()


def _margin_db(distances: _Distances, options: PromptOptions) -> Tensor:
    if distances.negative_errors is None:
        raise ValueError("margin-db needs the distances of negatives to the ground truth")
    error_of_output = distances.positive().clamp_min(_LEAST_DISTANCE)
    error_of_negatives = distances.negative_errors.clamp_min(_LEAST_DISTANCE)
    gap_db = (error_of_negatives / error_of_output).log() * 20 / math.log(10)
    return (distances.weights * (options.cpr_margin_db - gap_db).clamp_min(0)).mean()


def _infonce(distances: _Distances, options: PromptOptions) -> Tensor:
    positive, negative = distances.positive(), distances.negative()
    # As a logarithm of a sum of exponentials, which are too large to take alone. A negative of
    # weight 0 has the logarithm minus infinity, and counts as nothing.
    exponents = (positive - negative).float() / options.cpr_tau + distances.weights.log()
    own = torch.zeros_like(exponents[:1])
    return torch.cat([own, exponents]).logsumexp(dim=0).mean()


_FORMS: Mapping[str, Callable[[_Distances, PromptOptions], Tensor]] = {
    "ratio": _ratio,
    "difference": _difference,
    "margin": _margin,
    "margin-db": _margin_db,
    "infonce": _infonce,
}


def _layer_distances(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """Return the mean absolute difference per layer and sample, (layers, N)."""
    distances = []
    for x, y in zip(a, b, strict=True):
        distances.append((x - y).abs().flatten(1).mean(dim=1))
    return torch.stack(distances)


@contextmanager
def frozen(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Exclude ``parameters`` from graphs recorded meanwhile; earlier graphs still train them."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
