"""Who meets at the bridge: the person at the upstream, the CRM, and those who read the merged calendar."""

from __future__ import annotations

import base64
import datetime as dt
import http.client
import json
import re
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import caldav
import icalendar

from .processes import Finished, run

#: Ways in which a server that is just being killed lets its clients down.
CUT_OFF = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def ask(
    method: str,
    url: str,
    *,
    login: tuple[str, str] | None = None,
    headers: dict[str, str] | None = None,
    body: str | None = None,
    timeout: float = 30,
) -> Answer:
    """One request by plain HTTP. An error status is an answer; no answer raises one of `CUT_OFF`."""
    sent = dict(headers or {})
    if login is not None:
        sent["Authorization"] = "Basic " + base64.b64encode(":".join(login).encode()).decode()
    request = urllib.request.Request(url, None if body is None else body.encode(), sent, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read().decode())


# --- The person -------------------------------------------------------------------------------------------------------


@dataclass
class Person:
    """Somebody with one login at an upstream server, and another program than ours."""

    url: str
    user: str
    password: str

    @property
    def login(self) -> tuple[str, str]:
        return self.user, self.password

    def put(self, calendar: str, name: str, ics: str) -> None:
        answer = ask("PUT", calendar + name, login=self.login, headers={"Content-Type": "text/calendar"}, body=ics)
        assert answer.status in {200, 201, 204}, answer

    def delete(self, calendar: str, name: str) -> None:
        assert ask("DELETE", calendar + name, login=self.login).status in {200, 204}

    def move(self, calendar: str, name: str, to: str) -> None:
        """MOVE an object into another calendar, as programs do that drag and drop."""
        headers = {"Destination": to + name, "Overwrite": "F"}
        assert ask("MOVE", calendar + name, login=self.login, headers=headers).status in {201, 204}

    def calendars(self) -> list[str]:
        """Every collection of the login's home."""
        home = f"{self.url}{self.user}/"
        return [address for address in self._members(home) if address != home and address.endswith("/")]

    def objects(self, calendar: str) -> dict[str, str]:
        """Address to text of every object in a calendar."""
        addresses = [address for address in self._members(calendar) if not address.endswith("/")]
        return {address: ask("GET", address, login=self.login).text for address in addresses}

    def everything(self) -> str:
        """The text of every object of every calendar."""
        return "\n".join(text for calendar in self.calendars() for text in self.objects(calendar).values())

    def make_calendar(self, slug: str, name: str) -> str:
        """Make a calendar; its address."""
        body = (
            '<C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>'
            f"<D:displayname>{name}</D:displayname></D:prop></D:set></C:mkcalendar>"
        )
        address = f"{self.url}{self.user}/{slug}/"
        assert ask("MKCALENDAR", address, login=self.login, body=body).status == 201
        return address

    def _members(self, collection: str) -> list[str]:
        answer = ask("PROPFIND", collection, login=self.login, headers={"Depth": "1"})
        assert answer.status == 207, answer
        root = f"{urlsplit(collection).scheme}://{urlsplit(collection).netloc}"
        found = ElementTree.fromstring(answer.text).iterfind("{DAV:}response/{DAV:}href")
        return [root + (href.text or "").replace("%40", "@") for href in found]


def event(uid: str, start: dt.datetime, *, minutes: int = 60, title: str, extra: str = "") -> str:
    """An event as an upstream holds it."""
    end = start + dt.timedelta(minutes=minutes)
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//A phone//EN\r\nBEGIN:VEVENT\r\n"
        f"UID:{uid}\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:{start:%Y%m%dT%H%M%SZ}\r\nDTEND:{end:%Y%m%dT%H%M%SZ}\r\n"
        f"SUMMARY:{title}\r\n{extra}END:VEVENT\r\nEND:VCALENDAR\r\n"
    )


# --- The CRM ----------------------------------------------------------------------------------------------------------


@dataclass
class Crm:
    """The CRM: it knows the API's address, a token, a location, a calendar and a user."""

    api: str
    token: str
    location: str
    calendar: str
    user: str

    def send(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return ask(method, f"{self.api}/{path}", headers=sent, body=None if body is None else json.dumps(body))

    def appointment(self, title: str, start: dt.datetime, *, minutes: int = 30) -> dict[str, Any]:
        """The body of a request for one."""
        return {
            "locationId": self.location,
            "calendarId": self.calendar,
            "title": title,
            "startTime": start.isoformat(),
            "endTime": (start + dt.timedelta(minutes=minutes)).isoformat(),
        }

    def book(self, title: str, start: dt.datetime, *, minutes: int = 30) -> dict[str, Any]:
        """Book an appointment; what the API says of it."""
        answer = self.send("POST", "calendars/events/appointments", self.appointment(title, start, minutes=minutes))
        assert answer.status == 201, answer
        return dict(answer.json)

    def change(self, appointment_id: str, **changes: object) -> dict[str, Any]:
        answer = self.send("PUT", f"calendars/events/appointments/{appointment_id}", changes)
        assert answer.status == 200, answer
        return dict(answer.json)

    def read(self, appointment_id: str) -> dict[str, Any]:
        answer = self.send("GET", f"calendars/events/appointments/{appointment_id}")
        assert answer.status == 200, answer
        return dict(answer.json["event"])

    def synced(self, appointment_id: str) -> bool:
        return bool(self.read(appointment_id)["sync"]["state"] == "synced")

    def cancel(self, event_id: str) -> None:
        assert self.send("DELETE", f"calendars/events/{event_id}").status == 200

    def block(self, title: str, start: dt.datetime, *, minutes: int = 60) -> str:
        """Block time; the id of the blocked slot."""
        end = start + dt.timedelta(minutes=minutes)
        body = {
            "locationId": self.location,
            "assignedUserId": self.user,
            "title": title,
            "startTime": start.isoformat(),
            "endTime": end.isoformat(),
        }
        answer = self.send("POST", "calendars/events/block-slots", body)
        assert answer.status == 201, answer
        return str(answer.json["id"])


# --- Those who read the merged calendar -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """One event as a reader of the merged calendar sees it."""

    uid: str
    title: str
    start: dt.datetime | dt.date


def read_events(texts: list[str]) -> dict[str, Seen]:
    """UID to what is seen of it. A UID that comes twice is a doubled event, and refused."""
    found: dict[str, Seen] = {}
    for text in texts:
        masters = [e for e in icalendar.Calendar.from_ical(text).walk("VEVENT") if "RECURRENCE-ID" not in e]
        for one in masters:
            seen = Seen(str(one["UID"]), str(one.get("SUMMARY", "")), one["DTSTART"].dt)
            assert seen.uid not in found, f"{seen} is there twice"
            found[seen.uid] = seen
    return found


@dataclass
class Subscriber:
    """Somebody who reads the merged calendar with the `caldav` library."""

    url: str
    user: str
    password: str

    def client(self) -> caldav.DAVClient:
        return caldav.DAVClient(url=self.url, username=self.user, password=self.password)

    def events(self) -> dict[str, Seen]:
        with self.client() as client:
            return read_events([one.data for one in client.calendar(url=self.url).events()])

    def titled(self, title: str) -> list[Seen]:
        return [seen for seen in self.events().values() if seen.title == title]

    def at(self, start: dt.datetime) -> list[Seen]:
        return [seen for seen in self.events().values() if seen.start == start]

    def busy(self, start: dt.datetime, end: dt.datetime) -> str:
        """The periods of a free-busy report, as they are."""
        with self.client() as client:
            answer = client.calendar(url=self.url).freebusy_request(start, end)
            return " ".join(re.findall(r"^FREEBUSY\S*:(\S+)", str(answer.data), re.MULTILINE))

    def sync_token(self) -> int:
        """The revision that the calendar's sync-token carries."""
        body = '<propfind xmlns="DAV:"><prop><sync-token/></prop></propfind>'
        login = self.user, self.password
        answer = ask("PROPFIND", self.url, login=login, headers={"Depth": "0"}, body=body)
        (token,) = re.findall(r"<[^>]*sync-token>([^<]+)<", answer.text)
        return int(re.findall(r"\d+", token)[-1])


@dataclass
class Vdirsyncer:
    """Somebody who keeps a copy of the merged calendar with vdirsyncer."""

    folder: Path
    subscriber: Subscriber
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.copy = self.folder / "copy"
        self.copy.mkdir(parents=True)
        config = self.folder / "config"
        config.write_text(
            f"""[general]
status_path = "{self.folder / "status"}"
[pair crm]
a = "here"
b = "bridge"
collections = null
[storage here]
type = "filesystem"
path = "{self.copy}"
fileext = ".ics"
[storage bridge]
type = "caldav"
url = "{self.subscriber.url}"
username = "{self.subscriber.user}"
password = "{self.subscriber.password}"
"""
        )
        self.env = {"VDIRSYNCER_CONFIG": str(config)}
        discovered = self._run("discover")
        assert discovered.code == 0, discovered

    def sync(self) -> Finished:
        return self._run("sync")

    def events(self) -> dict[str, Seen]:
        """What the copy holds once it is up to date."""
        synced = self.sync()
        assert synced.code == 0, synced
        return read_events([path.read_text() for path in self.copy.glob("*.ics")])

    def _run(self, *words: str) -> Finished:
        return run(sys.executable, "-m", "vdirsyncer", *words, directory=self.folder, env=self.env)
