"""The CRM calendar bridge: iCloud calendars and CRM appointments, one merged calendar per User."""

#: What the merged calendar is called in calendar programs.
CALENDAR_NAME = "CRM calendar"
