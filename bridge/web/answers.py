"""The JSON of answers, made from what the use cases return. Fields have HighLevel's names, and then our own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from bridge.domain.model import Appointment, BlockedSlot, Origin
from bridge.service.book import BlockedSlotView
from bridge.web.times import format_time, format_utc


def events(shown: Iterable[dict[str, Any]], more: Mapping[str, str]) -> str:
    """A listing. Each event is encoded by itself: encoding all in one step would block every other thread."""
    listed = ", ".join(json.dumps(document, ensure_ascii=False) for document in shown)
    rest = "".join(f", {json.dumps(name)}: {json.dumps(value)}" for name, value in more.items())
    return f'{{"events": [{listed}]{rest}}}'


def appointment(booked: Appointment) -> dict[str, Any]:
    """An Appointment."""
    fields = booked.fields
    kept = dict(booked.extra)
    document: dict[str, Any] = {
        "id": booked.id,
        "locationId": booked.location_id,
        "calendarId": booked.booking_calendar_id,
        "contactId": booked.contact_id,
        "assignedUserId": booked.user_id,
        "users": list(booked.other_user_ids),
        "groupId": None,
        "title": fields.title,
        "startTime": format_time(fields.start, zone=fields.time_zone, utc_offset=booked.utc_offset),
        "endTime": format_time(fields.end, zone=fields.time_zone, utc_offset=booked.utc_offset),
        "timezone": fields.time_zone,
        "allDay": fields.all_day,
        "appointmentStatus": fields.status,
        "address": fields.address,
        "description": fields.description,
        "isRecurring": fields.rrule is not None,
        "deleted": booked.deleted_at is not None,
        "dateAdded": format_utc(booked.created_at),
        "dateUpdated": format_utc(booked.updated_at),
        "createdBy": {"source": booked.source},
        "externalId": booked.external_id,
        "meetingLocationType": kept.pop("meetingLocationType", None),
        "metadata": kept.pop("metadata", {}),
        "inviteContact": fields.invitee is not None,
        **kept,
        "version": booked.version,
        "sync": {
            "state": str(booked.sync_state),
            "iCalUid": booked.uid,
            "lastSyncedAt": None if booked.synced_at is None else format_utc(booked.synced_at),
            "lastError": booked.sync_error,
        },
    }
    if booked.master_id is not None:
        document["masterEventId"] = booked.master_id
    if fields.rrule is not None:
        document["rrule"] = fields.rrule
    if fields.invitee is not None:
        document["invitation"] = {"email": fields.invitee, "answer": booked.answer}
    return document


def blocked_slot(slot: BlockedSlot) -> dict[str, Any]:
    """A CRM BlockedSlot."""
    return {
        "id": slot.id,
        "locationId": slot.location_id,
        "calendarId": slot.booking_calendar_id,
        "assignedUserId": slot.user_id,
        "title": slot.title,
        "startTime": format_time(slot.start, zone=slot.time_zone, utc_offset=slot.utc_offset),
        "endTime": format_time(slot.end, zone=slot.time_zone, utc_offset=slot.utc_offset),
        "timezone": slot.time_zone,
        "expiresAt": None if slot.expires_at is None else format_utc(slot.expires_at),
        "origin": str(Origin.CRM),
        "readOnly": False,
        "deleted": slot.deleted_at is not None,
        "dateAdded": format_utc(slot.created_at),
        "dateUpdated": format_utc(slot.updated_at),
        "version": slot.version,
        "sync": {"state": "not_synced"},
    }


def blocked_slot_view(view: BlockedSlotView) -> dict[str, Any]:
    """Blocked time in a listing, with the fields of a calendar event that is not an appointment."""
    return {
        "id": view.id,
        "locationId": view.location_id,
        "calendarId": view.booking_calendar_id,
        "contactId": None,
        "assignedUserId": view.user_id,
        "users": [],
        "groupId": None,
        "title": view.title,
        "startTime": format_time(view.start, zone=view.time_zone, utc_offset=view.utc_offset),
        "endTime": format_time(view.end, zone=view.time_zone, utc_offset=view.utc_offset),
        "timezone": view.time_zone,
        "allDay": view.all_day,
        "appointmentStatus": None,
        "origin": str(view.origin),
        "readOnly": view.read_only,
        "deleted": view.deleted,
        "dateAdded": format_utc(view.created_at),
        "dateUpdated": format_utc(view.updated_at),
    }
