"""Markers of fields, attached by `Annotated`: the name in JSON, personal data, and codes."""

from attrs import frozen


@frozen
class WireName:
    """The name of a field in JSON, where it differs from the attribute's.

    `also` are other spellings that responses have been seen with.
    """

    name: str
    also: tuple[str, ...] = ()


@frozen
class Personal:
    """Marks personal data and secrets, which are never shown by a repr."""


@frozen
class Compact:
    """Marks codes in which white space means nothing: "110 001" is sent as "110001"."""
