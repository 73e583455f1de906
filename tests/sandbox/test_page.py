"""The page in a real browser: what it shows, and its actions."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from clickpost_async import ClickPost, RetryPolicy, bulk
from clickpost_async.sandbox import Fault, Faults, Sandbox
from tests.sandbox.browser import browser, looking_at, place
from tests.sandbox.samples import b2b_placed, india_order, raw_client
from tests.sandbox.test_webhooks import Receiver, receiver

__all__ = ["browser", "receiver"]  # fixtures

QUICK = RetryPolicy(attempts=8, backoff=0.02, settle_delay=0.05)


def client(sandbox: Sandbox) -> ClickPost:
    return ClickPost(sandbox.username, sandbox.api_key, base_url=sandbox.base_url, retry=QUICK)


# --- what it shows ------------------------------------------------------------------------------


@pytest.mark.asyncio(loop_scope="module")
async def test_call_appears_on_the_open_page(browser: Browser) -> None:
    async with Sandbox() as sandbox, looking_at(browser, sandbox.page) as page:
        await expect(page.locator("#requests li")).to_have_count(0)
        await place(sandbox, "PEN-1")
        row = page.locator("#requests li")
        await expect(row).to_contain_text("orders.create_india")
        await expect(row).to_contain_text("PEN-1")
        await expect(row.locator(".code")).to_have_text("200")
        await place(sandbox, "PEN-1")
        await expect(page.locator("#requests li")).to_have_count(2)
        again = page.locator("#requests li").first
        await expect(again.locator(".code")).to_have_text("323")
        await expect(again.locator(".again")).to_have_text("2nd")
        order = page.locator("#orders li")
        await expect(order).to_contain_text("OrderPlaced")
        sandbox.advance(sandbox.ledger()["PEN-1"][0], 3)
        await expect(order).to_contain_text("OutForDelivery")
        await expect(page.locator("#total-requests")).to_have_text("2")
        await expect(page.locator("#total-labels")).to_have_text("1")


@pytest.mark.asyncio(loop_scope="module")
async def test_order_that_may_be_retried_is_not_shown_as_refused(browser: Browser) -> None:
    async with Sandbox() as sandbox, looking_at(browser, sandbox.page) as page:
        await place(sandbox, "PEN-COURIER-BUSY-1")
        await place(sandbox, "PEN-COURIER-REFUSES")
        states = page.locator("#orders li .state")
        await expect(states).to_have_text(["refused", "placing"])
        await place(sandbox, "PEN-COURIER-BUSY-1")
        await expect(page.locator("#orders li .state", has_text="OrderPlaced")).to_have_count(1)


@pytest.mark.asyncio(loop_scope="module")
async def test_order_page_shows_past_and_future_scans(browser: Browser) -> None:
    async with Sandbox() as sandbox:
        await place(sandbox, "PEN-1")
        waybill = sandbox.ledger()["PEN-1"][0]
        async with looking_at(browser, sandbox.page) as page:
            await page.click("#orders a")
            stations = page.locator("#detail .journey li:not(.ahead) b")
            await expect(stations).to_have_text(["OrderPlaced"])
            await page.click("text=Next scan")
            await page.click("text=Fail the delivery")
            await expect(stations.last).to_have_text("FailedDelivery")
            await expect(page.locator("#detail .journey .ahead").first).to_have_text("ShipmentHeld")
            label = page.locator("#detail a", has_text="Open label")
            assert await label.get_attribute("href") == f"/labels/{waybill}.pdf"
            await page.keyboard.press("Escape")
            await expect(page.locator("#detail")).to_be_hidden()

    assert [scan.code for scan in sandbox.scans(waybill)] == [9, 6, 5, 4, 1]


@pytest.mark.asyncio(loop_scope="module")
async def test_label_bought_twice_raises_an_alarm(browser: Browser) -> None:
    racy = Sandbox(racy=True, courier_seconds=0.2)
    async with racy as sandbox, looking_at(browser, sandbox.page) as page:
        await expect(page.locator(".tile.alarm")).to_have_count(0)
        await asyncio.gather(*(place(sandbox, "RACE") for _ in range(2)))
        await expect(page.locator(".tile.alarm b")).to_have_text("1")
        await page.click("text=Ledger")
        await expect(page.locator("#ledger .bad")).to_contain_text("bought a 2nd time")


@pytest.mark.asyncio(loop_scope="module")
async def test_search_leaves_matching_rows(browser: Browser) -> None:
    async with Sandbox() as sandbox:
        await place(sandbox, *(f"PEN-{number}" for number in range(120)), "INK-7")
        async with looking_at(browser, sandbox.page) as page:
            await expect(page.locator("#orders li")).to_have_count(100)
            await page.keyboard.press("/")
            await page.keyboard.type("pen-5")
            await expect(page.locator("#orders li")).to_have_count(11)
            await expect(page.locator("#requests li")).to_have_count(11)
            await page.fill("#search", "nothing like it")
            await expect(page.locator("#orders li")).to_have_count(0)


@pytest.mark.asyncio(loop_scope="module")
async def test_page_is_dark_by_system_setting_and_by_choice(browser: Browser) -> None:
    async with Sandbox() as sandbox, looking_at(browser, sandbox.page) as page:

        async def ground() -> str:
            script = "getComputedStyle(document.body).backgroundColor"
            colour: str = await page.evaluate(script)
            return colour

        light = await ground()
        await page.emulate_media(color_scheme="dark")
        dark = await ground()
        await page.click("#theme")
        chosen = await ground()
        await page.reload()

        assert (light, dark) == ("rgb(244, 245, 248)", "rgb(14, 17, 22)")
        assert chosen == await ground() == light


@pytest.mark.asyncio(loop_scope="module")
async def test_narrow_window_scrolls_to_the_opened_detail(browser: Browser) -> None:
    async with Sandbox() as sandbox:
        await place(sandbox, *(f"PEN-{number}" for number in range(40)))
        async with looking_at(browser, sandbox.page) as page:
            await page.set_viewport_size({"width": 390, "height": 800})
            await page.click("#orders a:has-text('PEN-30')")
            await expect(page.locator("#detail h2")).to_be_in_viewport()
            width = await page.evaluate("document.documentElement.scrollWidth")

    assert width == 390


@pytest.mark.asyncio(loop_scope="module")
async def test_keyboard_focus_stays_when_the_page_updates(browser: Browser) -> None:
    async with Sandbox(scan_every=3600) as sandbox, looking_at(browser, sandbox.page) as page:
        await place(sandbox, "PEN-1", "PEN-2")
        hour = page.locator("text=+6 h")
        await hour.focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#orders .b6")).to_have_count(2)
        await expect(hour).to_be_focused()
        row = page.locator("#orders a", has_text="PEN-1")
        await row.focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#detail")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(row).to_be_focused()


RECORD_HIGHLIGHTS = """() => {
    window.highlights = [];
    const animate = Element.prototype.animate;
    Element.prototype.animate = function (...how) {
        window.highlights.push(this.dataset.key);
        return animate.apply(this, how);
    };
}"""


@pytest.mark.asyncio(loop_scope="module")
async def test_new_and_changed_rows_are_highlighted_for_a_while(browser: Browser) -> None:
    async with Sandbox() as sandbox, looking_at(browser, sandbox.page) as page:
        await page.evaluate(RECORD_HIGHLIGHTS)
        await page.fill("#hook-url", "http://127.0.0.1:9")
        await place(sandbox, "PEN-1")
        row = page.locator("#orders li")
        await expect(row).to_contain_text("OrderPlaced")
        sandbox.advance(sandbox.ledger()["PEN-1"][0])
        await expect(row).to_contain_text("PickedUp")
        highlights = await page.evaluate("highlights")
        await expect(row).to_have_css("background-color", "rgba(0, 0, 0, 0)")
        await expect(page.locator("#hook-url")).to_have_value("http://127.0.0.1:9")

    assert set(highlights) == {"1", "order/PEN-1"}
    assert highlights.count("order/PEN-1") >= 2


@pytest.mark.asyncio(loop_scope="module")
async def test_empty_page_shows_how_to_connect(browser: Browser) -> None:
    async with Sandbox() as sandbox, looking_at(browser, sandbox.page) as page:
        connect = page.locator("#connect")
        constructor = f'base_url="{sandbox.base_url}"'
        for text in (sandbox.base_url, sandbox.username, sandbox.api_key, constructor):
            await expect(connect).to_contain_text(text)
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await connect.get_by_role("button", name="Copy the API key").click()
        await expect(page.locator("#toast")).to_contain_text(sandbox.api_key)
        assert await page.evaluate("navigator.clipboard.readText()") == sandbox.api_key


@pytest.mark.asyncio(loop_scope="module")
async def test_order_in_progress_is_not_shown_as_refused(browser: Browser) -> None:
    async with Sandbox(courier_seconds=1.5) as sandbox, looking_at(browser, sandbox.page) as page:
        states: list[str] = []
        create = asyncio.create_task(place(sandbox, "PEN-1"))
        state = page.locator("#orders .state")
        await expect(state).to_be_visible()
        while not create.done():
            states.append(await state.inner_text())
            await asyncio.sleep(0.05)
        await expect(state).to_have_text("OrderPlaced")
        assert set(states) <= {"placing", "OrderPlaced"}
        assert states[0] == "placing"
        await place(sandbox, "COURIER-REFUSES")
        await expect(page.locator("#orders .state.refused")).to_have_text("refused")


CUT = """() => [...document.querySelectorAll("header *, main *")]
    .filter((it) => it.offsetParent && !it.closest("pre, select, input"))
    .filter((it) => getComputedStyle(it).overflowX !== "visible")
    .filter((it) => it.scrollWidth > it.clientWidth + 1)
    .map((it) => it.id || it.className)"""


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.asyncio(loop_scope="module")
async def test_nothing_is_cut_off(browser: Browser, width: int) -> None:
    async with Sandbox() as sandbox:
        await place(sandbox, *(f"LONG-REFERENCE-OF-A-SHOP-{number:08}" for number in range(20)))
        sandbox.advance_all()
        async with looking_at(browser, sandbox.page) as page:
            await page.set_viewport_size({"width": width, "height": 800})
            await expect(page.locator("#orders li")).to_have_count(20)
            cut = await page.evaluate(CUT)
            page_width = await page.evaluate("document.documentElement.scrollWidth")

    assert (cut, page_width) == ([], width)


@pytest.mark.asyncio(loop_scope="module")
async def test_tabs_are_operated_by_arrow_keys_and_named_for_screen_readers(
    browser: Browser,
) -> None:
    async with Sandbox() as sandbox, looking_at(browser, sandbox.page) as page:
        await page.get_by_role("tab", name="Orders").focus()
        await page.keyboard.press("ArrowRight")
        await expect(page.get_by_role("tab", name="Returns")).to_be_focused()
        await expect(page.get_by_role("tabpanel", name="Returns")).to_be_visible()
        await page.keyboard.press("ArrowLeft")
        await page.keyboard.press("ArrowLeft")
        await expect(page.get_by_role("tabpanel", name="Webhooks")).to_be_visible()
        await expect(page.get_by_label("Too many calls: inject into the next call")).to_be_visible()
        await place(sandbox, "PEN-1")
        await expect(page.locator("#announce")).to_contain_text("orders.create_india PEN-1")


@pytest.mark.asyncio(loop_scope="module")
async def test_delivered_b2b_order_has_its_proof_of_delivery_there(browser: Browser) -> None:
    async with Sandbox() as sandbox, raw_client(sandbox.base_url) as http:
        await b2b_placed(http, "B2B-1")
        sandbox.advance(sandbox.ledger()["B2B-1"][0], 9)
        async with looking_at(browser, sandbox.page) as page:
            await page.click("#orders a")
            await expect(page.locator("#detail .facts")).to_contain_text("B2B")
            link = page.get_by_role("link", name="Proof of delivery")
            path = await link.get_attribute("href")
            proof = await http.get(sandbox.page.rstrip("/") + (path or ""))

    assert proof.content.startswith(b"%PDF")


# --- what can be done from it -------------------------------------------------------------------


@pytest.mark.asyncio(loop_scope="module")
async def test_fault_switched_on_on_the_page_makes_a_running_bulk_retry(browser: Browser) -> None:
    switched_on = asyncio.Event()

    async def orders() -> AsyncIterator[dict[str, Any]]:
        for number in range(60):
            if number == 10:
                await switched_on.wait()
            yield india_order(f"PEN-{number}")

    async with (
        Sandbox() as sandbox,
        looking_at(browser, sandbox.page) as page,
        client(sandbox) as clickpost,
    ):
        async with bulk.create(clickpost, orders()) as run:
            outcomes = aiter(run)
            calm = [await anext(outcomes) for _ in range(10)]
            repeats_before = run.report.retries
            await page.select_option("#drop_before", "0.25")
            await expect(page.locator(".fault.on")).to_contain_text("Cut before booking")
            switched_on.set()
            stormy = [outcome async for outcome in outcomes]
        await expect(page.locator("#total-requests")).to_have_text(str(len(sandbox.requests())))
        assert await page.locator("#requests .again").count() > 0

    assert repeats_before == 0
    assert {type(outcome) for outcome in (*calm, *stormy)} == {bulk.Placed}
    assert run.report.retries > 0
    assert {len(bought) for bought in sandbox.ledger().values()} == {1}
    assert len(sandbox.ledger()) == 60


@pytest.mark.asyncio(loop_scope="module")
async def test_every_fault_can_be_switched_on_and_off_on_the_page(browser: Browser) -> None:
    async with Sandbox() as sandbox, looking_at(browser, sandbox.page) as page:
        for fault in Fault:
            await page.select_option(f"#{fault.value}", "1.0")
        await page.select_option("#latency", "0.2")
        await expect(page.locator(".fault.on")).to_have_count(len(Fault) + 1)
        on = sandbox.faults.chances()
        for name in (*(fault.value for fault in Fault), "latency"):
            await page.select_option(f"#{name}", "0.0")
        await expect(page.locator(".fault.on")).to_have_count(0)

        await page.hover("label[for=drop_after]")
        await page.click("#once-drop_after")
        await expect(page.locator("#once-drop_after")).to_have_text("next 1")

    assert on == {"latency": 0.2, **dict.fromkeys(map(str, Fault), 1.0)}
    assert sandbox.faults.draw("PEN-1") is Fault.DROP_AFTER
    assert sandbox.faults == Faults()


@pytest.mark.asyncio(loop_scope="module")
async def test_time_is_advanced_on_the_page(browser: Browser) -> None:
    async with Sandbox(scan_every=3600) as sandbox, looking_at(browser, sandbox.page) as page:
        await place(sandbox, "PEN-1", "PEN-2")
        before = sandbox.now()
        await page.click("text=+6 h")
        await expect(page.locator("#orders .b6")).to_have_text(["Delivered", "Delivered"])
        await place(sandbox, "PEN-3")
        await page.click("text=Move every parcel one step")
        await expect(page.locator("#orders li").first).to_contain_text("PickedUp")

    assert 6 * 3600 <= sandbox.now() - before < 7 * 3600


@pytest.mark.asyncio(loop_scope="module")
async def test_clock_shows_the_date_in_india(browser: Browser) -> None:
    noon = datetime(2026, 3, 5, 12, tzinfo=UTC).timestamp()
    async with Sandbox(clock=lambda: noon) as sandbox, looking_at(browser, sandbox.page) as page:
        await expect(page.locator("#clock .now")).to_contain_text("05 Mar 17:3")
        await page.click("text=+1 day")
        await expect(page.locator("#clock .now")).to_contain_text("06 Mar 17:3")


@pytest.mark.asyncio(loop_scope="module")
async def test_return_is_requested_and_approved_on_the_page(browser: Browser) -> None:
    async with Sandbox() as sandbox:
        await place(sandbox, "PEN-1")
        sandbox.advance(sandbox.ledger()["PEN-1"][0], 9)
        async with looking_at(browser, sandbox.page) as page:
            await page.click("#orders a")
            await page.click("button:has-text('Request a return')")
            await page.click("#returns >> text=Approve")
            await page.click("#returns .end a")
            await expect(page.locator("#detail h2")).to_contain_text("Parcel")
            await expect(page.locator("#detail .journey .ahead").first).to_have_text("OutForPickup")


@pytest.mark.asyncio(loop_scope="module")
async def test_webhook_is_pushed_again_from_the_page(browser: Browser, receiver: Receiver) -> None:
    async with Sandbox() as sandbox, looking_at(browser, sandbox.page, refused=1) as page:
        await page.fill("#hook-url", "http://example.com/")
        await page.click("#hooks button")
        await expect(page.locator("#toast")).to_contain_text("to this machine only")
        await page.fill("#hook-url", receiver.url)
        await page.click("#hooks button")
        await expect(page.locator("#hooks")).to_contain_text(receiver.url)
        await place(sandbox, "PEN-1")
        await page.click("[data-tab=webhooks]")
        await page.click("#webhooks >> text=Push again")
        await expect(page.locator("#webhooks li")).to_have_count(2)

    first, second = receiver.payloads
    assert first == second
