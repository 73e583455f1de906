"""Which pincodes the sandbox serves, how fast, and what a delivered parcel has to show."""

from typing import Any

import pytest

from clickpost_async import (
    ClickPostError,
    CredentialsError,
    InvalidRequestError,
)
from clickpost_async.sandbox import Sandbox
from tests.sandbox.samples import (
    at_midnight,
    b2b_order,
    client,
    connected,
    india_order,
    placed,
    registered,
)


@pytest.mark.asyncio
async def test_pincode_data_is_consistent() -> None:
    async with connected(Sandbox()) as clickpost:
        for drop, cod in (("411001", True), ("781001", False), ("999999", None)):
            check = await clickpost.serviceability.check(drop)
            options = await clickpost.serviceability.options("380009", drop, weight_kg=0.4)
            search = await clickpost.serviceability.search(drop)
            lists = await clickpost.serviceability.drop_pincodes()
            prediction = await clickpost.delivery.predict(
                [{"pickup_pincode": "380009", "drop_pincode": drop}]
            )

            assert check.serviceable is (cod is not None)
            assert check.cod is cod
            assert {option.serviceable.cod for option in options if option.serviceable} <= {cod}
            assert bool(options.rows) is (cod is not None)
            assert any(row.order_type == "COD" for row in search) is bool(cod)
            assert (drop in lists.drop["PREPAID"]) is (cod is not None)
            assert (drop in lists.drop["COD"]) is bool(cod)
            assert prediction[0].available is (cod is not None)
            for option in options:
                assert prediction[0].days_with(option.courier_partner or 0) is not None


@pytest.mark.asyncio
async def test_courier_refuses_an_order_to_a_pincode_that_is_not_served() -> None:
    async with connected(Sandbox()) as clickpost:
        served = await clickpost.serviceability.check("999999")
        with pytest.raises(ClickPostError) as caught:
            await clickpost.orders.create(india_order("R-1", drop_info__drop_pincode="999999"))

    assert not served
    assert caught.value.status == 319


@pytest.mark.asyncio
async def test_charges_and_days_grow_with_weight_and_distance() -> None:
    async with connected(Sandbox()) as clickpost:

        async def charge(drop: str, weight_kg: float | None) -> Any:
            options = await clickpost.serviceability.options(
                "380009", drop, weight_kg=weight_kg, courier_partner=4
            )
            return options[0].shipping_charge, options[0].committed_sla, options[0].zone

        near, far, heavy, unweighed = [
            await charge("380055", 0.4),
            await charge("781001", 0.4),
            await charge("380055", 1.4),
            await charge("380055", None),
        ]

    assert near[2] == "CITY"
    assert near[0].prepaid < heavy[0].prepaid
    assert near[0].prepaid < far[0].prepaid
    assert near[0].prepaid < near[0].cod
    assert near[1] < far[1]
    assert unweighed[0].prepaid is None


@pytest.mark.asyncio
async def test_reverse_pickup_is_served_by_the_accounts_for_returns() -> None:
    async with connected(Sandbox()) as clickpost:
        rvp = await clickpost.serviceability.search("380009", is_pickup_pincode=True, is_rvp=True)
        check = await clickpost.serviceability.check("380009", service_type="RVP")

    assert {row.account_name for row in rvp} == {"delhivery-returns", "xpressbees-returns"}
    assert check.exchange is True


@pytest.mark.asyncio
async def test_pincodes_of_an_account_are_those_that_it_serves() -> None:
    async with connected(Sandbox()) as clickpost:
        found = await clickpost.serviceability.pincodes(4, account_code="delhivery-surface")
        with pytest.raises(InvalidRequestError, match="inactive"):
            await clickpost.serviceability.pincodes(9, account_code="inactive-account")

    assert found.drop["PREPAID"] == found.pickup["PREPAID"]
    assert set(found.drop["PREPAID"]) > set(found.drop["COD"])


@pytest.mark.asyncio
async def test_courier_id_that_is_no_number_is_refused_with_djangos_message() -> None:
    async with client(Sandbox()) as http:
        query = {"courier_partner_id": '"4"', "account_code": "delhivery-surface"}
        reply = await http.get("/v1/bulk_serviceability_api/", params=query)

    assert reply.json()["meta"]["message"] == (
        "Field 'partner_id' expected a number but got '\"4\"'."
    )


@pytest.mark.asyncio
async def test_predictions_follow_the_order_of_the_pairs() -> None:
    pairs = [
        {"pickup_pincode": "380009", "drop_pincode": drop}
        for drop in ("380055", "999999", "781001")
    ]
    async with connected(at_midnight()) as clickpost:
        found = await clickpost.delivery.predict(pairs)

    assert [row.available for row in found] == [True, False, True]
    assert (found[0].predicted_sla_max or 0) < (found[2].predicted_sla_max or 0)
    assert found[0].pickup_date == "2026-03-02"


@pytest.mark.asyncio
async def test_drop_pincode_that_does_not_exist_is_refused_when_it_is_checked() -> None:
    pairs = [{"pickup_pincode": "380009", "drop_pincode": "411999"}]
    async with connected(Sandbox()) as clickpost:
        unchecked = await clickpost.delivery.predict(pairs)
        with pytest.raises(InvalidRequestError, match="Invalid drop pincode"):
            await clickpost.delivery.predict(pairs, check_drop_pincode_validity=True)

    assert unchecked[0].available


@pytest.mark.asyncio
async def test_predictions_that_are_not_subscribed_to_are_refused_under_http_401() -> None:
    pair = {
        "pickup_pincode": "380009",
        "drop_pincode": "411001",
        "optional": {"account_code": "not-subscribed"},
    }
    async with connected(Sandbox()) as clickpost:
        with pytest.raises(CredentialsError) as caught:
            await clickpost.delivery.predict([pair])

    assert (caught.value.status, caught.value.http_status) == (320, 401)


@pytest.mark.asyncio
async def test_route_across_a_border_takes_longer() -> None:
    def route(country: str) -> dict[str, Any]:
        return {
            "pickup_details": {"pincode": "12611", "country": "SA"},
            "drop_details": {"pincode": "12345", "country": country},
        }

    async with connected(Sandbox()) as clickpost:
        near = await clickpost.delivery.predict_world(route("SA"))
        far = await clickpost.delivery.predict_world(route("AE"))

    assert (near.predicted_sla_max or 0) < (far.predicted_sla_max or 0)


# --- tracking -----------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_proof_of_delivery_is_there_once_a_parcel_is_delivered() -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http:
        await placed(http, "W1")
        async with connected(sandbox) as clickpost:
            with pytest.raises(InvalidRequestError, match="no shipment found"):
                await clickpost.tracking.proof_of_delivery("W1", courier_partner=4)
            early = await http.get("http://sandbox.test/proofs/W1.pdf")
            sandbox.advance("W1", 4)
            proof = await clickpost.tracking.proof_of_delivery("W1", courier_partner=4)
        file = await http.get(proof.url or "")

    assert early.status_code == 404
    assert file.headers["content-type"] == "application/pdf"
    assert file.content.startswith(b"%PDF")


@pytest.mark.asyncio
async def test_account_without_proofs_of_delivery_is_refused() -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http:
        await registered(http, "W1")
        sandbox.store.update(sandbox.parcel_named("W1"), account_code="not-registered")
        sandbox.advance("W1", 9)
        async with connected(sandbox) as clickpost:
            with pytest.raises(CredentialsError, match="not Registered") as caught:
                await clickpost.tracking.proof_of_delivery("W1", courier_partner=4)

    assert caught.value.status == 306


@pytest.mark.asyncio
async def test_unregistered_parcel_expires_and_moves_no_more() -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http, connected(sandbox) as clickpost:
        await registered(http, "W1")
        first = await clickpost.tracking.unregister("W1", courier_partner=4)
        again = await clickpost.tracking.unregister("W1", courier_partner=4)
        with pytest.raises(InvalidRequestError):
            await clickpost.tracking.unregister("NONE", courier_partner=4)

    assert (first.waybill, again.waybill) == ("W1", "W1")
    assert sandbox.advance("W1") == 23
    assert len(sandbox.scans("W1")) == 2


@pytest.mark.asyncio
async def test_security_key_is_the_same_by_waybill_and_by_reference_number() -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http, connected(sandbox) as clickpost:
        await placed(http, "W1")
        by_waybill = await clickpost.tracking.security_key("W1", courier_partner=4)
        by_reference = await clickpost.tracking.security_key(reference_number="REF-W1")
        with pytest.raises(InvalidRequestError):
            await clickpost.tracking.security_key(reference_number="NONE")

    assert by_reference == by_waybill


@pytest.mark.asyncio
async def test_order_is_cancelled_without_its_account_code() -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http, connected(sandbox) as clickpost:
        await placed(http, "W1")
        cancelled = await clickpost.orders.cancel("W1", courier_partner=4)

    assert cancelled.cancelled


@pytest.mark.asyncio
async def test_b2b_order_is_created_and_found_by_the_client() -> None:
    async with connected(Sandbox(async_polls=0)) as clickpost:
        pending = await clickpost.with_options(retry=clickpost.retry.never()).orders.create_b2b(
            b2b_order("B-1")
        )
        found = await clickpost.orders.find_b2b("B-1")

    assert pending.pending
    assert found.waybill
    assert [child.reference_number for child in found.children] == ["BOX.001", "BOX.002", None]
