"""How long a server asks to be left alone."""

from __future__ import annotations

import pytest

from bridge.remote import retry_after


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        ("0", 0.0),
        ("soon", None),
        ("", None),
        ("0.5", 0.5),
        ("-5", 0.0),
        ("inf", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:00", None),
        ("²", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header, seconds):
    assert retry_after.seconds(header) == seconds
