"""Shared by the namespaces: arguments are validated before a call, lists of rows after it.

A required argument that is `None` would be missing from the query, and ClickPost would respond to a
different query.
"""

from collections.abc import Coroutine, Mapping
from functools import cache
from typing import Annotated, Any, TypeVar

import attrs
from attrs import frozen

from clickpost_async._codec.endpoint import Post
from clickpost_async.errors import InvalidRequestError, Problem, UnreadableReplyError
from clickpost_async.structures import ResponseModel, Structure
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

L = TypeVar("L", bound=ResponseModel)

# A number may be a string, as in the payloads.
_Courier = Annotated[int | str, Pattern.of(r"[1-9]\d*", "expected the courier's number, such as 4")]


@frozen(kw_only=True, repr=False)
class _Arguments(Structure):
    """Every argument that is sent in a query, by its name."""

    waybill: Annotated[
        str, NotBlank(), MaxLength(100, source=UNKNOWN_WAYBILL, severity=Severity.MISTAKE)
    ]
    courier_partner: _Courier
    reference_number: Reference
    pincode: Pincode
    disabled: bool
    is_pickup_pincode: bool
    is_rvp: bool
    check_drop_pincode_validity: bool | None = None
    account_code: Annotated[Code, NotBlank()] | None = None
    active: bool | None = None
    manually_update_status: bool | None = None


@cache
def _by_name() -> Mapping[str, FieldSpec]:
    return {spec.name: spec for spec in specs(_Arguments)}


def check(**arguments: object) -> None:
    """Validate arguments; raises `InvalidRequestError` that names every invalid one."""
    specs_by_name = _by_name()
    problems = [
        problem
        for name, value in arguments.items()
        if value is not None or specs_by_name[name].required
        for problem in specs_by_name[name].check(to_plain(value))
    ]
    if problems:
        raise InvalidRequestError.of(problems)


def lower_case(value: bool | None) -> str | None:  # noqa: FBT001 - the value itself is written
    """Write a boolean of a query as `true` or `false`, as most endpoints require."""
    return None if value is None else str(value).lower()


def title_case(value: bool | None) -> str | None:  # noqa: FBT001 - as above
    """Write a boolean of a query as `True` or `False`: Django's fields reject lower case."""
    return None if value is None else str(value)


async def one_row_each(
    call: Coroutine[Any, Any, L], sent: int, argument: str, empty: Any, endpoint: Post[L]
) -> L:
    """Await a list response that has one row for each item of the request, in the same order.

    A response without rows counts as `empty` for each item. Raises `UnreadableReplyError` for any
    other number of rows, because rows and items cannot be matched then, and `InvalidRequestError`
    when the request has no items.
    """
    if not sent:
        call.close()
        raise InvalidRequestError.of([Problem(argument, "at least one is needed")])
    response: Any = await call
    if not response.rows:
        response = attrs.evolve(response, rows=(empty,) * sent)
    if len(response.rows) != sent:
        raise UnreadableReplyError(
            f"{len(response.rows)} rows in the response to {sent} {argument}: they cannot be"
            " matched; send them one by one",
            endpoint=endpoint.label,
            status=response.response.status,
            http_status=response.response.http_status,
            transient=False,
        )
    listing: L = response
    return listing
