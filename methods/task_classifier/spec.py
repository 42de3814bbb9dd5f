"""Spec and options of the task classifier. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from harness.method import CheckContext, MethodSpec, OptionError


@dataclass(frozen=True, kw_only=True)
class ClassifierOptions:
    """Size of the task classifier.

    Attributes:
        channels: channels of its four stages, from full resolution down.
    """

    channels: tuple[int, int, int, int] = (32, 64, 96, 128)


def check_classifier(options: ClassifierOptions, context: CheckContext) -> None:
    """Refuse a stage without channels.

    Raises:
        OptionError: the text names the option.
    """
    if min(options.channels) < 1:
        raise OptionError(f"channels={options.channels} must each be at least 1")


SPECS: tuple[MethodSpec, ...] = (
    MethodSpec(
        name="task-classifier",
        label="Task classifier",
        summary="recognises the degradation, for explicit prompts",
        prompting="none",
        objective="cross-entropy",
        source="after Kong et al., ECCV 2024; Xiangtaokong/MiOIR",
        build="methods.task_classifier.network:build",
        options=ClassifierOptions,
        check=check_classifier,
        sizes={"tiny": {"channels": (8, 12, 16, 24)}},
        role="auxiliary",
        relative_cost=0.3,
    ),
)
