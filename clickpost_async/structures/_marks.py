"""What an annotation says of a field besides its type, attached by `Annotated`."""

from attrs import frozen


@frozen
class WireName:
    """The name a field has on the wire, where Python needs or deserves another.

    `also` are further spellings that answers have been seen with.
    """

    name: str
    also: tuple[str, ...] = ()


@frozen
class Personal:
    """Mark what belongs to a person, or opens something: it is never shown by a repr."""
