"""Arguments of queries: invalid ones are refused before anything is sent."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from clickpost_async import ClickPost, InvalidRequestError, Outcome, RetryPolicy

LONG = "w" * 101

Ask = Callable[[ClickPost, Any], Awaitable[object]]

BY_WAYBILL: dict[str, Ask] = {
    "fetch_india": lambda c, waybill: c.orders.fetch_india(waybill, courier_partner=4),
    "fetch_world": lambda c, waybill: c.orders.fetch_world(waybill, courier_partner=4),
    "cancel": lambda c, waybill: c.orders.cancel(waybill, courier_partner=4, account_code="main"),
    "label": lambda c, waybill: c.labels.fetch(waybill, courier_partner=4),
    "regenerate": lambda c, waybill: c.labels.regenerate(waybill, courier_partner=4),
    "unregister": lambda c, waybill: c.tracking.unregister(waybill, courier_partner=4),
    "proof_of_delivery": lambda c, waybill: c.tracking.proof_of_delivery(
        waybill, courier_partner=4
    ),
    "security_key": lambda c, waybill: c.tracking.security_key(waybill, courier_partner=4),
    "set_whatsapp": lambda c, waybill: c.tracking.set_whatsapp(waybill, disabled=True),
}
BY_COURIER: dict[str, Ask] = {
    "fetch_india": lambda c, courier: c.orders.fetch_india("W1", courier_partner=courier),
    "fetch_world": lambda c, courier: c.orders.fetch_world("W1", courier_partner=courier),
    "cancel": lambda c, courier: c.orders.cancel(
        "W1", courier_partner=courier, account_code="main"
    ),
    "label": lambda c, courier: c.labels.fetch("W1", courier_partner=courier),
    "regenerate": lambda c, courier: c.labels.regenerate("W1", courier_partner=courier),
    "unregister": lambda c, courier: c.tracking.unregister("W1", courier_partner=courier),
    "proof_of_delivery": lambda c, courier: c.tracking.proof_of_delivery(
        "W1", courier_partner=courier
    ),
    "pincodes": lambda c, courier: c.serviceability.pincodes(courier, account_code="main"),
    "security_key": lambda c, courier: c.tracking.security_key("W1", courier_partner=courier),
    "track": lambda c, courier: c.tracking.track(["W1"], courier_partner=courier),
}
BY_REFERENCE: dict[str, Ask] = {
    "find_india": lambda c, reference: c.orders.find_india(reference),
    "find_world": lambda c, reference: c.orders.find_world(reference),
    "find_b2b": lambda c, reference: c.orders.find_b2b(reference),
}
BY_SWITCH: dict[str, Ask] = {
    "active": lambda c, value: c.couriers.accounts(active=value),
    "is_pickup_pincode": lambda c, value: c.serviceability.search(
        "110001", is_pickup_pincode=value
    ),
    "is_rvp": lambda c, value: c.serviceability.search("110001", is_rvp=value),
    "check_drop_pincode_validity": lambda c, value: c.delivery.predict(
        [{"pickup_pincode": "110001", "drop_pincode": "110016"}], check_drop_pincode_validity=value
    ),
    "disabled": lambda c, value: c.tracking.set_whatsapp("W1", disabled=value),
    "manually_update_status": lambda c, value: c.orders.cancel(
        "W1", courier_partner=4, account_code="main", manually_update_status=value
    ),
}


async def refused(ask: Ask, value: Any) -> InvalidRequestError:
    """Return what an argument is refused with, of which nothing may have left."""

    def respond(request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"{request.url.path} was asked")

    async with ClickPost(
        "acme",
        "not-a-real-key",
        transport=httpx.MockTransport(respond),
        retry=RetryPolicy.never(),
    ) as clickpost:
        with pytest.raises(InvalidRequestError) as caught:
            await ask(clickpost, value)
    assert (caught.value.outcome, caught.value.attempts) == (Outcome.NOT_SENT, 0)
    return caught.value


@pytest.mark.parametrize("name", BY_WAYBILL)
@pytest.mark.parametrize(
    ("waybill", "message"),
    [
        ("", "waybill: must not be blank"),
        ("  ", "waybill: must not be blank"),
        (None, "waybill: expected a string, got null"),
        (7700000001, "waybill: expected a string, got an integer: give str(x)"),
        (b"W1", "waybill: expected a string, got bytes: give text, by decode() or base64"),
        (LONG, "waybill: at most 100 characters, this has 101"),
    ],
)
@pytest.mark.asyncio
async def test_invalid_waybill_is_not_requested(name: str, waybill: Any, message: str) -> None:
    assert str(await refused(BY_WAYBILL[name], waybill)) == message


@pytest.mark.parametrize("name", BY_COURIER)
@pytest.mark.parametrize("courier", [None, 0, -4, 4.0, True, "", "delhivery", "4,5", "٤"])
@pytest.mark.asyncio
async def test_invalid_courier_id_is_not_requested(name: str, courier: Any) -> None:
    error = await refused(BY_COURIER[name], courier)

    assert [problem.path for problem in error.problems] == ["courier_partner"]


@pytest.mark.parametrize("name", BY_REFERENCE)
@pytest.mark.parametrize("reference", ["", " ", None, 7, LONG])
@pytest.mark.asyncio
async def test_invalid_reference_number_is_not_looked_up(name: str, reference: Any) -> None:
    error = await refused(BY_REFERENCE[name], reference)

    assert [problem.path for problem in error.problems] == ["reference_number"]


@pytest.mark.parametrize("name", BY_SWITCH)
@pytest.mark.parametrize("value", ["True", "yes", 1, 0, []])
@pytest.mark.asyncio
async def test_value_that_is_no_boolean_is_refused(name: str, value: Any) -> None:
    assert str(await refused(BY_SWITCH[name], value)).startswith(f"{name}: expected a boolean, got")


@pytest.mark.parametrize("pincode", [110001, None, ["110001"]])
@pytest.mark.asyncio
async def test_pincode_is_text(pincode: Any) -> None:
    error = await refused(lambda c, pincode: c.couriers.pincode(pincode), pincode)

    assert str(error).startswith("pincode: expected a string, got")


@pytest.mark.asyncio
async def test_all_problems_are_reported_together() -> None:
    error = await refused(
        lambda c, nothing: c.orders.cancel(
            nothing, courier_partner=nothing, account_code=nothing, manually_update_status=None
        ),
        "",
    )

    assert [problem.path for problem in error.problems] == [
        "waybill",
        "courier_partner",
        "account_code",
    ]


@pytest.mark.parametrize("courier", [325, "325"])
@pytest.mark.asyncio
async def test_couriers_number_may_be_written_as_text(courier: Any) -> None:
    asked: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"meta": {"status": 200}, "result": {"waybill": "W1"}})

    async with ClickPost(
        "acme", "not-a-real-key", transport=httpx.MockTransport(respond)
    ) as clickpost:
        await clickpost.orders.fetch_world("W1", courier_partner=courier)

    assert asked[0].url.params["cp_id"] == "325"
