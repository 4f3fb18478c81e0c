"""The tree that is served: `/`, `/<user>/` and `/<user>/crm/`."""

from bridge import CALENDAR_NAME

#: The name of the merged calendar in a User's home.
CALENDAR = "crm"
DISPLAY_NAME = CALENDAR_NAME
DESCRIPTION = "Your appointments and blocked time. Read-only: change appointments in iCloud or in the CRM."
COLOUR = "#2F6FDEFF"
