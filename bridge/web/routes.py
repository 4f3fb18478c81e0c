"""Every route, on one screen. Fixed paths come before those with an id in their place."""

from aiohttp import web

from bridge.web import appointments, blocked_slots, health, settings_links
from bridge.web.middleware import needs

READ, WRITE = "calendars/events.readonly", "calendars/events.write"

ROUTES = [
    web.get("/healthz", health.healthz),
    web.get("/readyz", health.readyz),
    web.post(appointments.PATH, needs(WRITE, appointments.create)),
    web.get(appointments.PATH + "/{eventId}", needs(READ, appointments.read)),
    web.put(appointments.PATH + "/{eventId}", needs(WRITE, appointments.update)),
    web.patch(appointments.PATH + "/{eventId}", needs(WRITE, appointments.update)),
    web.put("/v1/appointments/by-external-id/{externalId}", needs(WRITE, appointments.put_by_external_id)),
    web.post(blocked_slots.PATH, needs(WRITE, blocked_slots.create)),
    web.get(blocked_slots.PATH + "/{eventId}", needs(READ, blocked_slots.read)),
    web.put(blocked_slots.PATH + "/{eventId}", needs(WRITE, blocked_slots.update)),
    web.patch(blocked_slots.PATH + "/{eventId}", needs(WRITE, blocked_slots.update)),
    web.get("/v1/calendars/events", needs(READ, appointments.list_all)),
    web.get("/v1/calendars/blocked-slots", needs(READ, blocked_slots.list_all)),
    web.delete("/v1/calendars/events/{eventId}", needs(WRITE, appointments.delete)),
    web.post(settings_links.PATH, needs("calendars.write", settings_links.create)),
]
