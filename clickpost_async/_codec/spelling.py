"""How ClickPost spells values in queries, as each endpoint requires."""


def lower(value: bool) -> str:  # noqa: FBT001 - the value itself is spelled
    """Spell a boolean `true` or `false`: `regenerate` on the label endpoint."""
    return "true" if value else "false"


def title(value: bool | None) -> str | None:  # noqa: FBT001 - as above
    """Spell a boolean `True` or `False`: Django's own fields, which reject lower case."""
    return None if value is None else str(value)
