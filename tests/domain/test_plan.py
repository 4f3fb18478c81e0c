"""Decision tables: each row says why."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import errors
from bridge.domain import plan

NOW = 1_800_000_000
HREFS = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(["1", "2", "3"]))


@given(known=HREFS, changed=HREFS)
def test_after_a_complete_answer_everything_is_fetched_kept_or_verified(known, changed):
    decided = plan.plan_mirror(known, changed, frozenset(), complete=True)
    kept = {href for href in known if known[href] == changed.get(href)}
    assert set(decided.fetch) | set(decided.suspects) | kept == set(known) | set(changed)
    assert set(decided.suspects) == set(known) - set(changed)


@given(known=HREFS, changed=HREFS)
def test_an_incremental_answer_says_nothing_about_what_it_does_not_name(known, changed):
    assert plan.plan_mirror(known, changed, frozenset(), complete=False).suspects == ()


def test_the_server_may_call_things_removed_that_we_never_had():
    assert plan.plan_mirror({"a": "1"}, {}, frozenset({"a", "z"}), complete=False).suspects == ("a",)


@pytest.mark.parametrize(
    ("known", "gone", "named", "suspicious"),
    [
        (1, 1, True, False),  # a person deletes the only event
        (1, 1, False, True),  # a listing with nothing in it may be a server's bad moment
        (2, 2, True, True),  # and so may be a server that calls everything removed
        (3, 2, False, False),
        (8, 4, False, False),
        (8, 5, True, True),
        (100, 100, True, True),
        (100, 10, False, False),
    ],
)
def test_losing_all_or_most_of_a_calendar_is_suspicious(known, gone, named, suspicious):
    assert plan.loses_too_much(known, gone, named=named) is suspicious


@given(known=st.integers(0, 200), gone=st.integers(0, 200), named=st.booleans())
def test_counting_more_objects_than_enough_would_make_no_difference(known, gone, named):
    counted = min(known, plan.enough(gone))
    assert plan.loses_too_much(counted, gone, named=named) is plan.loses_too_much(known, gone, named=named)


def test_a_throttle_that_promises_too_little_is_met_with_a_growing_floor():
    throttled = errors.Throttled("https://x/", retry_after=1)
    waits = [plan.poll_wait(throttled, failures, interval=2) for failures in range(1, 13)]
    assert waits == sorted(waits)
    assert waits[0] >= 4
    assert waits[-1] == plan.LONGEST_POLL_WAIT


def test_a_throttle_is_honoured_when_it_asks_for_more():
    assert plan.poll_wait(errors.Throttled("https://x/", retry_after=600), 1, interval=60) == 600


@pytest.mark.parametrize(
    ("error", "attempts", "outcome"),
    [
        (errors.Unauthorized("u"), 1, plan.PauseAccount()),
        (errors.Refused("u"), 1, plan.Dead()),
        (errors.Forbidden("u"), 1, plan.RetryAt(NOW + 2)),  # may be throttling
        (errors.Forbidden("u"), plan.FORBIDDEN_ATTEMPTS, plan.Dead()),
        (errors.NotFound("u"), plan.FORBIDDEN_ATTEMPTS, plan.Dead()),
        (errors.Unreachable("u"), 1000, plan.RetryAt(NOW + 3600)),  # an outage is never given up on
        (errors.ServerFault("u"), 3, plan.RetryAt(NOW + 15)),
        (errors.BadAnswer("u"), 1, plan.RetryAt(NOW + 2)),
        (errors.Throttled("u", retry_after=90), 1, plan.RetryAt(NOW + 90)),
        (errors.Throttled("u", retry_after=10 * 366 * 86_400), 1, plan.RetryAt(NOW + 3600)),
        (errors.CredentialsWithheld("u"), 1, plan.Dead()),
    ],
)
def test_what_a_failed_push_means(error, attempts, outcome):
    assert plan.after_push(error, attempts, now=NOW) == outcome


ANSWER = {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("known", "changed", "removed", "written", "moved", "suspicious"),
    [
        ({**ANSWER, "c": "3"}, {"a": "1", "b": "9"}, frozenset(), frozenset(), True, True),  # names what is unchanged
        (dict.fromkeys("abcdefghij", "1"), {"a": "1"}, frozenset(), frozenset("a"), True, False),  # our own write
        (dict.fromkeys("abcdefghij", "1"), {"a": "2"}, frozenset(), frozenset(), True, False),  # an ordinary change
        (dict.fromkeys("abcdefghij", "1"), {}, frozenset(), frozenset(), True, True),  # moved on, and says nothing
        (dict.fromkeys("abcdefghij", "1"), {}, frozenset(), frozenset(), False, False),  # nothing happened
        (dict.fromkeys("abcdefghij", "1"), {"a": "1"}, frozenset("b"), frozenset(), True, False),  # it names removals
        (ANSWER, {"a": "9"}, frozenset(), frozenset(), True, True),  # so few that all may have changed
        ({}, {"a": "9"}, frozenset(), frozenset(), True, False),  # nothing to lose
    ],
)
def test_an_answer_that_may_hide_removals_is_compared(known, changed, removed, written, moved, suspicious):
    named = {href: etag for href, etag in known.items() if href in changed or href in removed}
    objects = min(len(known), plan.enough(0))
    assert plan.may_hide_removals(named, changed, removed, written, objects=objects, moved=moved) is suspicious
