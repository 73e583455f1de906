"""Every error of a file is found before anything is sent."""

import io
import json
from typing import Any

from clickpost_async.bulk import check, read_orders
from tests.sandbox.samples import india_order


def lines(*orders: object) -> io.StringIO:
    return io.StringIO("".join(json.dumps(order) + "\n" for order in orders))


def test_check_reports_every_mistake_with_its_row() -> None:
    wrong = india_order("C-2")
    wrong["drop_info"]["drop_pincode"] = "41100"
    wrong["shipment_details"]["weight"] = -1

    found = list(check(read_orders(lines(india_order("C-1"), wrong), format="jsonl")))

    assert [(row.reference, len(problems)) for row, problems in found] == [("C-1", 0), ("C-2", 2)]
    assert {(problem.row, problem.column) for problem in found[1][1]} == {
        (2, "drop_info.drop_pincode"),
        (2, "shipment_details.weight"),
    }


def test_check_refuses_the_second_order_with_a_reference() -> None:
    other: Any = india_order("C-1")
    other["drop_info"]["drop_name"] = "Another"
    rows = list(read_orders(lines(india_order("C-1")), format="jsonl"))
    rows += read_orders(lines(other), format="jsonl")

    found = list(check(rows))

    assert [[str(problem) for problem in problems] for _, problems in found] == [
        [],
        ["row 1, shipment_details.reference_number: row 1 has it too, for another order"],
    ]


def test_same_order_twice_is_a_warning_as_it_is_created_once() -> None:
    reader = read_orders(lines(india_order("C-1"), india_order("C-1")), format="jsonl")

    (_, first), (row, second) = check(reader)

    assert (first, second) == ((), ())
    assert str(row.warnings[0]).endswith("row 1 has the same order")
    assert (reader.counts.orders, reader.counts.rejected) == (2, 0)


def test_check_passes_on_mistakes_of_reading() -> None:
    [(row, problems)] = check(read_orders(io.StringIO("reference_number,weight\nC-1,heavy\n")))

    assert (row.number, problems) == (2, row.problems)
