"""Exported samples pass the contract tests and contain no personal data."""

import json
from pathlib import Path
from typing import Any

import pytest

from clickpost_async import ClickPost, ClickPostError, RetryPolicy
from clickpost_async.sandbox import Sandbox
from tests.sandbox.samples import b2b_order, india_order, world_order
from tests.test_contract import Sample, called


async def played() -> Sandbox:
    """Let a client make a few calls of all sorts."""
    never = RetryPolicy.never()
    sandbox = Sandbox()
    sandbox.start()
    try:
        async with ClickPost(
            sandbox.username, sandbox.api_key, base_url=sandbox.base_url, retry=never
        ) as clickpost:
            placed = await clickpost.orders.create_india(india_order("PEN-1"))
            await clickpost.orders.create_world(world_order("LAMP-1"))
            await clickpost.orders.create_india(india_order("PEN-1"))
            await clickpost.orders.find_india("PEN-1")
            await clickpost.orders.fetch_india(placed.waybill or "", courier_partner=4)
            sandbox.faults.next("server_error", reference_number="PEN-2")
            for reference in ("COURIER-REFUSES", "PEN-2"):
                with pytest.raises(ClickPostError):
                    await clickpost.orders.create_india(india_order(reference))
            sandbox.faults.next("drop_before")
            with pytest.raises(ClickPostError):
                await clickpost.orders.create_india(india_order("PEN-3"))
    finally:
        sandbox.stop()
    return sandbox


@pytest.mark.asyncio
async def test_samples_have_the_shape_of_the_golden_ones_and_are_valid() -> None:
    samples = (await played()).samples()

    calls = [sample["call"] for sample in samples.values()]
    assert calls.count("orders.create_india") == 4
    assert {"orders.find_india", "orders.fetch_india", "orders.create_world"} <= set(calls)
    for name, recorded in samples.items():
        sample = Sample(name.replace("/", ".", 1).removesuffix(".json"), recorded)
        result, (request,) = await called(sample)
        assert request.method == recorded["request"]["method"]
        assert dict(request.url.params) == recorded["request"]["query"]
        assert json.loads(request.content or b"null") == recorded["request"]["body"]
        if "raises" in recorded:
            assert type(result).__name__ == recorded["raises"]["kind"]
            assert result.outcome.value == recorded["raises"]["outcome"]
        else:
            assert result.response.status == recorded["expect"]["response.status"]


@pytest.mark.asyncio
async def test_samples_contain_no_personal_data(tmp_path: Path) -> None:
    sandbox = await played()

    paths = sandbox.write_samples(tmp_path)

    assert {path.parent.name for path in paths} == {"orders"}
    written = "".join(path.read_text("utf-8") for path in paths)
    persons = ("Meera", "Banyan", "9000000012", "Lotus Stationers", "Omar", "lotus.example")
    assert [word for word in (*persons, sandbox.api_key) if word in written] == []
    assert "Asha Tester" in written
    assert "PEN-1" in written


@pytest.mark.asyncio
async def test_samples_have_arguments_where_the_payload_is_one() -> None:
    sandbox = Sandbox()
    sandbox.start()
    pair = {"pickup_pincode": "380009", "drop_pincode": "411001"}
    try:
        async with ClickPost(
            sandbox.username,
            sandbox.api_key,
            base_url=sandbox.base_url,
            retry=RetryPolicy.never(),
        ) as clickpost:
            await clickpost.orders.create_b2b(b2b_order("B-1"))
            await clickpost.orders.find_b2b("B-1")
            await clickpost.delivery.predict([pair])
            await clickpost.serviceability.check("411001")
            await clickpost.serviceability.search("411001")
    finally:
        sandbox.stop()

    samples = {sample["call"]: sample for sample in sandbox.samples().values()}

    assert "args" not in samples["serviceability.check"]
    assert samples["delivery.predict"]["args"] == [[pair]]
    rows: Any = samples["serviceability.search"]["response"]
    assert rows["body"]["result"][0]["account_type__courier_partner__name"] == "Bluedart"
    for call in ("orders.create_b2b", "orders.find_b2b", "delivery.predict"):
        recorded = samples[call]
        result, (request,) = await called(Sample(call, recorded))
        assert json.loads(request.content or b"null") == recorded["request"]["body"]
        assert result.response.status == recorded["expect"]["response.status"]
    assert "Meera" not in json.dumps(samples)


@pytest.mark.asyncio
async def test_same_calls_are_the_same_samples_each_time() -> None:
    def stable(samples: Any) -> str:
        text = json.dumps({name: sample["response"] for name, sample in samples.items()})
        return text[: text.index("http://127")] if "http://127" in text else text

    assert stable((await played()).samples()) == stable((await played()).samples())
