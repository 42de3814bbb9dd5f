"""Named protocols: one card each in ``datasets/protocols``."""

from __future__ import annotations

from pathlib import Path

from harness.config.errors import UsageError, did_you_mean
from harness.config.parsing import parse, read_yaml
from harness.config.protocols import Protocol
from harness.config.spec import Spec


class NamedProtocol(Spec):
    """A protocol as published code applies it; the card's file is called ``name``.yaml.

    ``name`` is what a person types; the protocol's id names the rule, so that cards which state
    one and the same rule share it. ``family`` is the metric family of docs/protocols.md,
    ``sources`` are repositories and files, ``notes`` what the published evaluation does besides.
    """

    name: str
    title: str
    family: str
    sources: tuple[str, ...]
    notes: str = ""
    protocol: Protocol


def protocol_names(cards: Path) -> list[str]:
    """Return the names of all protocols that have a card in the folder ``cards``."""
    return sorted(path.stem for path in (cards / "protocols").glob("*.yaml"))


def load_protocol(name: str, cards: Path) -> NamedProtocol:
    """Read the card of protocol ``name``.

    Raises:
        UsageError: no such protocol, or a card that cannot be read or names itself otherwise.
    """
    known = protocol_names(cards)
    if name not in known:
        raise UsageError(f"unknown protocol '{name}'; {did_you_mean(name, known)}")
    path = cards / "protocols" / f"{name}.yaml"
    card = parse(NamedProtocol, read_yaml(path), str(path))
    if card.name != name:
        raise UsageError(f"{path} names itself '{card.name}'; name and file must agree")
    return card


def load_protocols(names: list[str], cards: Path) -> list[NamedProtocol]:
    """Read several cards.

    Raises:
        UsageError: none is named, one is unknown, or two state the same rule.
    """
    if not names:
        raise UsageError(f"no protocol is named; {did_you_mean('', protocol_names(cards))}")
    found: dict[str, NamedProtocol] = {}
    for card in (load_protocol(name, cards) for name in names):
        other = found.setdefault(card.protocol.id, card)
        if other is not card:
            raise UsageError(
                f"protocols '{other.name}' and '{card.name}' are one rule "
                f"({card.protocol.id}); name one of them"
            )
    return list(found.values())
