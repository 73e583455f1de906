"""Arguments that stand in a query: checked, so that no call leaves with half a question.

`None` would be left out of the query, and ClickPost be asked about something else.
"""

from collections.abc import Mapping
from functools import cache
from typing import Annotated

from attrs import frozen

from clickpost_async.errors import InvalidRequestError
from clickpost_async.structures import Structure
from clickpost_async.structures._constraints import (
    Code,
    MaxLength,
    NotBlank,
    Pattern,
    Pincode,
    Reference,
)
from clickpost_async.structures._json_values import to_plain
from clickpost_async.structures._rules import UNKNOWN_WAYBILL, Severity
from clickpost_async.structures._schema import FieldSpec, specs

# A number that is written as text is one too, as in the payloads.
_Courier = Annotated[int | str, Pattern.of(r"[1-9]\d*", "the courier's number is needed, like 4")]


@frozen(kw_only=True, repr=False)
class _Arguments(Structure):
    """Every argument that goes into a query, by its name."""

    waybill: Annotated[
        str, NotBlank(), MaxLength(100, source=UNKNOWN_WAYBILL, severity=Severity.MISTAKE)
    ]
    courier_partner: _Courier
    reference_number: Reference
    pincode: Pincode
    regenerate: bool
    disabled: bool
    account_code: Annotated[Code, NotBlank()] | None = None
    active: bool | None = None
    manually_update_status: bool | None = None


@cache
def _by_name() -> Mapping[str, FieldSpec]:
    return {spec.name: spec for spec in specs(_Arguments)}


def check(**asked: object) -> None:
    """Refuse arguments that cannot be meant; raises `InvalidRequestError` that names all."""
    known = _by_name()
    problems = [
        problem
        for name, value in asked.items()
        if value is not None or known[name].required
        for problem in known[name].check(to_plain(value))
    ]
    if problems:
        raise InvalidRequestError.of(problems)
