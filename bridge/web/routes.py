"""Every route, on one screen. Fixed paths come before those with an id in their place.

Each is declared once, with what the OpenAPI document says of it.
"""

from __future__ import annotations

from bridge.web import (
    appointments,
    availability,
    blocked_slots,
    booking_calendars,
    changes,
    connections,
    explain,
    health,
    ingest,
    notes,
    reference,
    schedules,
    settings_links,
    users,
    webhooks,
)
from bridge.web.codes import BOOKING, LISTING, STALE
from bridge.web.operations import Operation
from bridge.web.shapes.about import Document, Health
from bridge.web.shapes.appointments import (
    Appointment,
    AppointmentBody,
    AppointmentEvent,
    AppointmentEvents,
    ScopeQuery,
    Succeeded,
)
from bridge.web.shapes.availability import (
    Availability,
    AvailabilityBody,
    FreeBusy,
    FreeBusyBody,
    FreeSlots,
    FreeSlotsQuery,
)
from bridge.web.shapes.base import EventsQuery
from bridge.web.shapes.blocked_slots import BlockedSlot, BlockedSlotBody, BlockedSlotEvent, BlockedTimes
from bridge.web.shapes.booking_calendars import (
    BookingCalendarAnswer,
    BookingCalendars,
    CalendarBody,
    CalendarsQuery,
    Success,
)
from bridge.web.shapes.changes import Changes, ChangesQuery
from bridge.web.shapes.connections import Connection, Connections, ConnectionsQuery
from bridge.web.shapes.explain import ExplainQuery, Explanation
from bridge.web.shapes.ingest import HighLevelMessage, Ingested
from bridge.web.shapes.notes import NoteAnswer, NoteBody, Notes, NotesQuery
from bridge.web.shapes.schedules import ScheduleAnswer, ScheduleBody, Schedules, SchedulesQuery
from bridge.web.shapes.users import (
    CalendarPasswordBody,
    CalendarPasswordMade,
    CalendarPasswords,
    SettingsLink,
    User,
    UserBody,
    Users,
    UsersQuery,
)
from bridge.web.shapes.webhooks import Deliveries, DeliveriesQuery, Delivery, ReplayBody, Webhook, WebhookBody, Webhooks

READ, WRITE = "calendars/events.readonly", "calendars/events.write"
SEE, SET = "calendars.readonly", "calendars.write"
HOOK, ADMIN = "webhooks.write", "admin"

APPOINTMENT, SLOT = appointments.PATH + "/{eventId}", blocked_slots.PATH + "/{eventId}"
NOTE = notes.PATH + "/{noteId}"
CALENDAR, SCHEDULE = booking_calendars.PATH + "/{calendarId}", schedules.PATH + "/{scheduleId}"
OF_CALENDAR, ASSOCIATION = schedules.PATH + "/event-calendar/{calendarId}", SCHEDULE + "/associations/{calendarId}"
WEBHOOK, DELIVERIES = webhooks.PATH + "/{webhookId}", webhooks.PATH + "/{webhookId}/deliveries"
CONNECTION, USER = connections.PATH + "/{connectionId}", users.PATH + "/{userId}"

NEW = ("calendarId", "startTime")
BLOCK = ("startTime", "endTime")
ONLY = "read_only"

# A table, to be read as one:
# fmt: off
#: By what they are about.
OPERATIONS: dict[str, tuple[Operation, ...]] = {
    "Appointments": (
        Operation("POST", appointments.PATH, appointments.create, WRITE, "create-appointment",
                  {201: Appointment, 200: Appointment}, body=AppointmentBody, needed=NEW, once=True,
                  waits=True, problems=BOOKING, gives=("Location", "X-Data-As-Of")),
        Operation("GET", APPOINTMENT, appointments.read, READ, "get-appointment",
                  {200: AppointmentEvent, 304: None}, versioned=True),
        Operation("PUT", APPOINTMENT, appointments.update, WRITE, "edit-appointment", {200: Appointment},
                  body=AppointmentBody, query=ScopeQuery, versioned=True, waits=True, problems=BOOKING,
                  gives=("X-Data-As-Of",)),
        Operation("PATCH", APPOINTMENT, appointments.update, WRITE, "patch-appointment", {200: Appointment},
                  body=AppointmentBody, query=ScopeQuery, versioned=True, waits=True, problems=BOOKING,
                  gives=("X-Data-As-Of",)),
        Operation("PUT", "/v1/appointments/by-external-id/{externalId}", appointments.put_by_external_id, WRITE,
                  "put-appointment-by-external-id", {200: Appointment, 201: Appointment},
                  body=AppointmentBody, needed=NEW, versioned=True, waits=True,
                  problems=BOOKING, gives=("X-Data-As-Of", "Location")),
        Operation("GET", "/v1/calendars/events", appointments.list_all, READ, "get-calendar-events",
                  {200: AppointmentEvents}, query=EventsQuery, problems=LISTING),
        Operation("DELETE", "/v1/calendars/events/{eventId}", appointments.delete, WRITE, "delete-event",
                  {200: Succeeded}, query=ScopeQuery, versioned=True, problems=(ONLY,)),
    ),
    "Notes": (
        Operation("GET", notes.PATH, notes.list_all, READ, "get-appointment-notes", {200: Notes}, query=NotesQuery),
        Operation("POST", notes.PATH, notes.create, WRITE, "create-appointment-note", {201: NoteAnswer},
                  body=NoteBody, needed=("body",), once=True, problems=("too_many",), gives=("Location",)),
        Operation("GET", NOTE, notes.read, READ, "get-appointment-note", {200: NoteAnswer}),
        Operation("PUT", NOTE, notes.update, WRITE, "update-appointment-note", {200: NoteAnswer}, body=NoteBody),
        Operation("DELETE", NOTE, notes.delete, WRITE, "delete-appointment-note", {200: Success}),
    ),
    "Blocked slots": (
        Operation("POST", blocked_slots.PATH, blocked_slots.create, WRITE, "create-block-slot",
                  {201: BlockedSlot}, body=BlockedSlotBody, needed=BLOCK, once=True,
                  problems=("not_found", "nonexistent_local_time"), gives=("Location",)),
        Operation("GET", SLOT, blocked_slots.read, READ, "get-block-slot", {200: BlockedSlotEvent, 304: None},
                  versioned=True),
        Operation("PUT", SLOT, blocked_slots.update, WRITE, "edit-block-slot", {200: BlockedSlot},
                  body=BlockedSlotBody, versioned=True, problems=(ONLY, "nonexistent_local_time")),
        Operation("PATCH", SLOT, blocked_slots.update, WRITE, "patch-block-slot", {200: BlockedSlot},
                  body=BlockedSlotBody, versioned=True, problems=(ONLY, "nonexistent_local_time")),
        Operation("GET", "/v1/calendars/blocked-slots", blocked_slots.list_all, READ, "get-blocked-slots",
                  {200: BlockedTimes}, query=EventsQuery, problems=LISTING),
    ),
    "Availability": (
        Operation("GET", CALENDAR + "/free-slots", availability.free_slots, SEE, "get-slots", {200: FreeSlots},
                  query=FreeSlotsQuery, problems=("range_too_large", *STALE),
                  gives=("X-Data-As-Of",)),
        Operation("POST", "/v1/availability", availability.ask, SEE, "ask-availability", {200: Availability},
                  body=AvailabilityBody, needed=("periods",),
                  problems=("not_found", "range_too_large", *STALE, "nonexistent_local_time"),
                  gives=("X-Data-As-Of",)),
        Operation("POST", "/v1/freebusy", availability.free_busy, SEE, "ask-free-busy", {200: FreeBusy},
                  body=FreeBusyBody, needed=("timeMin", "timeMax", "items"),
                  problems=("range_too_large", "nonexistent_local_time")),
    ),
    "Changes and webhooks": (
        Operation("GET", changes.PATH, changes.read, READ, "get-changes", {200: Changes},
                  query=ChangesQuery, problems=("cursor_expired",)),
        Operation("GET", webhooks.PATH, webhooks.list_all, HOOK, "get-webhooks", {200: Webhooks}),
        Operation("POST", webhooks.PATH, webhooks.create, HOOK, "create-webhook", {201: Webhook},
                  body=WebhookBody, needed=("url",), once=True, problems=("not_found", "too_many"),
                  gives=("Location",)),
        Operation("GET", WEBHOOK, webhooks.read, HOOK, "get-webhook", {200: Webhook}),
        Operation("PATCH", WEBHOOK, webhooks.update, HOOK, "edit-webhook", {200: Webhook},
                  body=WebhookBody),
        Operation("DELETE", WEBHOOK, webhooks.delete, HOOK, "delete-webhook", {204: None}),
        Operation("POST", WEBHOOK + "/test", webhooks.test, HOOK, "test-webhook", {202: Delivery}),
        Operation("POST", WEBHOOK + "/rotate-secret", webhooks.rotate_secret, HOOK, "rotate-webhook-secret",
                  {200: Webhook}),
        Operation("POST", WEBHOOK + "/replay", webhooks.replay, HOOK, "replay-webhook", {202: Webhook},
                  body=ReplayBody, needed=("cursor",), problems=("cursor_expired",)),
        Operation("GET", DELIVERIES, webhooks.list_deliveries, HOOK, "get-deliveries", {200: Deliveries},
                  query=DeliveriesQuery),
        Operation("POST", DELIVERIES + "/{deliveryId}/retry", webhooks.retry, HOOK, "retry-delivery",
                  {202: Delivery}),
        Operation("POST", ingest.PATH, ingest.take, None, "ingest-highlevel", {200: Ingested},
                  body=HighLevelMessage, problems=("bad_signature", "not_found", "not_now", "store_unavailable")),
    ),
    "Users and connections": (
        Operation("GET", connections.PATH, connections.list_all, SEE, "get-connections", {200: Connections},
                  query=ConnectionsQuery, problems=("not_found",)),
        Operation("GET", CONNECTION, connections.read, SEE, "get-connection", {200: Connection}),
        Operation("POST", CONNECTION + "/sync", connections.sync, SET, "sync-connection", {202: Connection}),
        Operation("GET", users.PATH, users.list_all, ADMIN, "get-users", {200: Users}, query=UsersQuery,
                  problems=("not_found",)),
        Operation("POST", users.PATH, users.create, ADMIN, "create-user", {201: User}, body=UserBody,
                  needed=("id", "timezone"), once=True, problems=("not_found", "already_exists"),
                  gives=("Location",)),
        Operation("GET", USER, users.read, ADMIN, "get-user", {200: User}),
        Operation("PATCH", USER, users.update, ADMIN, "edit-user", {200: User}, body=UserBody,
                  problems=("set_by_administrator",)),
        Operation("DELETE", USER, users.delete, ADMIN, "delete-user", {204: None},
                  problems=("set_by_administrator",)),
        Operation("GET", users.PASSWORDS, users.list_passwords, ADMIN, "get-calendar-passwords",
                  {200: CalendarPasswords}),
        Operation("POST", users.PASSWORDS, users.create_password, ADMIN, "create-calendar-password",
                  {201: CalendarPasswordMade}, body=CalendarPasswordBody, needed=("label",), once=True),
        Operation("DELETE", users.PASSWORDS + "/{passwordId}", users.revoke_password, ADMIN,
                  "revoke-calendar-password", {204: None}),
        Operation("POST", settings_links.PATH, settings_links.create, SET, "create-settings-link",
                  {201: SettingsLink}),
        Operation("GET", explain.PATH, explain.explain, READ, "explain", {200: Explanation},
                  query=ExplainQuery, problems=("missing_scope_parameter", "not_found")),
    ),
    "Schedules": (
        Operation("GET", schedules.PATH + "/search", schedules.search, SEE, "get-schedules", {200: Schedules},
                  query=SchedulesQuery, problems=("not_found",)),
        Operation("POST", schedules.PATH, schedules.create, SET, "create-schedule", {201: ScheduleAnswer},
                  body=ScheduleBody, needed=("userId", "name", "timezone"), once=True, problems=("not_found",),
                  gives=("Location",)),
        Operation("GET", OF_CALENDAR, schedules.read_of_calendar, SEE, "get-event-calendar-schedule",
                  {200: ScheduleAnswer, 304: None}, versioned=True),
        Operation("POST", OF_CALENDAR, schedules.create_of_calendar, SET, "create-event-calendar-schedule",
                  {201: ScheduleAnswer}, body=ScheduleBody, needed=("timezone",), once=True, gives=("Location",)),
        Operation("PUT", OF_CALENDAR, schedules.update_of_calendar, SET, "edit-event-calendar-schedule",
                  {200: ScheduleAnswer}, body=ScheduleBody, versioned=True),
        Operation("GET", SCHEDULE, schedules.read, SEE, "get-schedule", {200: ScheduleAnswer, 304: None},
                  versioned=True),
        Operation("PUT", SCHEDULE, schedules.update, SET, "edit-schedule", {200: ScheduleAnswer},
                  body=ScheduleBody, versioned=True),
        Operation("DELETE", SCHEDULE, schedules.delete, SET, "delete-schedule", {200: Success},
                  versioned=True),
        Operation("PUT", ASSOCIATION, schedules.associate, SET, "add-calendar-to-schedule",
                  {200: ScheduleAnswer}, versioned=True),
        Operation("DELETE", ASSOCIATION, schedules.associate, SET, "remove-calendar-from-schedule",
                  {200: ScheduleAnswer}, versioned=True),
    ),
    "Booking calendars": (
        Operation("GET", booking_calendars.PATH + "/", booking_calendars.list_all, SEE, "get-calendars",
                  {200: BookingCalendars}, query=CalendarsQuery, problems=("not_found",)),
        Operation("POST", booking_calendars.PATH + "/", booking_calendars.create, SET, "create-calendar",
                  {201: BookingCalendarAnswer}, body=CalendarBody, needed=("name",), once=True,
                  problems=("not_found",), gives=("Location",)),
        Operation("GET", booking_calendars.PATH, booking_calendars.list_all, SEE, "get-calendars-without-slash",
                  {200: BookingCalendars}, query=CalendarsQuery, problems=("not_found",)),
        Operation("POST", booking_calendars.PATH, booking_calendars.create, SET, "create-calendar-without-slash",
                  {201: BookingCalendarAnswer}, body=CalendarBody, needed=("name",), once=True,
                  problems=("not_found",), gives=("Location",)),
        Operation("GET", CALENDAR, booking_calendars.read, SEE, "get-calendar",
                  {200: BookingCalendarAnswer, 304: None}, versioned=True),
        Operation("PUT", CALENDAR, booking_calendars.update, SET, "edit-calendar", {200: BookingCalendarAnswer},
                  body=CalendarBody, versioned=True),
        Operation("DELETE", CALENDAR, booking_calendars.delete, SET, "delete-calendar", {200: Success},
                  versioned=True),
    ),
    "About": (
        Operation("GET", "/healthz", health.healthz, None, "healthz", {200: Health}),
        Operation("GET", "/readyz", health.readyz, None, "readyz", {200: Health},
                  problems=("store_unavailable",)),
        Operation("GET", reference.OPENAPI, reference.openapi, None, "get-openapi", {200: Document}),
        Operation("GET", reference.DOCS, reference.docs, None, "get-docs", {200: None}),
    ),
}
# fmt: on

ROUTES = [operation.route for operations in OPERATIONS.values() for operation in operations]
