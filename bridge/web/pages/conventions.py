"""How dates and times are written. The pages are in English; the order of a date, the clock and the first day of the
week are those of the reader's region."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from dataclasses import dataclass

from babel import Locale, UnknownLocaleError, dates
from babel.core import get_global

#: For readers whose region is not known: English, 24 hours, weeks from Monday.
_NEUTRAL = Locale("en", "150")


@dataclass(frozen=True, slots=True)
class Conventions:
    """A region's conventions, in one time zone."""

    locale: Locale
    #: 0 is Monday.
    first_week_day: int
    zone: zoneinfo.ZoneInfo

    def local(self, at: int) -> dt.datetime:
        """An instant in the reader's time zone."""
        return dt.datetime.fromtimestamp(at, self.zone)

    def time(self, at: int) -> str:
        """The time of day: "14:30", "2:30 PM"."""
        return _plain(dates.format_time(self.local(at), "short", tzinfo=self.zone, locale=self.locale))

    def hour(self, hour: int) -> str:
        """A full hour of any day: "14:00", "2 PM"."""
        at = dt.time(hour)
        return _plain(
            dates.format_time(at, "short", locale=self.locale)
            if self._counts_to_24
            else dates.format_skeleton("h", at, locale=self.locale)
        )

    def times(self, start: int, end: int) -> str:
        """From when to when on one day: "14:30 – 15:00", "2:30 – 3:00 PM"."""
        skeleton = "Hm" if self._counts_to_24 else "hm"
        text = dates.format_interval(self.local(start), self.local(end), skeleton, tzinfo=self.zone, locale=self.locale)
        return " – ".join(part.strip() for part in _plain(text).split("–"))

    @property
    def _counts_to_24(self) -> bool:
        return "H" in self.locale.time_formats["short"].pattern

    def day(self, day: dt.date) -> str:
        """A day with its weekday, without its year: "Mon 1 Mar"."""
        return _plain(dates.format_skeleton("MMMEd", day, locale=self.locale))

    def date(self, day: dt.date) -> str:
        """A day in full: "Monday, 1 March 2027"."""
        return _plain(dates.format_date(day, "full", locale=self.locale))

    def weekday(self, day: dt.date) -> str:
        """A day of the week, short."""
        return _plain(dates.format_date(day, "EEE", locale=self.locale))

    def days(self, first: dt.date, last: dt.date) -> str:
        """A span of days: "1 – 7 Mar 2027"."""
        return _plain(dates.format_interval(first, last, "yMMMd", locale=self.locale))

    def month(self, day: dt.date) -> str:
        """A month with its year: "March 2027"."""
        return _plain(dates.format_date(day, "LLLL y", locale=self.locale))

    def moment(self, at: int | None) -> str:
        """An instant with its day: "1 Mar 2027, 14:30"; "never" for None."""
        if at is None:
            return "never"
        day = dates.format_date(self.local(at).date(), "medium", locale=self.locale)
        return f"{_plain(day)}, {self.time(at)}"

    def span(self, start: int, end: int, *, all_day: bool) -> str:
        """A span, short: "1 Mar 2027, 14:30", or "1 – 3 Mar 2027" for an all-day one."""
        if not all_day:
            return self.moment(start)
        return self.days(self.local(start).date(), self.local(max(end - 1, start)).date())

    def start(self, at: int) -> str:
        """The start of an item that may be all-day, which is not known: at midnight, only the day is named."""
        begins = self.local(at)
        return self.span(at, at, all_day=begins.time() == dt.time())

    def ago(self, at: int | None, now: int) -> str:
        """How long ago: "3 minutes ago"; "never" for None."""
        if at is None:
            return "never"
        if now - at < 60:
            return "just now"
        return dates.format_timedelta(dt.timedelta(seconds=at - now), add_direction=True, locale=self.locale)

    def when(self, start: int, end: int, *, all_day: bool) -> str:
        """A span: "Monday, 1 March 2027, 14:30 – 15:00". An all-day one is named by its days."""
        first, last = self.local(start), self.local(max(end - 1, start))
        if all_day:
            days = self.date(first.date())
            return days if first.date() == last.date() else f"{days} – {self.date(last.date())}"
        if first.date() == last.date():
            return f"{self.date(first.date())}, {self.times(start, end)}"
        return f"{self.date(first.date())}, {self.time(start)} – {self.date(self.local(end).date())}, {self.time(end)}"

    def week_start(self, day: dt.date) -> dt.date:
        """The first day of the week that a day is in."""
        return day - dt.timedelta(days=(day.weekday() - self.first_week_day) % 7)

    def midnight(self, day: dt.date) -> int:
        """The instant at which a day begins in the reader's time zone."""
        return int(dt.datetime.combine(day, dt.time(), self.zone).timestamp())


def conventions(accept_language: str, time_zone: str) -> Conventions:
    """The reader's conventions, by an Accept-Language header (RFC 9110 section 12.5.4). `time_zone` is an IANA name."""
    zone = zoneinfo.ZoneInfo(time_zone)
    for wish in _wishes(accept_language):
        asked = _parse(wish)
        if asked is not None:
            return Conventions(_english(asked), asked.first_week_day, zone)
    return Conventions(_NEUTRAL, 0, zone)


def _wishes(header: str) -> list[str]:
    """The language tags, the preferred ones first."""
    weighed = []
    for part in header[:1000].split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            weighed.append((float(weight) if weight else 1.0, tag.strip()))
        except ValueError:
            continue
    return [tag for weight, tag in sorted(weighed, key=lambda one: -one[0]) if weight > 0 and tag and tag != "*"]


def _parse(tag: str) -> Locale | None:
    try:
        # A bare language stands for where most of its speakers live: "de" for de-DE.
        found = Locale.parse(tag, sep="-")
        likely = get_global("likely_subtags").get(found.language) if found.territory is None else None
        return Locale.parse(likely) if likely else found
    except (ValueError, UnknownLocaleError, TypeError):
        return None


def _english(asked: Locale) -> Locale:
    """English as it is written in the region."""
    try:
        return Locale("en", asked.territory)
    except UnknownLocaleError:
        return _NEUTRAL if "H" in asked.time_formats["short"].pattern else Locale("en", "001")


def _plain(text: str) -> str:
    # CLDR puts narrow and unbreakable spaces between the parts; screen readers and searches want common ones.
    return text.replace("\u202f", " ").replace("\u2009", " ").replace("\xa0", " ")
