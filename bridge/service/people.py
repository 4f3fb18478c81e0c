"""The Users of booking calendars as `domain.slots` needs them: working hours, taken times, and how recent these are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from bridge.domain import slots
from bridge.domain.booking_calendars import BookingCalendar
from bridge.domain.hours import Hours, Opening, day_of, office_hours, openings
from bridge.domain.model import Interval, User
from bridge.domain.schedules import open_hours
from bridge.domain.slot_rules import SlotRules
from bridge.domain.slots import Booked, Person
from bridge.errors import CalendarsStale
from bridge.service import publish
from bridge.store import appointments, booking_calendars, occurrences, published, schedules, sources, users
from bridge.store.db import Tx
from bridge.store.sources import Source


@dataclass(frozen=True, slots=True)
class Known:
    """The sources of some Users' busy time, and which Users have a source that is too old."""

    sources: tuple[Source, ...]
    #: Users with a source that was never read, or was read too long ago.
    stale: frozenset[str]

    @property
    def complete(self) -> bool:
        """Whether every source has been read at least once."""
        return all(source.last_read_at is not None for source in self.sources)

    def unknown(self, user_ids: Iterable[str]) -> CalendarsStale:
        """The error to raise where these Users are stale."""
        refused = {source.user_id for source in self.sources if source.needs_password}
        of = tuple(user_ids)
        return CalendarsStale(of, tuple(user_id for user_id in of if user_id in refused))

    @property
    def as_of(self) -> int | None:
        """When the source was read that was read longest ago; None: one was never read, or there are none."""
        times = [source.last_read_at for source in self.sources if source.last_read_at is not None]
        return min(times, default=None) if self.complete else None


@dataclass(frozen=True, slots=True)
class Crew:
    """A booking calendar's Users, for bookings that start in some span, and what its rules allow now."""

    people: tuple[Person, ...]
    #: How many of them a booking needs.
    needed: int
    anchors: Sequence[Opening]
    allowed: Interval
    time_zone: str
    any_free_time: bool


def known(tx: Tx, user_ids: Iterable[str], *, now: int, stale_seconds: int | None) -> Known:
    """The sources of Users' busy time. `stale_seconds` None: no source counts as too old, even if it was never read.

    A User without an account, or whose account has no calendar chosen, has no source that could be stale.
    """
    read = sources.of_users(tx, user_ids)
    stale = frozenset(
        source.user_id
        for source in read
        if stale_seconds is not None and (source.last_read_at is None or now - source.last_read_at > stale_seconds)
    )
    return Known(tuple(read), stale)


def crew(
    tx: Tx,
    calendar: BookingCalendar,
    rules: SlotRules,
    *,
    span: Interval,
    length: int,
    now: int,
    user_ids: Iterable[str] = (),
    leave_out: Set[str] = frozenset(),
) -> Crew:
    """The Users of a booking calendar (of these only, if any are named), for bookings that start in the span.

    The items with an href in `leave_out` don't take their time.
    """
    everyone = [user for user in (users.get(tx, user_id) for user_id in calendar.user_ids) if user is not None]
    wanted = set(user_ids) or set(calendar.user_ids)
    members = [user for user in everyone if user.id in wanted]
    hours, given = _hours(tx, calendar, everyone)
    any_free_time = not given if calendar.any_free_time is None else calendar.any_free_time
    time_zone = hours[members[0].id].time_zone
    allowed = slots.window(rules, now, time_zone)
    if any_free_time and rules.notice is None:
        allowed = Interval(-slots.FAR, allowed.end)
    people = tuple(
        person(
            tx,
            user,
            openings(hours[user.id], span),
            rules,
            span=span,
            length=length,
            calendar_id=calendar.id,
            leave_out=leave_out,
        )
        for user in members
    )
    return Crew(
        people,
        needed=len(people) if calendar.everyone else 1,
        anchors=slots.anchors([([openings(hours[user.id], span) for user in everyone], calendar.everyone)]),
        allowed=allowed,
        time_zone=time_zone,
        any_free_time=any_free_time,
    )


def person(
    tx: Tx,
    user: User,
    opened: Sequence[Opening],
    rules: SlotRules,
    *,
    span: Interval,
    length: int,
    calendar_id: str | None = None,
    leave_out: Set[str] = frozenset(),
) -> Person:
    """A User with these openings, for bookings of `length` seconds that start in the span."""
    theirs = {calendar.id: calendar.rules() for calendar in booking_calendars.of_user(tx, user.id)}
    buffered = {id_: other for id_, other in theirs.items() if other.before or other.after}
    limited = {calendar_id} if calendar_id is not None and (rules.per_slot > 1 or rules.per_day is not None) else set()
    margin = length + max(rules.before, rules.after, *(max(r.before, r.after) for r in buffered.values()))
    around = Interval(span.start - margin, span.end + margin)
    if rules.per_day is not None:
        first, last = day_of(span.start, user.time_zone), day_of(span.end, user.time_zone)
        around = Interval(min(around.start, first.start), max(around.end, last.end))
    booked = [
        time
        for time in appointments.booked_times(tx, user.id, sorted(buffered.keys() | limited), around)
        if time[3] not in leave_out
    ]
    own = [(start, end) for start, end, calendar, _ in booked if calendar == calendar_id]
    apart = {href for _, _, _, href in booked}
    return slots.person(
        user.id,
        opened,
        _taken(tx, user, around, apart | leave_out),
        rules,
        booked=[
            Booked(start, end, theirs[id_].before, theirs[id_].after) if id_ in theirs else Booked(start, end, 0, 0)
            for start, end, id_, _ in booked
            if rules.per_slot == 1 or id_ != calendar_id
        ],
        shared=Counter(own) if rules.per_slot > 1 else None,
        full_days=[] if rules.per_day is None else _full_days(own, rules.per_day, user.time_zone),
    )


def working_hours(tx: Tx, user: User) -> Hours | None:
    """A User's working hours for all booking calendars: those of their schedule that names none; None without one."""
    schedule = schedules.general(tx, user.id)
    return None if schedule is None else schedule.hours()


def _hours(tx: Tx, calendar: BookingCalendar, members: Iterable[User]) -> tuple[dict[str, Hours], bool]:
    """The working hours of a calendar's Users, and whether any of them are set (rather than the default).

    They come from the first of these that exists: the User's newest schedule that names the calendar; the calendar's
    own schedule; its opening hours, in the User's zone; the User's schedule that names no calendar; office hours.
    """
    named = {schedule.user_id: schedule for schedule in schedules.for_calendar(tx, calendar.id)}
    found, given = {}, False
    for user in members:
        schedule = named.get(user.id) or named.get(None)
        hours = open_hours(calendar.settings, user.time_zone) if schedule is None else schedule.hours()
        hours = hours or working_hours(tx, user)
        found[user.id] = hours or office_hours(user.time_zone)
        given = given or hours is not None
    return found, given


def _taken(tx: Tx, user: User, span: Interval, leave_out: set[str]) -> list[tuple[int, int]]:
    if published.unexpanded(tx, user.id, span):
        return [(one.start, one.end) for one in publish.busy(tx, user, span) if one.href not in leave_out]
    return list(occurrences.taken(tx, user.id, span, leave_out=leave_out))


def _full_days(times: Iterable[tuple[int, int]], per_day: int, time_zone: str) -> list[Interval]:
    counted = Counter(day_of(start, time_zone) for start, _ in times)
    return [day for day, count in counted.items() if count >= per_day]
