"""Every route, on one screen. Fixed paths come before those with an id in their place."""

from aiohttp import web

from bridge.web import appointments, availability, blocked_slots, calendars, explain, health, schedules, settings_links
from bridge.web.middleware import needs

READ, WRITE = "calendars/events.readonly", "calendars/events.write"
SEE, SET = "calendars.readonly", "calendars.write"

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
    web.get(explain.PATH, needs(READ, explain.explain)),
    web.post(settings_links.PATH, needs("calendars.write", settings_links.create)),
    web.post("/v1/availability", needs(SEE, availability.ask)),
    web.post("/v1/freebusy", needs(SEE, availability.free_busy)),
    web.get(schedules.PATH + "/search", needs(SEE, schedules.search)),
    web.post(schedules.PATH, needs(SET, schedules.create)),
    web.get(schedules.PATH + "/event-calendar/{calendarId}", needs(SEE, schedules.read_of_calendar)),
    web.post(schedules.PATH + "/event-calendar/{calendarId}", needs(SET, schedules.set_of_calendar)),
    web.put(schedules.PATH + "/event-calendar/{calendarId}", needs(SET, schedules.set_of_calendar)),
    web.get(schedules.PATH + "/{scheduleId}", needs(SEE, schedules.read)),
    web.put(schedules.PATH + "/{scheduleId}", needs(SET, schedules.update)),
    web.delete(schedules.PATH + "/{scheduleId}", needs(SET, schedules.delete)),
    web.put(schedules.PATH + "/{scheduleId}/associations/{calendarId}", needs(SET, schedules.associate)),
    web.delete(schedules.PATH + "/{scheduleId}/associations/{calendarId}", needs(SET, schedules.associate)),
    web.get(calendars.PATH, needs(SEE, calendars.list_all)),
    web.get(calendars.PATH + "/", needs(SEE, calendars.list_all)),
    web.post(calendars.PATH, needs(SET, calendars.create)),
    web.post(calendars.PATH + "/", needs(SET, calendars.create)),
    web.get(calendars.PATH + "/{calendarId}", needs(SEE, calendars.read)),
    web.put(calendars.PATH + "/{calendarId}", needs(SET, calendars.update)),
    web.delete(calendars.PATH + "/{calendarId}", needs(SET, calendars.delete)),
    web.get(calendars.PATH + "/{calendarId}/free-slots", needs(SEE, availability.free_slots)),
]
