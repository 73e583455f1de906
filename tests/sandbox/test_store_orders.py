"""What the sandbox remembers, and what it does not."""

from pathlib import Path

import pytest

from clickpost_async.sandbox import OrderStore, State


def attempt(book: OrderStore, reference: str) -> None:
    book.attempt(reference, version="v3", body=b"{}", courier_partner=4, account_code="lotus")


def test_an_order_that_was_only_tried_is_not_among_the_orders() -> None:
    book = OrderStore()
    attempt(book, "A")
    attempt(book, "A")

    assert book.orders() == {}
    assert (book.known("A").state, book.known("A").attempts) == (State.REFUSED, 2)


def test_a_label_and_its_order_are_written_together_or_not_at_all() -> None:
    book = OrderStore()
    attempt(book, "A")

    def interrupted() -> None:
        with book.together():
            book.buy("A", "W1")
            book.place(book.known("A"), waybill="W1", label=None)
            raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        interrupted()
    assert (book.ledger(), book.orders()) == ({}, {})

    with book.together():
        book.buy("A", "W2")
        book.place(book.known("A"), waybill="W2", label=None)
    assert book.ledger() == {"A": ("W2",)}
    assert book.orders()["A"].waybill == "W2"


def test_the_ledger_keeps_every_label_in_the_order_they_were_bought() -> None:
    book = OrderStore()
    for reference, waybill in (("A", "W1"), ("B", "W2"), ("A", "W3")):
        book.buy(reference, waybill)

    assert book.ledger() == {"A": ("W1", "W3"), "B": ("W2",)}
    assert book.bought("A") == ("W1", "W3")


def test_another_book_reads_the_same_file_while_it_is_open(tmp_path: Path) -> None:
    writing, reading = (OrderStore(tmp_path / "sandbox.db") for _ in range(2))
    writing.buy("A", "W1")

    assert reading.ledger() == {"A": ("W1",)}
    for book in (writing, reading):
        book.close()
        book.close()


def test_an_unknown_order_is_a_clear_error() -> None:
    with pytest.raises(LookupError, match="no such order"):
        OrderStore().known("A")
