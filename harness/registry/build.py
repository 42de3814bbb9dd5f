"""From a spec to a network; this imports torch."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

from harness.method import BuildContext, MethodSpec


def instantiate(spec: MethodSpec, context: BuildContext) -> Any:
    """Build the network of ``spec``, with its host if it is an addition to one."""
    host = spec.host
    if host is not None:

        def build_host(options: Any) -> Any:
            return instantiate(host, dataclasses.replace(context, options=options))

        context = dataclasses.replace(context, host=build_host)
    module, _, function = spec.build.partition(":")
    return getattr(importlib.import_module(module), function)(context)
