"""The interface that a method satisfies, and the card by which the registry knows it.

This module imports no torch: the command line reads cards to plan and to print help, and a
network is imported only when a cell is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch
    from torch import Tensor


_circumstances: dict[str, str] = {}


def note_circumstance(name: str, value: str) -> None:
    """Say how this process computes what a method asks for, for the record of its numbers."""
    _circumstances[name] = value


def circumstances() -> dict[str, str]:
    """Return what was noted so far, such as whether compiled kernels ran."""
    return dict(_circumstances)


class OptionError(ValueError):
    """Options that contradict each other or the setting; the text says which and why."""


@dataclass(frozen=True)
class MethodCard:
    """What is known of a method without building it.

    Attributes:
        name: name on the command line.
        label: name in tables.
        summary: one line on what it is.
        prompting: how prompts are chosen, in a few words; ``none`` without prompts.
        objective: the training loss, in a few words.
        source: paper and repository that the implementation follows.
        build: ``module:function`` that takes a :class:`BuildContext` and returns a
            :class:`Method` that is also a ``torch.nn.Module``.
        options: frozen dataclass type of all options, with defaults.
        defaults: values of options that differ from the type's defaults.
        sizes: option values per size name of a recipe (``tiny``, ``small``, ``full``).
        version: raised when the same options train to other numbers than before.
        check: raises :class:`OptionError` if options contradict each other or the setting.
        requires: names of auxiliary methods whose trained weights it builds on.
        role: ``method`` is ranked in tables; ``reference`` is shown, never ranked;
            ``auxiliary`` is trained for others and not shown.
        trained: whether there is anything to train.
        given_true_task: whether it is told the true task of every image, at test too.
        relative_cost: training time per step, relative to ``promptir``.
    """

    name: str
    label: str
    summary: str
    prompting: str
    objective: str
    source: str
    build: str
    options: type
    defaults: Mapping[str, Any] = field(default_factory=dict)
    sizes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    version: int = 1
    check: Callable[[Any, CheckContext], None] | None = None
    requires: tuple[str, ...] = ()
    role: Literal["method", "reference", "auxiliary"] = "method"
    trained: bool = True
    given_true_task: bool = False
    relative_cost: float = 1.0


@dataclass(frozen=True)
class CheckContext:
    """What a method's options are checked against: the tasks and the size of a micro-batch."""

    tasks: tuple[str, ...]
    micro_batch: int


@dataclass(frozen=True)
class BuildContext:
    """What a builder gets.

    Attributes:
        options: an instance of the card's options type.
        tasks: task names in the order of the setting's card.
        required: trained, frozen modules of the card's ``requires``, by name.
    """

    options: Any
    tasks: tuple[str, ...]
    required: Mapping[str, Any]


@dataclass(frozen=True)
class Batch:
    """Training samples.

    Attributes:
        degraded: (N, 3, H, W) float32 RGB in [0, 1].
        clean: the same shape and range.
        tasks: N task names.
        step: index of the optimisation step, from 0.
    """

    degraded: Tensor
    clean: Tensor
    tasks: tuple[str, ...]
    step: int


@dataclass(frozen=True)
class Routing:
    """How prompts were weighted at one level.

    Attributes:
        weights: (N, prompts), what the prompts were multiplied with.
        probabilities: (N, prompts), the router's softmax; None where the choice was forced
            and no router was asked.
    """

    weights: Tensor
    probabilities: Tensor | None


@dataclass(frozen=True)
class Decoded:
    """What a decoder gives back.

    Attributes:
        restored: (N, 3, H, W), not clamped.
        routing: per level, from the deepest up.
        auxiliary: weighted loss terms that arise on the way (load balance).
    """

    restored: Tensor
    routing: Mapping[str, Routing]
    auxiliary: Mapping[str, Tensor]


Override = Mapping[str, "Tensor"]
"""Per level, prompt weights (N, prompts) that replace the router's."""


class Method(Protocol):
    """A way to restore images; an ``nn.Module`` with two more questions answered."""

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Restore ``degraded`` (N, 3, H, W) in [0, 1] of any size; not clamped.

        ``tasks`` is given only to a method whose card declares ``given_true_task``.
        """
        ...

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return named, weighted loss terms whose sum is minimised.

        ``rng`` is keyed by seed and step; all random choices must come from it.
        """
        ...

    def train(self, mode: bool = True) -> Any:
        """See ``nn.Module``."""
        ...

    def eval(self) -> Any:
        """See ``nn.Module``."""
        ...

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """See ``nn.Module``."""
        ...

    def parameters(self, recurse: bool = True) -> Iterator[torch.nn.Parameter]:
        """See ``nn.Module``."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """See ``nn.Module``."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, Tensor], strict: bool = True) -> Any:
        """See ``nn.Module``."""
        ...


@runtime_checkable
class Prompted(Protocol):
    """A method whose network is split, so that prompts can be forced.

    ``levels`` names the places where prompts go in, from the deepest up; ``prompts`` is the
    number of prompts at each.
    """

    levels: tuple[str, ...]
    prompts: int

    def encode(self, degraded: Tensor) -> Any:
        """Return what the decoder needs of ``degraded`` (N, 3, H, W), the input included."""
        ...

    def choose(self, degraded: Tensor, tasks: tuple[str, ...] | None) -> Override | None:
        """Return forced prompts where something other than the router chooses, else None."""
        ...

    def decode(self, features: Any, override: Override | None = None) -> Decoded:
        """Decode under the router's prompts, or under ``override`` at the levels it names."""
        ...


@runtime_checkable
class TaskClassifier(Protocol):
    """An auxiliary method that recognises the task of a degraded image."""

    def classify(self, degraded: Tensor) -> Tensor:
        """Return logits (N, tasks) for ``degraded`` (N, 3, H, W), tasks in card order."""
        ...
