"""The CRM calendar bridge: iCloud calendars and CRM appointments, one merged calendar per User."""
