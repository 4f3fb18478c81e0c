"""The CRM calendar bridge: iCloud calendars and CRM appointments, one merged calendar per User."""

#: What the merged calendar is called in calendar programs, and what they say about it.
CALENDAR_NAME = "CRM calendar"
CALENDAR_DESCRIPTION = "Your appointments and blocked time. Read-only: change appointments in iCloud or in the CRM."
