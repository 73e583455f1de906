"""What the sandbox stores, and what it does not."""

from pathlib import Path

import pytest

from clickpost_async.sandbox import Order, SandboxStore, State


def attempt(store: SandboxStore, reference: str) -> None:
    columns = {"version": "v3", "courier_partner": 4, "account_code": "lotus"}
    store.attempt_order(reference, body=b"{}", **columns)


def test_order_that_was_only_tried_is_not_among_the_orders() -> None:
    store = SandboxStore()
    attempt(store, "A")
    attempt(store, "A")

    assert store.orders() == {}
    order = store.get(Order, reference_number="A")
    assert (order.state, order.attempts) == (State.PLACING, 2)


def test_label_and_its_order_are_written_together_or_not_at_all() -> None:
    store = SandboxStore()
    attempt(store, "A")

    def interrupted() -> None:
        with store.together():
            store.buy_label("A", "W1")
            store.update(store.get(Order, reference_number="A"), state=State.PLACED, waybill="W1")
            raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        interrupted()
    assert (store.ledger(), store.orders()) == ({}, {})

    with store.together():
        store.buy_label("A", "W2")
        store.update(store.get(Order, reference_number="A"), state=State.PLACED, waybill="W2")
    assert store.ledger() == {"A": ("W2",)}
    assert store.orders()["A"].waybill == "W2"


def test_ledger_keeps_every_label_in_the_order_they_were_bought() -> None:
    store = SandboxStore()
    for reference, waybill in (("A", "W1"), ("B", "W2"), ("A", "W3")):
        store.buy_label(reference, waybill)

    assert store.ledger() == {"A": ("W1", "W3"), "B": ("W2",)}
    assert store.bought("A") == ("W1", "W3")


def test_another_store_reads_the_same_file_while_it_is_open(tmp_path: Path) -> None:
    writing, reading = (SandboxStore(tmp_path / "sandbox.db") for _ in range(2))
    writing.buy_label("A", "W1")

    assert reading.ledger() == {"A": ("W1",)}
    for store in (writing, reading):
        store.close()
        store.close()


def test_unknown_order_is_a_clear_error() -> None:
    with pytest.raises(LookupError, match="has no order with reference_number A"):
        SandboxStore().get(Order, reference_number="A")
