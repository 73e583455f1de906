"""Compiled code reads, checks and writes as field-by-field code does."""

import copy
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from functools import cache
from typing import Any, cast

import attrs
import pytest
from attrs import field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from clickpost_async import InvalidRequestError, structure, unstructure
from clickpost_async._codec import converter, request_reader
from clickpost_async._codec.converter import structure_response
from clickpost_async.errors import Problem
from clickpost_async.structures import Item, Order, RequestModel, ResponseInfo, ResponseModel, _base
from clickpost_async.structures._compiled import builder, compile_check
from clickpost_async.structures._constraints import MaxLength
from clickpost_async.structures._rules import ValueRule
from clickpost_async.structures._schema import specs
from tests.helpers.strategies import every_field, every_sent, payloads, simplest

ODD: list[Any] = [
    *(None, "", "0", "1", " 7 ", "12.50", "true", "x" * 600, "a\x00b", "कमल", "\ud800", "COD"),
    *(0, 1, -1, 2.0, 2.5, math.nan, math.inf, 2**53, 10**400, True, False, Decimal("2.50")),
    *([], {}, (), [None], [1], ["a", ""], [{}], {"a": 1}, {"a": math.nan}, {1: 2}, [["a"]]),
]


@contextmanager
def field_by_field() -> Iterator[Any]:
    """Make structures without compiled code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(request_reader, "builder", lambda _: None)
        patch.setattr(_base, "compile_check", lambda _: lambda _made, _warnings: False)
        yield _slow_converter()


@cache
def _slow_converter() -> Any:
    return converter._build(keep=lambda _raw, _now: True)


def outcome(data: Any, kind: type[RequestModel], read: Any) -> Any:
    """Return all that reading makes of a payload.

    Which mistake is found first makes no difference: a payload with any is explained separately.
    """
    try:
        made = read.structure(data, kind)
    except (InvalidRequestError, request_reader.StructureError, ValueError, TypeError):
        return "rejected"
    return repr([everything(made), made.warnings, read.unstructure(made)])


def everything(made: Any) -> Any:
    """Return a structure's class and its values, those without a part in equality included."""
    if isinstance(made, tuple):
        return [everything(each) for each in made]
    if not isinstance(made, RequestModel):
        return type(made), made
    cls: type = type(made)
    values = [getattr(made, attribute.name) for attribute in attrs.fields(cls)]
    return cls, [everything(value) for value in values]


@pytest.mark.parametrize("kind", every_sent())
@given(data=st.data())
@settings(max_examples=10)
def test_compiled_reading_equals_reading_field_by_field(
    kind: type[RequestModel], data: st.DataObject
) -> None:
    payload = data.draw(payloads(kind))
    names = [*payload, *(spec.wire for spec in specs(kind)), "unknown"]
    payload |= data.draw(st.dictionaries(st.sampled_from(names), st.sampled_from(ODD), max_size=2))
    compiled = outcome(copy.deepcopy(payload), kind, converter._converter())
    with field_by_field() as slow:
        expected = outcome(payload, kind, slow)
    assert compiled == expected


def test_valid_order_is_read_by_compiled_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("read field by field")

    monkeypatch.setattr(request_reader, "_fields_reader", lambda *_: fail)
    monkeypatch.setattr(RequestModel, "_problems", fail)
    read = converter._build(keep=lambda _raw, _now: True)
    for kind in every_sent():
        assert type(read.structure(simplest(kind), kind)) is kind
    with pytest.raises(AssertionError, match="read field by field"):
        read.structure(simplest(Item) | {"quantity": "2"}, Item)


RULES = [
    (rule, spec.kind)
    for _, spec in every_field()
    for rule in spec.rules
    if isinstance(rule, ValueRule) and spec.kind in rule.inline_kinds
]
TEXTS = st.one_of(st.text(max_size=12), st.sampled_from(["x" * 600, "110001", "India", "INR"]))
VALUES: Mapping[Any, st.SearchStrategy[Any]] = {
    str: TEXTS.filter(bool),
    int: st.integers(-(2**53), 2**53),
    float: st.integers(-200, 200) | st.floats(-(2.0**53), 2.0**53),
}


@given(data=st.data())
def test_expression_of_a_rule_agrees_with_the_rule(data: st.DataObject) -> None:
    rule, kind = data.draw(st.sampled_from(RULES))
    value = data.draw(VALUES[kind])
    obeys = bool(eval(rule.inline("value", "rule"), {"rule": rule, "value": value}))
    assert obeys == (rule(value) is None)


def test_every_kind_of_rule_with_an_expression_is_among_them() -> None:
    assert {type(rule).__name__ for rule, _ in RULES} == {
        *("AtLeast", "GreaterThan", "MaxLength", "NotBlank", "Pattern")
    }


def upper(text: str) -> str:
    return text.upper()


# --- classes that are made by calling them -------------------------------------------------------


@frozen(kw_only=True, repr=False)
class Converted(Item):
    note: str = field(default="", converter=upper)


@frozen(kw_only=True, repr=False)
class Validated(Item):
    note: str = field(default="", validator=attrs.validators.max_len(3))


@frozen(kw_only=True, repr=False)
class WithHook(Item):
    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        object.__setattr__(self, "warnings", (Problem("", "from the hook"),))


@frozen(kw_only=True, repr=False)
class WithDefaultOfSelf(Item):
    note: str = field()

    @note.default
    def _(self) -> str:
        return "made of self"


@frozen(kw_only=True, repr=False, init=False)
class WithInit(Item):
    def __init__(self, **values: Any) -> None:
        cast("Any", self).__attrs_init__(**values | {"sku": "from __init__"})


@pytest.mark.parametrize("kind", [Converted, Validated, WithDefaultOfSelf, WithInit])
def test_class_with_hooks_of_its_own_has_no_builder(kind: type[RequestModel]) -> None:
    assert builder(kind) is None
    assert builder(Item) is not None


def test_hooks_of_a_subclass_run_when_a_mapping_is_read() -> None:
    item = simplest(Item)
    assert structure(item | {"note": "abc"}, Converted).note == "ABC"
    with pytest.raises(InvalidRequestError):
        structure(item | {"note": "abcd"}, Validated)
    assert structure(item, WithHook).warnings == (Problem("", "from the hook"),)
    assert structure(item, WithDefaultOfSelf).note == "made of self"
    assert structure(item, WithInit).sku == "from __init__"


def test_response_class_with_hooks_is_made_by_calling_it() -> None:
    @frozen(kw_only=True, repr=False)
    class Shouted(ResponseModel):
        note: str = field(default="", converter=upper)

    read = structure_response({"note": "abc", "a": 1}, Shouted, ResponseInfo(status=200))

    assert read == Shouted(note="ABC", extra={"a": 1})


def test_structures_that_were_filled_are_frozen_and_of_their_class() -> None:
    item = structure(simplest(Item), Item)
    order: Any = structure_response({}, Order, ResponseInfo())
    assert (type(item), type(order)) == (Item, Order)
    for made in (item, order):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            made.extra = {}  # type: ignore[misc]


def test_mutable_defaults_are_not_shared_by_structures_that_were_filled() -> None:
    first, second = (structure(simplest(Item), Item) for _ in range(2))
    assert first.extra is not second.extra
    assert first.original is not second.original


def test_check_of_a_class_is_compiled_once() -> None:
    kind: type = Item
    assert compile_check(kind) is compile_check(kind)


def test_subclass_may_add_fields_and_rules() -> None:
    @frozen(kw_only=True, repr=False)
    class Marked(Item):
        mark: str

        rules = (*Item.rules, lambda made: [Problem("mark", "is bad")] if made.mark == "x" else [])

    assert unstructure(structure(simplest(Item) | {"mark": "y"}, Marked))["mark"] == "y"
    with pytest.raises(InvalidRequestError, match="mark: is bad"):
        structure(simplest(Item) | {"mark": "x"}, Marked)
    assert MaxLength(3).inline("value", "rule") == "len(value) <= 3"
