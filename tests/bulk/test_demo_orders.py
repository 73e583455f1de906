import csv
import runpy
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from clickpost_async._codec.converter import structure
from clickpost_async.errors import InvalidRequestError
from clickpost_async.files import reader
from clickpost_async.files.columns import Market
from clickpost_async.files.order_rows import OrderRow, RowProblem
from clickpost_async.files.reader import read_orders
from clickpost_async.structures import IndiaOrder, WorldOrder

FILE = Path(reader.__file__).with_name("orders.csv")
SCRIPT = Path(__file__).parent.parent / "make_demo_orders.py"


def problems_of(row: OrderRow) -> list[RowProblem]:
    if row.order is None:
        return list(row.problems)
    try:
        structure(row.order, IndiaOrder if row.market is Market.INDIA else WorldOrder)
    except InvalidRequestError as mistakes:
        return [row.locate(problem.path, problem.message) for problem in mistakes.problems]
    return []


def orders() -> Iterator[tuple[str, OrderRow]]:
    with FILE.open(encoding="utf-8", newline="") as file:
        notes = [cells[1] for cells in csv.reader(file)]
    for row in read_orders(FILE):
        yield notes[row.number - 1], row


def test_file_is_what_its_script_writes() -> None:
    script = runpy.run_path(str(SCRIPT))

    assert FILE.read_text(encoding="utf-8") == script["written"](script["make"]())


def test_only_the_orders_that_are_meant_to_be_wrong_are_wrong() -> None:
    for note, row in orders():
        assert bool(problems_of(row)) == note.startswith("wrong"), (row.number, note)


def test_every_mistake_is_located_in_row_and_column() -> None:
    with FILE.open(encoding="utf-8", newline="") as file:
        columns = next(csv.reader(file))
    for _, row in orders():
        for problem in problems_of(row):
            assert row.number <= problem.row <= row.last
            assert problem.column in columns


def test_repeated_orders_are_the_same_as_before() -> None:
    seen: dict[str | None, object] = {}
    for note, row in orders():
        if note.startswith("again"):
            assert row.order == seen[row.reference]
        else:
            assert row.reference not in seen
        seen[row.reference] = row.order


def test_file_shows_everything_an_order_can_be() -> None:
    kinds: Counter[str] = Counter()
    for note, row in orders():
        kinds[note.partition(":")[0] or "fine"] += 1
        if row.order is None or note:
            continue
        shipment = row.order["shipment_details"]
        additional = row.order.get("additional")
        assert isinstance(shipment, dict)
        kinds[row.market] += 1
        kinds[shipment["order_type"]] += 1
        kinds[shipment["delivery_type"]] += 1
        kinds["multi piece"] += len(shipment["items"]) > 1
        kinds["asynchronous"] += isinstance(additional, dict) and additional.get("async") is True

    assert kinds == {
        "fine": 250,
        "wrong": 29,
        "refused": 11,
        "trouble": 3,
        "again": 6,
        "india": 176,
        "world": 74,
        "PREPAID": 156,
        "COD": 84,
        "EXCHANGE": 10,
        "FORWARD": 226,
        "RVP": 24,
        "multi piece": 18,
        "asynchronous": 21,
    }


def test_no_mail_address_can_be_a_real_one() -> None:
    text = FILE.read_text(encoding="utf-8")

    assert text.count("@") == text.count("@example.com")
