"""Create one order and download its label: `python create_order.py`."""

import asyncio

from orders import order

from clickpost_async import ClickPost, ClickPostError, Outcome


async def main() -> None:
    async with ClickPost() as clickpost:
        try:
            created = await clickpost.orders.create(order("EX-1001"))
        except ClickPostError as error:
            print(error, "-", error.advice)
            if error.outcome is Outcome.UNKNOWN:
                print("look it up before you send it again:", error.reference_number)
            return
        await clickpost.labels.download(created.label, "label.pdf")
        print("waybill", created.waybill, "label.pdf")


asyncio.run(main())
