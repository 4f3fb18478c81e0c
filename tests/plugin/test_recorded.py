"""What clients really ask, word for word, and what they can't do without in the answers.

The requests in `recorded/` are those of the programs named there, each while it was told of the calendar, read it,
looked for news and tried to write. Left out are those that were repeated with a login, and what was written. An
object's name is `{item}` and its version `{etag}`; sync-tokens are `{token}`, one that the server no longer knows is
`{unknown token}`; spans of time are set around the events here.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from radicale import app as stock

from radicale_plugin.app import Application

from .conftest import World, application
from .dav import CRM, Answer, Client, clark
from .test_equivalence import said

RECORDED = Path(__file__).parent / "recorded"
CLIENTS = [
    *("calcurse-caldav-4.7", "evolution-data-server-3.46", "kdav-5.103", "syncevolution-2.0"),
    *("thunderbird-153", "ts-caldav-0.3", "tsdav-2.3", "vdirsyncer-0.21"),
]
_REPEATED = re.compile(r"<(?:\w+:)?href[^>]*>\{item\}</(?:\w+:)?href>")


@dataclass(frozen=True)
class Asked:
    """A request as it was recorded, with what is in the calendar now put in."""

    method: str
    path: str
    body: str
    headers: dict[str, str]
    login: bool
    #: The status that the client was content with.
    status: int

    def names(self) -> set[str]:
        """The properties that it asks for."""
        holder = next(ET.fromstring(self.body).iter(clark("D:prop")), None) if self.body else None
        return set() if holder is None else {child.tag for child in holder}

    def lists_events(self) -> bool:
        """Whether the whole calendar is in the answer."""
        if self.path.rstrip("/") != CRM.rstrip("/"):
            return False
        if self.method == "PROPFIND":
            return self.headers.get("depth") == "1"
        return self.method == "REPORT" and not re.search("sync-token>urn:|principal-property-search", self.body)


def asked(name: str, week: World) -> Iterator[Asked]:
    listed = week.ada.sync()
    items = {href: one.text("D:getetag") or "" for href, one in listed.resources.items()}
    first, etag = next(iter(items.items()))
    for one in json.loads((RECORDED / f"{name}.json").read_text()):
        body = _REPEATED.sub(
            lambda found: "".join(found[0].replace("{item}", href) for href in items), one.pop("body", "")
        )
        body = body.replace("{unknown token}", "urn:another:token").replace("{token}", listed.sync_token)
        path = one.pop("path").replace("{item}", first)
        method, login, status = one.pop("method"), one.pop("login"), one.pop("status")
        headers = {name.lower().replace("-", "_"): value.replace("{etag}", etag) for name, value in one.items()}
        yield Asked(method, path, body, headers, login, status)


@pytest.mark.parametrize("name", CLIENTS)
def test_what_clients_ask(week: World, name: str) -> None:
    everything = set(week.ada.sync().resources)
    for one in asked(name, week):
        client = week.ada if one.login else week.nobody
        answer: Answer = client.request(one.method, one.path, one.body, **one.headers)
        assert answer.status == one.status, one
        if one.status != 207:
            continue
        for resource in answer.resources.values():
            if resource.status is None:
                assert resource.found.keys() | resource.missing.keys() == one.names(), one
        if one.lists_events():
            assert everything <= set(answer.resources), one
    assert set(week.ada.sync().resources) == everything


@pytest.mark.parametrize("name", CLIENTS)
def test_both_applications_answer_alike(week: World, name: str) -> None:
    apps = [application(week.db.path, kind) for kind in (Application, stock.Application)]
    for one in asked(name, week):
        clients = [Client(app, "ada", week.password) if one.login else Client(app) for app in apps]
        ours, theirs = (client.request(one.method, one.path, one.body, **one.headers) for client in clients)
        if ours.status == 403:  # ours says why
            assert theirs.status == 403, one
        elif ":expand " in one.body:  # in other words, which is held against upstream's (`TestExpand`)
            assert ours.resources.keys() == theirs.resources.keys(), one
        else:
            assert said(ours) == said(theirs), one
