"""The counts of a run."""

from typing import Any

from clickpost_async import NoReplyError, NotSentError, ResponseInfo
from clickpost_async.bulk import Pending, Placed, Rejected, Report, Unknown
from clickpost_async.structures import CreatedOrder


def facts(number: int, **more: Any) -> dict[str, Any]:
    return {"position": number, "reference_number": f"R-{number}", **more}


def placed(number: int, status: int = 200, **more: Any) -> Placed:
    order = CreatedOrder(waybill=f"W-{number}", response=ResponseInfo(status=status))
    return Placed(order=order, **facts(number, **more))


def test_report_counts_each_kind_of_outcome() -> None:
    report = Report()
    for outcome in (
        placed(1),
        placed(2, status=323),
        Rejected(reasons=("too heavy",), **facts(3)),
        Unknown(error=NoReplyError("no response"), **facts(4)),
        Pending(error=NotSentError("no connection"), **facts(5)),
    ):
        report.count(outcome)

    counts = (report.placed, report.already_placed, report.rejected, report.unknown, report.pending)
    assert counts == (1, 1, 1, 1, 1)
    assert report.total == 5


def test_report_counts_requests_and_those_that_were_not_an_orders_first() -> None:
    report = Report()
    for number, attempts in enumerate((0, 1, 3)):
        report.count(placed(number, attempts=attempts))

    assert (report.requests, report.retries) == (4, 2)


def test_report_counts_as_avoided_only_duplicates_of_orders_of_this_run() -> None:
    report = Report()
    report.count(placed(1, status=323, recovered=True))
    report.count(placed(2, status=323))

    assert (report.already_placed, report.duplicates_avoided) == (2, 1)


def test_report_names_the_slowest_order_at_any_position() -> None:
    report = Report()
    for number, seconds in enumerate((1.0, 9.0, 2.0)):
        report.count(placed(number, seconds=seconds))

    assert report.slowest == 9.0


def test_report_counts_no_requests_of_an_earlier_run() -> None:
    report = Report()
    report.count(placed(1, recorded=True, recovered=True, attempts=3, seconds=40.0))

    assert (report.total, report.placed, report.skipped) == (1, 1, 1)
    assert (report.requests, report.retries, report.duplicates_avoided) == (0, 0, 0)
    assert report.slowest == 0.0


def test_report_says_one_order_and_several_orders() -> None:
    report = Report()
    report.count(placed(1, attempts=1))
    assert report.title.startswith("1 order in ")
    assert (1, "request") in report.counts
    report.count(placed(2, attempts=2))
    assert report.title.startswith("2 orders in ")
    assert {(3, "requests"), (1, "retry")} <= set(report.counts)


def test_report_counts_add_up_and_name_what_is_rare() -> None:
    report = Report()
    report.count(placed(1, attempts=1))
    report.duplicates, report.stopped = 2, True

    assert sum(number for number, _ in report.counts[:5]) == report.total
    assert report.counts[8:] == [(2, "duplicates of earlier rows")]
    assert report.notes[1:] == ["stopped"]
    assert str(report).endswith("2 duplicates of earlier rows, slowest 0.00 s, stopped")
