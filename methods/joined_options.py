"""Option types of networks to which something is added. Imports no torch."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any


def option_names(options: type) -> set[str]:
    """Return the names of the options of a frozen type."""
    return {field.name for field in dataclasses.fields(options)}


@functools.cache
def joined_options(host: type, addition: type, prefix: str) -> type:
    """Return a frozen type with the options of ``host`` and those of ``addition``.

    Its property ``host_options`` returns the options of ``host`` alone.

    Args:
        host: options of the network.
        addition: options of what is added to it.
        prefix: what the new type's name begins with; the rest is that of ``host``.

    Raises:
        TypeError: both have an option of the same name.
    """
    own = option_names(host)
    shared = own & option_names(addition)
    if shared:
        raise TypeError(f"{host.__name__} and {addition.__name__} both have {sorted(shared)}")

    def host_options(self: Any) -> Any:
        return host(**{name: getattr(self, name) for name in own})

    members: Mapping[str, Any] = {"host_options": property(host_options)}
    return dataclasses.make_dataclass(
        f"{prefix}{host.__name__}",
        [],
        bases=(host, addition),
        namespace=dict(members),
        frozen=True,
        kw_only=True,
    )
