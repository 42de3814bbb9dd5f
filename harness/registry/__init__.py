"""Names to methods: the built-in catalogue, plug-ins, references, and strict options."""

from harness.method import MethodSpec, WeightsFile
from harness.method.search import Choices, Interval, OptionValue, SearchRange
from harness.registry.build import instantiate
from harness.registry.catalogue import Catalogue, RuntimeCheck, catalogue, runtime_checks
from harness.registry.option_help import OptionGroup, option_groups, option_lines
from harness.registry.options import (
    options_as_json,
    options_of_spec,
    parse_options,
    resolve_options,
    stored_method,
    stored_options,
)
from harness.registry.plugins import use_plugins
from harness.registry.references import MethodChoice, auxiliary_method, find, id_of, with_options

__all__ = [
    "Catalogue",
    "Choices",
    "Interval",
    "MethodChoice",
    "MethodSpec",
    "OptionGroup",
    "OptionValue",
    "RuntimeCheck",
    "SearchRange",
    "WeightsFile",
    "auxiliary_method",
    "catalogue",
    "find",
    "id_of",
    "instantiate",
    "option_groups",
    "option_lines",
    "options_as_json",
    "options_of_spec",
    "parse_options",
    "resolve_options",
    "runtime_checks",
    "stored_method",
    "stored_options",
    "use_plugins",
    "with_options",
]
