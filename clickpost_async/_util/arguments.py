"""Checks of arguments and settings; the messages name the parameter and say what to write."""

import math

# ClickPost's keys have 36 characters: a key that was given in the wrong place is never shown.
_MAX_SHOWN_LENGTH = 20


def got(value: object) -> str:
    """Describe a value that was refused, without showing a long string: it may be a key."""
    if isinstance(value, type):
        return f"got the class {value.__name__}"
    if value is None or isinstance(value, bool | float):
        return f"got {value!r}"
    if isinstance(value, int):
        return f"got {value!r}" if abs(value) < 10**_MAX_SHOWN_LENGTH else "got a huge number"
    if isinstance(value, str):
        short = len(value) <= _MAX_SHOWN_LENGTH
        return f"got {value!r}" if short else f"got a string of {len(value)} characters"
    return f"got {type(value).__name__}"


def check_instance(name: str, value: object, kind: type, write: str) -> None:
    """Raise `TypeError` unless a value is an instance; `write` is what to write instead."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {write}; {got(value)}")


def check_number(
    name: str,
    value: object,
    *,
    unit: str,
    minimum: float = 0.0,
    exclusive: bool = False,
    whole: bool = False,
) -> None:
    """Raise an error unless a value is a finite number of at least, or above, a minimum.

    Raises:
        TypeError: It is no number; a boolean is none.
        ValueError: It is too small, infinite or NaN.

    """
    kind = "a whole number" if whole else "a finite number"
    bound = f"above {minimum:g}" if exclusive else f"{minimum:g} or more"
    message = f"{name} must be {kind} of {unit}, {bound}; {got(value)}"
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise TypeError(message)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not minimum <= number < math.inf or (exclusive and number == minimum):
        raise ValueError(message)
