"""Where credentials may go."""

from __future__ import annotations

import contextlib
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.app import _policy
from bridge.errors import CredentialsWithheld
from bridge.remote.base import path_of
from bridge.remote.policy import ProviderPolicy, without_query
from bridge.settings import ProviderSettings

ICLOUD = ProviderPolicy("icloud", "https://caldav.icloud.com/", ("*.icloud.com",))
HOME = ProviderPolicy("home", "http://127.0.0.1:5232/")
OFFICE = ProviderPolicy("office", "http://dav.office.example:8080/", allow_http=True)


@pytest.mark.parametrize(
    ("policy", "url"),
    [
        (ICLOUD, "https://caldav.icloud.com/"),
        (ICLOUD, "https://CalDAV.iCloud.com:443/123/principal/"),
        (ICLOUD, "https://p42-caldav.icloud.com/123/calendars/"),
        (HOME, "http://localhost:9999/"),
        (HOME, "http://127.0.0.2/"),
        (HOME, "https://[::1]:8443/"),
        (OFFICE, "http://dav.office.example/other/"),
    ],
)
def test_credentials_go_to_the_accounts_own_hosts(policy: ProviderPolicy, url: str) -> None:
    assert policy.check(url) == url


@pytest.mark.parametrize(
    ("policy", "url"),
    [
        (ICLOUD, "http://caldav.icloud.com/"),
        (ICLOUD, "https://icloud.com.evil.example/"),
        (ICLOUD, "https://evilicloud.com/"),
        (ICLOUD, "https://caldav.icloud.com@evil.example/"),
        (ICLOUD, "https://evil.example\\@caldav.icloud.com/"),
        (ICLOUD, "https://evil.example#@caldav.icloud.com/"),
        (ICLOUD, "https://127.0.0.1/"),
        (ICLOUD, "ftp://caldav.icloud.com/"),
        (ICLOUD, "//evil.example/"),
        (ICLOUD, "https://[caldav.icloud.com/"),
        (ICLOUD, "https://caldav.icloud.com:99999/"),
        (ICLOUD, ""),
        (HOME, "http://192.168.1.2/"),
        (HOME, "http://localhost.evil.example/"),
        (OFFICE, "http://other.office.example/"),
        (ProviderPolicy("x", "https://dav.example/"), "https://sub.dav.example/"),
    ],
)
def test_credentials_go_nowhere_else(policy: ProviderPolicy, url: str) -> None:
    with pytest.raises(CredentialsWithheld):
        policy.check(url)


@given(st.text())
def test_any_address_at_all_is_either_allowed_or_withheld(text: str) -> None:
    for address in (text, f"https://{text}", f"https://caldav.icloud.com{text}"):
        with contextlib.suppress(CredentialsWithheld):
            host = urlsplit(ICLOUD.check(address)).hostname or ""
            assert host.lower() == "icloud.com" or host.lower().endswith(".icloud.com")


def test_an_address_is_shown_without_what_it_hides() -> None:
    assert without_query("https://ada:secret@dav.example:8443/a?key=secret#x") == "https://dav.example:8443/a"
    assert without_query("http://[::1]:80/a") == "http://[::1]:80/a"
    assert "secret" not in without_query("https://ada:secret@[broken/")


def test_every_setting_of_a_provider_reaches_its_policy() -> None:
    settings = ProviderSettings(
        url="http://dav.example/",
        allow_http=True,
        credential_hosts=("*.dav.example",),
        ca_file="ca.pem",
        requests_per_minute=7,
    )
    policy = _policy("office", settings)
    assert (policy.url, policy.credential_hosts, policy.ca_file) == (
        "http://dav.example/",
        ("*.dav.example",),
        "ca.pem",
    )
    assert (policy.allow_http, policy.requests_per_minute) == (True, 7)


@pytest.mark.parametrize(
    ("href", "path"),
    [
        ("https://p42-caldav.icloud.com:443/1/c/a.ics", "/1/c/a.ics"),
        ("/1/c/%61%20b.ics", "/1/c/a%20b.ics"),
        ("/1/c/a b.ics", "/1/c/a%20b.ics"),
        ("/ada%40example.com/c/", "/ada@example.com/c/"),
        ("/1/c/%C3%BC.ics", "/1/c/%C3%BC.ics"),
        ("/1/c/ü.ics", "/1/c/%C3%BC.ics"),
        ("/1/c/a%2fb.ics", "/1/c/a%2Fb.ics"),
        ("/1/c/%E4.ics", "/1/c/%E4.ics"),
        ("/1/c/100%25.ics", "/1/c/100%25.ics"),
        ("/1/c/%2540.ics", "/1/c/%2540.ics"),
    ],
)
def test_hrefs_are_compared_by_their_paths(href: str, path: str) -> None:
    assert path_of(href) == path
    assert path_of(path) == path


@given(st.text(alphabet=st.characters(exclude_characters="?#", exclude_categories=["Cs", "Cc"])))
def test_a_normalised_path_stays_as_it_is(text: str) -> None:
    once = path_of(f"/{text.lstrip('/')}")
    assert path_of(once) == once
