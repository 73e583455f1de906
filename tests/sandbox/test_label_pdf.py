"""Labels as PDF, read back: their text and their barcodes."""

import io
from itertools import pairwise
from typing import Any

import pypdf
import pytest
from pypdf.generic import ContentStream

from clickpost_async.sandbox import Sandbox
from tests.sandbox.samples import INDIA, WORLD, client, india_order, world_order


async def label(path: str, order: dict[str, Any]) -> bytes:
    async with client(Sandbox()) as http:
        created = (await http.post(path, json=order)).json()["result"]
        return (await http.get(created["label"])).content


def page_of(pdf: bytes) -> pypdf.PageObject:
    (page,) = pypdf.PdfReader(io.BytesIO(pdf), strict=True).pages
    return page


@pytest.mark.asyncio
async def test_label_contains_what_a_courier_needs() -> None:
    order = india_order("PEN-1", shipment_details__awb_number="DL0001234567")
    page = page_of(await label(INDIA, order))

    text = page.extract_text()
    for words in (
        *("Delhivery", "lotus-surface", "COD", "Collect INR 890.50", "DL0001234567"),
        *("Meera Reader", "7 Banyan Road", "Pune, Maharashtra, 411001, IN", "9000000012"),
        *("Lotus Stationers", "14 Ink Lane", "Ahmedabad, Gujarat, 380009, IN"),
        *("Order PEN-1", "220 g, 20 x 12 x 5 cm", "1 x Fountain pen", "2 x Ink"),
    ):
        assert words in text
    assert (page.mediabox.width, page.mediabox.height) == (288, 432)


@pytest.mark.asyncio
async def test_prepaid_label_from_abroad_collects_nothing() -> None:
    text = page_of(await label(WORLD, world_order("LAMP-1"))).extract_text()

    assert "PREPAID" in text
    assert "Collect nothing" in text
    assert "Riyadh, Riyadh, 12611, SA" in text


@pytest.mark.asyncio
@pytest.mark.parametrize("waybill", ["DL0001234567", "41144869713534", "AWB/7 (a)", "x" * 60])
async def test_bars_are_the_waybill(waybill: str) -> None:
    order = india_order("PEN-1", shipment_details__awb_number=waybill)
    page = page_of(await label(INDIA, order))

    assert scanned(page) == waybill


@pytest.mark.asyncio
async def test_label_is_the_same_each_time_and_takes_letters_it_can_not_write() -> None:
    order = india_order(
        "PEN-1", drop_info__drop_name="मीरा Reader", drop_info__drop_address="x" * 900
    )

    first = await label(INDIA, order)

    assert first == await label(INDIA, order)
    assert "Reader" in page_of(first).extract_text()


# --- a scanner ----------------------------------------------------------------------------------


def scanned(page: pypdf.PageObject) -> str:
    """Read the bars of a page as a scanner does: widths of bars and gaps, six to a letter."""
    bars = sorted(_bars(page))
    edges = [edge for left, width in bars for edge in (left, left + width)]
    widths = [after - before for before, after in pairwise(edges)]
    narrow = min(widths)
    modules = [round(width / narrow) for width in widths]
    letters = [tuple(modules[at : at + 6]) for at in range(0, len(modules) - 7, 6)]
    values = [_VALUES[letter] for letter in letters]
    *content, check = values
    assert check == (values[0] + sum(n * v for n, v in enumerate(content[1:], 1))) % 103
    return _text(content)


def _bars(page: pypdf.PageObject) -> list[tuple[float, float]]:
    """Return left edge and width of every tall, narrow box."""
    found: list[tuple[float, float]] = []
    for operands, operator in ContentStream(page.get_contents(), page.pdf).operations:
        if operator == b"re":
            left, _, width, height = (float(operand) for operand in operands)
            if abs(height) > 30:
                found.append((left, width))
    return found


def _text(values: list[int]) -> str:
    codes = {103: "A", 104: "B", 105: "C"}
    mode, text = codes[values[0]], ""
    for value in values[1:]:
        switch = {99: "C", 100: "B", 101: "A"}.get(value)
        if switch and switch != mode and not (mode == "C" and value == 99):
            mode = switch
        elif mode == "C":
            text += f"{value:02}"
        else:
            text += chr(value + 32)
    return text


# ISO/IEC 15417: bar, gap, bar, gap, bar, gap of each value from 0 to 105.
_PATTERNS = """
212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 122132
122231 113222 123122 123221 223211 221132 221231 213212 223112 312131 311222 321122 321221 312212
322112 322211 212123 212321 232121 111323 131123 131321 112313 132113 132311 211313 231113 231311
112133 112331 132131 113123 113321 133121 313121 211331 231131 213113 213311 213131 311123 311321
331121 312113 312311 332111 314111 221411 431111 111224 111422 121124 121421 141122 141221 112214
112412 122114 122411 142112 142211 241211 221114 413111 241112 134111 111242 121142 121241 114212
124112 124211 411212 421112 421211 212141 214121 412121 111143 111341 131141 114113 114311 411113
411311 113141 114131 311141 411131 211412 211214 211232
"""
_VALUES = {tuple(map(int, pattern)): value for value, pattern in enumerate(_PATTERNS.split())}
