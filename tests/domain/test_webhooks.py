"""Which addresses webhooks may go to, and what the answers mean."""

from __future__ import annotations

import ipaddress

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
    may_reach,
    message_id,
    url_problem,
)
from bridge.errors import NotTaken

LAN = (ipaddress.ip_network("192.168.1.0/24"), ipaddress.ip_network("fd00::/8"))
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


@pytest.mark.parametrize(
    "url",
    [
        "https://crm.example.com/hook?tenant=1",
        "https://crm.example.com:8443/hook",
        "https://93.184.216.34/hook",
        "https://[2606:2800:220:1:248:1893:25c8:1946]/hook",
        "HTTPS://CRM.example.com/hook",
        "https://crm.example.com./hook",
        "https://my_crm.example.com/hook",
        "https://xn--bcher-kva.example/hook",
        "https://4crm.example.com/hook",
    ],
)
def test_public_https_addresses_will_do(url):
    assert url_problem(url, ()) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "crm.example.com/hook",
        "http://crm.example.com/hook",
        "ftp://crm.example.com/hook",
        "file:///etc/passwd",
        "https:///hook",
        "https://user:password@crm.example.com/hook",
        "https://user@crm.example.com/hook",
        "https://crm.example.com/hook#part",
        "https://crm.example.com:0/hook",
        "https://crm.example.com:99999/hook",
        "https://crm.example.com\\@10.0.0.1/hook",
        "https://crm.example.com/ho ok",
        "https://crm.example.com/" + "x" * 2000,
        "https://[::1/hook",
        "https://127.0.0.1/hook",
        "https://10.0.0.1/hook",
        "https://172.16.0.1/hook",
        "https://192.168.1.5/hook",
        "https://169.254.169.254/latest/meta-data/",
        "https://100.64.0.1/hook",
        "https://0.0.0.0/hook",
        "https://224.0.0.1/hook",
        "https://255.255.255.255/hook",
        "https://[::1]/hook",
        "https://[fe80::1]/hook",
        "https://[fd00::1]/hook",
        "https://[::ffff:10.0.0.1]/hook",
        "https://[64:ff9b::a00:1]/hook",
        "https://[2002:a00:1::]/hook",
        "https://[fec0::1]/hook",
        # Other ways to write an IPv4 address.
        "https://2130706433/hook",
        "https://0x7f000001/hook",
        "https://0x7f.1/hook",
        "https://0177.0.0.1/hook",
        "https://127.1/hook",
        "https://1.2.3/hook",
        "https://127.0.0.1./hook",
        "https://%31%32%37.0.0.1/hook",
        # Names that lead to this machine, to a network of somebody's, or nowhere.
        "https://localhost/hook",
        "https://LocalHost./hook",
        "https://crm.localhost/hook",
        "https://crm/hook",
        "https://crm.local/hook",
        "https://crm.internal/hook",
        "https://crm.home.arpa/hook",
        "https://crm.invalid/hook",
        "https://abcdefgh.onion/hook",
        "https://crm..example.com/hook",
        "https://-crm.example.com/hook",
        "https://" + "a" * 64 + ".example.com/hook",
        "https://" + "a." * 127 + "example.com/hook",
    ],
)
def test_others_are_refused(url):
    assert url_problem(url, ())


def test_networks_that_are_named_will_do_by_plain_http_too():
    assert url_problem("http://192.168.1.5/hook", LAN) is None
    assert url_problem("https://192.168.1.5/hook", LAN) is None
    assert url_problem("http://crm.lan/hook", LAN) is None, "where the name leads is seen when connecting"
    assert url_problem("http://192.168.2.5/hook", LAN)
    assert url_problem("http://93.184.216.34/hook", LAN), "plain http over the internet is never fine"


def test_names_inside_will_do_where_a_network_is_named():
    for name in ("crm", "crm.local", "crm.internal", "crm.lan"):
        assert url_problem(f"http://{name}/hook", LAN) is None
    assert url_problem("http://localhost/hook", LAN), "no network of those named has this machine in it"
    for network in ("127.0.0.0/8", "::1/128"):
        assert url_problem("http://localhost:8000/hook", [ipaddress.ip_network(network)]) is None
    assert url_problem("http://crm.invalid/hook", LAN)
    assert url_problem("http://3232235777/hook", LAN), "an address is written as one"


def test_plain_http_reaches_named_networks_only():
    assert may_reach(ipaddress.ip_address("192.168.1.5"), encrypted=False, networks=LAN)
    assert may_reach(ipaddress.ip_address("::ffff:192.168.1.5"), encrypted=False, networks=LAN)
    assert not may_reach(ipaddress.ip_address("93.184.216.34"), encrypted=False, networks=LAN)
    assert not may_reach(ipaddress.ip_address("169.254.169.254"), encrypted=True, networks=LAN)


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
