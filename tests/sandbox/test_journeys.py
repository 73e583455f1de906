"""Journeys of parcels: by call, by clock, and exceptional ones."""

from typing import Any

import pytest

from clickpost_async.sandbox import Sandbox
from tests.sandbox.samples import MIDNIGHT, at_midnight, client, placed, registered


def codes(sandbox: Sandbox, waybill: str) -> list[int]:
    return [scan.code for scan in reversed(sandbox.scans(waybill))]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("changes", "way"),
    [
        ({}, [1, 4, 5, 6, 8]),
        (
            {
                "shipment_details__delivery_type": "RVP",
                "shipment_details__rvp_reason": "wrong ink",
                "shipment_details__courier_partner": 25,
            },
            [1, 25, 4, 5, 6, 8],
        ),
        ({"shipment_details__order_type": "EXCHANGE"}, [1, 4, 5, 6, 30, 31, 32]),
    ],
    ids=["forward", "reverse", "exchange"],
)
async def test_parcel_journey_ends_at_its_final_status(
    changes: dict[str, Any], way: list[int]
) -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http:
        await placed(http, "W1", **changes)

    assert sandbox.advance("W1") == way[1]
    assert sandbox.advance("W1", steps=99) == way[-1]
    assert codes(sandbox, "W1") == way


@pytest.mark.asyncio
async def test_registered_parcel_begins_as_registered() -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http:
        await registered(http, "EXT-1")
    sandbox.advance("EXT-1", steps=9)

    assert codes(sandbox, "EXT-1") == [28, 4, 5, 6, 8]
    (parcel,) = sandbox.parcels()
    assert (parcel.waybill, parcel.ordered, parcel.upcoming) == ("EXT-1", False, None)


@pytest.mark.asyncio
async def test_parcel_without_ndr_instructions_is_held_and_returned() -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http:
        await placed(http, "W1")
    sandbox.fail_delivery("W1", ndr_code=6)
    failed = sandbox.scans("W1")[0]
    sandbox.advance("W1", steps=9)

    assert (failed.ndr_code, failed.remark) == (6, "Address issue")
    assert codes(sandbox, "W1") == [1, 4, 5, 6, 9, 20, 12, 21, 13, 14]


@pytest.mark.asyncio
async def test_delivery_can_fail_again_and_again() -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http:
        await placed(http, "W1")
    sandbox.advance("W1", steps=3)
    for _ in range(2):
        sandbox.fail_delivery("W1")

    assert codes(sandbox, "W1") == [1, 4, 5, 6, 9, 6, 9]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({}, 9),
        ({"shipment_details__order_type": "EXCHANGE"}, 4),
        (
            {
                "shipment_details__delivery_type": "RVP",
                "shipment_details__rvp_reason": "wrong ink",
                "shipment_details__courier_partner": 25,
            },
            1,
        ),
    ],
    ids=["delivered", "exchanged", "on its way back"],
)
async def test_parcel_not_out_for_delivery_cannot_fail_delivery(
    changes: dict[str, Any], steps: int
) -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http:
        await placed(http, "W1", **changes)
    sandbox.advance("W1", steps)
    before = codes(sandbox, "W1")

    with pytest.raises(ValueError, match="not going to be delivered"):
        sandbox.fail_delivery("W1")
    assert codes(sandbox, "W1") == before


@pytest.mark.asyncio
async def test_undocumented_scan_codes_do_not_end_a_journey() -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http:
        await placed(http, "W1")
        sandbox.scan("W1", 43)
        reply = await http.get("/v2/track-order/", params={"waybill": "W1", "cp_id": 4})
    sandbox.advance("W1")
    sandbox.scan("W1", 16)

    assert reply.json()["result"]["W1"]["latest_status"]["clickpost_status_code"] == 43
    assert sandbox.advance("W1") == 16
    assert codes(sandbox, "W1") == [1, 43, 4, 16]


@pytest.mark.asyncio
async def test_parcels_move_by_the_clock_at_the_moments_they_are_due() -> None:
    sandbox = at_midnight(scan_every=100.0)
    async with client(sandbox) as http:
        await placed(http, "W1")
        sandbox.tick(50)
        await placed(http, "W2")
        sandbox.tick(160)

        assert [(scan.code, scan.moment - MIDNIGHT) for scan in sandbox.scans("W1")] == [
            (5, 200),
            (4, 100),
            (1, 0),
        ]
        assert [(scan.code, scan.moment - MIDNIGHT) for scan in sandbox.scans("W2")] == [
            (4, 150),
            (1, 50),
        ]
    sandbox.tick(10_000)
    assert [codes(sandbox, waybill) for waybill in ("W1", "W2")] == [[1, 4, 5, 6, 8]] * 2


@pytest.mark.asyncio
async def test_call_returns_parcels_as_the_clock_has_moved_them() -> None:
    now = [float(MIDNIGHT)]
    sandbox = Sandbox(clock=lambda: now[0], scan_every=60.0)
    async with client(sandbox) as http:
        await placed(http, "W1")
        now[0] += 120
        reply = await http.get("/v2/track-order/", params={"waybill": "W1", "cp_id": 4})

    assert reply.json()["result"]["W1"]["latest_status"]["clickpost_status_code"] == 5


@pytest.mark.asyncio
async def test_without_scan_every_time_moves_no_parcel() -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http:
        await placed(http, "W1")
    sandbox.tick(86_400)

    assert codes(sandbox, "W1") == [1]
    assert sandbox.now() == MIDNIGHT + 86_400


def test_impossible_journey_is_refused() -> None:
    sandbox = Sandbox()
    with pytest.raises(LookupError, match="no parcel with waybill W9"):
        sandbox.advance("W9")
    with pytest.raises(ValueError, match="at least one step"):
        sandbox.advance("W9", steps=0)
    with pytest.raises(ValueError, match="only goes forward"):
        sandbox.tick(-1)
    with pytest.raises(ValueError, match="scan_every"):
        Sandbox(scan_every=0)
    with pytest.raises(ValueError, match="page_size"):
        Sandbox(page_size=0)


@pytest.mark.asyncio
async def test_file_keeps_parcels_and_recorded_calls(tmp_path: Any) -> None:
    file = tmp_path / "sandbox.db"
    with at_midnight(path=file) as sandbox:
        async with client(sandbox) as http:
            await placed(http, "W1")
        sandbox.fail_delivery("W1")
        reference = sandbox.request_return("W1")

    with at_midnight(path=file) as sandbox:
        assert codes(sandbox, "W1") == [1, 4, 5, 6, 9]
        assert sandbox.approve_return(reference)
