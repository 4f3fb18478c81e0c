"""Free slots, availability and free-busy over HTTP.

Answers are computed in threads: bookings must not wait for a question about a hundred Users.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Iterable
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web

from bridge.domain.model import Interval
from bridge.domain.time_zones import is_time_zone
from bridge.service import availability
from bridge.service.availability import FreeSlots, Occupied, Offer, Offers, Participants, Question
from bridge.service.people import Known
from bridge.web import requests
from bridge.web.keys import CONTEXT
from bridge.web.problems import Problem
from bridge.web.reader import Reader
from bridge.web.shapes.availability import AvailabilityBody, FreeBusyBody, FreeSlotsQuery
from bridge.web.threads import in_thread
from bridge.web.times import format_time, format_utc

DAY = 86_400
#: The longest spans that can be asked for, in seconds. Each has an hour more, for days on which the clocks go back.
LONGEST_SLOTS = 31 * DAY + 3600
LONGEST_PERIODS = 92 * DAY + 3600
LONGEST_FREE_BUSY = 366 * DAY
AS_OF = "X-Data-As-Of"


async def free_slots(request: web.Request) -> web.Response:
    """List the free slots of a booking calendar, by day."""
    context = request.app[CONTEXT]
    query, reader = requests.query_of(request, FreeSlotsQuery)
    zone = reader.zone(query.timezone)
    span = requests.query_span(reader, ("startDate", "endDate"), (query.start_date, query.end_date))
    if span.end - span.start > LONGEST_SLOTS:
        raise Problem(400, "range_too_large", "Ask for 31 days at most; ask again for the rest.")
    now = context.clock()

    def answer() -> web.Response:
        found = availability.free_slots(
            context.db,
            request.match_info["calendarId"],
            span,
            locations=requests.locations_of(request),
            user_ids=[*query.user_ids, *(() if query.user_id is None else query.user_id.split(","))],
            length=None if query.duration is None else query.duration * 60,
            now=now,
            stale_seconds=None if query.allow_stale else context.freshness.stale,
        )
        days = _by_day(found, span, ZoneInfo(zone or found.time_zone), ranges=query.slot_format == "range")
        return web.json_response(days, headers=_as_of(found.known, now))

    return await in_thread(request, answer)


async def ask(request: web.Request) -> web.Response:
    """Find out when booking calendars can be booked, or when users can meet."""
    context = request.app[CONTEXT]
    body = (await requests.body_of(request, AvailabilityBody)).strict()
    asked, now = body.value, context.clock()
    question = _question(Reader(list(body.problems)), asked)
    if sum(span.end - span.start for span in question.spans) > LONGEST_PERIODS:
        raise Problem(400, "range_too_large", "Ask for 92 days at most; ask again for the rest.")

    def answer() -> web.Response:
        found = availability.availability(
            context.db,
            question,
            locations=requests.locations_of(request),
            now=now,
            stale_seconds=None if asked.allow_stale else _at_most(asked.max_stale_seconds, context.freshness.stale),
        )
        zone = asked.timezone or found.time_zone
        tell = _teller(zone)
        document = {
            "periods" if question.periods else "slots": [_offer(offer, tell) for offer in found.offers],
            "timezone": zone,
            "computedAt": format_utc(now),
            "asOf": _as_of(found.known, now).get(AS_OF),
            "sources": _sources(found, context.freshness.stale, now),
            "truncated": found.truncated,
        }
        return web.json_response(document, headers=_as_of(found.known, now))

    return await in_thread(request, answer)


async def free_busy(request: web.Request) -> web.Response:
    """Find out when users and booking calendars are busy, in the format of Google's API. No titles."""
    context = request.app[CONTEXT]
    body = await requests.body_of(request, FreeBusyBody)
    asked, reader = body.value, Reader(list(body.problems))
    zone = asked.time_zone or "UTC"
    if not is_time_zone(zone):
        reader.wrong("timeZone", "invalid_time_zone", "Use an IANA time zone name such as Europe/Berlin.")
        zone = "UTC"
    for name, value in (("timeMin", asked.time_min), ("timeMax", asked.time_max), ("items", asked.items)):
        if value is None:
            reader.wrong(name, "missing", "Say from when (timeMin) until when (timeMax), and for whom (items).")
    start, end = reader.time("timeMin", asked.time_min, zone), reader.time("timeMax", asked.time_max, zone)
    if start is not None and end is not None and end.at <= start.at:
        reader.wrong("timeMax", "end_before_start", "The end has to come after the start.")
    reader.done()
    assert start is not None and end is not None and asked.items, "or the reader would have complained"  # noqa: S101
    span = Interval(start.at, end.at)
    if span.end - span.start > LONGEST_FREE_BUSY:
        raise Problem(400, "range_too_large", "Ask for 366 days at most; ask again for the rest.")
    locations, now, tell = requests.locations_of(request), context.clock(), _teller(zone)

    def answer() -> web.Response:
        found = availability.free_busy(
            context.db,
            [item.id for item in asked.items or ()],
            span,
            locations=locations,
            now=now,
            stale_seconds=None if asked.allow_stale else context.freshness.stale,
        )
        document = {
            "kind": "calendar#freeBusy",
            "timeMin": tell(span.start),
            "timeMax": tell(span.end),
            "calendars": {id_: _occupied(occupied, tell) for id_, occupied in found.items()},
        }
        return web.json_response(document, headers=body.ignored())  # Google's programs send more than the bridge needs

    return await in_thread(request, answer)


def _question(reader: Reader, asked: AvailabilityBody) -> Question:
    """What a body asks. Raises `Invalid`."""
    zone = reader.zone(asked.timezone)
    if (asked.calendar_ids is None) == (asked.participants is None):
        reader.wrong("calendarIds", "missing", "Give either calendarIds or participants.")
    if asked.periods is None:
        reader.wrong("periods", "missing", "Say when: periods with start and end.")
    participants = []
    for number, group in enumerate(asked.participants or ()):
        user_ids = tuple(dict.fromkeys(group.user_ids))
        required = None if group.required == "all" else group.required
        if required is not None and required > len(user_ids):
            reader.wrong(f"participants/{number}/required", "out_of_range", "More are required than there are.")
        participants.append(Participants(user_ids, required))
    spans = []
    for number, period in enumerate(asked.periods or ()):
        start = reader.time(f"periods/{number}/start", period.start, zone)
        end = reader.time(f"periods/{number}/end", period.end, zone)
        if start is None or end is None:
            continue
        if end.at <= start.at:
            reader.wrong(f"periods/{number}/end", "end_before_start", "The end has to come after the start.")
        spans.append(Interval(start.at, end.at))
    reader.done()
    return Question(
        calendar_ids=tuple(asked.calendar_ids or ()),
        participants=tuple(participants),
        spans=tuple(spans),
        length=None if asked.duration_minutes is None else asked.duration_minutes * 60,
        interval=None if asked.interval_minutes is None else asked.interval_minutes * 60,
        before=asked.buffer.before_minutes * 60,
        after=asked.buffer.after_minutes * 60,
        notice=asked.min_notice_minutes * 60,
        horizon_days=asked.max_horizon_days,
        overlapping=asked.format == "overlapping_slots",
        periods=asked.format == "periods",
        limit=asked.max_results,
    )


def _at_most(asked: int | None, setting: int) -> int:
    """The stricter of what the question and the settings allow."""
    return setting if asked is None else min(asked, setting)


def _by_day(found: FreeSlots, span: Interval, zone: ZoneInfo, *, ranges: bool) -> dict[str, dict[str, list[Any]]]:
    """HighLevel's map of days, including those without a slot."""
    days: dict[str, dict[str, list[Any]]] = {day: {"slots": []} for day in _days(span, zone)}
    for start in found.starts:
        text = dt.datetime.fromtimestamp(start, zone).isoformat()
        slot: Any = text
        if ranges:
            slot = {"start": text, "end": dt.datetime.fromtimestamp(start + found.length, zone).isoformat()}
        days[text[:10]]["slots"].append(slot)
    return days


def _days(span: Interval, zone: ZoneInfo) -> Iterable[str]:
    first = dt.datetime.fromtimestamp(span.start, zone).date()
    last = dt.datetime.fromtimestamp(span.end - 1, zone).date()
    for number in range((last - first).days + 1):
        yield (first + dt.timedelta(days=number)).isoformat()


def _as_of(known: Known, now: int) -> dict[str, str]:
    """How recent the answer is. Without sources, it is as recent as the request."""
    return {AS_OF: format_utc(known.as_of if known.as_of is not None else now)} if known.complete else {}


def _teller(zone: str) -> Callable[[int], str]:
    """A function that formats instants in a zone, and remembers them, since many calendars have the same ones."""
    return functools.cache(lambda at: format_time(at, zone=zone, utc_offset=0))


def _offer(offer: Offer, tell: Callable[[int], str]) -> dict[str, Any]:
    document: dict[str, Any] = {
        "start": tell(offer.start),
        "end": tell(offer.end),
        "userIds": list(offer.user_ids),
    }
    return document if offer.calendar_id is None else {**document, "calendarId": offer.calendar_id}


def _sources(found: Offers, stale_seconds: int, now: int) -> list[dict[str, Any]]:
    return [
        {
            "connectionId": source.account_id,
            "userId": source.user_id,
            "calendar": source.name,
            "lastSyncedAt": None if source.last_read_at is None else format_utc(source.last_read_at),
            "status": source.status(now, stale_seconds),
        }
        for source in found.known.sources
    ]


def _occupied(occupied: Occupied, tell: Callable[[int], str]) -> dict[str, Any]:
    document: dict[str, Any] = {"busy": [{"start": tell(busy.start), "end": tell(busy.end)} for busy in occupied.busy]}
    if occupied.trouble is not None:
        document["errors"] = [{"domain": "bridge", "reason": occupied.trouble}]
    return document
