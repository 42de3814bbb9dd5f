"""Options of the built-in methods. Imports no torch: the plan reads and checks them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from harness.method import CheckContext, OptionError

LEVELS = ("level3", "level2", "level1")
"""Places where PromptIR's prompts go in, from the deepest up."""

# `small` is for minutes on two CPU cores, `tiny` for seconds.
RESTORMER_SIZES: dict[str, dict[str, Any]] = {
    "tiny": {
        "dim": 8,
        "blocks": (1, 1, 1, 1),
        "refinement_blocks": 1,
        "heads": (1, 1, 2, 2),
        "output_gain": 0.1,
    },
    "small": {"dim": 16, "blocks": (1, 1, 1, 2), "refinement_blocks": 1, "output_gain": 0.1},
    "full": {},
}


PROMPT_SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"prompt_patch_px": 32},
    "small": {"prompt_patch_px": 64},
    "full": {},
}


@dataclass(frozen=True, kw_only=True)
class NoOptions:
    """For methods that have nothing to choose."""


@dataclass(frozen=True, kw_only=True)
class RestormerOptions:
    """Size of a Restormer: published values are the defaults.

    Attributes:
        dim: channels at full resolution; each level below has twice as many.
        blocks: transformer blocks per level, from full resolution down.
        refinement_blocks: blocks after the decoder.
        heads: attention heads per level; they divide the level's channels.
        ffn_expansion: hidden channels of the feed-forward network, in channels.
        output_gain: scales the initial weights of the last convolution. The network adds its
            output to the input image, so a small gain starts it near the identity, from which a
            short training gets further; 1 is the published start.
    """

    dim: int = 48
    blocks: tuple[int, int, int, int] = (4, 6, 6, 8)
    refinement_blocks: int = 4
    heads: tuple[int, int, int, int] = (1, 2, 4, 8)
    ffn_expansion: float = 2.66
    output_gain: float = 1.0


@dataclass(frozen=True, kw_only=True)
class PromptOptions:
    """Everything that prompts and their objective may be, whatever network they stand in.

    Attributes:
        prompts: number of prompts at each level.
        prompt_patch_px: training patch for which the prompts have the features' own size.
        prompt_scale: size of the prompts relative to that; they are resized to the features.
        prompt_init: ``uniform`` draws every value from U(0, 1) as published;
            ``channel-normal`` gives each prompt one N(0, 1) value per channel, so that
            prompts differ in what the decoder can read from the start.
        prompt_levels: where prompts go in: ``all``, or names joined by ``+`` (level3+level1).
        residual_prompt: whether the features, projected, are added to the prompt.
        chooser: ``router`` (learned), ``true-task`` (told) or ``classifier`` (recognised).
        top_k: how many prompts of the softmax are kept; None keeps all (dense).
        renormalise: whether kept weights are scaled to sum to one (published CPL: no).
        shared_router: whether one router, which sees the encoder's first map, chooses for all
            levels, or each level has its own and sees its features, as published.
        router_input: ``mean`` of the features as published, ``mean-deviation`` or
            ``frequency`` (see :func:`methods.routing.summary`).
        router_hidden: width of a shared router's hidden layer; 0 makes it linear.
        router_temperature: of the softmax, at test and at the end of training.
        router_temperature_start: at the first step, if ``router_temperature_steps`` is not 0;
            it falls geometrically.
        router_temperature_steps: steps until the last temperature is reached.
        router_noise: deviation of Gaussian noise on the router's logits in training.
        routing_gradient: ``kept`` (through the kept prompts' weights) or ``straight-through``
            (through all probabilities).
        outcome_weight: weight of the expected error under the chosen and the wrong prompts: it
            teaches the router by how well each of them restored (see methods/prompting.py).
        privileged_weight: weight of the cross-entropy by which routers follow one that sees
            degraded minus clean in training (:class:`methods.routing.PrivilegedRouter`); the
            balance is then that one's.
        privileged_choice: whether in training that one chooses the prompts too, so that they have
            their meaning before the routers that are used at test have learned to follow.
        balance: what keeps the router from using few prompts: ``share``, ``importance-load``,
            ``information`` (see :func:`methods.routing.balance`) or ``bias``, a bias on the
            choice that moves towards prompts kept less often, without any loss.
        balance_weight: weight of the balance per level; of ``bias``, the step by which it moves.
        cpr_weight: weight of contrastive prompt regularisation; 0 turns it off.
        cpr_form: ``ratio``, ``difference``, ``margin``, ``margin-db`` or ``infonce`` (see
            methods/contrastive.py).
        cpr_features: ``pixels``, ``vgg16`` at relu1_2, relu2_2 and relu3_3, or ``encoder``, the
            network's own.
        cpr_negatives: ``unselected`` (one prompt that was not kept), ``mixture`` (all that
            were not kept, by their probabilities), ``other-task`` (the routing of a sample of
            another task in the batch), ``running-mean`` (the mean routing of another task over
            the last batches) or ``in-use`` (a prompt that was not kept and that other tasks
            live on, by how much they do).
        cpr_count: negatives per sample.
        cpr_hardest: whether only the one that restores best counts, or all.
        cpr_push: weight of the push in ``difference``.
        cpr_margin: margin of ``margin``, in units of the features' mean absolute difference.
        cpr_margin_db: margin of ``margin-db``, in dB.
        cpr_tau: temperature of ``infonce``, in units of the features' mean absolute difference.
        cpr_gradient: what a negative's pass teaches: ``full`` trains all of its decoder and
            the features it starts from, ``prompts`` the prompts alone, ``detached`` nothing.
        cpr_to_router: whether a negative that is another sample's routing teaches the router too.
        cpr_usage_decay: decay per step of each task's mean routing.
        cpr_start_step: first step with CPR.
        cpr_warmup_steps: steps over which the weight then grows linearly from zero.
    """

    prompts: int = 5
    prompt_patch_px: int = 128
    prompt_scale: float = 1.0
    prompt_init: Literal["uniform", "channel-normal"] = "uniform"
    prompt_levels: str = "all"
    residual_prompt: bool = False
    chooser: Literal["router", "true-task", "classifier"] = "router"
    top_k: int | None = None
    renormalise: bool = False
    shared_router: bool = False
    router_input: Literal["mean", "mean-deviation", "frequency"] = "mean"
    router_hidden: int = 0
    router_temperature: float = 1.0
    router_temperature_start: float = 1.0
    router_temperature_steps: int = 0
    router_noise: float = 0.0
    routing_gradient: Literal["kept", "straight-through"] = "kept"
    outcome_weight: float = 0.0
    privileged_weight: float = 0.0
    privileged_choice: bool = False
    balance: Literal["share", "importance-load", "information", "bias"] = "share"
    balance_weight: float = 0.0
    cpr_weight: float = 0.0
    cpr_form: Literal["ratio", "difference", "margin", "margin-db", "infonce"] = "margin"
    cpr_features: Literal["pixels", "vgg16", "encoder"] = "pixels"
    cpr_negatives: Literal["unselected", "mixture", "other-task", "running-mean", "in-use"] = (
        "other-task"
    )
    cpr_count: int = 1
    cpr_hardest: bool = False
    cpr_push: float = 0.1
    cpr_margin: float = 0.05
    cpr_margin_db: float = 3.0
    cpr_tau: float = 0.02
    cpr_gradient: Literal["full", "prompts", "detached"] = "full"
    cpr_to_router: bool = False
    cpr_usage_decay: float = 0.95
    cpr_start_step: int = 0
    cpr_warmup_steps: int = 0

    @property
    def kept(self) -> int:
        """Number of prompts with a weight above zero."""
        return self.prompts if self.top_k is None else self.top_k

    def prompted(self, levels: tuple[str, ...]) -> tuple[str, ...]:
        """Return those of ``levels`` at which prompts go in.

        Raises:
            OptionError: ``prompt_levels`` names another.
        """
        if self.prompt_levels == "all":
            return levels
        names = self.prompt_levels.split("+")
        for name in names:
            if name not in levels:
                raise OptionError(
                    f"prompt_levels={self.prompt_levels} names '{name}'; this network has "
                    f"{', '.join(levels)}"
                )
        return tuple(level for level in levels if level in names)


@dataclass(frozen=True, kw_only=True)
class PromptIROptions(RestormerOptions, PromptOptions):
    """PromptIR and everything that its prompts and objective may be.

    Attributes:
        unused_convolutions: whether the six convolutions that the published PromptIR holds
            and never uses are there, as in its checkpoints.
    """

    unused_convolutions: bool = False

    @property
    def prompt_dims(self) -> dict[str, int]:
        """Channels of the prompts per level: 320, 128, 64 at the published width of 48."""
        return {
            level: max(8, round(self.dim * factor / 3 / 8) * 8)
            for level, factor in zip(LEVELS, (20, 8, 4), strict=True)
        }

    @property
    def prompt_sizes(self) -> dict[str, int]:
        """Side of the prompts per level: 16, 32, 64 at the published patch of 128."""
        return {
            level: self.prompt_patch_px // d for level, d in zip(LEVELS, (8, 4, 2), strict=True)
        }


def prompt_per_task(context: CheckContext) -> dict[str, Any]:
    """Return the number of prompts where the task chooses: PromptIR's five, or as many as tasks."""
    return {"prompts": max(PromptOptions().prompts, len(context.tasks))}


def cost_of_prompts(options: Mapping[str, Any]) -> float:
    """Return the cost of a training step with ``PromptOptions``, as JSON, against one without CPR.

    A negative costs a decoding and its gradient; half a step was measured at the small width.
    """
    compares = options["cpr_weight"] or options["outcome_weight"]
    return 1 + 0.5 * int(options["cpr_count"]) if compares else 1.0


@dataclass(frozen=True, kw_only=True)
class ClassifierOptions:
    """Size of the task classifier: channels of its four stages."""

    channels: tuple[int, int, int, int] = (32, 64, 96, 128)


def check_levels(
    dim: int, blocks: tuple[int, int, int, int], heads: tuple[int, int, int, int]
) -> None:
    """Refuse levels without blocks, and widths that the attention heads do not divide."""
    if any(count < 1 for count in (dim, *blocks, *heads)):
        raise OptionError("dim, blocks and heads must be at least 1")
    for factor, of_level in zip((1, 2, 4, 8), heads, strict=True):
        if dim * factor % of_level:
            raise OptionError(f"dim={dim} gives {dim * factor} channels for {of_level} heads")


def check_restormer(options: RestormerOptions, context: CheckContext) -> None:
    """Refuse sizes at which a Restormer cannot be built."""
    check_levels(options.dim, options.blocks, options.heads)
    if options.refinement_blocks < 1:
        raise OptionError("refinement_blocks must be at least 1")


def check_promptir(options: PromptIROptions, context: CheckContext) -> None:
    """Refuse sizes at which PromptIR cannot be built, and contradictions of its prompts."""
    check_restormer(options, context)
    for level, factor in zip(LEVELS, (8, 4, 2), strict=True):
        width = options.dim * factor + options.prompt_dims[level]
        if width % options.heads[2]:
            raise OptionError(
                f"dim={options.dim} gives {width} channels with prompts at {level}, which the "
                f"{options.heads[2]} heads there do not divide; use a multiple of 8"
            )
    check_prompts(options, context)


def check_prompts(options: PromptOptions, context: CheckContext) -> None:
    """Refuse contradictions between prompts, negatives, tasks and batch, each by name."""
    if options.prompts < 2:
        raise OptionError(f"prompts={options.prompts} leaves nothing to choose; use at least 2")
    if options.prompt_patch_px < 16 or options.prompt_patch_px % 8:
        raise OptionError(
            f"prompt_patch_px={options.prompt_patch_px} must be a multiple of 8, at least 16"
        )
    if options.top_k is not None and not 1 <= options.top_k <= options.prompts:
        raise OptionError(f"top_k={options.top_k} must lie between 1 and prompts={options.prompts}")
    if options.chooser != "router" and options.prompts < len(context.tasks):
        raise OptionError(
            f"chooser={options.chooser} needs a prompt per task: prompts={options.prompts} "
            f"for {len(context.tasks)} tasks; set prompts={len(context.tasks)}"
        )
    _check_signs(options)
    _check_router(options)
    if options.cpr_weight or options.outcome_weight:
        _check_negatives(options, context)


_NOT_NEGATIVE = (
    "router_hidden",
    "router_temperature_steps",
    "router_noise",
    "outcome_weight",
    "privileged_weight",
    "balance_weight",
    "cpr_weight",
    "cpr_push",
    "cpr_margin",
    "cpr_margin_db",
    "cpr_start_step",
    "cpr_warmup_steps",
)
_POSITIVE = ("prompt_scale", "router_temperature", "router_temperature_start", "cpr_tau")


def _check_signs(options: PromptOptions) -> None:
    for name in _NOT_NEGATIVE:
        if getattr(options, name) < 0:
            raise OptionError(f"{name}={getattr(options, name)} must not be negative")
    for name in _POSITIVE:
        if getattr(options, name) <= 0:
            raise OptionError(f"{name}={getattr(options, name)} must be above 0")
    if not 0 <= options.cpr_usage_decay < 1:
        raise OptionError(f"cpr_usage_decay={options.cpr_usage_decay} must lie in [0, 1)")


def _check_router(options: PromptOptions) -> None:
    for name in ("balance_weight", "outcome_weight", "privileged_weight", "shared_router"):
        if getattr(options, name) and options.chooser != "router":
            raise OptionError(f"{name} is for a router, and chooser={options.chooser} has none")
    if options.router_hidden and not options.shared_router:
        raise OptionError("router_hidden is a shared router's; set shared_router=true")
    if options.privileged_choice and not (options.privileged_weight and options.shared_router):
        raise OptionError(
            "privileged_choice needs a router that follows it at test; set shared_router=true and "
            "privileged_weight above 0"
        )
    if options.privileged_choice:
        for name, clashes in (
            ("outcome_weight", options.outcome_weight > 0),
            ("cpr_negatives=mixture", options.cpr_weight and options.cpr_negatives == "mixture"),
        ):
            if clashes:
                raise OptionError(
                    f"{name} uses the probabilities of the router that chose, and with "
                    "privileged_choice=true that is not the one used at test; set it to false"
                )
    if options.privileged_weight:
        if options.balance not in ("share", "information") or not options.balance_weight:
            raise OptionError(
                "privileged_weight needs something that shares out what the privileged router "
                "sees; set balance=information or share, and balance_weight above 0"
            )
    elif options.balance_weight and options.balance == "importance-load":
        if not options.router_noise:
            raise OptionError(
                "balance=importance-load is defined by a router's noise; set router_noise (1)"
            )
        if options.kept == options.prompts:
            raise OptionError("balance=importance-load needs prompts that are not kept; set top_k")
    if options.balance_weight and options.balance == "bias" and options.top_k is None:
        raise OptionError("balance=bias leans a choice, and a dense router makes none; set top_k")


def _check_negatives(options: PromptOptions, context: CheckContext) -> None:
    kind, count = options.cpr_negatives, options.cpr_count
    if count < 1:
        raise OptionError("cpr_count must be at least 1; cpr_weight=0 turns CPR off")
    if options.cpr_to_router and kind != "other-task":
        raise OptionError(
            f"cpr_to_router teaches by another sample's routing, and cpr_negatives={kind} is none; "
            "use cpr_negatives=other-task"
        )
    if kind not in ("unselected", "mixture") and len(context.tasks) < 2:
        raise OptionError(f"cpr_negatives={kind} needs a setting of at least two tasks")
    if kind == "other-task":
        if context.micro_batch < 2:
            raise OptionError(
                "cpr_negatives=other-task takes the routing of another sample, and a micro-batch "
                "of 1 has none"
            )
        return
    if kind == "running-mean":
        return
    if options.chooser != "router":
        raise OptionError(
            f"cpr_negatives={kind} is defined by a router's choice, and "
            f"chooser={options.chooser} has none; use cpr_negatives=other-task"
        )
    unselected = options.prompts - options.kept
    if unselected == 0:
        raise OptionError(
            f"cpr_negatives={kind} needs prompts that are not selected, and a router that keeps "
            f"all {options.prompts} selects every one; set top_k or use cpr_negatives=other-task"
        )
    if kind == "mixture" and count != 1:
        raise OptionError("cpr_negatives=mixture is one negative; set cpr_count=1")
    if kind == "unselected" and count > unselected:
        raise OptionError(
            f"cpr_count={count} is more than the {unselected} prompts that "
            f"prompts={options.prompts} and top_k={options.kept} leave unselected"
        )
