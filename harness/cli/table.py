"""``harness table``: print and write the table of what is stored, computing nothing."""

from __future__ import annotations

from harness.cli.run import (
    DEFAULT_OUT,
    Methods,
    Metrics,
    Out,
    Plugins,
    RecipeName,
    Seeds,
    SettingName,
    plan_from,
    show,
)


def table(
    methods: Methods = "cpl,promptir",
    setting: SettingName = "three-task",
    recipe: RecipeName = "mini",
    seeds: Seeds = "0",
    metrics: Metrics = "",
    out: Out = DEFAULT_OUT,
    plugin: Plugins = None,
) -> None:
    """Print the table from stored rows; what was not computed is shown as missing."""
    from harness.errors import HarnessError
    from harness.plan import stored_rows
    from harness.registry import use_plugins

    use_plugins(plugin or [])
    plan = plan_from(methods, setting, recipe, seeds, metrics, out)
    if not any(stored_rows(cell) for cell in plan.cells):
        raise HarnessError(
            f"{out} holds no scores of these methods on {setting} with recipe {recipe}; compute "
            f"them with: python -m harness run --methods '{methods}'"
        )
    show(plan, out)
