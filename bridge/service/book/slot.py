"""Whether a time is still free: asked inside the booking's own transaction, so that of two racers one loses."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from bridge.domain import publish as decide
from bridge.domain.model import Appointment, Interval, ItemKind, Role, User
from bridge.errors import CalendarsUnread, SlotUnavailable
from bridge.service import publish
from bridge.service.book.blocked_slots import expire_in
from bridge.store import accounts
from bridge.store.db import Tx

#: How many conflicts a refusal names; a recurring appointment can have hundreds.
NAMED_CONFLICTS = 20


def check(tx: Tx, user: User, appointment: Appointment, *, now: int) -> None:
    """Raises `SlotUnavailable` when something else is there already, at any of its times. Touching is not overlapping.

    Raises `CalendarsUnread` while the User has a calendar of which nothing is known: it may hold anything.
    """
    read = accounts.calendars(tx, user_id=user.id, roles=[Role.PRIMARY, Role.CONFLICT])
    if any(calendar.last_success_at is None for calendar in read):
        raise CalendarsUnread(user.id)
    expire_in(tx, now=now)
    wanted = stretches(user, appointment, now=now)
    if not wanted:
        return
    own = decide.appointment_href(appointment.id)
    starts = [stretch.start for stretch in wanted]
    #: The latest end among the first so many: what begins before a busy time's end touches it if it reaches its start.
    reach = list(accumulate((stretch.end for stretch in wanted), max))
    conflicts = {
        (taken.start, taken.end, _KINDS[taken.kind])
        for taken in publish.busy(tx, user, Interval(starts[0], reach[-1]))
        if taken.href != own and (before := bisect_left(starts, taken.end)) > 0 and reach[before - 1] > taken.start
    }
    if conflicts:
        raise SlotUnavailable(
            tuple(sorted(conflicts)[:NAMED_CONFLICTS]), appointment.fields.time_zone, appointment.utc_offset
        )


def stretches(user: User, appointment: Appointment, *, now: int) -> Sequence[Interval]:
    """The times that an Appointment takes, in order: a recurring one's as far ahead as occurrences are stored."""
    fields = appointment.fields
    if fields.rrule is None and not fields.all_day:
        return [Interval(fields.start, fields.end)]
    known = decide.horizon(now)
    span = Interval(min(known.start, fields.start), max(known.end, fields.end))
    item = decide.appointment(appointment, time_zone=user.time_zone, span=span)
    times = {Interval(o.start, o.end) for o in (item.occurrences if item is not None else ())}
    return sorted(times | {Interval(fields.start, fields.end)} if fields.rrule is None else times)


_KINDS = {ItemKind.ICLOUD: "icloud_event", ItemKind.CRM: "blocked_slot", ItemKind.APPOINTMENT: "appointment"}
