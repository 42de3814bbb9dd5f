"""Options of prompts, routers and their objective. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.method import CheckContext, OptionError

PROMPT_SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"prompt_patch_px": 32},
    "small": {"prompt_patch_px": 64},
    "full": {},
}
"""Values of prompt options for each size of a recipe."""

# Measured at the size `small`; a negative without a gradient is decoded alone.
_STEPS_PER_NEGATIVE = {"full": 0.5, "prompts": 0.5, "detached": 0.25}


@dataclass(frozen=True, kw_only=True)
class PromptOptions:
    """Options of prompts and their objective, for any network that has prompts.

    Attributes:
        prompts: number of prompts at each level.
        prompt_patch_px: side of the training patch for which the prompts have the features' size.
        prompt_scale: factor on that size; prompts are resized to the features.
        prompt_init: ``uniform`` draws every value from U(0, 1) as published;
            ``channel-normal`` gives each prompt one N(0, 1) value per channel, so that
            the prompts differ in what the decoder reads from the start.
        prompt_levels: insertion points of prompts: ``all``, or names joined by ``+``
            (level3+level1).
        residual_prompt: whether the features, projected, are added to the prompt.
        chooser: what chooses the prompts: a learned ``router``, the ``true-task`` (an oracle) or
            a frozen ``classifier`` of tasks.
        top_k: how many prompts of the softmax are selected; None selects all (dense).
        renormalise: whether selected weights are scaled to sum to one (published CPL: no).
        shared_router: whether one router, which sees the encoder's first map, chooses for all
            levels, or each level has its own and sees its features, as published.
        router_pooling: what a router sees of the features: their ``mean`` as published,
            ``mean-deviation`` or ``frequency`` (see methods/prompting/pooling.py).
        router_hidden: width of a shared router's hidden layer; 0 makes it linear.
        router_temperature: softmax temperature at test and at the end of training.
        router_temperature_start: softmax temperature at the first step, if
            ``router_temperature_decay`` is not 0; it falls geometrically.
        router_temperature_decay: share of the training after which ``router_temperature`` is
            reached.
        router_noise: standard deviation of Gaussian noise on the router's logits in training.
        routing_gradient: ``selected`` (through the weights of the selected prompts) or
            ``straight-through`` (through all probabilities).
        outcome_weight: weight of the expected error under the chosen prompts and the negatives,
            which trains the router (see methods/prompting/outcome.py).
        teacher_weight: weight of the cross-entropy by which routers follow a teacher router, which
            sees degraded minus clean (see methods/prompting/teacher.py); the load-balancing loss
            is then applied to the teacher.
        teacher_choice: whether the teacher router chooses the prompts in training, so that they
            differ before the routers that are used at test have learned to follow.
        teacher_inputs: ``raw``, or ``centred``: less their running mean and learned ten times as
            fast, so that the teacher does not stay with a first grouping that joins two kinds.
        load_balancing: what keeps the router from using few prompts: the losses ``share``,
            ``importance-load`` and ``information`` (see methods/prompting/load_balancing.py), or
            ``bias``, which has no loss: a bias on the choice that moves towards prompts selected
            less often.
        load_balancing_weight: weight of the loss per level; with ``bias``, the step of the bias.
        cpr_weight: weight of contrastive prompt regularisation (CPR); 0 turns it off.
        cpr_form: ``ratio``, ``difference``, ``margin``, ``margin-db`` or ``infonce`` (see
            methods/prompting/contrastive.py).
        cpr_features: space in which CPR measures distances: ``pixels``, ``vgg16`` at relu1_2,
            relu2_2 and relu3_3, or ``encoder``, the network's own.
        cpr_negatives: ``unselected`` (one prompt that was not selected), ``mixture`` (all that
            were not selected, by their probabilities), ``other-task`` (the routing of a sample of
            another task in the batch), ``running-mean`` (the mean routing of another task over
            the last batches) or ``in-use`` (a prompt that was not selected, drawn by how much
            other tasks use it; all of a sample count by what they use of such prompts).
        cpr_count: negatives per sample.
        cpr_hardest: whether only the negative that restores best counts, or all.
        cpr_push: weight of the distance to negatives in ``difference``.
        cpr_margin: margin of ``margin``, in units of the features' mean absolute difference.
        cpr_margin_db: margin of ``margin-db``, in dB.
        cpr_tau: temperature of ``infonce``, in units of the features' mean absolute difference.
        cpr_gradient: what a negative's forward pass trains: ``full`` its decoder and the features
            it starts from, ``prompts`` the prompts alone, ``detached`` nothing.
        cpr_to_router: whether a negative that is another sample's routing trains the router too.
        cpr_usage_decay: decay per step of each task's mean routing.
        cpr_start: share of the training before the first step with CPR.
        cpr_warmup: share of the training over which the weight then grows linearly from zero.
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
    router_pooling: Literal["mean", "mean-deviation", "frequency"] = "mean"
    router_hidden: int = 0
    router_temperature: float = 1.0
    router_temperature_start: float = 1.0
    router_temperature_decay: float = 0.0
    router_noise: float = 0.0
    routing_gradient: Literal["selected", "straight-through"] = "selected"
    outcome_weight: float = 0.0
    teacher_weight: float = 0.0
    teacher_choice: bool = False
    teacher_inputs: Literal["raw", "centred"] = field(default="raw", metadata={"added_later": True})
    load_balancing: Literal["share", "importance-load", "information", "bias"] = "share"
    load_balancing_weight: float = 0.0
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
    cpr_start: float = 0.0
    cpr_warmup: float = 0.0

    @property
    def selected(self) -> int:
        """Number of prompts with a weight above zero."""
        return self.prompts if self.top_k is None else self.top_k

    @property
    def weights_train_router(self) -> bool:
        """Whether a gradient of the selected weights reaches the router's probabilities.

        A single weight that is divided by itself is 1 whatever the router says.
        """
        constant = self.top_k == 1 and self.renormalise
        return not constant or self.routing_gradient == "straight-through"

    @property
    def needs_negatives(self) -> bool:
        """Whether a loss compares the chosen prompts with negatives."""
        return self.cpr_weight > 0 or self.outcome_weight > 0

    @property
    def needs_expert_load(self) -> bool:
        """Whether negatives are drawn from the mean routing of each task."""
        return self.needs_negatives and self.cpr_negatives in ("running-mean", "in-use")

    def prompted_levels(self, levels: tuple[str, ...]) -> tuple[str, ...]:
        """Return those of ``levels`` that get prompts.

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


def steps_of(share: float, steps: int) -> int:
    """Return how many of ``steps`` a share of a training is, rounded to the nearest."""
    return round(share * steps)


def prompt_per_task(context: CheckContext) -> dict[str, Any]:
    """Return the number of prompts where the task chooses: PromptIR's five, or one per task."""
    return {"prompts": max(PromptOptions().prompts, len(context.tasks))}


def relative_prompt_cost(options: Mapping[str, Any]) -> float:
    """Return the cost of a training step relative to one without negatives.

    Each negative costs a decoding and, where it is followed, its gradient.

    Args:
        options: values of ``PromptOptions`` as JSON.
    """
    if options["cpr_weight"] or options["outcome_weight"]:
        return 1 + _STEPS_PER_NEGATIVE[options["cpr_gradient"]] * int(options["cpr_count"])
    return 1.0
