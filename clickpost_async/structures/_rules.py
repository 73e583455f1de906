"""Validation rules: each rejects a value or warns of it, and names its source.

A mistake is what ClickPost's code table rejects, or what would cost money, data or a wrong label:
it is raised before anything is sent. A warning is what only departs from ClickPost's document,
which live integrations do as well: it is sent, logged once per kind, and kept in `warnings`.
`docs/reference/rules.md` is generated from these declarations.
"""

import enum
import logging
import re
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Protocol

from attrs import field, frozen

from clickpost_async.errors import Problem


class Severity(enum.Enum):
    """Whether a value that breaks a rule is rejected, or sent with a warning."""

    MISTAKE = "mistake"
    WARNING = "warning"


@frozen
class Source:
    """Why the type of a field, and its being required, is a rule: attached by `Annotated`."""

    text: str


# What ClickPost rejects according to its code tables.
INVALID = "code 314: the order's data are invalid"
MANDATORY = "code 328: a mandatory field is missing"
COURIER_ID = "code 302: the courier's number is a string, null or unknown"
ORDER_TYPE = "code 307: order_type is not PREPAID, COD or EXCHANGE"
PRIORITY = "code 308: priority is not NORMAL or URGENT"
DELIVERY_TYPE = "code 309: delivery_type is not FORWARD or RVP"
RVP_REASON = "code 310: RVP without rvp_reason, or over 500 characters"
NO_ITEMS = "code 312: no items"
ITEM_FIELD = "code 313: a mandatory item field is missing"
COD_VALUE = "code 315: cod_value is not 0 for PREPAID, or is 0 for COD"
ACCOUNT = "code 351: the account does not exist for this courier"
UNKNOWN_ACTION = "code 400: invalid action"
UNKNOWN_WAYBILL = "code 321: the waybill is unknown"
PINCODE = "codes 319 and 404: the pincode is not found"
# What costs money, data or a wrong label, whatever ClickPost does with it.
BILLING = "couriers charge by it"
CUSTOMS = "customs and duty are charged by it"
LABEL = "it is printed on the label"
IDENTITY = "a shortened number would identify another order"
DAY = "day and month could be read the wrong way round"
NUMBER = "a number that means nothing here"
# What only the documentation requires.
LENGTHS = "ClickPost's table of maximum lengths"
DOCUMENT = "ClickPost's API document"
GUIDE = "ClickPost's order creation guide"


@frozen
class ValueRule:
    """Base class of rules for single values.

    A rule that most values obey may also say so by an expression, `inline`, for values of
    `inline_kinds`: the compiled check of a structure then does not call it. `rule` is its name in
    the expression. Both agree on every value.
    """

    source: str = field(default=INVALID, kw_only=True)
    severity: Severity = field(default=Severity.MISTAKE, kw_only=True)

    inline_kinds: ClassVar[frozenset[type]] = frozenset()

    def inline(self, value: str, rule: str) -> str:
        """Return an expression that is true of values that obey the rule."""
        return f"{rule}({value}) is None"


class Rule(Protocol):
    """A rule for a single value: returns what is wrong with it, or `None`."""

    @property
    def severity(self) -> Severity:
        """Whether a value that breaks it is rejected or only warned of."""
        ...

    @property
    def source(self) -> str:
        """The rule's source: a code of ClickPost's, a page, or a reason."""
        ...

    @property
    def text(self) -> str:
        """A short description, for the table of rules."""
        ...

    def __call__(self, value: object, /) -> str | None: ...


@frozen
class CrossRule:
    """A rule between fields; `path` is the field that it is about.

    `check` gets the structure, or the valid fields of an invalid one.
    """

    check: Callable[[Any], Iterable[Problem]]
    path: str
    text: str
    source: str
    severity: Severity

    def __call__(self, structure: Any) -> Iterable[Problem]:
        return self.check(structure)


# A plain function is a rule too: a mistake without a source.
Rules = tuple[Callable[[Any], Iterable[Problem]], ...]


def is_warning(rule: object) -> bool:
    """Return whether a rule only warns."""
    return getattr(rule, "severity", None) is Severity.WARNING


def severity_of(rule: object) -> Severity:
    """Return a rule's severity."""
    return Severity.WARNING if is_warning(rule) else Severity.MISTAKE


def source_of(rule: object) -> str:
    """Return a rule's source."""
    return str(getattr(rule, "source", INVALID))


def cross_rule(
    path: str, text: str, *, source: str, severity: Severity = Severity.MISTAKE
) -> Callable[[Callable[[Any], Iterable[Problem]]], CrossRule]:
    """Declare a function as a rule between fields."""
    return lambda check: CrossRule(
        check=check, path=path, text=text, source=source, severity=severity
    )


def warn(path: str, message: str, source: str) -> Problem:
    """Make a warning from what departs from the document, and its source."""
    return Problem(path, f"{message} ({source}); sent as it is")


_log = logging.getLogger("clickpost_async")
# No handler by default, as for events.
_log.addHandler(logging.NullHandler())
_logged: set[str] = set()
_MAX_LOGGED = 1000
_positions = re.compile(r"\[\d+\]")
_figures = re.compile(r"\d+")


def log_warnings(value: Any) -> None:
    """Log each kind of warning of a structure, or of several, once in a process.

    Paths and messages name fields, lengths and bounds, never a value.
    """
    if isinstance(value, list | tuple):
        for member in value:
            log_warnings(member)
        return
    for warning in getattr(value, "warnings", None) or ():
        name = type(value).__name__
        kind = f"{name} {_figures.sub('', _positions.sub('', str(warning)))}"
        if kind not in _logged and len(_logged) < _MAX_LOGGED:
            _logged.add(kind)
            _log.warning("%s: %s (this kind of warning is logged once)", name, warning)


def forget_logged_warnings() -> None:
    """Log every kind of warning again, for tests."""
    _logged.clear()
