"""The calendars in which rules may count (RSCALE, RFC 7529): their years and months.

These are the Gregorian calendar, and the lunar calendars by which people date birthdays and feasts, as far as there are
tables of them: Chinese to 2099, Korean to 2050, Hebrew to 2200, Islamic to 2076 (Umm al-Qura, which is also meant by
ISLAMIC alone) or 2200 (civil).
"""

from __future__ import annotations

import calendar
import datetime as dt
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

from hijridate import Hijri
from korean_lunar_calendar import KoreanLunarCalendar
from lunardate import LunarDate
from pyluach.dates import HebrewDate
from pyluach.hebrewcal import Year as HebrewYear

GREGORIAN = "GREGORIAN"


class Month(NamedTuple):
    """One month of one year. A leap month has the number of the one before it (RFC 7529 section 4.2)."""

    number: int
    leap: bool
    #: The ordinal of its first day (`datetime.date.toordinal`).
    first: int
    size: int


class Scale(Protocol):
    """A calendar. Days are `datetime.date`s."""

    def reaches(self, day: dt.date) -> bool:
        """Whether its tables contain this day."""

    def within(self, day: dt.date) -> dt.date:
        """The day itself, or the nearest one that the tables contain."""

    def year_of(self, day: dt.date) -> int:
        """The year of a day that the tables contain."""

    def month_of(self, day: dt.date) -> Month:
        """The month of a day that the tables contain."""

    def months(self, year: int) -> Sequence[Month]:
        """The months of a year, in order."""

    def every(self, interval: int, start: dt.date, low: dt.date, high: dt.date) -> Iterator[Month]:
        """Every `interval`-th month counted from that of `start`: from the last one up to `low`, to that of `high`."""


class _Gregorian:
    def reaches(self, day: dt.date) -> bool:
        return True

    def within(self, day: dt.date) -> dt.date:
        return day

    def year_of(self, day: dt.date) -> int:
        return day.year

    def month_of(self, day: dt.date) -> Month:
        return self.months(day.year)[day.month - 1]

    @staticmethod
    @lru_cache(maxsize=512)
    def months(year: int) -> Sequence[Month]:
        return tuple(
            Month(number, False, dt.date(year, number, 1).toordinal(), calendar.monthrange(year, number)[1])
            for number in range(1, 13)
        )

    def every(self, interval: int, start: dt.date, low: dt.date, high: dt.date) -> Iterator[Month]:
        origin = start.year * 12 + start.month - 1
        behind = (low.year * 12 + low.month - 1 - origin) // interval * interval
        for number in range(origin + behind, high.year * 12 + high.month, interval):
            yield self.months(number // 12)[number % 12]


class _Table:
    """A calendar given by rows (year, number, leap, first day), one for each month, in order, for whole years."""

    def __init__(self, rows: Iterable[tuple[int, int, bool, dt.date]]) -> None:
        listed = list(rows)
        firsts = [first.toordinal() for *_, first in listed]
        # The last month only gives the end of the one before it: its own length is not known.
        self._months = [
            Month(number, leap, first, after - first)
            for (_, number, leap, _), first, after in zip(listed, firsts, firsts[1:], strict=False)
        ]
        self._years = [year for year, *_ in listed[:-1]]
        self._firsts = firsts[:-1]
        self._first, self._end = firsts[0], firsts[-1]

    def reaches(self, day: dt.date) -> bool:
        return self._first <= day.toordinal() < self._end

    def within(self, day: dt.date) -> dt.date:
        return dt.date.fromordinal(min(max(day.toordinal(), self._first), self._end - 1))

    def year_of(self, day: dt.date) -> int:
        return self._years[self._index(day)]

    def month_of(self, day: dt.date) -> Month:
        return self._months[self._index(day)]

    def months(self, year: int) -> Sequence[Month]:
        begin = bisect_right(self._years, year - 1)
        return self._months[begin : bisect_right(self._years, year)]

    def every(self, interval: int, start: dt.date, low: dt.date, high: dt.date) -> Iterator[Month]:
        origin, last = self._index(start), self._index(high)
        behind = (self._index(low) - origin) // interval * interval
        yield from self._months[origin + behind : last + 1 : interval]

    def _index(self, day: dt.date) -> int:
        return bisect_right(self._firsts, day.toordinal()) - 1


_Rows = Iterator[tuple[int, int, bool, dt.date]]


def _chinese() -> _Rows:
    for year in range(1900, 2100):
        leap = LunarDate.leap_month_for_year(year)
        for number in range(1, 13):
            yield year, number, False, LunarDate(year, number, 1).to_solar_date()
            if number == leap:
                yield year, number, True, LunarDate(year, number, 1, True).to_solar_date()


def _korean() -> _Rows:
    found = KoreanLunarCalendar()
    for year in range(1900, 2051):
        for number in range(1, 13):
            for leap in (False, True):
                if found.setLunarDate(year, number, 1, leap):
                    yield year, number, leap, dt.date.fromisoformat(found.SolarIsoFormat())


#: The months counted from Tishri, by the numbers that pyluach gives them. In a leap year, 12 (Adar I) is the leap
#: month.
_HEBREW = {7: 1, 8: 2, 9: 3, 10: 4, 11: 5, 12: 6, 13: 6, 1: 7, 2: 8, 3: 9, 4: 10, 5: 11, 6: 12}


def _hebrew() -> _Rows:
    for year in range(5661, 5962):
        numbers = list(HebrewYear(year))
        for number in numbers:
            leap = number == 12 and 13 in numbers
            yield year, 5 if leap else _HEBREW[number], leap, HebrewDate(year, number, 1).to_pydate()


def _umm_al_qura() -> _Rows:
    for year in range(1343, 1501):
        for number in range(1, 13):
            yield year, number, False, dt.date(*Hijri(year, number, 1).to_gregorian().datetuple())


def _civil() -> _Rows:
    """The tabular Islamic calendar: months of 30 and 29 days in turn, eleven leap years in thirty, from 19 July 622."""
    for year in range(1318, 1625):
        for number in range(1, 13):
            days = 354 * (year - 1) + (3 + 11 * year) // 30 + -(-59 * (number - 1) // 2)
            yield year, number, False, dt.date(622, 7, 19) + dt.timedelta(days=days)


def _day_before() -> _Rows:
    return ((year, number, leap, first - dt.timedelta(days=1)) for year, number, leap, first in _civil())


_TABLES: dict[str, Callable[[], _Rows]] = {
    "CHINESE": _chinese,
    "DANGI": _korean,
    "HEBREW": _hebrew,
    "ISLAMIC": _umm_al_qura,
    "ISLAMIC-UMALQURA": _umm_al_qura,
    "ISLAMIC-CIVIL": _civil,
    "ISLAMICC": _civil,
    "ISLAMIC-TBLA": _day_before,
}
#: These differ from the Gregorian calendar in the numbers of years only.
_LIKE_GREGORIAN = frozenset({GREGORIAN, "GREGORY", "ISO8601", "BUDDHIST", "JAPANESE", "ROC"})


@lru_cache(maxsize=len(_TABLES))
def named(name: str) -> Scale:
    """The scale of a name that `known` returned."""
    return _Gregorian() if name == GREGORIAN else _Table(_TABLES[name]())


def known(name: str) -> str | None:
    """The canonical name of an RSCALE value; None for a calendar that is not known here."""
    name = name.strip().upper()
    return GREGORIAN if name in _LIKE_GREGORIAN else name if name in _TABLES else None
