"""What receivers' answers to webhooks mean."""

from __future__ import annotations

import pytest

from bridge.domain.changes import ChangeOrigin
from bridge.domain.webhooks import (
    BACKOFF,
    DISABLED_AFTER,
    FAILING_AFTER,
    Signature,
    Webhook,
    WebhookStatus,
    after_failure,
    message_id,
)
from bridge.errors import NotTaken

NOW = 1_800_000_000


def webhook(**changes):
    fields = {
        "id": "whk_1",
        "location_ids": frozenset({"loc"}),
        "token_id": "tok",
        "url": "https://crm.example.com/",
        "events": ("*",),
        "origins": (ChangeOrigin.ICLOUD,),
        "description": "",
        "signature": Signature.V1,
        "secret": b"",
        "former_secrets": (),
        "active": True,
        "status": WebhookStatus.ACTIVE,
        "status_reason": "",
        "failing_since": None,
        "failures": 0,
        "rest_until": 0,
        "place": 0,
        "created_at": 0,
        "updated_at": 0,
    }
    return Webhook(**{**fields, **changes})


def test_attempts_are_spread_over_three_days_and_then_given_up():
    waits = []
    for attempts in range(1, 11):
        failed = after_failure(webhook(), NotTaken("answered 500", 500), attempts, now=NOW, jitter=0)
        waits.append(None if failed.retry_at is None else failed.retry_at - NOW)
    assert waits == [*BACKOFF, None]
    late = after_failure(webhook(), NotTaken("answered 500", 500), 2, now=NOW, jitter=1)
    assert BACKOFF[1] < late.retry_at - NOW <= BACKOFF[1] * 1.2


def test_a_wish_for_later_is_honoured_within_reason():
    failed = after_failure(webhook(), NotTaken("answered 503", 503, 7200.0), 1, now=NOW, jitter=0)
    assert failed.retry_at == failed.rest_until == NOW + 7200
    soon = after_failure(webhook(), NotTaken("answered 503", 503, 1.0), 3, now=NOW, jitter=0)
    assert soon.retry_at == NOW + BACKOFF[2], "never sooner than planned"
    never = after_failure(webhook(), NotTaken("answered 503", 503, 1e12), 1, now=NOW, jitter=0)
    assert never.retry_at == NOW + 86_400


@pytest.mark.parametrize(("status", "rests"), [(429, True), (502, True), (504, True), (500, False), (None, False)])
def test_who_has_too_much_to_do_gets_a_rest(status, rests):
    failed = after_failure(webhook(), NotTaken("no", status), 4, now=NOW, jitter=0)
    assert (failed.rest_until > NOW) == rests
    assert failed.rest_until <= NOW + 300


def test_failures_show_and_days_of_them_disable():
    error = NotTaken("answered 500", 500)
    first = after_failure(webhook(), error, 1, now=NOW, jitter=0)
    assert first.status == WebhookStatus.ACTIVE
    several = after_failure(webhook(failures=FAILING_AFTER - 1, failing_since=NOW), error, 1, now=NOW, jitter=0)
    assert (several.status, several.status_reason) == (WebhookStatus.FAILING, "answered 500")
    days = after_failure(webhook(failures=50, failing_since=NOW - DISABLED_AFTER), error, 1, now=NOW, jitter=0)
    assert days.status == WebhookStatus.DISABLED
    gone = after_failure(webhook(), NotTaken("answered 410", 410), 1, now=NOW, jitter=0)
    assert gone.status == WebhookStatus.DISABLED


def test_an_id_belongs_to_one_change_and_one_webhook():
    assert message_id("whk_1", 5) == message_id("whk_1", 5)
    assert len({message_id("whk_1", 5), message_id("whk_1", 6), message_id("whk_2", 5)}) == 3
