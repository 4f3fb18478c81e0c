"""How many requests a token has."""

import pytest

from bridge.settings import Settings
from bridge.web.limits import BURST, LIMITS, Limits
from bridge.web.problems import Problem

from .conftest import APPOINTMENTS, EVENTS, WEEK


@pytest.fixture
def clock():
    return [1000.0]


def test_a_burst_is_over_when_its_time_is(clock):
    limits = Limits(burst=3, daily=100, clock=lambda: clock[0])
    left = [limits.take("a")["X-RateLimit-Remaining"] for _ in range(3)]
    assert left == ["2", "1", "0"]
    with pytest.raises(Problem) as refused:
        limits.take("a")
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "11")
    assert limits.take("b")["X-RateLimit-Remaining"] == "2", "another token has its own"
    clock[0] += BURST
    assert limits.take("a")["X-RateLimit-Remaining"] == "2"


def test_a_day_is_over_when_its_time_is(clock):
    limits = Limits(burst=100, daily=2, clock=lambda: clock[0])
    assert [limits.take("a")["X-RateLimit-Daily-Remaining"] for _ in range(2)] == ["1", "0"]
    clock[0] += 86_399
    with pytest.raises(Problem) as refused:
        limits.take("a")
    assert (refused.value.headers["X-RateLimit-Daily-Reset"], refused.value.headers["Retry-After"]) == ("1000", "2")
    clock[0] += 1
    limits.take("a")


def test_what_is_refused_in_a_burst_takes_nothing_from_the_day(clock):
    limits = Limits(burst=2, daily=3, clock=lambda: clock[0])
    for _ in range(2):
        limits.take("a")
    for _ in range(50):
        with pytest.raises(Problem):
            limits.take("a")
    clock[0] += BURST
    assert limits.take("a")["X-RateLimit-Daily-Remaining"] == "0"


def test_a_crm_that_books_300_a_second_all_day_meets_no_limit():
    """Unless its administrator sets one."""
    api = Settings().api
    assert api.burst_requests >= 300 * BURST
    assert api.daily_requests >= 300 * 86_400


async def test_every_answer_tells_what_is_left_and_one_too_many_changes_nothing(api):
    api.client.app[LIMITS].burst = 3
    answers = [await api("GET", EVENTS, params={**WEEK, "userId": who}) for who in ("ada", "nobody")]
    answers.append(await api("POST", APPOINTMENTS, api.body()))
    assert [a.status for a in answers] == [200, 404, 201]
    assert [a.headers["X-RateLimit-Remaining"] for a in answers] == ["2", "1", "0"]
    assert answers[0].headers["X-RateLimit-Max"] == "3"
    assert answers[0].headers["X-RateLimit-Interval-Milliseconds"] == "10000"
    before = api.stored()
    refused = await api("POST", APPOINTMENTS, api.body(startTime="2027-03-10T10:00:00", endTime=None))
    assert (refused.status, refused.json["code"]) == (429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 11
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert api.stored() == before
    async with api.client.get("/healthz") as response:
        assert response.status == 200, "who needs no token has no limit"
