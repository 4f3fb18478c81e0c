"""Every refusal that a person at a terminal can meet is told in words, with what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from bridge import errors
from bridge.sentences import sentence

#: Met only by programs at the HTTP API, or by the bridge's own services.
NOT_AT_A_TERMINAL = {
    errors.CalendarsStale,
    errors.CursorExpired,
    errors.DuplicateExternalId,
    errors.KeyReused,
    errors.NoPrimaryCalendar,
    errors.NotBookable,
    errors.NotTaken,
    errors.ReadOnly,
    errors.SlotUnavailable,
    errors.TooMany,
    errors.TooMuchAtOnce,
    errors.Unreadable,
    errors.VersionMismatch,
}


def all_errors(base: type[errors.BridgeError] = errors.BridgeError) -> Iterator[type[errors.BridgeError]]:
    for error in base.__subclasses__():
        yield error
        yield from all_errors(error)


def test_every_error_has_words_of_its_own() -> None:
    def words(error: type[errors.BridgeError]) -> object:
        return sentence.dispatch(error)

    wordless = {error for error in all_errors() if words(error) is words(errors.BridgeError)}

    assert wordless == NOT_AT_A_TERMINAL


def reasons(error: type[errors.BridgeError]) -> list[str]:
    """The reasons that an error's documentation says there are."""
    listed = (error.__doc__ or "").partition("is one of:")[2]
    return re.findall(r"`(\w+)`", listed)


@pytest.mark.parametrize("provider", ["icloud", "home"])
@pytest.mark.parametrize("reason", reasons(errors.AccountNotConnected))
def test_every_reason_not_to_connect_has_words(reason: str, provider: str) -> None:
    said = sentence(errors.AccountNotConnected(reason, provider, "https://dav.example.com/", "the details"))

    assert reason not in said
    assert "{" not in said


@pytest.mark.parametrize("reason", reasons(errors.SecretsKeyRefused))
def test_every_reason_to_refuse_a_key_has_words(reason: str) -> None:
    said = sentence(errors.SecretsKeyRefused("data/secrets.key", reason, "the details"))

    assert "data/secrets.key" in said
    assert reason not in said


def test_a_key_open_to_others_is_answered_with_the_command_that_closes_it() -> None:
    said = sentence(errors.SecretsKeyRefused("data/secrets.key", "open_to_others"))

    assert said.endswith("chmod 600 data/secrets.key")


def test_what_is_unknown_is_answered_with_the_command_that_lists_it() -> None:
    assert sentence(errors.Unknown("user", "ana")) == 'There is no user "ana". To list them: bridge user list'


def test_a_taken_port_is_answered_with_the_table_to_change() -> None:
    said = sentence(errors.CannotListen("radicale", "127.0.0.1", 5232, "Address already in use"))

    assert "127.0.0.1, port 5232: Address already in use" in said
    assert "[radicale]" in said
