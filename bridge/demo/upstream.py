"""The stand-in for iCloud: a CalDAV server on loopback with two accounts. Run as `python -m bridge.demo.upstream`."""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
from dataclasses import dataclass
from pathlib import Path

from radicale.__main__ import run

from bridge.demo import sample
from bridge.supervisor import end_with_parent


@dataclass(frozen=True, slots=True)
class UpstreamAccount:
    """One account of the stand-in, and what the demo's User chooses of it."""

    username: str
    password: str
    primary: str | None
    conflicts: tuple[str, ...]


def lay_out(folder: Path, port: int, private: UpstreamAccount, work: UpstreamAccount, *, today: dt.date) -> Path:
    """Write the stand-in's configuration and logins, and the first time also its events. Returns the configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    logins = folder / "logins"
    logins.touch(mode=0o600)
    logins.write_text("".join(f"{account.username}:{account.password}\n" for account in (private, work)))
    storage = folder / "collections"
    if not storage.exists():
        monday = today - dt.timedelta(days=today.weekday())
        filled = sample.calendars(monday, private.username, work.username)
        for account, calendars in zip((private, work), filled, strict=True):
            for calendar in calendars:
                _fill(storage / "collection-root" / account.username / calendar.slug, calendar)
    configuration = folder / "radicale.conf"
    configuration.write_text(
        f"""[server]
hosts = 127.0.0.1:{port}
[auth]
type = htpasswd
htpasswd_filename = {logins}
htpasswd_encryption = plain
delay = 0.1
[rights]
type = owner_only
[storage]
filesystem_folder = {storage}
[web]
type = none
[logging]
level = error
"""
    )
    return configuration


def _fill(folder: Path, calendar: sample.SampleCalendar) -> None:
    folder.mkdir(parents=True)
    (folder / ".Radicale.props").write_text(
        json.dumps(
            {
                "tag": "VCALENDAR",
                "D:displayname": calendar.name,
                "ICAL:calendar-color": calendar.colour,
                "C:supported-calendar-component-set": "VEVENT",
            }
        )
    )
    for name, text in calendar.events.items():
        (folder / name).write_text(text, newline="")


if __name__ == "__main__":
    end_with_parent()
    # Radicale logs the name of each level at that level, even at "error".
    logging.getLogger("radicale").addFilter(lambda record: not str(record.msg).startswith("Logging"))
    sys.argv = ["radicale", "--config", sys.argv[1]]
    run()
