"""Follow updated orders and resume from a checkpoint: `python track_and_returns.py`."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from clickpost_async import Checkpoint, ClickPost

STORED = Path("checkpoint.json")


async def main() -> None:
    checkpoint = Checkpoint.from_json(STORED.read_text()) if STORED.exists() else None
    async with ClickPost() as clickpost:
        start = datetime.now(UTC) - timedelta(hours=6)
        updates = clickpost.orders.iter_updated(start, checkpoint=checkpoint)
        async for order in updates:
            print(order.waybill, order.clickpost_status_code)
        STORED.write_text(updates.checkpoint.to_json())


asyncio.run(main())
