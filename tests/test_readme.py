import asyncio
import re
import time
from typing import Any

import pytest

from clickpost_async import ClickPost, Credentials, Hosts, RetryPolicy, bulk
from clickpost_async.sandbox import Sandbox, served
from tests.make_readme_table import README, table, written
from tests.strategies import india

TEXT = README.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def block(word: str) -> str:
    [found] = [text for text in BLOCKS if word in text]
    return found


def defined(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)
    return names


def test_the_table_of_operations_is_the_catalogue() -> None:
    assert written(TEXT) == TEXT
    assert table() in TEXT


def test_every_block_is_one_of_those_that_are_run_here() -> None:
    assert len(BLOCKS) == 4


@pytest.mark.asyncio
async def test_ten_lines_place_orders(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = defined(block("async def main(orders)"))
    async with served(Sandbox()) as server:
        sandbox = server.sandbox

        def at_the_sandbox(_: Credentials, **settings: Any) -> ClickPost:
            account = Credentials(sandbox.username, sandbox.key)
            return ClickPost(account, hosts=Hosts.at(server.url), **settings)

        names["ClickPost"] = at_the_sandbox
        orders = [india({"shipment_details.reference_number": f"README-{n}"}) for n in range(3)]
        await names["main"](orders)

    assert len(capsys.readouterr().out.splitlines()) == 3
    assert len(sandbox.ledger()) == 3


@pytest.mark.asyncio
async def test_a_file_of_orders_is_pushed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = defined(block("async def push(clickpost)"))
    rows = [row for row, _ in zip(bulk.read_orders(_shipped()), range(12), strict=False)]
    monkeypatch.setattr(bulk, "read_orders", lambda _: iter(rows))
    async with served(Sandbox()) as server:
        account = Credentials(server.sandbox.username, server.sandbox.key)
        quick = RetryPolicy(settling=0.01, poll_every=0.01)
        async with ClickPost(account, hosts=Hosts.at(server.url), retry=quick) as clickpost:
            await names["push"](clickpost)

    out = capsys.readouterr().out
    assert len(out.splitlines()) == 13
    assert "12 orders in" in out


@pytest.mark.asyncio
async def test_updates_are_followed_from_where_they_were_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = defined(block("async def follow(clickpost"))
    a_minute_behind = Sandbox(clock=lambda: time.time() - 60)
    async with served(a_minute_behind) as server:
        account = Credentials(server.sandbox.username, server.sandbox.key)
        async with ClickPost(account, hosts=Hosts.at(server.url)) as clickpost:
            placed = await clickpost.orders.create(india({}))
            server.sandbox.advance(placed.waybill or "")
            left = await names["follow"](clickpost, None)
            again = await names["follow"](clickpost, left)

    assert capsys.readouterr().out.count(placed.waybill or "") == 1
    assert again != ""


def test_a_users_own_test_runs() -> None:
    names = defined(block("async def test_my_checkout"))

    asyncio.run(names["test_my_checkout"]())


def _shipped() -> str:
    from importlib import resources

    return str(resources.files("clickpost_async.bulk") / "orders.csv")
