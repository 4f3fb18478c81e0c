"""calendar-multiget and calendar-query (RFC 4791 sections 7.8 and 7.9): exactly what was asked for, without parsing."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import icalendar
import pytest
import vobject
from radicale import app as stock
from radicale.item import filter as radicale_filter

from bridge.domain import publish as decide
from bridge.domain.model import Occurrence
from bridge.store import published
from radicale_plugin import collection, expansion
from radicale_plugin.app import Application

from .conftest import BERLIN, NOW, World, at, ics, override, utc
from .dav import CRM, clark, element, events_filter, name, time_range

DAY = 86_400
LOCAL = f";TZID={BERLIN}:"


def text_match(text: str, **attributes: str) -> str:
    return element("C:text-match", text, **attributes)


def prop_filter(property_name: str, *inside: str) -> str:
    return element("C:prop-filter", *inside, name=property_name)


class TestMultiget:
    def test_present_and_missing(self, week: World, no_parsing: None) -> None:
        names = [name(href) for href in week.ada.sync().resources]
        answer = week.ada.multiget(*(CRM + one for one in names), CRM + "nowhere.ics", "/ada/crm/gone%20too.ics")
        found = {name(href): one for href, one in answer.resources.items()}
        assert {one for one, resource in found.items() if resource.status == 404} == {"nowhere.ics", "gone too.ics"}
        for one in names:
            text = found[one].text("C:calendar-data") or ""
            # XML knows no carriage returns (XML 1.0 section 2.11).
            assert week.ada.request("GET", CRM + one).text.replace("\r\n", "\n") == text

    def test_absolute_addresses_and_doubles(self, week: World) -> None:
        (one, *_) = week.ada.sync().resources
        answer = week.ada.multiget(f"http://localhost:5232{one}", one)
        assert list(answer.resources) == [one]

    def test_more_than_one_statement_holds(self, world: World, no_parsing: None) -> None:
        hrefs = []
        for number in range(1200):
            hour, minute = divmod(number, 60)
            hrefs.append(f"n{number}")
            text = ics(f"n{number}", f":202703{8 + hour // 24:02}T{hour % 24:02}{minute:02}00Z")
            world.publish(f"n{number}", text.replace("DTSTART", "DURATION:PT5M\r\nDTSTART"))
        there = [CRM + name(href) for href in world.ada.sync().resources]
        assert len(there) == len(hrefs)
        assert len(world.ada.multiget(*there).data) == len(hrefs)

    @pytest.mark.parametrize(
        "href", ["/bob/crm/b.ics", "/ada/other/a.ics", "/ada/crm/../crm/a.ics", "/etc/passwd", "/", CRM, "//x/y"]
    )
    def test_nothing_of_elsewhere(self, week: World, href: str) -> None:
        bob = week.add_user("bob")
        theirs = week.publish("b", ics("b", ":20270308T090000Z", ":20270308T100000Z"), user="bob")
        assert bob.multiget(f"/bob/crm/{theirs}", path="/bob/crm/").data
        answer = week.ada.multiget(href, f"/bob/crm/{theirs}")
        assert answer.status in {207, 400}
        if answer.status == 207:
            assert f"/bob/crm/{theirs}" not in {h for h, one in answer.resources.items() if one.status != 404}


class TestTimeRange:
    """An object is found exactly when one of its occurrences touches the half-open span."""

    def test_its_edges(self, world: World, no_parsing: None) -> None:
        href = world.publish("m", ics("m", ":20270308T090000Z", ":20270308T100000Z"))
        nine, ten = at("2027-03-08T09:00", "UTC"), at("2027-03-08T10:00", "UTC")
        for start, end, found in (
            (nine - 3600, nine, False),
            (nine - 3600, nine + 1, True),
            (nine + 60, nine + 120, True),
            (ten - 1, ten + 60, True),
            (ten, ten + 60, False),
            (nine - DAY, ten + DAY, True),
        ):
            assert world.ada.within(utc(start), utc(end)) == ({href} if found else set()), (start, end)
        assert world.ada.within(utc(ten - 1)) == world.ada.within(None, utc(nine + 1)) == {href}
        assert world.ada.within(utc(ten)) == world.ada.within(None, utc(nine)) == set()

    def test_an_occurrence_in_the_middle_of_a_series(self, week: World, no_parsing: None) -> None:
        wednesday = at("2027-06-16T10:00")
        (found,) = week.ada.within(utc(wednesday), utc(wednesday + 60))
        assert (
            week.ada.query(events_filter(time_range(utc(wednesday), utc(wednesday + 60)))).data[found].count("RRULE:")
        )
        assert week.ada.within(utc(wednesday - DAY), utc(wednesday)) == set()
        assert week.ada.within(utc(wednesday + 3600), utc(wednesday + 3 * DAY)) == set()

    def test_clocks_change(self, week: World, no_parsing: None) -> None:
        """10:00 in Berlin is 09:00 UTC in winter and 08:00 in summer."""
        assert week.ada.within("20270317T090000Z", "20270317T090001Z")
        assert not week.ada.within("20270317T080000Z", "20270317T090000Z")
        assert week.ada.within("20270331T080000Z", "20270331T080001Z")
        assert not week.ada.within("20270331T090000Z", "20270331T100000Z")

    def test_overrides_and_exceptions(self, world: World, no_parsing: None) -> None:
        moved = override("s", f"{LOCAL}20270315T100000", f"{LOCAL}20270316T150000", f"{LOCAL}20270316T160000")
        world.publish(
            "s",
            ics(
                "s",
                f"{LOCAL}20270308T100000",
                f"{LOCAL}20270308T110000",
                "RRULE:FREQ=WEEKLY;COUNT=4",
                f"EXDATE{LOCAL}20270322T100000",
                extra=moved,
            ),
        )
        hits = {
            day: bool(world.ada.within(f"202703{day:02}T000000Z", f"202703{day:02}T235959Z")) for day in range(7, 32)
        }
        assert {day for day, hit in hits.items() if hit} == {8, 16, 29}

    def test_a_whole_day_is_a_day_of_the_users(self, world: World, no_parsing: None) -> None:
        href = world.publish("d", ics("d", ";VALUE=DATE:20270310", ";VALUE=DATE:20270311"))
        midnight = at("2027-03-10T00:00")
        assert world.ada.within(utc(midnight - 3600), utc(midnight)) == set()
        assert world.ada.within(utc(midnight), utc(midnight + 1)) == {href}
        assert world.ada.within(utc(midnight + DAY - 1), utc(midnight + DAY)) == {href}
        assert world.ada.within(utc(midnight + DAY), utc(midnight + DAY + 3600)) == set()

    def test_weeks_away_from_home(self, world: World, no_parsing: None) -> None:
        """What began long before the span is found too."""
        href = world.publish("v", ics("v", ";VALUE=DATE:20270301", ";VALUE=DATE:20270401"))
        assert world.ada.within("20270320T000000Z", "20270320T000001Z") == {href}
        assert world.ada.within("20270401T000000Z", "20270402T000000Z") == set()

    def test_no_length(self, world: World, no_parsing: None) -> None:
        """RFC 4791 section 9.9: it matches the span that begins with it, not the one that ends with it."""
        (item,) = world.rendered("z", ics("z", ":20270308T090000Z", ":20270308T100000Z"))
        nine = Occurrence(item.first_start, item.first_start)
        with world.db.write() as tx:
            put = [replace(item, last_end=nine.end, occurrences=(nine,))]
            published.apply(tx, "ada", put=put, remove=[], now=NOW)
        assert world.ada.within("20270308T090000Z", "20270308T100000Z") == {item.href}
        assert world.ada.within("20270308T083000Z", "20270308T100000Z") == {item.href}
        assert world.ada.within("20270308T080000Z", "20270308T090000Z") == set()
        assert world.ada.free_busy("20270308T000000Z", "20270309T000000Z") == []

    def test_past_the_horizon(self, week: World, no_parsing: None) -> None:
        """Occurrences are stored for some years only; answers are right for ever."""
        week.publish("ends", ics("ends", ":20270308T120000Z", ":20270308T130000Z", "RRULE:FREQ=DAILY;COUNT=30"))
        horizon = decide.horizon(NOW)
        later = horizon.end + 30 * DAY
        wednesdays = {
            name(h)
            for h, one in week.ada.sync("", "C:calendar-data").resources.items()
            if "FREQ=WEEKLY" in (one.text("C:calendar-data") or "")
        }
        for first in (later, horizon.end - DAY // 2, at("2040-01-01T00:00")):
            assert week.ada.within(utc(first), utc(first + 7 * DAY)) == wednesdays
        hits = [day for day in range(7) if week.ada.within(utc(later + day * DAY), utc(later + (day + 1) * DAY))]
        assert len(hits) == 1

    def test_before_the_horizon(self, world: World, no_parsing: None) -> None:
        href = world.publish("old", ics("old", ":20200106T090000Z", ":20200106T100000Z", "RRULE:FREQ=WEEKLY"))
        assert world.ada.within("20230101T000000Z", "20230108T000000Z") == {href}
        assert world.ada.within("20230103T000000Z", "20230108T000000Z") == set()
        assert world.ada.within("20191201T000000Z", "20200106T090000Z") == set()

    def test_open_and_endless_spans(self, week: World, no_parsing: None) -> None:
        """An endless series is not expanded to the end of time."""
        everything = set(week.ada.query().data)
        assert week.ada.within("19700101T000000Z") == week.ada.within(None, "99991231T235959Z") == everything
        assert week.ada.within("19700101T000000Z", "20380101T000000Z") == everything
        assert len(week.ada.within("20300101T000000Z")) == 1
        assert week.ada.within(None, "20270308T100000Z") == week.ada.within("19000101T000000Z", "20270308T100000Z")

    def test_a_rule_that_seldom_meets(self, world: World, no_parsing: None) -> None:
        href = world.publish("leap", ics("leap", ";VALUE=DATE:20240229", ";VALUE=DATE:20240301", "RRULE:FREQ=YEARLY"))
        assert world.ada.within("20360228T120000Z", "20360301T120000Z") == {href}
        assert world.ada.within("20350201T000000Z", "20350401T000000Z") == set()

    @pytest.mark.parametrize("span", [("yesterday", None), ("20270308", None), ("20271332T000000Z", None)])
    def test_times_that_are_none(self, week: World, span: tuple[str | None, str | None]) -> None:
        assert week.ada.query(events_filter(time_range(*span))).status == 400

    def test_other_components(self, week: World, no_parsing: None) -> None:
        for component in ("VTODO", "VJOURNAL"):
            only = element(
                "C:filter", element("C:comp-filter", element("C:comp-filter", name=component), name="VCALENDAR")
            )
            assert week.ada.query(only).data == {}
            dated = element("C:comp-filter", time_range("20270101T000000Z", "20280101T000000Z"), name=component)
            assert week.ada.query(element("C:filter", element("C:comp-filter", dated, name="VCALENDAR"))).data == {}

    @pytest.mark.parametrize(
        "filters",
        [
            (),
            (events_filter(),),
            (element("C:filter", element("C:comp-filter", name="VCALENDAR")),),
            (element("C:filter"),),
            (
                element(
                    "C:filter",
                    element(
                        "C:comp-filter", element("C:comp-filter", "<C:is-not-defined/>", name="VTODO"), name="VCALENDAR"
                    ),
                ),
            ),
        ],
    )
    def test_everything(self, week: World, no_parsing: None, filters: tuple[str, ...]) -> None:
        assert len(week.ada.query(*filters).data) == 3

    def test_the_series_comes_whole_with_limited_recurrence(self, week: World, no_parsing: None) -> None:
        """limit-recurrence-set may leave out overrides; to leave out nothing is right as well."""
        limit = element("C:limit-recurrence-set", start="20270401T000000Z", end="20270501T000000Z")
        span = events_filter(time_range("20270401T000000Z", "20270501T000000Z"))
        ((_, text),) = week.ada.query(span, data=element("C:calendar-data", limit)).data.items()
        assert "RRULE:FREQ=WEEKLY" in text


class TestPropertyFilters:
    """Radicale's own tests decide, within the span, without parsing."""

    def test_by_uid_without_reading_the_others(self, week: World, monkeypatch: pytest.MonkeyPatch) -> None:
        read = []
        real = collection.has
        monkeypatch.setattr(collection, "has", lambda text, wanted: read.append(text) or real(text, wanted))
        for href in week.ada.sync().resources:
            uid = name(href).removesuffix(".ics")
            for asked in (uid, uid.upper(), uid[3:-3]):
                assert set(week.ada.query(events_filter(prop_filter("UID", text_match(asked)))).data) == {name(href)}
        assert len(read) == 9
        assert week.ada.query(events_filter(prop_filter("UID", text_match("%")))).data == {}
        assert week.ada.query(events_filter(prop_filter("UID", text_match("nobody")))).data == {}
        assert len(week.ada.query(events_filter(prop_filter("UID", text_match("x", negate_condition="yes")))).data) == 3

    def titles(self, world: World, *inside: str) -> set[str]:
        data = world.ada.query(events_filter(*inside)).data.values()
        return {line for text in data for line in text.splitlines() if line.startswith("SUMMARY:")}

    def test_by_title(self, week: World, no_parsing: None) -> None:
        assert self.titles(week, prop_filter("SUMMARY", text_match("DAY"))) == {
            "SUMMARY:monday",
            "SUMMARY:tuesday",
            "SUMMARY:wednesdays",
        }
        assert self.titles(week, prop_filter("SUMMARY", text_match("tues"))) == {"SUMMARY:tuesday"}
        assert self.titles(week, prop_filter("LOCATION")) == set()
        assert self.titles(week, prop_filter("RRULE")) == {"SUMMARY:wednesdays"}
        assert self.titles(week, prop_filter("RRULE", "<C:is-not-defined/>")) == {"SUMMARY:monday", "SUMMARY:tuesday"}

    def test_by_title_within_a_span(self, week: World, no_parsing: None) -> None:
        week.publish("day", ics("day", ";VALUE=DATE:20270309", ";VALUE=DATE:20270310"))
        midnight = at("2027-03-09T00:00")
        span = time_range(utc(midnight), utc(midnight + 1800))
        assert (
            self.titles(week, span)
            == self.titles(week, span, prop_filter("SUMMARY", text_match("day")))
            == {"SUMMARY:day"}
        )
        assert self.titles(week, span, prop_filter("SUMMARY", text_match("monday"))) == set()

    @pytest.mark.parametrize(
        "text",
        [
            *(
                "a;b",
                "A;B,",
                "c\\d",
                "c\\",
                "e, f",
                "\u00dcber",
                "\u00fcBER",
                "stra\u00dfe",
                "STRASSE",
                "g:h",
                "nothing",
            ),
            *("x" * 60, "x" * 80, "ics_", "Berlin", "20270308"),
        ],
    )
    @pytest.mark.parametrize("collation", [{}, {"collation": "i;octet"}, {"negate_condition": "yes"}])
    def test_texts_that_are_escaped_or_folded(self, week: World, text: str, collation: dict[str, str]) -> None:
        """As Radicale finds them by parsing."""
        title = "a\\;b\\, c\\\\d e\\, f \u00dcber die Stra\u00dfe g:h " + "x" * 80
        place = f"{LOCAL}20270308T100000", f"{LOCAL}20270308T110000"
        week.publish("odd", ics("odd", *place).replace("SUMMARY:odd", f"SUMMARY:{title}"))
        for name_ in ("SUMMARY", "UID"):
            asked = prop_filter(name_, text_match(text, **collation))
            wanted = ET.fromstring(asked)
            found = {
                href
                for href, data in week.ada.query().data.items()
                if any(radicale_filter.prop_match(one, wanted, "C") for one in vobject.readOne(data).vevent_list)
            }
            assert set(week.ada.query(events_filter(asked)).data) == found

    def test_parameters(self, week: World, no_parsing: None) -> None:
        def by_zone(*inside: str) -> set[str]:
            return self.titles(week, prop_filter("DTSTART", element("C:param-filter", *inside, name="TZID")))

        assert by_zone() == by_zone(text_match("berlin")) == {"SUMMARY:wednesdays"}
        assert by_zone(text_match("paris")) == set()
        assert by_zone("<C:is-not-defined/>") == {"SUMMARY:monday", "SUMMARY:tuesday"}

    def test_alarms(self, week: World, no_parsing: None) -> None:
        """No blocked slot has one."""
        alarm = element("C:comp-filter", time_range("20270101T000000Z", "20280101T000000Z"), name="VALARM")
        assert week.ada.query(events_filter(alarm)).data == {}
        assert week.ada.query(events_filter(element("C:comp-filter", name="VALARM"))).data == {}
        silent = element("C:comp-filter", "<C:is-not-defined/>", name="VALARM")
        assert len(week.ada.query(events_filter(silent)).data) == 3

    def test_what_takes_parsing_within_a_span(self, week: World) -> None:
        """The span alone does not decide."""
        span = time_range("20270301T000000Z", "20270401T000000Z")
        starts = prop_filter("DTSTART", time_range("20270309T000000Z", "20270310T000000Z"))
        assert self.titles(week, span, starts) == {"SUMMARY:tuesday"}
        assert self.titles(week, time_range("20270310T000000Z", "20270401T000000Z"), starts) == set()
        assert self.titles(week, span, prop_filter("CREATED", time_range("20270309T000000Z"))) == set()

    def test_what_takes_parsing_has_a_limit(
        self, week: World, kind: type[stock.Application], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        version = element("C:prop-filter", name="VERSION")
        asked = element("C:filter", element("C:comp-filter", version, name="VCALENDAR"))
        assert week.ada.query(asked).status == 207
        monkeypatch.setattr(collection, "_MOST_PARSED", 2)
        refused = week.ada.query(asked)
        assert refused.status == (403 if kind is Application else 400)
        if kind is Application:
            assert [child.tag for child in refused.xml] == [clark("D:number-of-matches-within-limits")]


class TestPastWhatIsStored:
    """What is computed on request has a limit, and says so."""

    def test_a_limit(self, world: World, kind: type[stock.Application], monkeypatch: pytest.MonkeyPatch) -> None:
        world.publish("d", ics("d", ":20270308T090000Z", ":20270308T100000Z", "RRULE:FREQ=DAILY"))
        monkeypatch.setattr(expansion, "_MOST_COMPUTED", 40)
        first = decide.horizon(NOW).end + DAY
        for days, statuses in ((30, {200, 207}), (60, {403} if kind is Application else {400})):
            span = {"start": utc(first), "end": utc(first + days * DAY)}
            assert world.ada.query(events_filter(time_range(**span))).status == 207, "one is enough to be found"
            expand = element("C:calendar-data", element("C:expand", **span))
            answers = [world.ada.report(CRM, "C:free-busy-query", time_range(**span))]
            if kind is Application:
                answers.append(world.ada.query(events_filter(time_range(**span)), data=expand))
            assert {answer.status for answer in answers} <= statuses


class TestExpand:
    """Radicale's own expansion, which the application in front of the store takes over."""

    def starts(self, world: World, start: str, end: str) -> list[str]:
        expand = element("C:calendar-data", element("C:expand", start=start, end=end))
        data = world.ada.query(events_filter(time_range(start, end)), data=expand).data.values()
        events = [event for text in data for event in icalendar.Calendar.from_ical(text).walk("VEVENT")]
        assert not any("RRULE" in event for event in events)
        return sorted(utc(int(event["DTSTART"].dt.timestamp())) for event in events)

    def test_each_occurrence_by_itself(self, week: World) -> None:
        assert self.starts(week, "20270308T000000Z", "20270322T000000Z") == [
            "20270308T090000Z",
            "20270309T090000Z",
            "20270310T090000Z",
            "20270317T090000Z",
        ]
