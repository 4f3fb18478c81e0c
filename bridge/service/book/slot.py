"""Deciding whether a time can be booked, and with which User.

This happens in the transaction of the booking, so that of two simultaneous bookings only one succeeds. The rules are
those by which free slots are offered: `bridge.domain.slots`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import accumulate

from bridge.domain import publish as decide
from bridge.domain import slots
from bridge.domain.booking_calendars import BookingCalendar
from bridge.domain.model import Appointment, Interval, ItemKind, User
from bridge.domain.slot_rules import SlotRules
from bridge.domain.slots import Group, Refusal
from bridge.errors import NotBookable, SlotUnavailable
from bridge.service import people, publish, visibility
from bridge.service.book.blocked_slots import expire_in
from bridge.store import accounts, booking_calendars, published
from bridge.store.db import Tx

#: A refusal names at most this many conflicts: a recurring appointment can have hundreds.
NAMED_CONFLICTS = 20
#: The times of a recurring appointment are checked this many seconds ahead. Occurrences after the horizon are not
#: stored, and computing them takes up to a hundredth of a second for each recurring event of the User.
CHECKED_AHEAD = 5 * 366 * 86_400
#: Bookings are distributed by how many each User was given in the last so many seconds.
SHARED_OUT_OVER = 30 * 86_400


def admit(
    tx: Tx,
    appointment: Appointment,
    *,
    named: bool,
    check_dates: bool = True,
    unasked: Collection[str] = (),
    now: int,
) -> Appointment:
    """The Appointment with the Users whose time it takes: its own where `named`, else who is free and next in turn.

    Of a collective calendar it takes the time of all. Users in `unasked` could not be asked just now whether they are
    free, so that they are not. Without `check_dates`, notice and horizon don't count. Raises `SlotUnavailable`,
    `NotBookable`, and `CalendarsStale` where too little is known of the Users to tell.
    """
    calendar = booking_calendars.get(tx, appointment.booking_calendar_id)
    everyone = calendar is not None and calendar.everyone
    wanted = (appointment.user_id,) if calendar is None or (named and not everyone) else calendar.user_ids
    known = people.known(tx, wanted, now=now, stale_seconds=slots.FAR)
    unknown = known.stale | set(unasked)
    members: Sequence[str] = [user_id for user_id in wanted if user_id not in unknown]
    if not members or (everyone and len(members) < len(wanted)):
        raise known.unknown(user_id for user_id in wanted if user_id in unknown)
    expire_in(tx, now=now)
    if calendar is None or appointment.fields.rrule is not None or appointment.fields.all_day:
        # Days may differ in the User's own zone, and slot rules do not apply to a series: only each time has to be
        # free.
        members = _without_conflicts(tx, members, appointment, everyone=everyone, now=now)
    if calendar is not None and appointment.fields.rrule is None:
        members = _by_the_rules(tx, calendar, members, appointment, check_dates=check_dates, now=now)
    return assign(tx, appointment, members, named=named, now=now)


def assign(tx: Tx, appointment: Appointment, free: Sequence[str], *, named: bool, now: int) -> Appointment:
    """The Appointment with one of the `free` Users as its own, and for a collective calendar all others beside them.

    Users with a Primary calendar are preferred; then those who were given the fewest appointments of this calendar
    lately; then those whose last one is the longest ago; then the first in the order of the calendar's Users.
    """
    calendar = booking_calendars.get(tx, appointment.booking_calendar_id)
    if calendar is None:
        return appointment
    own = appointment.user_id
    if not named and len(free) > 1:
        load = booking_calendars.load(tx, calendar.id, free, since=now - SHARED_OUT_OVER)
        # All Users take part in each booking of a collective calendar, so there is nothing to distribute.
        turn = [(accounts.primary_of(tx, u) is None, (0, 0) if calendar.everyone else load[u]) for u in free]
        own = free[turn.index(min(turn))]
    elif not named and free:
        own = free[0]
    other_user_ids = tuple(user_id for user_id in calendar.user_ids if calendar.everyone and user_id != own)
    return replace(appointment, user_id=own, other_user_ids=other_user_ids)


def _by_the_rules(
    tx: Tx,
    calendar: BookingCalendar,
    members: Sequence[str],
    appointment: Appointment,
    *,
    check_dates: bool,
    now: int,
) -> Sequence[str]:
    wanted = Interval(appointment.fields.start, appointment.fields.end)
    rules = calendar.rules()
    crew = people.crew(
        tx,
        calendar,
        rules,
        span=Interval(wanted.start, wanted.start + 1),
        length=wanted.end - wanted.start,
        now=now,
        user_ids=members,
        leave_out={href for user_id in members for href in _own(tx, user_id, appointment)},
    )
    why, free = slots.refusal(
        Group(crew.people, crew.needed),
        wanted,
        rules,
        crew.allowed if check_dates else Interval(-slots.FAR, slots.FAR),
        crew.anchors,
        any_free_time=crew.any_free_time,
    )
    if why == Refusal.TAKEN:
        raise _unavailable(appointment, _conflicts(tx, members, appointment, wanted, rules, now=now))
    if why is not None:
        raise NotBookable(str(why))
    return free


def _conflicts(
    tx: Tx, members: Iterable[str], appointment: Appointment, wanted: Interval, rules: SlotRules, *, now: int
) -> Iterable[_Conflict]:
    """What is in the way of a booking; where only a buffer is violated, what lies in the buffer."""
    users = [visibility.user(tx, member) for member in members]
    furthest = max(
        (max(c.rules().before, c.rules().after) for u in users for c in booking_calendars.of_user(tx, u.id)), default=0
    )
    for before, after in ((0, 0), (rules.before, rules.after), (furthest, furthest)):
        around = [Interval(wanted.start - before, wanted.end + after)]
        if found := [c for user in users for c in _touching(tx, user, appointment, around)]:
            return found
    return []


def _without_conflicts(
    tx: Tx, members: Sequence[str], appointment: Appointment, *, everyone: bool, now: int
) -> Sequence[str]:
    """The Users who are free at all times of the Appointment. Raises `SlotUnavailable` where these are too few."""
    free, conflicts = [], []
    for user in (visibility.user(tx, member) for member in members):
        found = _touching(tx, user, appointment, _stretches(user, appointment, now=now))
        conflicts += found
        if not found:
            free.append(user.id)
    if not free or (everyone and conflicts):
        raise _unavailable(appointment, conflicts)
    return free


#: Start, end and kind of what is in the way.
_Conflict = tuple[int, int, str]


def _touching(tx: Tx, user: User, appointment: Appointment, wanted: Sequence[Interval]) -> list[_Conflict]:
    """What else takes the User's time during these stretches, which are in order. To touch is not to overlap."""
    if not wanted:
        return []
    own = _own(tx, user.id, appointment)
    starts = [stretch.start for stretch in wanted]
    #: The latest end among the first so many: what begins before a busy time's end touches it if it reaches its start.
    reach = list(accumulate((stretch.end for stretch in wanted), max))
    return [
        (taken.start, taken.end, _KINDS[taken.kind])
        for taken in publish.busy(tx, user, Interval(starts[0], reach[-1]))
        if taken.href not in own and (before := bisect_left(starts, taken.end)) > 0 and reach[before - 1] > taken.start
    ]


def _own(tx: Tx, user_id: str, appointment: Appointment) -> set[str]:
    """The hrefs of items that are the Appointment itself: its own, and its event as mirrored from iCloud."""
    event = published.hrefs_with_prefix(tx, user_id, decide.href_prefix(appointment.uid))
    return {decide.appointment_href(appointment.id), *event}


def _unavailable(appointment: Appointment, conflicts: Iterable[_Conflict]) -> SlotUnavailable:
    named = tuple(sorted(set(conflicts))[:NAMED_CONFLICTS])
    fields = appointment.fields
    return SlotUnavailable(named, fields.time_zone, appointment.utc_offset, recurring=fields.rrule is not None)


def _stretches(user: User, appointment: Appointment, *, now: int) -> Sequence[Interval]:
    """The times that an Appointment takes, in order; those of a recurring one for `CHECKED_AHEAD` only."""
    fields = appointment.fields
    if fields.rrule is None and not fields.all_day:
        return [Interval(fields.start, fields.end)]
    span = Interval(min(decide.horizon(now).start, fields.start), max(now + CHECKED_AHEAD, fields.end))
    item = decide.appointment(appointment, time_zone=user.time_zone, span=span)
    times = {Interval(o.start, o.end) for o in (item.occurrences if item is not None else ())}
    return sorted(times | {Interval(fields.start, fields.end)} if fields.rrule is None else times)


_KINDS = {ItemKind.ICLOUD: "icloud_event", ItemKind.CRM: "blocked_slot", ItemKind.APPOINTMENT: "appointment"}
