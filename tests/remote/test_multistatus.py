"""Listings read while they arrive: the same in whatever pieces they come, and nothing unless they are whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import BadAnswer, NotFound
from bridge.remote.multistatus import Listing, Member
from tests.remote.dav import CALENDAR, etag, row, status_row, xml

URL = "https://example.com/c/"
WHOLE = xml(
    row("/c/", f"{CALENDAR}<D:sync-token>another</D:sync-token>"),
    "<!-- ä --> ",
    row("/c/a%20b.ics", etag("1")),
    row("https://example.com:443/c/ä.ics", etag("&amp;2")),
    row("/c/inner/", CALENDAR),
    status_row("/c/gone.ics", "HTTP/1.1 404 Not Found"),
    token=" token-2 ",
).encode()
MEMBERS = [
    Member("/c/", "", None, True, True),
    Member("/c/a%20b.ics", '"1"', None, False, False),
    Member("/c/%C3%A4.ics", '"&2"', None, False, False),
    Member("/c/inner/", "", None, False, True),
    Member("/c/gone.ics", "", 404, False, False),
]


def read(*pieces: bytes) -> Listing:
    listing = Listing(URL)
    for piece in pieces:
        listing.feed(piece)
    listing.close()
    return listing


@given(st.lists(st.integers(0, len(WHOLE)), max_size=9).map(sorted))
def test_a_listing_is_the_same_in_whatever_pieces_it_comes(cuts: list[int]) -> None:
    pieces = [WHOLE[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(WHOLE)], strict=True)]
    listing = read(*pieces)
    assert (listing.members, listing.sync_token) == (MEMBERS, "token-2")


@given(st.integers(0, len(WHOLE) - 1))
def test_a_listing_that_ends_anywhere_before_its_end_is_an_error(length: int) -> None:
    with pytest.raises(BadAnswer):
        read(WHOLE[:length])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Please log in</body></html>",
        WHOLE + WHOLE,
        WHOLE.replace(b'xmlns:D="DAV:"', b'xmlns:D="DAV"'),
        WHOLE.replace(b"?>", b"?><!DOCTYPE x>", 1),
    ],
    ids=["nothing", "a page", "twice", "another namespace", "a doctype"],
)
def test_what_is_no_listing_is_an_error(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        read(body)


def test_a_listing_that_says_that_there_is_no_such_calendar() -> None:
    with pytest.raises(NotFound):
        read(xml(status_row("/c/", "HTTP/1.1 404 Not Found")).encode())


def test_of_what_was_read_only_the_members_are_kept() -> None:
    listing = Listing(URL)
    first, last = WHOLE.split(b"<!--")
    listing.feed(first)
    response = row("/c/x.ics", etag("1")).encode()
    for _ in range(1_000):
        listing.feed(response)
    listing.feed(b"<!--" + last)
    root = listing._parser.close()
    assert len(listing.members) == 1_000 + len(MEMBERS)
    assert len(root) <= 2  # the tree of one response, and what stands after it
