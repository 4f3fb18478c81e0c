"""Slots: what is offered is what is accepted, whatever the hours, the rules and the busy times."""

import datetime as dt
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.domain import slots
from bridge.domain.hours import Hours, day_of, instant, office_hours, openings
from bridge.domain.model import Interval
from bridge.domain.slot_rules import Ahead, SlotRules, Unit
from bridge.domain.slots import Booked, Group, Refusal

MINUTE, HOUR, DAY = 60, 3600, 86_400
#: A Monday, 08:00 UTC; the clocks of Berlin change on the 28th of that month, those of New York on the 14th.
NOW = 1_804_492_800
ALWAYS = Interval(-slots.FAR, slots.FAR)
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC", "Pacific/Apia"]


def at(text, zone="Europe/Berlin"):
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def clock(instant_, zone="Europe/Berlin"):
    return dt.datetime.fromtimestamp(instant_, ZoneInfo(zone)).strftime("%a %H:%M")


def hours(*stretches, days=range(7), zone="Europe/Berlin", dates=()):
    return Hours(zone, tuple(tuple(stretches) if day in days else () for day in range(7)), dates)


def solo(open_hours, span, rules, *, taken=(), **rest):
    return slots.person("ada", openings(open_hours, span), taken, rules, **rest)


def offers(person, span, rules, *, length=None, allowed=ALWAYS):
    group = Group([person], 1)
    starts = slots.grid(slots.anchors([([person.openings], True)]), span, rules.interval)
    return [start for start, _ in slots.offered([group], starts, length or rules.duration, allowed)]


def verdict(person, start, rules, *, length=None, allowed=ALWAYS, any_free_time=False):
    anchored = slots.anchors([([person.openings], True)])
    slot = Interval(start, start + (length or rules.duration))
    why, users = slots.refusal(Group([person], 1), slot, rules, allowed, anchored, any_free_time=any_free_time)
    assert (why is None) == (users == ("ada",))
    return why


untimed = settings(deadline=None, max_examples=60)

# --- Properties ------------------------------------------------------------------------------------------------------

minutes = st.integers(0, 12).map(lambda n: n * 5 * MINUTE)
rules_ = st.builds(
    SlotRules,
    duration=st.sampled_from([15, 20, 30, 45, 60, 90]).map(lambda n: n * MINUTE),
    interval=st.sampled_from([5, 15, 30, 45, 60]).map(lambda n: n * MINUTE),
    before=minutes,
    after=minutes,
)
stretch = st.tuples(st.integers(0, 95), st.integers(1, 96)).map(lambda p: (p[0] * 15, p[0] * 15 + p[1] * 15))
working = st.builds(
    Hours,
    time_zone=st.sampled_from(ZONES),
    weekdays=st.lists(st.lists(stretch, max_size=3).map(tuple), min_size=7, max_size=7).map(tuple),
    dates=st.dictionaries(
        st.integers(0, 8).map(lambda n: (dt.date(2027, 3, 25) + dt.timedelta(days=n)).isoformat()),
        st.lists(stretch, max_size=2).map(tuple),
        max_size=2,
    ).map(lambda d: tuple(sorted(d.items()))),
)
#: Around the days on which the clocks of some of the zones change.
begin = st.sampled_from(
    [at("2027-03-13T00:00"), at("2027-03-27T00:00"), at("2027-10-30T00:00"), at("2027-04-03T00:00")]
)
busy_times = st.lists(
    st.tuples(st.integers(-300, 3 * 1440), st.integers(0, 300)).map(lambda p: (p[0] * MINUTE, (p[0] + p[1]) * MINUTE)),
    max_size=8,
)


@untimed
@given(working, rules_, begin, busy_times, st.integers(1, 2))
def test_what_is_offered_is_accepted_and_what_is_accepted_on_the_grid_is_offered(
    open_hours, rules, start, busy, slots_
):
    span = Interval(start, start + 3 * DAY)
    length = rules.duration * slots_
    allowed = Interval(start + 6 * HOUR, start + 2 * DAY)
    wide = Interval(span.start - DAY, span.end + 2 * DAY)
    person = solo(open_hours, wide, rules, taken=[(span.start + s, span.start + e) for s, e in busy])
    found = offers(person, span, rules, length=length, allowed=allowed)
    for candidate in range(span.start, span.end, 5 * MINUTE):
        why = verdict(person, candidate, rules, length=length, allowed=allowed)
        assert (why is None) == (candidate in found), (clock(candidate), why)
    assert found == sorted(set(found))
    assert all(f % (5 * MINUTE) == 0 for f in found)


@untimed
@given(working, rules_, begin, busy_times)
def test_no_slot_reaches_into_busy_time_or_out_of_working_hours(open_hours, rules, start, busy):
    span = Interval(start, start + 3 * DAY)
    taken = [(span.start + s, span.start + e) for s, e in busy]
    wide = Interval(span.start - DAY, span.end + 2 * DAY)
    for slot in offers(solo(open_hours, wide, rules, taken=taken), span, rules):
        first, last = slot - rules.before, slot + rules.duration + rules.after
        assert not any(s < last and e > first for s, e in taken)
        for minute in range(slot, slot + rules.duration, MINUTE):
            assert at_work(open_hours, minute), clock(minute, open_hours.time_zone)


def at_work(open_hours, instant_):
    """By the clock on the wall alone: the hour that is repeated when clocks go back counts with what came before it."""
    for back in (0, HOUR, HOUR // 2):
        local = dt.datetime.fromtimestamp(instant_, ZoneInfo(open_hours.time_zone))
        if back and not local.fold:
            continue
        local = local.replace(tzinfo=None) + dt.timedelta(seconds=back)
        for day in (0, 1):
            date = local.date() - dt.timedelta(days=day)
            minute = local.hour * 60 + local.minute + day * 1440
            stretches = dict(open_hours.dates).get(date.isoformat(), open_hours.weekdays[date.weekday()])
            if any(s <= minute < e for s, e in stretches):
                return True
    return False


@untimed
@given(working, begin, st.integers(0, 3 * 24 * 4), st.integers(1, 3 * 24 * 4))
def test_openings_do_not_depend_on_where_a_question_begins(open_hours, start, offset, length):
    whole = openings(open_hours, Interval(start - DAY, start + 8 * DAY))
    part = Interval(start + offset * 15 * MINUTE, start + (offset + length) * 15 * MINUTE)
    assert [o for o in whole if o[1] > part.start and o[0] < part.end] == list(openings(open_hours, part))


@untimed
@given(working, rules_, begin, busy_times)
def test_a_period_is_where_any_start_can_be_booked(open_hours, rules, start, busy):
    span = Interval(start, start + 3 * DAY)
    wide = Interval(span.start - DAY, span.end + 2 * DAY)
    person = solo(open_hours, wide, rules, taken=[(span.start + s, span.start + e) for s, e in busy])
    found = slots.periods([Group([person], 1)], span, rules.duration, ALWAYS)
    fits = {
        s
        for s in range(span.start, span.end - rules.duration + 1, 5 * MINUTE)
        if verdict(person, s, rules) in {None, Refusal.OFF_GRID}
    }
    covered = {
        s
        for s in range(span.start, span.end, 5 * MINUTE)
        if any(p.start <= s and s + rules.duration <= p.end for p in found)
    }
    assert fits == covered


@untimed
@given(
    st.lists(st.tuples(working, busy_times), min_size=1, max_size=4),
    rules_,
    begin,
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from([1, 2]),
)
def test_all_that_is_offered_is_possible(crew, rules, start, needed, apart, per_slot):
    """To leave out beforehand what can't be offered changes nothing of what is, whoever is needed."""
    rules = replace(rules, per_slot=per_slot)
    span = Interval(start, start + 3 * DAY)
    wide = Interval(span.start - DAY, span.end + 2 * DAY)
    people = []
    for number, (open_hours, busy) in enumerate(crew):
        times = [(span.start + s, span.start + e) for s, e in busy]
        shared = {(s, s + rules.duration): 1 for s, _ in times[::2]} if per_slot > 1 else None
        people.append(slots.person(str(number), openings(open_hours, wide), times[1::2], rules, shared=shared))
    groups = [Group(g, min(needed, len(g))) for n in range(apart) if (g := people[n::apart])]
    allowed = Interval(start + 6 * HOUR, start + 2 * DAY)
    starts = list(range(span.start, span.end - rules.duration + 1, 5 * MINUTE))
    every = list(slots.offered(groups, starts, rules.duration, allowed))
    possible = slots.possible(groups, starts, span, rules.duration, allowed)
    assert set(possible) <= set(starts)
    assert possible == sorted(possible)
    assert list(slots.offered(groups, possible, rules.duration, allowed)) == every
    if per_slot == 1:
        assert [s for s, _ in every] == possible


def test_of_very_many_starts_no_more_are_looked_at_than_are_asked_for(monkeypatch):
    looked_at = []
    free = slots._free

    def counting(person, starts, length):
        looked_at.extend(starts)
        return free(person, starts, length)

    monkeypatch.setattr(slots, "_free", counting)
    year = Interval(0, 365 * DAY)
    people = [solo(hours((0, 1440)), year, SlotRules(), taken=[(0, 30 * DAY)]) for _ in range(3)]
    starts = range(0, 365 * DAY, MINUTE)
    groups = [Group(people, 2)]
    first = next(slots.offered(groups, slots.possible(groups, starts, year, HOUR, ALWAYS), HOUR, ALWAYS))
    assert first[0] == 30 * DAY
    assert len(looked_at) <= 3 * slots.AT_ONCE


# --- Working hours ---------------------------------------------------------------------------------------------------


def test_office_hours_are_monday_to_friday_nine_to_five():
    rules = SlotRules()
    span = Interval(at("2027-03-08T00:00"), at("2027-03-15T00:00"))
    found = offers(solo(office_hours("Europe/Berlin"), span, rules), span, rules)
    assert (clock(found[0]), clock(found[-1]), len(found)) == ("Mon 09:00", "Fri 16:30", 5 * 16)


def test_working_hours_keep_to_the_clock_when_it_changes():
    rules = SlotRules(duration=HOUR, interval=HOUR)
    span = Interval(at("2027-03-28T00:00"), at("2027-03-29T00:00"))
    night = hours((0, 300))
    assert [clock(s) for s in offers(solo(night, span, rules), span, rules)] == [
        "Sun 00:00",
        "Sun 01:00",
        "Sun 03:00",
        "Sun 04:00",
    ], "an hour is skipped"
    span = Interval(at("2027-10-31T00:00"), at("2027-11-01T00:00"))
    assert [clock(s) for s in offers(solo(night, span, rules), span, rules)] == [
        "Sun 00:00",
        "Sun 01:00",
        "Sun 02:00",
        "Sun 02:00",
        "Sun 03:00",
        "Sun 04:00",
    ], "an hour is worked twice"


def test_an_opening_that_the_clocks_skip_begins_when_they_have_skipped():
    assert instant("Europe/Berlin", dt.date(2027, 3, 28).toordinal(), 150) == at("2027-03-28T03:00")
    assert instant("Australia/Lord_Howe", dt.date(2027, 10, 3).toordinal(), 135) == at(
        "2027-10-03T02:30", "Australia/Lord_Howe"
    )


def test_a_day_that_a_country_skipped_has_no_slots():
    samoa = hours((540, 1020), zone="Pacific/Apia")
    span = Interval(at("2011-12-29T00:00", "Pacific/Apia"), at("2012-01-01T00:00", "Pacific/Apia"))
    days = {clock(s, "Pacific/Apia")[:3] for s in offers(solo(samoa, span, SlotRules()), span, SlotRules())}
    assert days == {"Thu", "Sat"}


def test_a_night_shift_goes_on_past_midnight():
    rules = SlotRules(duration=HOUR, interval=HOUR)
    span = Interval(at("2027-03-08T00:00"), at("2027-03-10T00:00"))
    shift = hours((22 * 60, 26 * 60), days=[0])
    assert [clock(s) for s in offers(solo(shift, span, rules), span, rules)] == [
        "Mon 22:00",
        "Mon 23:00",
        "Tue 00:00",
        "Tue 01:00",
    ]
    tuesday = Interval(at("2027-03-09T00:00"), at("2027-03-10T00:00"))
    assert [clock(s) for s in offers(solo(shift, tuesday, rules), tuesday, rules)] == ["Tue 00:00", "Tue 01:00"]


def test_a_slot_may_cross_midnight_where_both_days_are_open():
    rules = SlotRules(duration=HOUR, interval=30 * MINUTE)
    span = Interval(at("2027-03-08T22:00"), at("2027-03-09T02:00"))
    found = [clock(s) for s in offers(solo(hours((0, 1440)), span, rules), span, rules)]
    assert "Mon 23:30" in found


def test_a_date_has_its_own_hours_or_none():
    special = hours((540, 1020), dates=(("2027-03-09", ()), ("2027-03-10", ((600, 660),))))
    span = Interval(at("2027-03-08T00:00"), at("2027-03-11T00:00"))
    found = [clock(s) for s in offers(solo(special, span, SlotRules()), span, SlotRules())]
    assert [s for s in found if s.startswith(("Tue", "Wed"))] == ["Wed 10:00", "Wed 10:30"]


# --- Rules -----------------------------------------------------------------------------------------------------------

TUESDAY = Interval(at("2027-03-09T00:00"), at("2027-03-10T00:00"))
OFFICE = office_hours("Europe/Berlin")


@pytest.mark.parametrize(
    ("rules", "refused"),
    [
        (SlotRules(), []),
        (SlotRules(before=15 * MINUTE), ["11:00"]),
        (SlotRules(after=15 * MINUTE), ["09:30"]),
        (SlotRules(before=40 * MINUTE, after=40 * MINUTE), ["09:00", "09:30", "11:00", "11:30"]),
    ],
)
def test_buffers_keep_slots_away_from_what_is_busy(rules, refused):
    person = solo(OFFICE, TUESDAY, rules, taken=[(at("2027-03-09T10:00"), at("2027-03-09T11:00"))])
    offered = {clock(s)[4:] for s in offers(person, TUESDAY, rules)}
    every = {f"{h:02}:{m:02}" for h in range(9, 17) for m in (0, 30)}
    assert offered == every - {"10:00", "10:30", *refused}


def test_an_appointment_keeps_the_buffers_of_its_own_calendar():
    booked = Booked(at("2027-03-09T10:00"), at("2027-03-09T11:00"), before=30 * MINUTE, after=60 * MINUTE)
    person = solo(OFFICE, TUESDAY, SlotRules(), booked=[booked])
    assert {"09:30", "11:00", "11:30"}.isdisjoint(clock(s)[4:] for s in offers(person, TUESDAY, SlotRules()))


def test_notice_and_horizon():
    rules = SlotRules(notice=Ahead(2, Unit.HOURS), horizon=Ahead(1, Unit.DAYS))
    span = Interval(NOW - NOW % DAY, NOW + 5 * DAY)
    allowed = slots.window(rules, NOW, "Europe/Berlin")
    person = solo(OFFICE, span, rules)
    found = offers(person, span, rules, allowed=allowed)
    assert (clock(found[0]), clock(found[-1])) == ("Mon 11:00", "Tue 09:00")
    assert verdict(person, at("2027-03-08T10:30"), rules, allowed=allowed) == Refusal.SHORT_NOTICE
    assert verdict(person, at("2027-03-09T09:30"), rules, allowed=allowed) == Refusal.TOO_FAR_AHEAD


@pytest.mark.parametrize(
    ("start", "count", "lands"),
    [
        ("2027-01-31T12:00", 1, "2027-02-28T12:00"),
        ("2027-03-27T12:00", 1, "2027-04-27T12:00"),
        ("2027-11-30T12:00", 3, "2028-02-29T12:00"),
    ],
)
def test_months_lead_to_the_same_day_or_the_last_one(start, count, lands):
    assert Ahead(count, Unit.MONTHS).after(at(start), "Europe/Berlin") == at(lands)


def test_a_booking_has_to_begin_on_the_grid_and_last_whole_slots():
    person = solo(OFFICE, TUESDAY, SlotRules())
    ten = at("2027-03-09T10:00")
    assert verdict(person, ten, SlotRules()) is None
    assert verdict(person, ten, SlotRules(), length=60 * MINUTE) is None
    assert verdict(person, ten, SlotRules(), length=45 * MINUTE) == Refusal.BAD_LENGTH
    assert verdict(person, ten + 600, SlotRules()) == Refusal.OFF_GRID
    assert verdict(person, at("2027-03-09T16:30"), SlotRules(), length=60 * MINUTE) == Refusal.OUTSIDE_HOURS
    assert verdict(person, at("2027-03-09T20:00"), SlotRules(), any_free_time=True) is None
    assert verdict(person, ten + 600, SlotRules(), length=45 * MINUTE, any_free_time=True) is None


def test_a_full_day_takes_no_more():
    ten = at("2027-03-09T10:00")
    person = solo(OFFICE, TUESDAY, SlotRules(per_day=2), full_days=[day_of(ten, "Europe/Berlin")])
    assert verdict(person, ten, SlotRules(per_day=2)) == Refusal.DAY_FULL
    assert offers(person, TUESDAY, SlotRules(per_day=2)) == []


def test_a_class_is_joined_until_it_is_full_and_nothing_else_is_booked_across_it():
    rules = SlotRules(duration=HOUR, interval=30 * MINUTE, per_slot=2)
    ten, eleven = at("2027-03-09T10:00"), at("2027-03-09T11:00")
    once = solo(OFFICE, TUESDAY, rules, shared={(ten, eleven): 1})
    assert verdict(once, ten, rules) is None
    assert verdict(once, ten + 1800, rules) == Refusal.TAKEN
    assert verdict(once, ten, rules, length=2 * HOUR) == Refusal.TAKEN
    assert verdict(solo(OFFICE, TUESDAY, rules, shared={(ten, eleven): 2}), ten, rules) == Refusal.TAKEN
    elsewhere = solo(OFFICE, TUESDAY, rules, taken=[(ten, ten + 60)], shared={(ten, eleven): 1})
    assert verdict(elsewhere, ten, rules) == Refusal.TAKEN
    crossed = solo(OFFICE, TUESDAY, rules, shared={(ten, eleven): 1, (ten + 1800, eleven + 1800): 1})
    assert verdict(crossed, ten, rules) == Refusal.TAKEN


def test_one_of_several_or_all_of_them():
    rules = SlotRules()
    ten, eleven = at("2027-03-09T10:00"), at("2027-03-09T11:00")
    opened = openings(OFFICE, TUESDAY)
    ada = slots.person("ada", opened, [(ten, eleven)], rules)
    bo = slots.person("bo", opened, [(eleven, eleven + HOUR)], rules)
    starts = [ten, eleven, eleven + HOUR]
    assert list(slots.offered([Group([ada, bo], 1)], starts, rules.duration, ALWAYS)) == [
        (ten, ("bo",)),
        (eleven, ("ada",)),
        (eleven + HOUR, ("ada", "bo")),
    ]
    together = list(slots.offered([Group([ada, bo], 2)], starts, rules.duration, ALWAYS))
    assert together == [(eleven + HOUR, ("ada", "bo"))]
    assert list(slots.offered([Group([ada], 1), Group([bo], 1)], starts, rules.duration, ALWAYS)) == [
        (eleven + HOUR, ("ada", "bo"))
    ]
    noon = at("2027-03-09T12:00")
    assert slots.periods([Group([ada, bo], 2)], Interval(ten, noon + HOUR), HOUR, ALWAYS) == [
        Interval(noon, noon + HOUR)
    ]
    assert slots.periods([Group([ada, bo], 1)], Interval(ten, noon), HOUR, ALWAYS) == [
        Interval(ten, eleven),
        Interval(eleven, noon),
    ], "nobody is free for an hour across eleven"


def test_people_who_open_at_odd_times_share_a_grid_from_when_they_are_together():
    early, late = openings(hours((540, 720)), TUESDAY), openings(hours((555, 720)), TUESDAY)
    together = slots.grid(slots.anchors([([early, late], True)]), TUESDAY, 1800)
    assert [clock(s)[4:] for s in together][:2] == ["09:15", "09:45"]
