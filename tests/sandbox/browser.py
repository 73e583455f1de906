"""Debian's chromium, driven by playwright, on the sandbox's page."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from clickpost_async.sandbox import Sandbox
from tests.helpers.programs import program
from tests.sandbox.samples import INDIA, india_order, raw_client

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@asynccontextmanager
async def chromium() -> AsyncGenerator[Browser, None]:
    """Run a browser while the block runs."""
    path = program("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncGenerator[Browser, None]:
    """Return a browser that all tests of a module share; its start takes a second."""
    async with chromium() as started:
        yield started


@asynccontextmanager
async def looking_at(
    browser: Browser, address: str, *, refused: int = 0
) -> AsyncGenerator[Page, None]:
    """Open a page, and fail at the end if it complained; a browser reports calls refused."""
    async with await browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        page = await context.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.set_default_timeout(10_000)
        await page.goto(address)
        await page.wait_for_selector("#live[data-state=live]")
        yield page
        unexpected = [words for words in complaints if "400 (Bad Request)" not in words]
        assert (unexpected, len(complaints)) == ([], refused)


async def place(sandbox: Sandbox, *references: str, **changes: Any) -> None:
    """Place orders at a sandbox that is served."""
    async with raw_client(sandbox.base_url) as http:
        for reference in references:
            await http.post(INDIA, json=india_order(reference, **changes))
