import json
from io import StringIO
from typing import Any

import pytest

from clickpost_async.endpoints.orders import is_india as is_created_in_india
from clickpost_async.files.reader import read_orders
from clickpost_async.structures._market import Market, is_india, market_of, market_of_countries

ORDERS: list[tuple[dict[str, Any], Market]] = [
    ({"pickup_info": {"pickup_pincode": "110001"}}, Market.INDIA),
    ({"pickup_info": {"pickup_name": "x"}, "drop_info": None}, Market.INDIA),
    ({"pickup_info": {"country_code": "AE"}}, Market.WORLD),
    ({"pickup_info": {"name": "x", "address": "y"}}, Market.WORLD),
    ({"pickup_info": {"name": "x"}, "drop_info": {"drop_pincode": "110001"}}, Market.WORLD),
    ({"drop_info": {"drop_pincode": "110001"}}, Market.INDIA),
    ({"pickup_info": [], "drop_info": {"country_code": "AE"}}, Market.WORLD),
]


@pytest.mark.parametrize(("order", "market"), ORDERS)
def test_market_of_an_order_is_the_same_everywhere(order: dict[str, Any], market: Market) -> None:
    (row,) = read_orders(StringIO(json.dumps(order) + "\n"))

    assert market_of(order) is market
    assert row.market is market
    assert is_created_in_india(order) is (market is Market.INDIA)


@pytest.mark.parametrize("order", [{}, {"pickup_info": {"email": "a@b.example"}}])
def test_order_without_names_of_either_market_has_none(order: dict[str, Any]) -> None:
    assert market_of(order) is None


@pytest.mark.parametrize("country", ["IN", "in", "India", "INDIA", " IND "])
def test_india_is_recognised_in_any_spelling(country: str) -> None:
    assert is_india(country)
    assert market_of_countries([country, "IN"]) is Market.INDIA
    assert market_of_countries([country, "AE"]) is Market.WORLD
