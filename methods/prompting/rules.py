"""What a rule on options is, and how rules are applied. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.method import CheckContext, OptionError
from methods.prompting.options import PromptOptions

Rule = Callable[[PromptOptions, CheckContext], str | None]
"""Returns one sentence that names the option and what to set, or None where nothing is wrong."""


def check_rules(rules: Sequence[Rule], options: PromptOptions, context: CheckContext) -> None:
    """Apply rules in their order.

    Raises:
        OptionError: a rule is broken; the text is the rule's.
    """
    for rule in rules:
        problem = rule(options, context)
        if problem is not None:
            raise OptionError(problem)
