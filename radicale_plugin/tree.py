"""The tree that is served: `/`, `/<user>/` and `/<user>/crm/`."""

#: The name of the merged calendar in a User's home.
CALENDAR = "crm"
COLOUR = "#2F6FDEFF"
