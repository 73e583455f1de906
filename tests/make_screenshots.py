"""Takes the screenshots of the sandbox's page: empty, during a bulk run, an order's journey.

`python -m tests.make_screenshots [FOLDER]` writes them there, and the README's into `.github/`
without a folder.
"""

import asyncio
import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.async_api import Page

from clickpost_async import ClickPost, Rate, RetryPolicy, bulk
from clickpost_async.sandbox import Sandbox
from tests.sandbox.browser import chromium, looking_at
from tests.sandbox.samples import india_order

ROOT = Path(__file__).resolve().parent.parent
_CITIES = ("Pune", "Delhi", "Kochi", "Jaipur", "Indore", "Surat", "Patna")
_COURIERS = (4, 5, 6, 9, 55)
_REPEATS = RetryPolicy(attempts=8, backoff=0.05, settle_delay=0.2)
_BEGUN, _HALF, _ORDERS = 90, 170, 240


def order(number: int) -> dict[str, Any]:
    """Return one of many orders, which differ as those of a shop do."""
    refused = "COURIER-REFUSES-" if number == _HALF - 6 else ""
    cod = number % 3 > 0
    return india_order(
        f"{refused}SHOE-{10400 + number}",
        drop_info__drop_city=_CITIES[number % 7],
        shipment_details__courier_partner=_COURIERS[number * 7 % 5],
        shipment_details__order_type="COD" if cod else "PREPAID",
        shipment_details__cod_value=499.0 + 37 * (number % 29) if cod else 0,
    )


async def take(folder: Path) -> None:
    """Play a bulk run, and take pictures of it."""
    sandbox = Sandbox(scan_every=6 * 3600)
    async with sandbox, chromium() as browser, looking_at(browser, sandbox.page) as page:
        await picture(page, folder / "empty.png")
        await in_the_middle_of_a_bulk(sandbox, page, folder / "sandbox.png")
        waybill = next(line.waybill for line in sandbox.order_list(99) if line.code == 5)
        sandbox.fail_delivery(waybill or "")
        await page.click(f"#orders a:has-text('{waybill}')")
        await page.mouse.move(0, 0)
        await picture(page, folder / "journey.png")
        await page.emulate_media(color_scheme="dark")
        await picture(page, folder / "journey-dark.png")


async def in_the_middle_of_a_bulk(sandbox: Sandbox, page: Page, path: Path) -> None:
    """Push orders while faults are on and parcels move, and take a picture in between."""
    async with (
        ClickPost(
            sandbox.username,
            sandbox.api_key,
            base_url=sandbox.base_url,
            rate=Rate(30),
            retry=_REPEATS,
        ) as clickpost,
        bulk.create(clickpost, map(order, range(_ORDERS))) as run,
    ):
        done = 0
        async for _ in run:
            done += 1
            if done == _BEGUN:
                await page.select_option("#latency", "0.2")
                await page.select_option("#busy", "0.05")
                await page.select_option("#drop_after", "0.1")
            if done == _HALF:
                await asyncio.sleep(0.5)
                for place, line in enumerate(sandbox.order_list(60)[2:]):
                    if line.waybill and place % 5:
                        sandbox.advance(line.waybill, 1 + place // 5)
                    if line.waybill and place in (7, 13):
                        sandbox.fail_delivery(line.waybill)
                await picture(page, path)
                sandbox.faults.clear()


async def picture(page: Page, path: Path) -> None:
    """Take one once the page has calmed down."""
    await page.wait_for_timeout(400)
    with Image.open(io.BytesIO(await page.screenshot())) as taken:
        # A third of the bytes, and one sees no difference.
        taken.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path, path.stat().st_size // 1024, "kB")  # noqa: T201 - who takes pictures wants to know


if __name__ == "__main__":
    if sys.argv[1:]:
        asyncio.run(take(Path(sys.argv[1])))
    else:
        with tempfile.TemporaryDirectory() as made:
            asyncio.run(take(Path(made)))
            (ROOT / ".github").mkdir(exist_ok=True)
            (ROOT / ".github/sandbox.png").write_bytes((Path(made) / "sandbox.png").read_bytes())
