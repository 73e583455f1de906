"""The README stays short, leads somewhere, and its ten lines place orders."""

import re

import pytest

from clickpost_async.endpoints import CATALOG
from clickpost_async.sandbox import Sandbox
from tests.docs.pages import README, ROOT, blocks
from tests.helpers.strategies import india

TEXT = README.read_text(encoding="utf-8")


def test_readme_is_short() -> None:
    assert len(TEXT.splitlines()) < 100


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!https:)([^)#]+)", TEXT))))
def test_a_link_leads_to_a_file(link: str) -> None:
    assert (ROOT / link).is_file()


def test_readme_counts_the_operations() -> None:
    assert f"All {len(CATALOG)} operations" in TEXT


@pytest.mark.asyncio
async def test_its_ten_lines_place_orders(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [lines] = [block.text for block in blocks(README) if "asyncio.gather" in block.text]
    names: dict[str, object] = {}
    exec(lines, names)
    orders = [india({"shipment_details.reference_number": f"README-{n}"}) for n in range(3)]
    async with Sandbox() as sandbox:
        monkeypatch.setenv("CLICKPOST_USERNAME", sandbox.username)
        monkeypatch.setenv("CLICKPOST_API_KEY", sandbox.api_key)
        monkeypatch.setenv("CLICKPOST_BASE_URL", sandbox.base_url)
        await names["main"](orders)  # type: ignore[operator]

    assert len(lines.splitlines()) <= 10
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert len(sandbox.ledger()) == 3
