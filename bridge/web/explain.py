"""Why a time is blocked or free, and what became of an event or an appointment, over HTTP."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from bridge.service import explain as explain_service
from bridge.service.explain import Finding, ThingExplained, TimeExplained
from bridge.web import requests
from bridge.web.keys import CONTEXT
from bridge.web.problems import Problem
from bridge.web.shapes.explain import ExplainQuery
from bridge.web.threads import in_thread
from bridge.web.times import format_utc

PATH = "/v1/explain"


async def explain(request: web.Request) -> web.Response:
    """Explain why a user's time is blocked or free (`userId`, `at`), or what happened to an event (`uid` or `id`)."""
    context, locations = request.app[CONTEXT], requests.locations_of(request)
    query, reader = requests.query_of(request, ExplainQuery)
    if not any(request.query.get(name) for name in ("id", "uid", "userId")):
        raise Problem(400, "missing_scope_parameter", "Say what: give userId and at, or uid, or id.")
    key = query.id or query.uid
    at = requests.query_time(reader, "at", query.at)
    if at is None and key is None:
        reader.wrong("at", "missing", "Give the time, in epoch milliseconds or RFC 3339.")
    reader.done()
    now = context.clock()
    # In a thread: both read every event of a User.
    if key is not None:
        things = await in_thread(request, lambda: explain_service.thing(context.db, key, now=now, locations=locations))
        return web.json_response({"events": [_thing(one) for one in things]})
    user_id = query.user_id
    assert user_id is not None and at is not None, "or the reader would have complained"  # noqa: S101
    told = await in_thread(request, lambda: explain_service.time(context.db, user_id, at, now=now, locations=locations))
    return web.json_response(_time(told))


def _time(told: TimeExplained) -> dict[str, Any]:
    return {
        "userId": told.user_id,
        "at": format_utc(told.at),
        "blocked": told.blocked,
        "findings": [_finding(one) for one in told.findings],
        "unreadable": [one.id for one in told.unreadable],
        "sources": [
            {
                "calendar": source.name,
                "role": str(source.role),
                "lastSyncedAt": _instant(source.last_success_at),
                "trouble": source.trouble,
            }
            for source in told.sources
        ],
        "notRead": list(told.not_read),
    }


def _thing(told: ThingExplained) -> dict[str, Any]:
    change, booked = told.change, told.appointment
    document: dict[str, Any] = {
        "userId": told.user_id,
        "findings": [_finding(one) for one in told.findings],
        "nextTimes": [{"start": format_utc(one.start), "end": format_utc(one.end)} for one in told.next_times],
        "published": change
        and {"revision": change.revision, "changedAt": format_utc(change.changed_at), "removed": change.removed},
    }
    if booked is not None:
        document["sync"] = {
            "state": str(booked.sync_state),
            "lastSyncedAt": _instant(booked.synced_at),
            "lastError": booked.sync_error,
        }
        document["pushes"] = [
            {
                "state": str(push.entry.state),
                "attempts": push.entry.attempts,
                "wishedAt": format_utc(push.created_at),
                "updatedAt": format_utc(push.updated_at),
                "lastError": push.entry.last_error,
            }
            for push in told.pushes
        ]
    return document


def _finding(one: Finding) -> dict[str, Any]:
    return {
        "blocks": one.blocks,
        "why": str(one.why),
        "sentence": one.sentence,
        "rule": one.rule or None,
        "kind": str(one.kind),
        "id": one.id,
        "uid": one.uid,
        "calendar": one.calendar.name if one.calendar is not None else None,
        "title": one.title,
        "start": format_utc(one.start),
        "end": format_utc(one.end),
        "allDay": one.all_day,
        "part": str(one.part),
        "movedTo": _instant(one.moved_to),
        "trouble": one.trouble,
    }


def _instant(at: int | None) -> str | None:
    return None if at is None else format_utc(at)
