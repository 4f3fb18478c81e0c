"""The entries of the change feed, made by comparing a thing before and after a change. Pure.

Webhooks carry the same documents. Those of appointments have HighLevel's field names, and then the bridge's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bridge.domain import ical
from bridge.domain.model import Account, Appointment, BlockedSlot, Origin, PublishedItem, SyncState, User
from bridge.domain.rfc3339 import format_time, format_utc

#: When more blocked slots from iCloud than this change in one transaction (at a first mirror, for example), the feed
#: gets one `ResyncRequired` instead of an entry for each: followers then list all slots in one request.
BULK = 100
#: The reasons of a `ResyncRequired` that concern blocked slots alone.
OF_SLOTS = frozenset({"many_changes", "time_zone_changed"})


class ChangeOrigin(StrEnum):
    """Who made a change."""

    API = "api"
    ICLOUD = "icloud"
    BRIDGE = "bridge"


class Resource(StrEnum):
    """What a change is about."""

    APPOINTMENT = "appointment"
    BLOCKED_SLOT = "blockedSlot"
    CONNECTION = "connection"
    USER = "user"


class ChangeType(StrEnum):
    """What happened. The first three are HighLevel's."""

    APPOINTMENT_CREATE = "AppointmentCreate"
    APPOINTMENT_UPDATE = "AppointmentUpdate"
    APPOINTMENT_DELETE = "AppointmentDelete"
    APPOINTMENT_SYNC_FAILED = "AppointmentSyncFailed"
    APPOINTMENT_CONFLICT = "AppointmentConflict"
    BLOCKED_SLOT_CREATE = "BlockedSlotCreate"
    BLOCKED_SLOT_UPDATE = "BlockedSlotUpdate"
    BLOCKED_SLOT_DELETE = "BlockedSlotDelete"
    CONNECTION_STATUS_UPDATE = "ConnectionStatusUpdate"
    #: All blocked slots of a User have to be listed anew; their appointments too, unless it is for one of `OF_SLOTS`.
    RESYNC_REQUIRED = "ResyncRequired"


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """One change, to be recorded in the transaction that makes it."""

    location_id: str
    user_id: str
    resource: Resource
    #: The id of the resource.
    id: str
    type: ChangeType
    origin: ChangeOrigin
    #: The names of the changed fields in the API.
    changed_fields: tuple[str, ...] = ()
    #: The former values of these fields.
    previous: Mapping[str, Any]
    version: int | None = None
    #: The resource as it is after the change, ready to be written as JSON.
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """News that was recorded in the feed. `occurred_at` is in Unix seconds, UTC."""

    #: Rises with every change of anything, in the order in which the changes were made.
    sequence: int
    occurred_at: int
    news: News


# --- Appointments ----------------------------------------------------------------------------------------------------


def of_appointment(before: Appointment | None, after: Appointment, origin: ChangeOrigin) -> list[News]:
    """The news of an Appointment that was made or changed; none where only its sync state changed, without trouble."""
    if not after.location_id:
        return []  # a stand-in that removes an event: no CRM knows of it
    was, now = {} if before is None else _appointment_values(before), _appointment_values(after)
    changed = tuple(name for name in now | was if was.get(name) != now.get(name)) if before is not None else ()

    def news(type_: ChangeType, fields: tuple[str, ...] = ()) -> News:
        return News(
            location_id=after.location_id,
            user_id=after.user_id,
            resource=Resource.APPOINTMENT,
            id=after.id,
            type=type_,
            origin=origin,
            changed_fields=fields,
            previous={name: was.get(name) for name in fields if name not in {"sync", "recurrence"}},
            version=after.version,
            document=appointment_document(after, origin),
        )

    if before is None:
        return [news(ChangeType.APPOINTMENT_CREATE)]
    if after.deleted_at is not None and before.deleted_at is None:
        return [news(ChangeType.APPOINTMENT_DELETE)]
    found = []
    if after.version != before.version:
        # If none of its own fields changed in iCloud, single times of it were moved or renamed there.
        singly = ("recurrence",) if origin == ChangeOrigin.ICLOUD else ()
        found.append(news(ChangeType.APPOINTMENT_UPDATE, changed or singly))
    if (after.sync_state, after.sync_error) != (before.sync_state, before.sync_error):
        if after.sync_state == SyncState.FAILED:
            found.append(news(ChangeType.APPOINTMENT_SYNC_FAILED, ("sync",)))
        elif after.sync_state == SyncState.CONFLICT:
            found.append(news(ChangeType.APPOINTMENT_CONFLICT, ("sync",)))
    return found


def appointment_document(booked: Appointment, origin: ChangeOrigin) -> dict[str, Any]:
    """An Appointment in HighLevel's webhook shape, with what the bridge adds."""
    return {
        "id": booked.id,
        "title": booked.fields.title,
        "calendarId": booked.booking_calendar_id,
        "contactId": booked.contact_id,
        "groupId": None,
        "appointmentStatus": booked.fields.status,
        "assignedUserId": booked.user_id,
        "users": list(booked.other_user_ids),
        "address": booked.fields.address,
        "notes": None,
        "source": str(origin),
        "startTime": _time(booked, booked.fields.start),
        "endTime": _time(booked, booked.fields.end),
        "dateAdded": format_utc(booked.created_at),
        "dateUpdated": format_utc(booked.updated_at),
        "timezone": booked.fields.time_zone,
        "allDay": booked.fields.all_day,
        "description": booked.fields.description,
        "isRecurring": booked.fields.rrule is not None,
        "rrule": booked.fields.rrule,
        "masterEventId": booked.master_id,
        "externalId": booked.external_id,
        "metadata": booked.extra.get("metadata", {}),
        "inviteContact": booked.fields.invitee is not None,
        "invitation": _invitation(booked),
        "deleted": booked.deleted_at is not None,
        "version": booked.version,
        "sync": {"state": str(booked.sync_state), "lastError": booked.sync_error},
    }


def _invitation(booked: Appointment) -> dict[str, Any] | None:
    """The invitation of its contact; None: the contact is not invited."""
    invitee = booked.fields.invitee
    return None if invitee is None else {"email": invitee, "answer": booked.answer}


def _appointment_values(booked: Appointment) -> dict[str, Any]:
    """The values of an Appointment that a CRM can change, by their names in the API."""
    return {
        "title": booked.fields.title,
        "startTime": _time(booked, booked.fields.start),
        "endTime": _time(booked, booked.fields.end),
        "timezone": booked.fields.time_zone,
        "allDay": booked.fields.all_day,
        "appointmentStatus": booked.fields.status,
        "address": booked.fields.address,
        "description": booked.fields.description,
        "rrule": booked.fields.rrule,
        "calendarId": booked.booking_calendar_id,
        "assignedUserId": booked.user_id,
        "contactId": booked.contact_id,
        "externalId": booked.external_id,
        "users": list(booked.other_user_ids),
        "inviteContact": booked.fields.invitee is not None,
        "invitation": _invitation(booked),
        **booked.extra,
    }


def _time(thing: Appointment, at: int) -> str:
    return format_time(at, zone=thing.fields.time_zone, utc_offset=thing.utc_offset)


# --- Blocked slots ---------------------------------------------------------------------------------------------------


def of_crm_slot(before: BlockedSlot | None, after: BlockedSlot, origin: ChangeOrigin) -> News:
    """The news of a CRM BlockedSlot that was made (`before` None), changed or deleted."""
    if before is None:
        type_ = ChangeType.BLOCKED_SLOT_CREATE
    elif after.deleted_at is not None:
        type_ = ChangeType.BLOCKED_SLOT_DELETE
    else:
        type_ = ChangeType.BLOCKED_SLOT_UPDATE
    document = _crm_slot_document(after)
    was = document if before is None else _crm_slot_document(before)
    changed = tuple(
        name for name in document if was[name] != document[name] and name not in {"dateUpdated", "version", "deleted"}
    )
    return News(
        location_id=after.location_id,
        user_id=after.user_id,
        resource=Resource.BLOCKED_SLOT,
        id=after.id,
        type=type_,
        origin=origin,
        changed_fields=changed,
        previous={name: was[name] for name in changed},
        version=after.version,
        document=document,
    )


def _crm_slot_document(slot: BlockedSlot) -> dict[str, Any]:
    return {
        "id": slot.id,
        "locationId": slot.location_id,
        "calendarId": slot.booking_calendar_id,
        "assignedUserId": slot.user_id,
        "title": slot.title,
        "startTime": format_time(slot.start, zone=slot.time_zone, utc_offset=slot.utc_offset),
        "endTime": format_time(slot.end, zone=slot.time_zone, utc_offset=slot.utc_offset),
        "timezone": slot.time_zone,
        "allDay": False,
        "isRecurring": False,
        "expiresAt": None if slot.expires_at is None else format_utc(slot.expires_at),
        "origin": str(Origin.CRM),
        "readOnly": False,
        "deleted": slot.deleted_at is not None,
        "dateUpdated": format_utc(slot.updated_at),
        "version": slot.version,
    }


def of_icloud_slot(user: User, before: PublishedItem | None, after: PublishedItem | None) -> News:
    """The news of a blocked slot from iCloud that appeared (`before` None), changed, or went (`after` None)."""
    item = after or before
    assert item is not None, "something that was and is not there does not change"  # noqa: S101
    document = _icloud_slot_document(user, item, deleted=after is None)
    changed: tuple[str, ...] = ()
    was: dict[str, Any] = {}
    if before is None:
        type_ = ChangeType.BLOCKED_SLOT_CREATE
    elif after is None:
        type_ = ChangeType.BLOCKED_SLOT_DELETE
    else:
        type_ = ChangeType.BLOCKED_SLOT_UPDATE
        was = _icloud_slot_document(user, before, deleted=False)
        changed = tuple(name for name in document if was[name] != document[name])
        if document["isRecurring"]:
            changed = (*changed, "recurrence")  # it is not worked out which of its times changed
    return News(
        location_id=user.location_id,
        user_id=user.id,
        resource=Resource.BLOCKED_SLOT,
        id=document["id"],
        type=type_,
        origin=ChangeOrigin.ICLOUD,
        changed_fields=changed,
        previous={name: was[name] for name in changed if name in was},
        document=document,
    )


def _icloud_slot_document(user: User, item: PublishedItem, *, deleted: bool) -> dict[str, Any]:
    """The slot as a whole.

    The API lists a recurring one once for each of its times, with ids that begin with the id here.
    """
    recurring = any(f"\n{name}" in item.ics for name in ("RRULE", "RDATE", "RECURRENCE-ID"))
    return {
        "id": item.href.removesuffix(".ics"),
        "locationId": user.location_id,
        "calendarId": None,
        "assignedUserId": user.id,
        "title": ical.summary(item.ics),
        "startTime": _told(item.first_start, user),
        # The times of a recurring one have to be asked for.
        "endTime": None if recurring else _told(item.last_end, user),
        "timezone": user.time_zone,
        "isRecurring": recurring,
        "origin": str(Origin.ICLOUD),
        "readOnly": True,
        "deleted": deleted,
    }


def _told(at: int | None, user: User) -> str | None:
    try:
        return None if at is None else format_time(at, zone=user.time_zone, utc_offset=0)
    except (OverflowError, ValueError):
        return None  # an event in a year that can't be written


def resync(user: User, reason: str) -> News:
    """The news that what a User has is to be listed anew. With reason `user_removed`, there is nothing left."""
    return News(
        location_id=user.location_id,
        user_id=user.id,
        resource=Resource.USER,
        id=user.id,
        type=ChangeType.RESYNC_REQUIRED,
        origin=ChangeOrigin.BRIDGE,
        previous={},
        document={"userId": user.id, "reason": reason},
    )


# --- Connections -----------------------------------------------------------------------------------------------------


def of_connection(user: User, account: Account, *, was: str | None, now: str) -> News:
    """The news that the state of an Account changed, that it was connected (`was` None), or disconnected."""
    return News(
        location_id=user.location_id,
        user_id=user.id,
        resource=Resource.CONNECTION,
        id=account.id,
        type=ChangeType.CONNECTION_STATUS_UPDATE,
        origin=ChangeOrigin.BRIDGE,
        changed_fields=("status",),
        previous={"status": was},
        document={
            "id": account.id,
            "userId": user.id,
            "provider": account.provider,
            "status": now,
            "statusReason": account.state_reason,
        },
    )
