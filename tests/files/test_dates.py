import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickpost_async.files.dates import BadDateError, Dates, to_strptime


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-27", "2026-11-27T00:00:00"),
        ("2026-1-3", "2026-01-03T00:00:00"),
        ("2026/11/27", "2026-11-27T00:00:00"),
        ("2026-11-27T10:22:11", "2026-11-27T10:22:11"),
        ("2026-11-27 10:22", "2026-11-27T10:22:00"),
        ("2026-11-20 10:22:11 +0530", "2026-11-20T10:22:11+0530"),
        ("2026-11-20T10:22:11+05:30", "2026-11-20T10:22:11+05:30"),
        ("2026-11-20T10:22:11.250Z", "2026-11-20T10:22:11.250000Z"),
        ("27/11/2026", "2026-11-27T00:00:00"),
        ("27-11-2026", "2026-11-27T00:00:00"),
        ("27.11.2026 18:30", "2026-11-27T18:30:00"),
        ("11/27/2026", "2026-11-27T00:00:00"),
        ("03/03/2026", "2026-03-03T00:00:00"),
        ("27-Nov-2026", "2026-11-27T00:00:00"),
        ("27 November 2026", "2026-11-27T00:00:00"),
        ("27-Nov-26", "2026-11-27T00:00:00"),
        ("Nov 27, 2026", "2026-11-27T00:00:00"),
        ("27/11/2026 6:30 PM", "2026-11-27T18:30:00"),
        ("27/11/2026 12:05 am", "2026-11-27T00:05:00"),
        ("46353", "2026-11-27T00:00:00"),
        ("46353.75", "2026-11-27T18:00:00"),
    ],
)
def test_date_with_one_meaning_is_read(text: str, time: str) -> None:
    assert Dates().read(text).time == time


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("03/04/2026", "could be day/month or month/day"),
        ("27/11/26", "the year of this date could be two"),
        ("31/02/2026", "no such date"),
        ("2026-13-01", "no such date"),
        ("27/11/2026 25:00", "no such date"),
        ("27/11/2026 13:00 PM", "no such time"),
        ("27-Foo-2026", "not a date"),
        ("11:00", "not a date"),
        ("tomorrow", "not a date"),
        ("2026", "not a date"),
        ("20262711", "no such date"),
    ],
)
def test_date_without_a_single_meaning_is_refused(text: str, reason: str) -> None:
    with pytest.raises(BadDateError, match=reason):
        Dates().read(text)


@pytest.mark.parametrize(
    ("other", "day"), [("27/11/2026", "2026-04-03"), ("11/27/2026", "2026-03-04")]
)
def test_date_is_read_as_other_dates_of_the_file_are_written(other: str, day: str) -> None:
    dates = Dates()
    dates.observe(other)

    found = dates.read("03/04/2026")

    assert found.day == day
    assert found.guess in {"DD/MM/YYYY", "MM/DD/YYYY"}


def test_date_of_a_file_with_both_formats_is_refused() -> None:
    dates = Dates()
    dates.observe("27/11/2026")
    dates.observe("11/28/2026")

    with pytest.raises(BadDateError, match="the file has dates of both formats"):
        dates.read("03/04/2026")
    assert dates.read("27/11/2026").day == "2026-11-27"


@pytest.mark.parametrize(
    ("date_format", "text"),
    [
        ("DD/MM/YYYY", "03/04/2026"),
        ("DD/MM/YY", "03/04/26"),
        ("MM-DD-YYYY", "04-03-2026"),
        ("DD-Mon-YYYY", "03-Apr-2026"),
        ("DD MMM YYYY", "03 Apr 2026"),
        ("%d.%m.%y", "03.04.26"),
        ("DD/MM/YYYY", "2026-04-03"),
        ("DD/MM/YYYY", "46115"),
        ("DD/MM/YYYY", "03/04/2026 00:00"),
        ("%d/%m/%Y %H:%M", "03/04/2026 18:30"),
    ],
)
def test_date_is_read_by_the_format_that_is_given(date_format: str, text: str) -> None:
    assert Dates(date_format).read(text).day == "2026-04-03"


def test_date_of_another_format_than_the_one_given_is_refused() -> None:
    with pytest.raises(BadDateError, match="not a date in the format DD/MM/YYYY"):
        Dates("DD/MM/YYYY").read("11/27/2026")


@pytest.mark.parametrize(
    ("date_format", "text", "time"),
    [
        ("%d/%m/%Y", "03/04/2026", None),
        ("%d/%m/%Y %H:%M", "03/04/2026 18:30", "2026-04-03T18:30:00"),
        ("%d/%m/%Y %I:%M %p", "03/04/2026 06:30 PM", "2026-04-03T18:30:00"),
    ],
)
def test_format_says_whether_a_date_has_a_time_of_day(
    date_format: str, text: str, time: str | None
) -> None:
    found = Dates(date_format).read(text)

    assert (found.time if found.has_time else None) == time


@pytest.mark.parametrize("date_format", ["", "DD/MM", "MM/YYYY", "day first", "%H:%M"])
def test_format_without_day_month_and_year_is_refused(date_format: str) -> None:
    with pytest.raises(ValueError, match="day, month and year are needed"):
        to_strptime(date_format)


@given(st.dates(dt.date(2000, 1, 1), dt.date(2099, 12, 31)))
def test_date_is_read_as_written_in_every_format(day: dt.date) -> None:
    for date_format in ("%Y-%m-%d", "%d-%b-%Y", "%B %d, %Y"):
        assert Dates().read(day.strftime(date_format)).day == day.isoformat()
    assert Dates("DD/MM/YYYY").read(day.strftime("%d/%m/%Y")).day == day.isoformat()


@given(st.text(max_size=30))
def test_any_text_is_a_date_or_refused(text: str) -> None:
    try:
        found = Dates().read(text)
    except BadDateError:
        return
    assert dt.date.fromisoformat(found.day)
