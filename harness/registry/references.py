"""References to methods: ``name[+addition][@pretraining][@sequential][:option=value]*``.

A reference carries its options, so that variants of one method are rows of one table.
A value that holds ``:name=`` stands in quotes; other colons and all commas may be part of a value.
``host+addition`` adds the prompts of one method to the network of another, ``name@pretraining``
trains it otherwise first, and ``name@sequential`` learns the tasks one kind of degradation after
the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.config.errors import UsageError, did_you_mean, reason_of
from harness.config.python_files import check_unchanged, sha256_at_import
from harness.config.quoting import quoted_where_needed, split_options, unquoted
from harness.method import MethodSpec
from harness.registry.catalogue import Catalogue, catalogue
from harness.registry.option_types import option_types, shown, with_list_commas

_SEQUENTIAL = "sequential"
_LACKS = {
    "insertion_points": "cannot be split into encoder and decoder",
    "fusion_points": "has no decoder whose features can be fused with others",
}
_COMMA_HINT = "a comma inside an option's value is written ';', or the value stands in quotes"


@dataclass(frozen=True)
class MethodChoice:
    """A method with the options that the user set.

    Attributes:
        id: how it was asked for, in one canonical form.
        spec: its static facts.
        overrides: options that were set, as text.
        sequential: whether tasks are learnt one kind after the other.
        shown_as: label that a request chooses for it; empty leaves its own.
    """

    id: str
    spec: MethodSpec
    overrides: Mapping[str, str]
    sequential: bool = False
    shown_as: str = ""

    def __reduce__(self) -> tuple[Any, ...]:
        # Specs hold functions and types of plug-ins; another process finds them by name.
        return _choice_again, (self.id, self.spec.name, dict(self.overrides), self.sequential)

    @property
    def label(self) -> str:
        """The name in tables: the spec's, and what differs from it; of files, their names."""
        if self.shown_as:
            return self.shown_as
        name = self.spec.label + (" (sequential)" if self.sequential else "")
        if not self.overrides:
            return name
        types = option_types(self.spec.options)
        texts = {key: shown(value, types.get(key)) for key, value in self.overrides.items()}
        return _joined(name, texts)

    @property
    def plugin_file(self) -> Path | None:
        """The plug-in file that the method, or its host, comes from."""
        host = self.spec.host
        file = self.spec.source_file or (host.source_file if host is not None else "")
        return Path(file) if file else None

    def plugin_sha256(self) -> str | None:
        """Return the hash of the plug-in file, which is the one that this process has imported.

        Raises:
            UsageError: the file has changed since.
        """
        file = self.plugin_file
        if file is None:
            return None
        check_unchanged(file)
        return sha256_at_import(file)


def find(reference: str) -> MethodChoice:
    """Resolve a reference.

    Raises:
        UsageError: unknown method, a broken plug-in, or something that is no ``option=value``.
    """
    whole, colon, options = (part.strip() for part in reference.partition(":"))
    settings = split_options(options) if colon else []
    name, sequential = _without_sequential(whole)
    spec = _spec_of_reference(name, reference)
    if spec.role == "auxiliary":
        raise _auxiliary_error(name, spec)
    if sequential and not spec.trained:
        raise UsageError(f"{spec.name} is not trained, so not in sequence either")
    overrides = _overrides(settings, reference, spec)
    named = f"{spec.name}@{_SEQUENTIAL}" if sequential else spec.name
    identifier = _joined(named, overrides)
    return MethodChoice(id=identifier, spec=spec, overrides=overrides, sequential=sequential)


def id_of(reference: str) -> str:
    """Return a reference in the one form that ids have; a text that is none stays as it is."""
    try:
        return find(reference).id
    except UsageError:
        return reference


def with_options(method: MethodChoice, texts: Mapping[str, str | None]) -> MethodChoice:
    """Return a method with options that take the place of its own of the same names.

    None takes an option away, which gives it its default. Whether there are such options is seen
    where they are resolved.
    """
    overrides: dict[str, str] = {}
    for name, text in {**method.overrides, **texts}.items():
        if text is not None:
            overrides[name] = text
    return find(_joined(method.id.partition(":")[0], overrides))


def _without_sequential(whole: str) -> tuple[str, bool]:
    """Return a reference without ``@sequential``, and whether it had it."""
    name, *ways = whole.split("@")
    others = [way for way in ways if way != _SEQUENTIAL]
    return "@".join([name, *others]), len(others) < len(ways)


def _spec_of_reference(name: str, reference: str) -> MethodSpec:
    """Return the spec of a name; where the reference holds a path, an error explains commas."""
    try:
        return method_spec(name)
    except UsageError as error:
        if "/" in reference or "\\" in reference:
            raise UsageError(f"{error}; {_COMMA_HINT}") from error
        raise


def auxiliary_method(name: str) -> MethodChoice:
    """Return a method that others build on, with its default options."""
    return MethodChoice(name, catalogue().specs[name], {})


def method_spec(name: str) -> MethodSpec:
    """Return the spec of ``name``, of ``host+addition``, or of either ``@pretraining``.

    Raises:
        UsageError: no such method, a broken plug-in, or a network that cannot be split.
    """
    known = catalogue()
    asked = known.aliases.get(name, name)
    if asked in known.broken:
        raise UsageError(f"method '{name}' cannot be used: {known.broken[asked]}")
    if asked in known.specs:
        return known.specs[asked]
    first, at, way = asked.rpartition("@")
    if at:
        return _pretrained(first, way, known)
    host, plus, addition = asked.rpartition("+")
    if plus:
        return _added(host, addition, known)
    names = [other for other, spec in known.specs.items() if spec.role != "auxiliary"]
    raise UsageError(f"unknown method '{name}'; {did_you_mean(name, names)}")


def _added(host_name: str, addition_name: str, known: Catalogue) -> MethodSpec:
    """Return the spec of a network with what another method adds to it."""
    host, addition = method_spec(host_name), method_spec(addition_name)
    if addition.adapter is None:
        able = [name for name, spec in known.specs.items() if spec.adapter is not None]
        raise UsageError(
            f"'{addition_name}' in '{host_name}+{addition_name}' cannot be added to a network; "
            f"{did_you_mean(addition_name, able)}"
        )
    if not getattr(host, addition.added_at):
        able = [name for name, spec in known.specs.items() if getattr(spec, addition.added_at)]
        raise UsageError(
            f"{host_name} {_LACKS[addition.added_at]}, so {addition.name} cannot be added to it; "
            f"networks that can: {', '.join(able)}"
        )
    try:
        return addition.adapter(host)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # of a plug-in, or options that clash with prompts'
        raise UsageError(
            f"'{host_name}+{addition_name}' cannot be made: {reason_of(error)}"
        ) from error


def _pretrained(name: str, way: str, known: Catalogue) -> MethodSpec:
    """Return the spec of a method with a stage of pre-training before its own."""
    if way not in known.pretrainings:
        near = did_you_mean(way, [_SEQUENTIAL, *known.pretrainings])
        raise UsageError(f"'@{way}' in '{name}@{way}' is unknown; {near}")
    spec = method_spec(name)
    if not spec.has_decoder_levels:
        able = [other for other, found in known.specs.items() if found.has_decoder_levels]
        raise UsageError(
            f"{name} names no levels of a decoder, which '@{way}' reads; methods that do: "
            f"{', '.join(able)}"
        )
    return known.pretrainings[way](spec)


def _overrides(settings: list[str], reference: str, spec: MethodSpec) -> dict[str, str]:
    types = option_types(spec.options) if ";" in reference else {}
    overrides = {}
    for setting in settings:
        key, equals, value = (part.strip() for part in setting.partition("="))
        if not equals or not key:
            raise UsageError(f"'{setting}' in '{reference}' is not option=value")
        if key in overrides:
            raise UsageError(f"'{reference}' sets {key} twice; leave one of them out")
        overrides[key] = with_list_commas(unquoted(value), types.get(key))
    return overrides


def _auxiliary_error(name: str, spec: MethodSpec) -> UsageError:
    specs = catalogue().specs.items()
    users = ", ".join(other for other, s in specs if spec.name in s.requires)
    return UsageError(
        f"'{name}' is trained for other methods and restores nothing; ask for a method that needs "
        f"it, such as {users}"
    )


def _joined(name: str, overrides: Mapping[str, str]) -> str:
    parts = [name]
    for key, value in sorted(overrides.items()):
        parts.append(f"{key}={quoted_where_needed(value)}")
    return ":".join(parts)


def _choice_again(
    identifier: str, name: str, overrides: Mapping[str, str], sequential: bool
) -> MethodChoice:
    return MethodChoice(identifier, method_spec(name), overrides, sequential)
