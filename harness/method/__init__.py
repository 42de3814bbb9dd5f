"""The interface of a method, and the spec by which the registry knows it. Imports no torch.

What a network may offer beyond the interface stands in capabilities.py; methods import it here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from harness.method.capabilities import AdaptsState as AdaptsState
from harness.method.capabilities import FusionHost as FusionHost
from harness.method.capabilities import GathersFromBatches as GathersFromBatches
from harness.method.capabilities import HasDecoderLevels as HasDecoderLevels
from harness.method.capabilities import HasReconstructionLosses as HasReconstructionLosses
from harness.method.capabilities import HasRoutingVariants as HasRoutingVariants
from harness.method.capabilities import KeepsTrainingState as KeepsTrainingState
from harness.method.capabilities import PreparesTraining as PreparesTraining
from harness.method.capabilities import PromptHost as PromptHost
from harness.method.capabilities import RoutingVariant as RoutingVariant
from harness.method.capabilities import TaskClassifier as TaskClassifier

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from harness.method.search import SearchRange

_runtime_notes: dict[str, str] = {}


def note_runtime(name: str, value: str) -> None:
    """Record how this process computes what a method asks for; it enters a run's provenance."""
    _runtime_notes[name] = value


def runtime_notes() -> dict[str, str]:
    """Return what was recorded so far, such as whether compiled kernels ran."""
    return dict(_runtime_notes)


class OptionError(ValueError):
    """Options that contradict each other or the setting; the text says which and why."""


@dataclass(frozen=True, kw_only=True)
class NoOptions:
    """The options of a method that has none."""


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights, and where in it the weights of one network are.

    Attributes:
        path: the file.
        entry: name of the dictionary that holds the weights, with dots where it is inside others
            (``model.state_dict``); None looks where training frameworks put them.
        prefix: reads only names with this start, and drops it; None reads all names.
        ignore: names that are not read: in full, the part before a dot, or patterns with ``*``.
    """

    path: Path
    entry: str | None = None
    prefix: str | None = None
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True)
class MethodSpec:
    """The static facts of a method: what is known of it without building it.

    Attributes:
        name: name on the command line.
        label: name in tables.
        summary: one line on what it is.
        prompting: how prompts are chosen, in a few words; ``none`` without prompts.
        objective: the training loss, in a few words.
        source: paper and repository that the implementation follows.
        build: ``module:function`` from :class:`BuildContext` to :class:`Method`, an ``nn.Module``.
        options: frozen dataclass type of all options, with defaults; files have the type ``Path``.
        defaults: values of options that differ from the type's defaults.
        fitted: defaults that follow from the setting, such as a prompt for each task.
        sizes: option values per size name of a recipe (``tiny``, ``small``, ``full``).
        search: options that ``tune`` searches, with what it tries of each.
        version: raised when the same options train to other numbers than before.
        check: raises :class:`OptionError` if options contradict each other or the setting.
        requires: names of auxiliary methods whose trained weights it builds on.
        role: ranked (``method``), shown only (``reference``), or trained for others.
        trained: whether there is anything to train.
        needs_task_labels: whether it needs the true task of every image, at test too (an oracle).
        insertion_points: as in its network's ``insertion_channels``; empty if it is not split.
        adapter: makes the spec of another network with this method's prompts; None if it cannot.
        added_at: at which points of a host ``adapter`` adds this method.
        fusion_points: names of the levels at which its decoder hands its features to ``fuse`` first
            (see :class:`FusionHost`), from the deepest up; empty where it does not.
        has_decoder_levels: whether its network names in ``decoder_levels`` the modules that end a
            level of its decoder (see :class:`HasDecoderLevels`), which a pre-training can read.
        host: spec of the network that this one was added to, or of the method that it pre-trains.
        published: option values of the authors' checkpoints that differ from the defaults.
        released: options that keep the value of the authors' release, with what it holds.
        chosen: options that nothing public settles, with the reason for their default here.
        extended_by: method of this project that has other values of the released options.
        views: degraded crops per training sample; 2 where a contrastive loss compares them.
        needs_versions: whether its losses read ``Batch.versions``, by a run's options as JSON.
        stages: consecutive parts of a training, if it has more than one.
        relative_cost: training time per step, relative to ``promptir``.
        cost: factor on it for the options of a run, as JSON values; None for 1 whatever they are.
        parameters: of the network at full size; 0 if not known.
        macs: its multiply-accumulates for one image of 256x256; 0 if not known.
        licence: licence of the authors' code and weights, as their repository states it.
        needs_file: whether it is built from a file that an option names, and never without.
        needs_package: importable package that it needs and this project does not depend on.
        install: the command that brings ``needs_package``.
        source_file: file of a plug-in; its bytes are part of what a run is. The registry sets it.
    """

    name: str
    label: str
    summary: str
    prompting: str
    objective: str
    source: str
    build: str
    options: type = NoOptions
    defaults: Mapping[str, Any] = field(default_factory=dict)
    fitted: Callable[[CheckContext], Mapping[str, Any]] | None = None
    sizes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    search: Mapping[str, SearchRange] = field(default_factory=dict)
    version: int = 1
    check: Callable[[Any, CheckContext], None] | None = None
    requires: tuple[str, ...] = ()
    role: Literal["method", "reference", "auxiliary"] = "method"
    trained: bool = True
    needs_file: bool = False
    needs_task_labels: bool = False
    insertion_points: tuple[str, ...] = ()
    adapter: Callable[[MethodSpec], MethodSpec] | None = None
    added_at: Literal["insertion_points", "fusion_points"] = "insertion_points"
    fusion_points: tuple[str, ...] = ()
    has_decoder_levels: bool = False
    host: MethodSpec | None = None
    published: Mapping[str, Any] = field(default_factory=dict)
    released: Mapping[str, str] = field(default_factory=dict)
    chosen: Mapping[str, str] = field(default_factory=dict)
    extended_by: str = ""
    views: Literal[1, 2] = 1
    needs_versions: Callable[[Mapping[str, Any]], bool] | None = None
    stages: tuple[StageShare, ...] = ()
    relative_cost: float = 1.0
    cost: Callable[[Mapping[str, Any]], float] | None = None
    parameters: int = 0
    macs: float = 0
    licence: str = ""
    needs_package: str = ""
    install: str = ""
    source_file: str = ""

    @property
    def is_input(self) -> bool:
        """Whether it is the degraded input, which stands beside methods and restores nothing."""
        return self.role == "reference" and not self.trained


@dataclass(frozen=True)
class StageShare:
    """A part of a training, by its share of all steps; optimiser and schedule start anew."""

    name: str
    share: float


@dataclass(frozen=True)
class CheckContext:
    """What a method's options are checked against.

    Attributes:
        tasks: task names in the order of the setting.
        micro_batch: samples that the losses see at once.
        steps: optimisation steps of the training; None where nothing is trained.
    """

    tasks: tuple[str, ...]
    micro_batch: int
    steps: int | None = None


@dataclass(frozen=True)
class BuildContext:
    """What a builder gets.

    Attributes:
        options: an instance of the spec's options type.
        tasks: task names in the order of the setting.
        required: trained, frozen modules of the spec's ``requires``, by name.
        host: builds the network of the spec's ``host`` from its options.
        read_weights: reads a file of weights as tensors by name, by the rule for all checkpoints.
    """

    options: Any
    tasks: tuple[str, ...]
    required: Mapping[str, Any]
    host: Callable[[Any], Any] | None = None
    read_weights: Callable[[WeightsFile], Mapping[str, Tensor]] | None = None


@dataclass(frozen=True)
class Batch:
    """Training samples.

    Attributes:
        degraded: (N, 3, H, W) float32 RGB in [0, 1].
        clean: the same shape and range.
        tasks: N task names.
        step: index of the optimisation step, from 0.
        steps: optimisation steps of the whole training; schedules of a method are shares of it.
        stage: name of the training's stage; empty where there is one stage only.
        second_view: for methods with two views, other degraded crops of the same images.
        versions: for methods that need them, (N, tasks - 1, 3, H, W): the crops under all others.
    """

    degraded: Tensor
    clean: Tensor
    tasks: tuple[str, ...]
    step: int
    steps: int
    stage: str = ""
    second_view: Tensor | None = None
    versions: Tensor | None = None


@dataclass(frozen=True)
class Routing:
    """How prompts were weighted at one level.

    Attributes:
        weights: (N, prompts), what the prompts were multiplied with.
        probabilities: (N, prompts), the router's softmax; None where the choice was forced.
        load_balancing: weighted loss term that keeps the router from using few prompts, if any.
    """

    weights: Tensor
    probabilities: Tensor | None
    load_balancing: Tensor | None = None


@dataclass(frozen=True)
class Decoded:
    """What a decoder returns.

    Attributes:
        restored: (N, 3, H, W), not clamped.
        routing: per level, from the deepest up.
        auxiliary: weighted loss terms that arise on the way (load balancing).
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

        ``tasks`` is given only to a method whose spec declares ``needs_task_labels``.
        """

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return named, weighted loss terms whose sum is minimised.

        ``rng`` is keyed by seed and step; all random choices must come from it.
        """
        ...

    def train(self, mode: bool = True) -> Any:
        """See ``nn.Module``."""

    def eval(self) -> Any:
        """See ``nn.Module``."""

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """See ``nn.Module``."""

    def parameters(self, recurse: bool = True) -> Iterator[torch.nn.Parameter]:
        """See ``nn.Module``."""

    def state_dict(self) -> dict[str, Tensor]:
        """See ``nn.Module``."""

    def load_state_dict(self, state_dict: Mapping[str, Tensor], strict: bool = True) -> Any:
        """See ``nn.Module``."""


@runtime_checkable
class Prompted(Protocol):
    """A method whose network is split, so that prompts can be forced.

    It has ``prompts`` at each of its ``levels``, which are named from the deepest up.
    """

    levels: tuple[str, ...]
    prompts: int

    def encode(self, degraded: Tensor, rng: torch.Generator | None = None) -> Any:
        """Return what the decoder needs of (N, 3, H, W); ``rng`` is for noise in training."""

    def choose(self, degraded: Tensor, tasks: tuple[str, ...] | None) -> Override | None:
        """Return forced prompts where something other than the router chooses, else None."""

    def decode(self, features: Any, override: Override | None = None) -> Decoded:
        """Decode under the router's prompts, or under ``override`` at the levels it names."""
        ...

    def prompt_bank(self, level: str) -> Tensor:
        """Return the prompts of a level, (prompts, C, H, W); an image receives their mixture."""
        ...


Insert = Callable[[str, "Tensor"], "Tensor"]
"""Takes a level's name and its features (N, C, H, W); returns what replaces them, same shape."""
