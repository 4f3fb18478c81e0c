"""Availability: when Users are free, and how much of that is known.

Each question is answered from one snapshot of the stored occurrences. `bridge.domain.slots` decides which times can be
booked, both for these questions and for bookings. A User whose calendars were not read recently is never offered as
free.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from itertools import islice
from typing import NamedTuple

from bridge.domain import slots
from bridge.domain.booking_calendars import DEFAULT_MINUTES, BookingCalendar
from bridge.domain.hours import Opening, common, merged, openings
from bridge.domain.model import Interval, User
from bridge.domain.slot_rules import SlotRules
from bridge.domain.slots import Group, Person
from bridge.errors import FieldProblem, Invalid, TooMuchAtOnce, Unknown
from bridge.service import people, publish, visibility
from bridge.service.people import Known
from bridge.service.visibility import Locations
from bridge.store.db import Db, Tx

DAY = 86_400
#: What one question may ask about: the days of its spans, as often as there are Users.
MOST_USER_DAYS = 10_000
#: So many starts are sooner looked at one by one than narrowed down first by what takes people's time.
FEW = 1000


@dataclass(frozen=True, slots=True)
class FreeSlots:
    """The slots of one booking calendar that can be booked, by start; all of one length, in seconds."""

    starts: tuple[int, ...]
    length: int
    time_zone: str
    known: Known


class Offer(NamedTuple):
    """A time that can be booked, with the Users who are free for it. They sort by start."""

    start: int
    end: int
    user_ids: tuple[str, ...]
    calendar_id: str | None = None


@dataclass(frozen=True, slots=True)
class Offers:
    """The answer to a question; `truncated` when there would be more."""

    offers: tuple[Offer, ...]
    truncated: bool
    time_zone: str
    known: Known


@dataclass(frozen=True, slots=True)
class Participants:
    """Users of whom so many are needed; None: all."""

    user_ids: tuple[str, ...]
    required: int | None = None

    @property
    def needed(self) -> int:
        """How many."""
        return len(self.user_ids) if self.required is None else self.required


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """When can booking calendars be booked, or participants meet? Lengths in seconds; None: as the rules say.

    Where both the question and a calendar's rules say something, the stricter holds: what is offered can be booked.
    """

    calendar_ids: tuple[str, ...] = ()
    participants: tuple[Participants, ...] = ()
    spans: tuple[Interval, ...]
    length: int | None = None
    interval: int | None = None
    before: int = 0
    after: int = 0
    notice: int = 0
    horizon_days: int | None = None
    #: Every start of the grid, though the slots overlap; otherwise one slot after the other.
    overlapping: bool = False
    #: Free periods rather than slots.
    periods: bool = False
    limit: int = 200


@dataclass(frozen=True, slots=True)
class Occupied:
    """When a User or a booking calendar is busy; `trouble` where that can't be told: `notFound` or `stale`."""

    busy: tuple[Interval, ...]
    trouble: str | None = None


def free_slots(
    db: Db,
    calendar_id: str,
    span: Interval,
    *,
    locations: Locations,
    user_ids: Collection[str] = (),
    length: int | None = None,
    now: int,
    stale_seconds: int | None,
) -> FreeSlots:
    """The slots of a booking calendar that start in the span; of these of its Users only, if any are named.

    Raises `Unknown`, `Invalid` for a length that is no number of slots, `CalendarsStale` where not enough is known.
    """
    with db.read() as tx:
        calendar = visibility.bookable(tx, calendar_id, locations)
        members = _members(calendar, user_ids)
        rules = calendar.rules()
        length = _slot_length(length, rules, "/duration")
        crew = people.crew(tx, calendar, rules, span=span, length=length, now=now, user_ids=members)
        known = people.known(tx, members, now=now, stale_seconds=stale_seconds)
    group = _enough(crew.people, crew.needed, known)
    starts = slots.grid(crew.anchors, span, rules.interval)
    found = slots.offered([group], starts, length, Interval(max(crew.allowed.start, now), crew.allowed.end))
    return FreeSlots(tuple(start for start, _ in found), length, crew.time_zone, known)


def availability(db: Db, question: Question, *, locations: Locations, now: int, stale_seconds: int | None) -> Offers:
    """The times that can be booked, by start. With `stale_seconds` None whatever is known will do.

    Raises `Unknown`, `Invalid`, `TooMuchAtOnce`, `CalendarsStale`.
    """
    with db.read() as tx:
        ask = _of_calendars if question.calendar_ids else _of_participants
        found, known, time_zone = ask(tx, question, locations, now=now, stale_seconds=stale_seconds)
    # Each is in order, and worked out as far as it is asked for: one more than wanted tells whether there are more.
    first = list(islice(merge(*found), question.limit + 1))
    return Offers(tuple(first[: question.limit]), len(first) > question.limit, time_zone, known)


def free_busy(
    db: Db, ids: Iterable[str], span: Interval, *, locations: Locations, now: int, stale_seconds: int | None
) -> dict[str, Occupied]:
    """When Users and booking calendars are busy, for each id by itself.

    A booking calendar is busy when a booking would find too few of its Users: any one of a collective calendar's, all
    of another's. Whoever is not known well enough counts as busy throughout. Raises `TooMuchAtOnce`.
    """
    with db.read() as tx:
        asked = {id_: _asked(tx, id_, locations) for id_ in dict.fromkeys(ids)}
        _not_too_much(sum(len(one.members) for one in asked.values() if one), [span])
        return {
            id_: _occupied(tx, one, span, now=now, stale_seconds=stale_seconds) if one else Occupied((), "notFound")
            for id_, one in asked.items()
        }


def _members(calendar: BookingCalendar, user_ids: Collection[str]) -> tuple[str, ...]:
    """These of the calendar's Users, or all; of a collective calendar always all. Raises `Unknown` for others."""
    for user_id in user_ids:
        if user_id not in calendar.user_ids:
            raise Unknown("user", user_id)
    return tuple(u for u in calendar.user_ids if calendar.everyone or not user_ids or u in user_ids)


def _of_calendars(
    tx: Tx, question: Question, locations: Locations, *, now: int, stale_seconds: int | None
) -> tuple[list[Iterator[Offer]], Known, str]:
    calendars = [visibility.bookable(tx, id_, locations) for id_ in dict.fromkeys(question.calendar_ids)]
    _not_too_much(sum(len(calendar.user_ids) for calendar in calendars), question.spans)
    members = dict.fromkeys(user_id for calendar in calendars for user_id in calendar.user_ids)
    known = people.known(tx, members, now=now, stale_seconds=stale_seconds)
    found: list[Iterator[Offer]] = []
    time_zone = ""
    for calendar in calendars:
        rules = _stricter(calendar.rules(), question)
        length = _slot_length(question.length, rules, "/durationMinutes")
        for span in question.spans:
            crew = people.crew(tx, calendar, rules, span=span, length=length, now=now)
            time_zone = time_zone or crew.time_zone
            groups = [_enough(crew.people, crew.needed, known)]
            allowed = _allowed(crew.allowed, question, now)
            offers = _offers(
                question,
                groups,
                crew.anchors,
                span=span,
                length=length,
                interval=rules.interval,
                allowed=allowed,
                calendar_id=calendar.id,
            )
            found.append(offers)
    return found, known, time_zone


def _of_participants(
    tx: Tx, question: Question, locations: Locations, *, now: int, stale_seconds: int | None
) -> tuple[list[Iterator[Offer]], Known, str]:
    wanted = dict.fromkeys(u for group in question.participants for u in group.user_ids)
    _not_too_much(len(wanted), question.spans)
    members = {user_id: visibility.user(tx, user_id, locations) for user_id in wanted}
    time_zone = next(iter(members.values())).time_zone
    length = question.length or DEFAULT_MINUTES * 60
    rules = _stricter(SlotRules(duration=length, interval=question.interval or length), question)
    allowed = _allowed(slots.window(rules, now, time_zone), question, now)
    known = people.known(tx, members, now=now, stale_seconds=stale_seconds)
    hours = {user.id: people.working_hours(tx, user) for user in members.values()}
    found: list[Iterator[Offer]] = []
    for span in question.spans:
        # Whose hours nobody has given is asked for when the question says.
        opened = {u: ((span.start, span.end),) if h is None else openings(h, span) for u, h in hours.items()}
        seen = {
            user.id: people.person(tx, user, opened[user.id], rules, span=span, length=length)
            for user in members.values()
        }
        groups = [_enough([seen[u] for u in g.user_ids], g.needed, known) for g in question.participants]
        anchored = slots.anchors(
            ([opened[u] for u in g.user_ids], g.needed == len(g.user_ids)) for g in question.participants
        )
        offers = _offers(question, groups, anchored, span=span, length=length, interval=rules.interval, allowed=allowed)
        found.append(offers)
    return found, known, time_zone


def _offers(
    question: Question,
    groups: Sequence[Group],
    anchored: Sequence[Opening],
    *,
    span: Interval,
    length: int,
    interval: int,
    allowed: Interval,
    calendar_id: str | None = None,
) -> Iterator[Offer]:
    if question.periods:
        starts_of = {p.user_id: slots.free_starts(p, span, length) for g in groups for p in g.people}
        for period in slots.periods(groups, span, length, allowed):
            free = [id_ for id_, starts in starts_of.items() if slots.free_throughout(starts, period, length)]
            yield Offer(period.start, period.end, tuple(free), calendar_id)
        return
    starts = slots.grid(anchored, Interval(span.start, span.end - length + 1), interval)
    if len(starts) > FEW:
        starts = slots.possible(groups, starts, span, length, allowed)
    free_from = span.start
    for start, user_ids in slots.offered(groups, starts, length, allowed):
        if question.overlapping or start >= free_from:
            free_from = start + length
            yield Offer(start, free_from, user_ids, calendar_id)


def _enough(members: Sequence[Person], needed: int, known: Known) -> Group:
    """Those of whom enough is known. Raises `CalendarsStale` where these are too few."""
    fresh = [member for member in members if member.user_id not in known.stale]
    if len(fresh) < needed:
        raise known.unknown(member.user_id for member in members if member.user_id in known.stale)
    return Group(fresh, needed)


def _allowed(allowed: Interval, question: Question, now: int) -> Interval:
    """When a slot may start, by the rules, by the question, and not in the past."""
    last = allowed.end if question.horizon_days is None else min(allowed.end, now + question.horizon_days * 86_400)
    return Interval(max(allowed.start, now + question.notice), last)


def _slot_length(length: int | None, rules: SlotRules, pointer: str) -> int:
    if length is not None and (length <= 0 or length % rules.duration):
        detail = f"A booking takes one slot or several: a multiple of {rules.duration // 60} minutes."
        raise Invalid((FieldProblem(pointer, "invalid_value", detail),))
    return length or rules.duration


def _stricter(rules: SlotRules, question: Question) -> SlotRules:
    interval = question.interval or rules.interval
    if interval % rules.interval:
        detail = f"Slots of this calendar start every {rules.interval // 60} minutes: ask for a multiple of that."
        raise Invalid((FieldProblem("/intervalMinutes", "invalid_value", detail),))
    return replace(
        rules,
        interval=interval,
        before=max(rules.before, question.before),
        after=max(rules.after, question.after),
    )


class _Asked(NamedTuple):
    """Whom an id stands for, and how many of them a booking needs."""

    members: list[User]
    needed: int


def _asked(tx: Tx, id_: str, locations: Locations) -> _Asked | None:
    try:
        return _Asked([visibility.user(tx, id_, locations)], 1)
    except Unknown:
        pass
    try:
        calendar = visibility.bookable(tx, id_, locations)
    except Unknown:
        return None
    members = [visibility.user(tx, user_id) for user_id in calendar.user_ids]
    return _Asked(members, len(members) if calendar.everyone else 1)


def _occupied(tx: Tx, asked: _Asked, span: Interval, *, now: int, stale_seconds: int | None) -> Occupied:
    members, needed = asked
    stale = people.known(tx, [m.id for m in members], now=now, stale_seconds=stale_seconds).stale
    each = [[(span.start, span.end)] if m.id in stale else _busy(tx, m, span) for m in members]
    if needed == 1:
        together = each[0]
        for other in each[1:]:
            together = common(together, other)
    else:
        together = merged(time for times in each for time in times)
    trouble = "stale" if len(members) - len(stale) < needed else None
    return Occupied(tuple(Interval(start, end) for start, end in together), trouble)


def _not_too_much(user_count: int, spans: Iterable[Interval]) -> None:
    """Raises `TooMuchAtOnce` for more than is answered at once. A span counts by the days that it has begun."""
    user_days = user_count * sum(-(-(span.end - span.start) // DAY) for span in spans)
    if user_days > MOST_USER_DAYS:
        raise TooMuchAtOnce(user_days, MOST_USER_DAYS)


def _busy(tx: Tx, user: User, span: Interval) -> list[tuple[int, int]]:
    times = ((max(b.start, span.start), min(b.end, span.end)) for b in publish.busy(tx, user, span))
    return merged((start, end) for start, end in times if start < end)
