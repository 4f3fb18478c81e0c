"""The use cases. Each reads the store, talks to remote servers, and writes the store, in this order.

No network is used inside a transaction, and no transaction is held across an `await`.

- Reading iCloud: `mirror` (an Account) and `mirror_run` (a Calendar); `calendars` (our list of an Account's calendars);
  `refresh` (before a booking).
- Writing to iCloud: `push` (the outbox); `follow` (changes that people make to our events).
- The merged calendar: `publish`.
- The CRM's side: `book` (appointments, blocked slots), `notes`, `availability` and `people` (free time, working hours),
  `booking_calendars` (with schedules), `changes` (the feed), `webhooks`, `connections`, `idempotency`, `ingest`.
- Setting up: `users`, `connect` (accounts), `roles` (choosing calendars), `declare` and `fixed` (the settings file).
- Seeing what is going on: `status`, `explain`, `agenda`, `overview`, `preview` (what a change will do), `audit`.
- Running it: `housekeeping`, `backup`, `export`.
- Shared: `context` (what use cases work with), `visibility` (what a caller may see), `sessions` (signing in to pages).
"""
