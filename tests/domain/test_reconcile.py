"""Two-way merging: what each side did since they last agreed."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bridge.domain.model import AppointmentFields
from bridge.domain.reconcile import arrived, merge, to_write

AGREED = AppointmentFields(
    title="Intro call",
    start=1_800_000_000,
    end=1_800_001_800,
    time_zone="Europe/Berlin",
    all_day=False,
    description="",
    address="",
    rrule=None,
    status="confirmed",
)
EDITS = st.sampled_from(
    [
        {},
        {"title": "Renamed"},
        {"title": "Renamed twice"},
        {"start": 1_800_003_600, "end": 1_800_005_400},
        {"end": 1_800_002_700},
        {"address": "Room 2"},
        {"title": "Both", "address": "Room 3"},
        {"status": "cancelled"},
    ]
)


def edited(**changes):
    return replace(AGREED, **changes)


def test_a_move_in_icloud_moves_the_appointment():
    moved = edited(start=1_800_003_600, end=1_800_005_400)
    result = merge(AGREED, AGREED, AGREED, moved)
    assert result.fields == moved
    assert result.taken == {"start", "end"}


def test_the_crm_s_own_change_is_not_undone_by_the_event_as_it_was():
    ours = edited(title="New title")
    assert merge(ours, AGREED, AGREED, AGREED).fields == ours


def test_both_sides_may_change_different_things():
    result = merge(edited(title="New title"), AGREED, AGREED, edited(address="Room 2"))
    assert result.fields == edited(title="New title", address="Room 2")
    assert not result.contested


def test_the_same_field_changed_on_both_sides_is_the_crm_s_and_is_reported():
    result = merge(edited(title="CRM"), AGREED, AGREED, edited(title="Person"))
    assert result.fields.title == "CRM"
    assert result.contested == {"title"}


def test_a_start_from_one_side_never_meets_an_end_from_the_other():
    ours = edited(end=1_800_002_700)
    result = merge(ours, AGREED, AGREED, edited(start=1_800_003_600, end=1_800_005_400))
    assert (result.fields.start, result.fields.end) == (ours.start, ours.end)


def test_a_value_that_the_server_rewrote_on_arrival_is_nobody_s_change():
    rewritten = edited(title="Intro call ")
    assert merge(AGREED, AGREED, rewritten, rewritten).fields == AGREED


@given(ours=EDITS, theirs=EDITS)
def test_after_a_merge_and_a_write_both_sides_say_the_same(ours, theirs):
    ours, theirs = edited(**ours), edited(**theirs)
    merged = merge(ours, AGREED, AGREED, theirs).fields
    # What was taken over is agreed on from then on.
    agreed = replace(AGREED, **{f: getattr(theirs, f) for f in merge(ours, AGREED, AGREED, theirs).taken})
    assert to_write(merged, agreed, theirs) == merged


@given(ours=EDITS, sent=EDITS)
def test_what_arrived_though_its_answer_was_lost_is_nobody_s_change(ours, sent):
    ours, sent = edited(**ours), edited(**sent)
    agreed = replace(AGREED, **{name: getattr(sent, name) for name in arrived(AGREED, sent, sent)})
    assert agreed == sent
    assert merge(ours, agreed, sent, sent).fields == ours
    assert to_write(ours, agreed, sent) == ours


def test_what_a_person_changed_is_not_what_was_sent():
    sent, theirs = edited(title="Renamed", address="Room 2"), edited(title="By hand", address="Room 2")
    assert arrived(AGREED, sent, theirs) == {"address"}
