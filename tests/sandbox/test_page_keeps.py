"""The page: redaction, bounds of its lists, and what else is served."""

import asyncio
import json
import re
import socket

import httpx
import pytest
from playwright.async_api import Browser, expect

from clickpost_async.sandbox import Sandbox, SandboxStore
from clickpost_async.sandbox.page.view import ROWS, View, render
from clickpost_async.sandbox.store.repository import KEPT
from tests.sandbox.browser import browser, looking_at, place
from tests.sandbox.samples import raw_client

__all__ = ["browser"]  # a fixture

NAME, PHONE, STREET = "Meera Reader", "9000000012", "7 Banyan Road"


@pytest.mark.asyncio(loop_scope="module")
async def test_personal_data_is_redacted_until_revealed_and_the_key_always(
    browser: Browser,
) -> None:
    async with Sandbox() as sandbox:
        await place(sandbox, "PEN-1", shipment_details__account_code=f"acc-{'x' * 3}")
        async with raw_client(sandbox.base_url) as http:
            body = {"waybill": "T-1", "cp_id": 4, "account_code": "a", "key": sandbox.api_key}
            await http.post("/v2/tracking/awb-register/", json=body)
        # The page shows the key of every fresh sandbox, as it is in these pages, but no other.
        sent, sandbox.api_key = sandbox.api_key, "another-key-not-a-secret"
        async with looking_at(browser, sandbox.page) as page:
            seen: list[str] = []
            for show in ("#orders a >> nth=1", "#requests a >> nth=1", "#requests a >> nth=0"):
                await page.keyboard.press("Escape")
                await page.click(show)
                await expect(page.locator("#detail h3").first).to_be_visible()
                seen.append(await page.content())
            covered = "".join(seen)
            await page.keyboard.press("Escape")
            await page.click("#orders a >> nth=1")
            await page.click("#reveal")
            await expect(page.locator("#detail")).to_contain_text(NAME)
            shown = await page.content()
            await page.keyboard.press("Escape")
            await page.click("#orders a >> nth=1")
            await expect(page.locator("#detail .people")).to_contain_text("M•••• R••••")

    assert [word for word in (NAME, PHONE, STREET, sent) if word in covered] == []
    assert all(word in shown for word in (NAME, PHONE, STREET))
    assert sent not in shown
    assert sandbox.api_key not in covered + shown


HOSTILE = "<script>window.hit=1</script><img src=x onerror=window.hit=2>\"'&{{7*7}}"


@pytest.mark.asyncio(loop_scope="module")
async def test_order_names_are_shown_as_text(browser: Browser) -> None:
    async with Sandbox() as sandbox:
        await place(
            sandbox,
            HOSTILE,
            drop_info__drop_name=HOSTILE,
            drop_info__drop_city=HOSTILE,
            shipment_details__account_code=HOSTILE,
            shipment_details__awb_number=HOSTILE,
        )
        sandbox.advance(HOSTILE, 3)
        async with looking_at(browser, sandbox.page) as page:
            await expect(page.locator("#orders li")).to_contain_text(HOSTILE)
            await page.click("#orders a")
            await page.click("#reveal")
            await expect(page.locator("#detail .people")).to_contain_text(HOSTILE)
            await page.click("text=Next scan")
            await expect(page.locator("#detail .journey")).to_contain_text("Delivered")
            await page.keyboard.press("Escape")
            await page.click("#requests a")
            await expect(page.locator("#detail pre").first).to_contain_text("window.hit=1")
            assert await page.evaluate("window.hit") is None
            assert await page.locator("main script, main img").count() == 0


@pytest.mark.asyncio(loop_scope="module")
async def test_only_the_latest_is_kept_and_shown(browser: Browser) -> None:
    async with Sandbox() as sandbox:
        async with raw_client(sandbox.base_url) as http:
            for number in range(KEPT + 40):
                await http.get("/v1/fetch/shippinglabel/", params={"waybill": f"W-{number}"})
        async with looking_at(browser, sandbox.page) as page:
            await expect(page.locator("#requests li")).to_have_count(100)
            await expect(page.locator("#requests li").first).to_contain_text(f"W-{KEPT + 39}")
            await expect(page.locator("#total-requests")).to_have_text(str(KEPT + 40))

    assert len(sandbox.latest_calls()) == KEPT


@pytest.mark.asyncio
async def test_browser_gets_the_current_state_only_and_only_if_it_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The requests of the last minute change with every second that passes.
    monkeypatch.setattr(SandboxStore, "pulse", lambda _: [(0, 0)] * 60)
    async with Sandbox() as sandbox:
        await place(sandbox, "PEN-0")
        first, seen = render(sandbox, View()), sandbox.changes()
        assert sandbox.changes() == seen
        await place(sandbox, *(f"PEN-{number}" for number in range(1, 301)))
        sandbox.advance(sandbox.ledger()["PEN-0"][0])
        assert sandbox.changes() != seen
        news, seen = render(sandbox, View()), sandbox.changes()

    assert re.findall('data-key="(order.*?)"', first) == ["order/PEN-0"]
    newest = [f"order/PEN-{number}" for number in range(300, 300 - ROWS, -1)]
    assert re.findall('data-key="(order.*?)"', news) == newest
    assert sandbox.changes() == seen


@pytest.mark.asyncio
async def test_slow_browser_gets_the_latest_state_and_not_each_step() -> None:
    async with Sandbox() as sandbox:
        port = int(sandbox.base_url.split(":")[2].split("/")[0])
        with socket.create_connection(("127.0.0.1", port)) as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
            slow.sendall(b"GET /page/news HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            await place(sandbox, *(f"PEN-{number}" for number in range(200)))
            slow.settimeout(10)
            read = b""
            while b"PEN-199" not in read:
                read += await asyncio.to_thread(slow.recv, 65536)

    lines = [line for line in read.split(b"\r\n") if line.startswith(b"data: ")]
    assert 0 < len(lines) < 50
    assert '<main id="main"' in json.loads(lines[0].removeprefix(b"data: "))


@pytest.mark.asyncio
async def test_sandbox_stops_while_a_browser_is_connected() -> None:
    async with (
        asyncio.timeout(10),
        Sandbox() as sandbox,
        httpx.AsyncClient(trust_env=False) as http,
        http.stream("GET", f"{sandbox.page}page/news") as news,
    ):
        lines = news.aiter_lines()
        assert (await anext(lines)).startswith("data: ")
        await asyncio.to_thread(sandbox.stop)
        with pytest.raises(httpx.RemoteProtocolError):
            await anext(line async for line in lines if line)


@pytest.mark.asyncio
async def test_page_loads_nothing_from_other_hosts() -> None:
    async with Sandbox() as sandbox, httpx.AsyncClient(trust_env=False) as http:
        page = await http.get(sandbox.page)
        files = {
            name: await http.get(f"{sandbox.page}{name}")
            for name in ("page/page.css", "page/page.js", "page/favicon.svg", "favicon.ico")
        }
        others = [
            await http.get(f"{sandbox.page}page/{name}")
            for name in ("window.py", "rows.html", "..%2Fapp.py", "nothing")
        ]

    assert {file.status_code for file in files.values()} == {200}
    assert {other.status_code for other in others} == {404}
    api = f"http://127.0.0.1:{page.url.port}/api"
    content = render(sandbox, View(), api)
    found = re.findall(r"https?://[^\s\"<]*", f"{page.text}{content}")
    assert set(found) == {api, "http://127.0.0.1:9000/"}  # and the example of a receiver
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
