"""A FastAPI application that creates orders: `uvicorn fastapi_app:app`."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI

from clickpost_async import ClickPost, ClickPostError
from clickpost_async.integrations.starlette import get_clickpost, handle_error, lifespan

app = FastAPI(lifespan=lifespan(ClickPost), exception_handlers={ClickPostError: handle_error})


@app.post("/orders", status_code=201)
async def create_order(
    order: dict[str, Any], clickpost: Annotated[ClickPost, Depends(get_clickpost)]
) -> dict[str, str | None]:
    created = await clickpost.with_options(deadline=20).orders.create(order)
    return {"waybill": created.waybill, "label": created.label}
