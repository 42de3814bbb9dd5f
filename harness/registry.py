"""Names to methods: the built-in catalogue, installed plug-ins, and strict options.

A method is referred to as ``name`` or ``name:option=value:option=value``, so that variants
of one method stand side by side in a table. ``host+addition`` plugs one into another, and
``name@sequential`` learns the tasks one kind after the other.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from harness.errors import UsageError, did_you_mean
from harness.method import BuildContext, CheckContext, MethodSpec, OptionError

_BUILT_IN = "methods.catalogue"
_SEQUENTIAL = "sequential"
ENTRY_POINT_GROUP = "harness.methods"
PLUGINS_VARIABLE = "HARNESS_PLUGINS"
"""Environment variable with files of methods; worker processes read it."""


@dataclass(frozen=True)
class Catalogue:
    """Known methods, other names for them, and plug-ins that failed, with the reason."""

    cards: Mapping[str, MethodSpec]
    aliases: Mapping[str, str]
    broken: Mapping[str, str]


@dataclass(frozen=True)
class MethodChoice:
    """A method with the options that a person set; ``id`` is how it was asked for.

    ``sequential`` says that tasks are learnt one kind after the other.
    """

    id: str
    card: MethodSpec
    overrides: Mapping[str, str]
    sequential: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        # Cards hold functions and types of plug-ins; another process finds them by name.
        return _choice_again, (self.id, self.card.name, dict(self.overrides), self.sequential)

    @property
    def label(self) -> str:
        """Return the name in tables: the card's, and what differs from it."""
        name = self.card.label + (" (sequential)" if self.sequential else "")
        return ":".join([name, *(f"{k}={v}" for k, v in sorted(self.overrides.items()))])


def _choice_again(
    identifier: str, name: str, overrides: Mapping[str, str], sequential: bool
) -> MethodChoice:
    return MethodChoice(identifier, _card(name, catalogue()), overrides, sequential)


def use_plugins(files: Sequence[Path]) -> None:
    """Add methods from Python files, here and in processes that this one starts.

    Raises:
        UsageError: a file is not there.
    """
    for file in files:
        if not file.is_file():
            raise UsageError(f"--plugin {file} is not there")
    if files:
        known = os.environ.get(PLUGINS_VARIABLE, "").split(os.pathsep)
        paths = dict.fromkeys([*filter(None, known), *(str(file.resolve()) for file in files)])
        os.environ[PLUGINS_VARIABLE] = os.pathsep.join(paths)
        catalogue.cache_clear()


@functools.cache
def catalogue() -> Catalogue:
    """Return all methods: built in, from entry points of ``harness.methods``, and from files.

    An entry point names a :class:`MethodSpec`; of a file (``use_plugins``) every card at its top
    level counts. What cannot be imported is listed with its reason and spoils nothing else.
    """
    module = importlib.import_module(_BUILT_IN)
    cards: dict[str, MethodSpec] = dict(module.METHODS)
    broken: dict[str, str] = {}
    for point in metadata.entry_points(group=ENTRY_POINT_GROUP):
        if point.name in cards:
            broken[point.name] = f"{point.value}: the name is taken by a built-in method"
            continue
        try:
            card = point.load()
        except Exception as error:  # a plug-in may fail in any way
            broken[point.name] = f"{point.value}: {type(error).__name__}: {error}"
            continue
        if isinstance(card, MethodSpec):
            cards[point.name] = card
        else:
            broken[point.name] = f"{point.value} is not a MethodCard"
    for path in filter(None, os.environ.get(PLUGINS_VARIABLE, "").split(os.pathsep)):
        try:
            found = _cards_of(Path(path))
        except Exception as error:  # a plug-in may fail in any way
            broken[Path(path).stem] = f"{path}: {type(error).__name__}: {error}"
            continue
        if not found:
            broken[Path(path).stem] = f"{path} holds no MethodCard at its top level"
        for card in found:
            if card.name in cards:
                broken[Path(path).stem] = f"{path}: the name '{card.name}' is taken"
            else:
                cards[card.name] = card
    return Catalogue(cards=cards, aliases=dict(module.ALIASES), broken=broken)


def _cards_of(path: Path) -> list[MethodSpec]:
    """Import a file under its own name and return its cards."""
    name = path.stem
    loaded = sys.modules.get(name)
    if loaded is None:
        if importlib.util.find_spec(name) is not None:
            raise ImportError(f"a module called '{name}' is installed; rename the file")
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ImportError("not a Python file")
        loaded = importlib.util.module_from_spec(spec)
        sys.modules[name] = loaded
        try:
            spec.loader.exec_module(loaded)
        except BaseException:
            del sys.modules[name]
            raise
    elif getattr(loaded, "__file__", None) != str(path):
        raise ImportError(f"a module called '{name}' is loaded already; rename the file")
    values = vars(loaded).values()
    return list({v.name: v for v in values if isinstance(v, MethodSpec)}.values())


def find(reference: str) -> MethodChoice:
    """Resolve ``name[+addition][@sequential][:option=value]*``.

    Raises:
        UsageError: unknown method, a broken plug-in, or something that is no ``option=value``.
    """
    known = catalogue()
    whole, *settings = (part.strip() for part in reference.split(":"))
    asked, at, way = whole.partition("@")
    if at and way != _SEQUENTIAL:
        raise UsageError(
            f"'@{way}' in '{reference}' is unknown; {did_you_mean(way, [_SEQUENTIAL])}"
        )
    card = _card(asked, known)
    if card.role == "auxiliary":
        raise UsageError(
            f"'{asked}' is trained for other methods and restores nothing; "
            "ask for a method that needs it, such as "
            + ", ".join(n for n, c in known.cards.items() if card.name in c.requires)
        )
    overrides = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise UsageError(f"'{setting}' in '{reference}' is not option=value")
        overrides[key] = value
    if at and not card.trained:
        raise UsageError(f"{card.name} is not trained, so not in sequence either")
    canonical = ":".join(
        [card.name + at + way, *(f"{k}={v}" for k, v in sorted(overrides.items()))]
    )
    return MethodChoice(id=canonical, card=card, overrides=overrides, sequential=bool(at))


def _card(asked: str, known: Catalogue) -> MethodSpec:
    """Return the card of ``name``, or of ``host+addition``.

    Raises:
        UsageError: no such method, a broken plug-in, or a network that cannot be split.
    """
    name = known.aliases.get(asked, asked)
    if name in known.broken:
        raise UsageError(f"method '{asked}' cannot be used: {known.broken[name]}")
    if name in known.cards:
        return known.cards[name]
    host_name, plus, addition_name = name.rpartition("+")
    if plus:
        host, addition = _card(host_name, known), _card(addition_name, known)
        if addition.adapter is None:
            able = [n for n, card in known.cards.items() if card.adapter is not None]
            raise UsageError(
                f"'{addition_name}' in '{asked}' cannot be added to a network; "
                f"{did_you_mean(addition_name, able)}"
            )
        if not host.insertion_points:
            able = [n for n, card in known.cards.items() if card.insertion_points]
            raise UsageError(
                f"{host_name} cannot be split into encoder and decoder, so nothing can be added "
                f"to it; networks that can: {', '.join(able)}"
            )
        return addition.adapter(host)
    names = [n for n, card in known.cards.items() if card.role != "auxiliary"]
    raise UsageError(f"unknown method '{asked}'; {did_you_mean(asked, names)}")


def resolve_options(
    choice: MethodChoice, size: str, context: CheckContext, published: bool = False
) -> Any:
    """Return the options of ``choice`` at a recipe's size, checked against the setting.

    Precedence: the type's defaults, the card's, those that follow from the setting, the size's,
    with ``published`` those under which the authors' checkpoints run, the person's.

    Raises:
        UsageError: unknown option or size, wrong type, or a contradiction, each by name.
    """
    card = choice.card
    known = [field.name for field in dataclasses.fields(card.options)]
    for key in choice.overrides:
        if key not in known:
            raise UsageError(f"{card.name} has no option '{key}'; {did_you_mean(key, known)}")
    if card.sizes and size not in card.sizes and size != "full" and card.role != "auxiliary":
        raise UsageError(f"{card.name} has no size '{size}'; {did_you_mean(size, card.sizes)}")
    fitted = card.fitted(context) if card.fitted is not None else {}
    values: dict[str, Any] = {**card.defaults, **fitted, **card.sizes.get(size, {})}
    if published:
        values |= card.published
    values |= {key: _from_text(text) for key, text in choice.overrides.items()}
    try:
        options = parse_options(card, values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{choice.id}: option {where}: {first['msg']}") from error
    if card.check is not None:
        try:
            card.check(options, context)
        except OptionError as error:
            raise UsageError(f"{choice.id}: {error}") from error
    return options


def parse_options(card: MethodSpec, values: Mapping[str, Any]) -> Any:
    """Build the card's options type from plain values (also from a stored spec)."""
    return _adapter(card.options).validate_python(dict(values))


def options_as_json(options: Any) -> dict[str, Any]:
    """Return options as JSON values, every default written."""
    dumped: dict[str, Any] = _adapter(options.__class__).dump_python(options, mode="json")
    return dumped


@functools.cache
def _adapter(options: Any) -> TypeAdapter[Any]:
    # Stdlib dataclasses take their pydantic configuration from this attribute.
    options.__pydantic_config__ = ConfigDict(extra="forbid")
    return TypeAdapter(options)


def _from_text(text: str) -> Any:
    """Read a value from a flag: ``none`` is None, commas make a list, the rest is parsed."""
    if text.lower() == "none":
        return None
    return text.split(",") if "," in text else text


def instantiate(card: MethodSpec, context: BuildContext) -> Any:
    """Build the network of ``card``, with its host if it is an addition; this imports torch."""
    host = card.host
    if host is not None:

        def build_host(options: Any) -> Any:
            return instantiate(host, dataclasses.replace(context, options=options))

        context = dataclasses.replace(context, host=build_host)
    module, _, function = card.build.partition(":")
    return getattr(importlib.import_module(module), function)(context)
