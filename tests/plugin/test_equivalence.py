"""The application for production answers as Radicale's own does, whatever is in the calendar and whatever is asked."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from radicale import app as stock

from bridge.domain import publish as decide
from bridge.domain.model import MirrorItem
from bridge.service import users
from bridge.store.db import Db
from radicale_plugin.app import Application

from . import test_agreement as events
from .conftest import BERLIN, NOW, World, application, ics
from .dav import Answer, Client, clark, element, events_filter, prop, time_range

UIDS = ["single", "utc", "weekly", "yearly-day", "days", "holes", "listed", "markup", "brief", "late"]
ITEM_PROPERTIES = ["D:getetag", "C:calendar-data", "D:getcontenttype"]
PROPERTIES = [
    *ITEM_PROPERTIES,
    *("D:resourcetype", "D:displayname", "D:getlastmodified", "D:getcontentlength", "D:owner", "D:sync-token"),
    *("D:current-user-privilege-set", "D:supported-report-set", "D:current-user-principal", "CS:getctag"),
    *("C:max-resource-size", "C:supported-calendar-component-set", "ICAL:calendar-color", "D:response", "ME:unknown"),
]
PLACES = ["/", "/ada/", "/ada", "/ada/crm/", "/ada/crm", "/ada/crm/nowhere.ics", "/bob/crm/", "/zoe/", "/ada/x/"]
INSTANTS = ["20260101T000000Z", "20270308T090000Z", "20270310T093000Z", "20270401T000000Z", "20310101T000000Z", "soon"]


def text_of(uid: str, version: int) -> str:
    if uid == "markup":
        times = (":20270310T100000Z", ":20270310T110000Z")
        return ics(uid, *times).replace(f"SUMMARY:{uid}", f"SUMMARY:<b> & ]]> \u00fc \U0001f600 {version}")
    if uid in {"brief", "late"}:
        return ics(uid, f":20270310T{10 + version:02}0000Z", f":20270310T{11 + version:02}0000Z")
    text = events.text_of(uid)
    return text.replace(f"SUMMARY:{uid}", f"SUMMARY:{uid} {version}")


#: The name that each has in the calendar, while it is there.
HREFS = {
    uid: decide.slot_href(MirrorItem(calendar_id="cal_home", href=f"/home/{uid}.ics", etag="", uid=uid, ics=""))
    for uid in UIDS
}
ODD = [
    *("/ada/crm/", "/ada/crm/nowhere.ics", "/bob/crm/x.ics", "/", "x.ics", "/ada/crm/../crm/y.ics", "%zz"),
    *("/ada/crm/a/b", "/ada/crm/a%20b%C3%BC&amp;.ics"),
]
SPELLINGS = [
    *("/ada/crm/{}", "/ada/crm/{}", "/ada/crm/{}", "/dav/ada/crm/{}", "http://localhost:5232/ada/crm/{}"),
    *("/ada//crm/{}", "/ada/crm/{}?x", "/ad%61/crm/{}"),
]
NAMED = st.one_of(
    st.builds(str.format, st.sampled_from(SPELLINGS), st.sampled_from(sorted(HREFS.values()))), st.sampled_from(ODD)
)
#: Stands for a sync-token that the calendar had some changes ago.
TOKENS = ["", "nonsense", "TOKEN0", "TOKEN1", "TOKEN2", "TOKEN3"]


@st.composite
def filters(draw: st.DrawFn) -> str:
    start, end = (draw(st.sampled_from([None, *INSTANTS])) for _ in range(2))
    text = element("C:text-match", draw(st.sampled_from(["week", "ics_", "BRIEF", "\u00fc"])))
    inside = draw(
        st.sampled_from(
            [
                (),
                (time_range(start, end),),
                (element("C:prop-filter", text, name="SUMMARY"),),
                (element("C:prop-filter", text, name="UID"),),
                (element("C:prop-filter", name="RRULE"),),
                (time_range(start, end), element("C:prop-filter", "<C:is-not-defined/>", name="RRULE")),
                (element("C:comp-filter", "<C:is-not-defined/>", name="VALARM"),),
                (element("C:comp-filter", name="VALARM"),),
                ("<C:unheard-of/>",),
            ]
        )
    )
    other = element("C:filter", element("C:comp-filter", element("C:comp-filter", name="VTODO"), name="VCALENDAR"))
    return draw(st.sampled_from([events_filter(*inside), events_filter(*inside), other, element("C:filter")]))


@st.composite
def reports(draw: st.DrawFn) -> str:
    asked = draw(st.lists(st.sampled_from([*ITEM_PROPERTIES, *ITEM_PROPERTIES, *PROPERTIES]), max_size=4))
    props = draw(st.sampled_from([prop(*asked), prop(*asked), "<D:allprop/>", ""]))
    kind = draw(st.sampled_from(["sync", "multiget", "query", "busy", "odd"]))
    if kind == "sync":
        token = draw(st.sampled_from(TOKENS))
        return element("D:sync-collection", element("D:sync-token", token), "<D:sync-level>1</D:sync-level>", props)
    if kind == "multiget":
        named = draw(st.lists(NAMED, max_size=8))
        return element("C:calendar-multiget", props, *(element("D:href", one) for one in named))
    if kind == "query":
        return element("C:calendar-query", props, draw(st.one_of(st.just(""), filters())))
    if kind == "busy":
        start, end = (draw(st.sampled_from([None, *INSTANTS[:-1]])) for _ in range(2))
        return element("C:free-busy-query", draw(st.sampled_from([time_range(start, end), time_range(start, end), ""])))
    return draw(
        st.sampled_from(
            [
                *("", "not xml", "<!DOCTYPE x [<!ENTITY e 'x'>]><x>&e;</x>", element("D:expand-property")),
                *(element("CR:addressbook-multiget", props), element("C:calendar-multiget", props, element("D:href"))),
            ]
        )
    )


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Method, path, body, headers."""
    items = [f"/ada/crm/{HREFS[uid]}" for uid in UIDS[:2]]
    path = draw(st.sampled_from(["/ada/crm/"] * 8 + items + PLACES))
    headers = draw(
        st.fixed_dictionaries(
            {}, optional={"accept_encoding": st.just("gzip"), "x_script_name": st.just("/dav"), "brief": st.just("t")}
        )
    )
    method = draw(st.sampled_from(["PROPFIND", "REPORT", "REPORT", "GET", "HEAD", "OPTIONS", "DELETE"]))
    if method == "REPORT":
        return method, path, draw(reports()), headers
    if method == "PROPFIND":
        depth = draw(st.sampled_from([None, "0", "1", "1", "infinity"]))
        asked = prop(*draw(st.lists(st.sampled_from(PROPERTIES), max_size=5)))
        inside = draw(st.sampled_from([asked, asked, asked, "<D:allprop/>", "<D:propname/>", ""]))
        body = draw(st.sampled_from([element("D:propfind", inside)] * 4 + ["", "not xml"]))
        return method, path, body, headers | ({} if depth is None else {"depth": depth})
    return method, path, "", headers


Request = tuple[str, str, str, dict[str, str]]


class Pair:
    """One store, and both applications over it."""

    def __init__(self, path: Path) -> None:
        db = Db(path)
        for id in ("ada", "bob"):
            users.add_user(db, id=id, location_id="loc", name=id, time_zone=BERLIN, now=NOW)
        self.passwords = {id: users.add_password(db, id, "phone", NOW)[1] for id in ("ada", "bob")}
        quiet = {"server": {"delay_on_error": "0"}}
        self.world = World(db, application(path, Application, **quiet), self.passwords["ada"], "")
        self.other = application(path, stock.Application, **quiet)
        self.there: dict[str, int] = {}
        self.tokens = [self.world.ada.sync().sync_token]

    def become(self, wanted: dict[str, int]) -> None:
        """Hold these, in this version each, and nothing else. The token before each change is remembered."""
        for uid in sorted(self.there.keys() | wanted.keys()):
            if self.there.get(uid) != wanted.get(uid):
                version = wanted.get(uid)
                self.world.publish(uid, None if version is None else text_of(uid, version))
                self.tokens = [*self.tokens[-3:], self.world.ada.sync().sync_token]
        self.there = wanted

    def both(self, user: str | None, password: str, request: Request) -> tuple[Answer, Answer]:
        method, path, body, headers = request
        if "TOKEN" in body:
            number = int(body.partition("TOKEN")[2][0])
            body = body.replace(f"TOKEN{number}", self.tokens[-1 - number % len(self.tokens)])
        ours, again, theirs = (
            Client(app, user, password).request(method, path, body, **headers)
            for app in (self.world.app, self.world.app, self.other)
        )
        # A free-busy answer says when it was made.
        assert again == ours or "free-busy" in body
        return ours, theirs


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    pair = Pair(tmp_path_factory.mktemp("pair") / "bridge.db")
    yield pair
    pair.world.db.close()


def said(answer: Answer) -> object:
    """What a client makes of an answer: not its order, its prefixes and its line ends, nor what it says twice."""
    body = answer.plain
    kind = answer.headers.get("content-type", "").split(";")[0]
    told = {name: value for name, value in answer.headers.items() if name in {"etag", "location"}}
    if answer.status == 207:
        root = ET.fromstring(body)
        assert root.tag == clark("D:multistatus")
        token = root.findtext(clark("D:sync-token"))
        resources = {}
        for response in root.iter(clark("D:response")):
            href = response.findtext(clark("D:href"))
            stats = {
                stat.findtext(clark("D:status")): sorted(
                    {ET.canonicalize(ET.tostring(one), strip_text=False) for one in stat.find(clark("D:prop")) or ()}
                )
                for stat in response.findall(clark("D:propstat"))
            }
            resources[href] = (response.findtext(clark("D:status")), stats)
        return 207, kind, token, resources
    if kind == "text/calendar":
        # Radicale joins the calendar by vobject, which has its own name and order for what stands at its top.
        lines = [
            line for line in body.decode().splitlines() if not line.startswith(("DTSTAMP:2", "PRODID", "X-WR", " "))
        ]
        return answer.status, kind, told, sorted(lines)
    return answer.status, kind, told, body


def is_bad(path: str, body: str) -> bool:
    """Whether Radicale answers it with 500 where it gets to it, or names several items of one."""
    if body in {"", "not xml"} or "<!" in body:
        return True
    request = ET.fromstring(body)
    return (
        ((path == "/" or path.endswith(".ics")) and len(request.findall(clark("D:href"))) > 1)
        or (request.tag == clark("D:propfind") and len(request) == 0)
        or (request.tag == clark("C:free-busy-query") and request.find(clark("C:time-range")) is None)
        or any(href.text is None for href in request.iter(clark("D:href")))
    )


PEOPLE = st.sampled_from(["ada"] * 6 + ["bob", "wrong", None])


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    wanted=st.dictionaries(st.sampled_from(UIDS), st.integers(0, 1)),
    asked=st.lists(st.tuples(requests(), PEOPLE), min_size=1, max_size=4),
)
def test_both_say_the_same(pair: Pair, wanted: dict[str, int], asked: list[tuple[Request, str | None]]) -> None:
    pair.become(wanted)
    for request, who in asked:
        user = "ada" if who == "wrong" else who
        ours, theirs = pair.both(user, "wrong" if who == "wrong" else pair.passwords.get(user, ""), request)
        if ours.status == 403 and request[0] == "DELETE":
            assert theirs.status == 403
        elif ours.status == 403 and request[1].endswith(".ics") and "<D:sync-collection" in request[2]:
            assert theirs.status in {207, 403, 404}
        elif ours.status == 403 and b"number-of-matches-within-limits" in ours.plain:
            assert theirs.status == 400
        elif theirs.status == 500 or (ours.status == 400 and is_bad(*request[1:3])):
            assert ours.status == 400 and is_bad(*request[1:3])
        else:
            assert said(ours) == said(theirs)
