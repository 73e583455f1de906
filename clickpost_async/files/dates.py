"""Parses dates and times in the formats of people and spreadsheets, for ClickPost's format."""

import re
from datetime import datetime, timedelta

from attrs import define, field, frozen

DAY_FIRST, MONTH_FIRST = "DD/MM/YYYY", "MM/DD/YYYY"

_TIME = r"(?P<time>\d{1,2}:\d\d(?::\d\d(?:\.\d{1,6})?)?(?: ?[AaPp][Mm])?)"
_OFFSET = r"(?P<offset> ?(?:Z|[+-]\d\d:?\d\d))?"
_CLOCK = rf"(?:[T ,]+{_TIME}{_OFFSET})?"
_NUMERIC = re.compile(
    rf"(?P<a>\d{{1,4}})(?P<mark>[-/. ])(?P<b>\d{{1,2}})(?P=mark)(?P<c>\d{{1,4}}){_CLOCK}", re.ASCII
).fullmatch
_DAY_NAMED = re.compile(
    rf"(?P<day>\d{{1,2}})[-/. ]+(?P<month>[A-Za-z]{{3,9}})[-/., ]+(?P<year>\d{{4}}|\d\d){_CLOCK}",
    re.ASCII,
).fullmatch
_MONTH_NAMED = re.compile(
    rf"(?P<month>[A-Za-z]{{3,9}})[ .]+(?P<day>\d{{1,2}}),? +(?P<year>\d{{4}}){_CLOCK}", re.ASCII
).fullmatch
_ONLY_CLOCK = re.compile(rf"(?P<date>.*?)[T ,]+{_TIME}{_OFFSET}", re.ASCII).fullmatch
_COMPACT = re.compile(r"(20\d\d)(\d\d)(\d\d)", re.ASCII).fullmatch
_SERIAL = re.compile(r"[2-7]\d{4}(\.\d+)?", re.ASCII).fullmatch
_TOKENS = {
    "YYYY": "%Y",
    "YY": "%y",
    "MONTH": "%B",
    "MMM": "%b",
    "MON": "%b",
    "MM": "%m",
    "DD": "%d",
    "HH": "%H",
    "SS": "%S",
}
_TOKEN = re.compile("|".join(_TOKENS), re.IGNORECASE)
_MONTH_NAMES = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_MONTHS = {
    name: number
    for number, names in enumerate(_MONTH_NAMES, 1)
    for name in {names, names[:3], names[:4]}
}
# Day 0 of spreadsheets' serial numbers; valid for dates after February 1900.
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - a spreadsheet has no time zones


_DAY, _MONTH, _YEAR = (re.compile(f"%{letters}").search for letters in ("d", "[mbB]", "[yY]"))


class BadDateError(ValueError):
    """A text that is not a date, or is ambiguous; the message shows what to write."""


@frozen
class ReadDate:
    """A parsed date, with or without a time of day, and whether its format was guessed."""

    moment: datetime
    has_time: bool
    offset: str = ""
    guess: str = ""

    @property
    def day(self) -> str:
        """Return the date in ClickPost's format."""
        return self.moment.date().isoformat()

    @property
    def time(self) -> str:
        """Return date and time of day in ClickPost's format."""
        return self.moment.isoformat() + self.offset


@define
class Dates:
    """The date format of a file: `date_format`, or inferred from unambiguous dates.

    `date_format` is written like `DD/MM/YYYY` or `DD-Mon-YYYY`, or as for `strptime`. Without one,
    `03/04/2026` is read like the other dates of the file: `27/11/2026` shows that the day comes
    first. `observe` collects them.

    Raises:
        ValueError: `date_format` lacks day, month or year.

    """

    date_format: str | None = None
    _orders: set[str] = field(factory=set, init=False)
    _strptime: str | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        if self.date_format is None:
            return
        self._strptime = to_strptime(self.date_format)

    def observe(self, text: str) -> None:
        """Record whether a text shows that the day or the month comes first."""
        found = _NUMERIC(text.strip())
        if found and len(found["a"]) <= 2 and len(found["c"]) == 4:
            first, second = int(found["a"]), int(found["b"])
            if first > 12 >= second:
                self._orders.add(DAY_FIRST)
            elif second > 12 >= first:
                self._orders.add(MONTH_FIRST)

    def read(self, text: str) -> ReadDate:
        """Read a date with or without a time of day, or raise `BadDateError`."""
        try:
            return self._read(text)
        except (ValueError, OverflowError) as error:
            if isinstance(error, BadDateError):
                raise
            raise BadDateError("there is no such date; write it like 2026-01-31") from None

    def _read(self, text: str) -> ReadDate:
        if _SERIAL(text):
            moment = _EPOCH + timedelta(seconds=round(float(text) * 86_400))
            return ReadDate(moment, has_time="." in text)
        if compact := _COMPACT(text):
            # ISO 8601's basic format.
            year, month, day = map(int, compact.groups())
            return ReadDate(datetime(year, month, day), has_time=False)  # noqa: DTZ001 - as below
        found = _NUMERIC(text)
        if found and len(found["a"]) == 4 and len(found["c"]) <= 2:
            return _made(found, int(found["a"]), int(found["b"]), int(found["c"]))
        if self._strptime is not None:
            return self._read_by_format(text)
        if found:
            return self._read_numeric(found)
        found = _DAY_NAMED(text) or _MONTH_NAMED(text)
        if found is None or found["month"].lower() not in _MONTHS:
            raise BadDateError("not a date that can be read; write it like 2026-01-31")
        year = int(found["year"])
        month = _MONTHS[found["month"].lower()]
        return _made(found, year + 2000 if year < 100 else year, month, int(found["day"]))

    def _read_by_format(self, text: str) -> ReadDate:
        assert self._strptime is not None  # noqa: S101 - the caller has looked
        try:
            moment = datetime.strptime(text, self._strptime)  # noqa: DTZ007 - as in the file
            return ReadDate(moment, has_time="%H" in self._strptime or "%I" in self._strptime)
        except ValueError:
            pass
        found = _ONLY_CLOCK(text)
        try:
            if found:
                day = datetime.strptime(found["date"], self._strptime)  # noqa: DTZ007 - as above
                return _made(found, day.year, day.month, day.day)
        except ValueError:
            pass
        raise BadDateError(f"not a date in the format {self.date_format}, nor like 2026-01-31")

    def _read_numeric(self, found: re.Match[str]) -> ReadDate:
        first, second, year = int(found["a"]), int(found["b"]), int(found["c"])
        if len(found["a"]) > 2 or len(found["c"]) != 4:
            raise BadDateError(
                "the year of this date could be two; write it like 2026-01-31, "
                "or give the format (date_format, like DD/MM/YY)"
            )
        if first > 12 or first == second:
            return _made(found, year, second, first)
        if second > 12:
            return _made(found, year, first, second)
        if len(self._orders) != 1:
            both = "the file has dates of both formats; " if self._orders else ""
            raise BadDateError(
                f"{both}this could be day/month or month/day; write it like 2026-01-31, "
                "or give the format (date_format, like DD/MM/YYYY)"
            )
        (order,) = self._orders
        day, month = (first, second) if order == DAY_FIRST else (second, first)
        return _made(found, year, month, day, guess=order)


def _made(found: re.Match[str], year: int, month: int, day: int, *, guess: str = "") -> ReadDate:
    clock = found["time"]
    if not clock:
        moment = datetime(year, month, day)  # noqa: DTZ001 - as in the file
        return ReadDate(moment, has_time=False, guess=guess)
    hour, minute, *seconds = clock[:-2].split(":") if clock[-1] in "mM" else clock.split(":")
    number = int(hour)
    if clock[-1] in "mM":
        if not 1 <= number <= 12:
            raise BadDateError("there is no such time of day; write it like 18:30:00")
        number = number % 12 + (12 if clock[-2] in "pP" else 0)
    second = float(seconds[0]) if seconds else 0.0
    # Built from its parts, so that an invalid time of day is an error.
    moment = datetime(  # noqa: DTZ001 - as in the file
        year, month, day, number, int(minute), int(second), round(second % 1 * 1_000_000)
    )
    return ReadDate(moment, has_time=True, offset=(found["offset"] or "").strip(), guess=guess)


def to_strptime(date_format: str) -> str:
    """Convert a format like `DD/MM/YYYY` to `strptime`'s; one of `strptime` is returned as is.

    Raises:
        ValueError: It lacks day, month or year.

    """
    found = date_format
    if "%" not in found:
        found = _TOKEN.sub(lambda token: _TOKENS[token[0].upper()], found)
    if not (_DAY(found) and _MONTH(found) and _YEAR(found)):
        raise ValueError(
            f"date format {date_format!r}: day, month and year are needed, like DD/MM/YYYY"
        )
    return found
