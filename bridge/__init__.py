"""The CRM calendar bridge: iCloud calendars and CRM appointments, one merged calendar per User.

Where to find what:

- `domain`: decisions, as pure functions. `domain.model` is the vocabulary, `domain.ical` everything about iCalendar,
  `domain.slots` what can be booked, `domain.plan` what mirror and push results mean.
- `store`: all SQL, one module per subject. `store.migrations` is the schema.
- `remote`: all requests to CalDAV servers and to receivers of webhooks.
- `service`: the use cases. They put domain, store and remote together, and decide what is one transaction.
- `web`: the HTTP API (`web.routes` lists it, `web.shapes` has its fields) and the settings pages (`web.pages`).
- `cli`: the command line. `demo`: what `bridge demo` runs.
- `settings`: the settings file (`settings.tables` has every setting). `apply` and `reload`: what follows from a change
  of the file.
- `app` puts everything together. `sidecar` is the process of API, pages and background loops (`worker`); `supervisor`
  and `servers` start and restart the processes.
- `errors`: every error. `sentences` puts them into words for the command line, `web.problems` into HTTP answers.
- `secrets`: encryption of stored passwords. `logs`: how logging is set up.

What calendar programs are served is in the package `radicale_plugin`. `tests/test_rooms.py` says which package may
import which; the folders of `tests` have the names of these packages.
"""

#: What the merged calendar is called in calendar programs, and what they say about it.
CALENDAR_NAME = "CRM calendar"
CALENDAR_DESCRIPTION = "Your appointments and blocked time. Read-only: change appointments in iCloud or in the CRM."
