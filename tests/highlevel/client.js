// A program written for HighLevel: only its base address and its token are the bridge's.
'use strict';

const assert = require('node:assert/strict');
const { HighLevel, GHLError } = require('@gohighlevel/api-client');

const { BRIDGE, TOKEN, LOCATION, CALENDAR, USER_ID, DAY } = process.env;
const HOUR = 3_600_000;

function client(apiVersion, token = TOKEN) {
  const made = new HighLevel({ privateIntegrationToken: token, apiVersion, logLevel: 'none' });
  made.getHttpClient().defaults.baseURL = BRIDGE;
  return made.calendars;
}

async function refused(promise, status, code) {
  const error = await promise.then(() => assert.fail('it was accepted'), (found) => found);
  assert.ok(error instanceof GHLError, String(error));
  assert.deepEqual([error.statusCode, error.code], [status, code], error.message);
  const { statusCode, message, error: phrase } = error.response;
  assert.deepEqual([statusCode, typeof message, typeof phrase], [status, 'string', 'string']);
  assert.equal(error.message, message);
  return error.response;
}

async function calendarsAndSchedules(calendars) {
  const all = await calendars.getCalendars({ locationId: LOCATION });
  assert.ok(all.calendars.some((one) => one.id === CALENDAR && one.teamMembers[0].userId === USER_ID));

  const { calendar } = await calendars.createCalendar({
    locationId: LOCATION, name: 'By its own client', calendarType: 'personal', isActive: true,
    eventColor: '#039be5', widgetType: 'classic', eventTitle: '{{contact.name}}',
    teamMembers: [{ userId: USER_ID, priority: 0.5, isPrimary: true, locationConfigurations: [{ kind: 'custom', location: '' }] }],
    slotDuration: 1, slotDurationUnit: 'hours', slotInterval: 30, slotIntervalUnit: 'mins', appoinmentPerSlot: 1, appoinmentPerDay: 8,
    openHours: [{ daysOfTheWeek: [0, 1, 2, 3, 4, 5, 6], hours: [{ openHour: 8, openMinute: 0, closeHour: 18, closeMinute: 0 }] }],
  });
  assert.equal(calendar.locationId, LOCATION);
  assert.deepEqual([calendar.slotDuration, calendar.slotDurationUnit, calendar.appoinmentPerDay], [1, 'hours', 8]);
  const changed = await calendars.updateCalendar({ calendarId: calendar.id }, { name: 'Renamed', slotDuration: 30, slotDurationUnit: 'mins' });
  assert.equal(changed.calendar.name, 'Renamed');
  assert.equal((await calendars.getCalendar({ calendarId: calendar.id })).calendar.slotDuration, 30);

  const { schedule } = await calendars.createSchedule({
    name: 'Every day', userId: USER_ID, locationId: LOCATION, timezone: 'Europe/Berlin',
    rules: ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'].map((day) => (
      { type: 'wday', day, intervals: [{ from: '07:00', to: '20:00' }] })),
  });
  await calendars.addCalendarToSchedule({ id: schedule.id, calendarId: calendar.id });
  const found = await calendars.getAllSchedules({ locationId: LOCATION, userId: USER_ID, calendarId: calendar.id, skip: 0, limit: 20 });
  assert.deepEqual(found.schedules.map((one) => one.id), [schedule.id]);
  assert.deepEqual((await calendars.getScheduleById({ id: schedule.id })).schedule.calendarIds, [calendar.id]);
  const renamed = await calendars.updateSchedule({ id: schedule.id }, { name: 'All days' });
  assert.equal(renamed.schedule.name, 'All days');
  return { calendarId: calendar.id, scheduleId: schedule.id };
}

async function appointments(calendars, calendarId) {
  const startDate = Date.parse(`${DAY}T00:00:00Z`), endDate = startDate + 24 * HOUR;
  const span = { locationId: LOCATION, startTime: String(startDate), endTime: String(endDate) };
  const free = async () => {
    const days = await calendars.getSlots({ calendarId, startDate, endDate, timezone: 'Europe/Berlin', userIds: [USER_ID] });
    return Object.values(days).flatMap((day) => day.slots ?? []);
  };
  const slot = (await free())[2];

  const booked = await calendars.createAppointment({
    calendarId, locationId: LOCATION, contactId: 'contact-1', startTime: slot, title: 'Booked by its own client',
    appointmentStatus: 'confirmed', meetingLocationType: 'custom', meetingLocationId: 'default', overrideLocationConfig: true,
    address: 'https://meet.example.com/x', assignedUserId: USER_ID, ignoreDateRange: false, toNotify: false,
  });
  for (const name of ['id', 'calendarId', 'locationId', 'contactId', 'startTime', 'endTime', 'dateAdded', 'dateUpdated']) {
    assert.equal(typeof booked[name], 'string', name);
  }
  assert.equal(Date.parse(booked.startTime), Date.parse(slot));
  assert.equal(Date.parse(booked.endTime) - Date.parse(booked.startTime), HOUR / 2);
  assert.ok(!(await free()).some((other) => Date.parse(other) === Date.parse(slot)));
  await refused(calendars.createAppointment({ calendarId, locationId: LOCATION, contactId: 'contact-2', startTime: slot }), 409, 'UNKNOWN');

  const edited = await calendars.editAppointment({ eventId: booked.id }, { title: 'Renamed', appointmentStatus: 'new' });
  assert.deepEqual([edited.title, edited.appointmentStatus, edited.startTime], ['Renamed', 'new', booked.startTime]);
  const { event } = await calendars.getAppointment({ eventId: booked.id });
  assert.deepEqual([event.id, event.title, event.contactId], [booked.id, 'Renamed', 'contact-1']);
  for (const whose of [{ userId: USER_ID }, { calendarId }]) {
    const { events } = await calendars.getCalendarEvents({ ...span, ...whose });
    assert.ok(events.some((one) => one.id === booked.id && one.assignedUserId === USER_ID));
  }
  assert.deepEqual((await calendars.getCalendarEvents({ ...span, groupId: 'nobody' })).events, []);
  await notes(calendars, booked.id);
  assert.equal((await calendars.deleteEvent({ eventId: booked.id }, {})).succeeded, true);

  const series = await calendars.createAppointment({
    calendarId, locationId: LOCATION, contactId: 'contact-1', startTime: slot, rrule: 'RRULE:FREQ=DAILY;COUNT=3', ignoreFreeSlotValidation: true,
  });
  assert.deepEqual([series.isRecurring, series.rrule], [true, 'RRULE:FREQ=DAILY;COUNT=3']);
  const { events } = await calendars.getCalendarEvents({ ...span, calendarId });
  const [single] = events.filter((one) => one.masterEventId === series.id);
  assert.equal(single.id, `${series.id}_${Date.parse(slot)}_1800`);
  assert.equal((await calendars.getAppointment({ eventId: single.id })).event.startTime, single.startTime);
  assert.equal((await calendars.deleteEvent({ eventId: single.id }, {})).succeeded, true);
  assert.equal((await calendars.getAppointment({ eventId: single.id })).event.deleted, true);
  assert.equal((await calendars.deleteEvent({ eventId: series.id }, {})).succeeded, true);
  return slot;
}

async function notes(calendars, appointmentId) {
  const { note } = await calendars.createAppointmentNote({ appointmentId }, { userId: USER_ID, body: 'Wants a discount' });
  assert.deepEqual([note.body, note.userId, note.contactId], ['Wants a discount', USER_ID, 'contact-1']);
  const changed = await calendars.updateAppointmentNote({ appointmentId, noteId: note.id }, { body: 'Got a discount' });
  assert.equal(changed.note.body, 'Got a discount');
  const found = await calendars.getAppointmentNotes({ appointmentId, limit: 10, offset: 0 });
  assert.deepEqual([found.notes.map((one) => one.id), found.hasMore], [[note.id], false]);
  assert.equal((await calendars.deleteAppointmentNote({ appointmentId, noteId: note.id })).success, true);
}

async function blockSlots(calendars, calendarId, slot) {
  const start = Date.parse(slot), end = start + HOUR;
  const at = (ms) => new Date(ms).toISOString();
  for (const whose of [{ calendarId }, { assignedUserId: USER_ID }]) {
    const made = await calendars.createBlockSlot({ ...whose, locationId: LOCATION, title: 'Lunch', startTime: at(start), endTime: at(end) });
    assert.deepEqual([made.title, made.locationId, Date.parse(made.endTime)], ['Lunch', LOCATION, end]);
    const longer = await calendars.editBlockSlot({ eventId: made.id }, { locationId: LOCATION, endTime: at(end + HOUR) });
    assert.equal(Date.parse(longer.endTime), end + HOUR);
    const { events } = await calendars.getBlockedSlots({ locationId: LOCATION, userId: USER_ID, startTime: String(start), endTime: String(end) });
    assert.ok(events.some((one) => one.id === made.id && one.title === 'Lunch'));
    await refused(calendars.createAppointment({ calendarId, locationId: LOCATION, contactId: 'contact-1', startTime: slot }), 409, 'UNKNOWN');
    assert.equal((await calendars.deleteEvent({ eventId: made.id }, {})).succeeded, true);
  }
}

async function mistakes(calendars, apiVersion) {
  await refused(calendars.getAppointment({ eventId: 'nothing' }), 404, 'NOT_FOUND');
  const problem = await refused(calendars.createAppointment({ locationId: LOCATION, startTime: 'tomorrow' }), 422, 'VALIDATION');
  assert.deepEqual(problem.errors.map((one) => one.pointer).sort(), ['/calendarId', '/startTime']);
  await refused(calendars.getCalendarEvents({ locationId: LOCATION, startTime: '1', endTime: '2' }), 400, 'VALIDATION');
  await refused(client(apiVersion, 'pit-nobody').getCalendars({ locationId: LOCATION }), 401, 'AUTHENTICATION');
}

async function main() {
  for (const apiVersion of ['2021-04-15', 'v3']) {
    const calendars = client(apiVersion);
    const { calendarId, scheduleId } = await calendarsAndSchedules(calendars);
    const slot = await appointments(calendars, calendarId);
    await blockSlots(calendars, calendarId, slot);
    await mistakes(calendars, apiVersion);
    await calendars.removeCalendarFromSchedule({ id: scheduleId, calendarId });
    assert.equal((await calendars.deleteSchedule({ id: scheduleId })).success, true);
    assert.equal((await calendars.deleteCalendar({ calendarId })).success, true);
    console.log(`${apiVersion}: all of it works`);
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
