"""The application for production: Radicale's own, except that answers about many items are built by the store.

Every request is authenticated, checked and interpreted by Radicale's code (see `sample`). An earlier answer is reused
only where everything is the same on which Radicale's answer depends (see `answer_cache`).
"""

from __future__ import annotations

import contextlib
import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable
from http import client
from typing import Any

from defusedxml import DefusedXmlException
from radicale import config, httputils, xmlutils
from radicale.app.get import requests_freebusy_view
from radicale.log import LOG_LEVEL_NOTICE, logger

from bridge.errors import StoreUnavailable
from bridge.store import calendar_file
from bridge.store.db import Tx
from radicale_plugin.answer_cache import AnswerCache, Final, SampleAnswer
from radicale_plugin.asked import ASKED, Asked
from radicale_plugin.auth import Auth
from radicale_plugin.body import WORTH_COMPRESSING, Spooled, assemble, sliced
from radicale_plugin.busy import with_busy
from radicale_plugin.expansion import TooMuch
from radicale_plugin.filling import filled
from radicale_plugin.refusals import Environ, ReadOnly, Response, UnknownReport
from radicale_plugin.request import check, drop_repetitions, note_asked
from radicale_plugin.request_key import keyed_request
from radicale_plugin.rights import Rights
from radicale_plugin.sample import Piece, take_apart
from radicale_plugin.storage import Storage
from radicale_plugin.tree import CALENDAR

#: The key of `environ` that says that the client accepts gzip. It is moved there so that Radicale does not compress.
_GZIP = "radicale_plugin.gzip"
#: The key of `environ` that holds the Content-Type. It is moved there since Radicale would read the login, too, in the
#: encoding that it names.
_CONTENT_TYPE = "radicale_plugin.content_type"
#: The key of `environ` that says that the body has no Content-Length and ends where the server ends it.
_UNMEASURED = "radicale_plugin.unmeasured"
#: The key of `environ` that holds Radicale's answer about the samples.
_SAMPLE_ANSWER = "radicale_plugin.sample_answer"
_CALENDAR = "text/calendar; charset=utf-8"
#: Encodings of XML, besides UTF-8, that clients may use.
_ENCODINGS = frozenset({"utf-16", "utf-16le", "utf-16be", "us-ascii", "iso-8859-1", "windows-1252"})
_UNAVAILABLE: Response = (
    client.SERVICE_UNAVAILABLE,
    {"Content-Type": "text/plain", "Retry-After": "30"},
    "The calendar can't be read just now.",
    None,
)


class _TooLong(Exception):
    """A body turned out to be longer than is accepted."""


class Application(ReadOnly):
    """Radicale over the bridge's store."""

    def __init__(self, configuration: config.Configuration) -> None:
        super().__init__(configuration)
        if not isinstance(self._storage, Storage):
            raise RuntimeError(  # noqa: TRY004 - which Radicale shows before it ends
                "This application serves the bridge's store only: set [storage] type = radicale_plugin"
            )
        # Radicale itself refuses bodies that are too long, as under its own server, before anything reads them.
        self._internal_server = True
        self._most = configuration.get("reporting", "max_expand_occurrence")
        self._answers = AnswerCache(self._most)
        # Other ways to log in, rights and shares might change without the store's knowing.
        self._knows_repeats = (
            isinstance(self._auth, Auth) and isinstance(self._rights, Rights) and not self._sharing._enabled
        )

    def _handle_request(self, environ: Environ) -> tuple[str, list[tuple[str, str]], Iterable[bytes]]:
        try:
            status, headers, body = self._known(environ)
        except StoreUnavailable as e:
            logger.warning("The store can't be read: %s", e.reason)
            code, fields, text, _ = _UNAVAILABLE
            headers = [*fields.items(), ("Content-Length", str(len(text)))]
            return f"{code} {client.responses[code]}", headers, [text.encode()]
        return status, list(headers), sliced(body) if isinstance(body, bytes) else body

    def _known(self, environ: Environ) -> Final:
        """An earlier answer that still holds, or a new one; always a new one if each request is to be logged."""
        if not self._knows_repeats or logger.isEnabledFor(LOG_LEVEL_NOTICE):
            return self._answered(environ)
        request = keyed_request(environ, self._auth)
        known = None if request is None else self._answers.answer(request, self._storage)
        if known is not None:
            return known
        answer = self._answered(environ)
        sample = environ.get(_SAMPLE_ANSWER)
        return answer if request is None or sample is None else self._answers.keep(request, sample, answer)

    def _answered(self, environ: Environ) -> Final:
        """Radicale's answer, compressed if the client accepts that."""
        gzip = environ[_GZIP] = _takes_gzip(environ.pop("HTTP_ACCEPT_ENCODING", ""))
        environ[_CONTENT_TYPE] = environ.pop("CONTENT_TYPE", "") or ""
        # Radicale takes methods in any case.
        environ["REQUEST_METHOD"] = environ["REQUEST_METHOD"].upper()
        if environ.get("wsgi.input_terminated") and environ.pop("HTTP_TRANSFER_ENCODING", ""):
            environ[_UNMEASURED] = True
        with self._storage.snapshot():  # of the login as well
            status, headers, answers = super()._handle_request(environ)
        answer = answers[0] if answers else b""
        if isinstance(answer, Spooled):
            if environ["REQUEST_METHOD"] != "HEAD":
                return status, headers, answer
            answer.close()
            return status, headers, b""
        fields = dict(headers)
        if "ETag" in fields and fields["ETag"] in environ.get("HTTP_IF_NONE_MATCH", ""):
            return f"{client.NOT_MODIFIED} Not Modified", [("ETag", fields["ETag"])], b""
        if gzip and len(answer) >= WORTH_COMPRESSING and "Content-Encoding" not in fields:
            answer, _ = assemble([answer], gzip=True)
            fields |= {"Content-Encoding": "gzip", "Content-Length": str(len(answer))}
        return status, list(fields.items()), answer

    def do_GET(self, environ: Environ, base_prefix: str, path: str, *who: Any) -> Response:
        """An item, or the whole calendar as one file."""
        if requests_freebusy_view(environ):
            get = super().do_GET
            return _unless_unavailable(lambda: get(environ, base_prefix, path, *who))
        return self._sampled(super().do_GET, environ, base_prefix, path, *who)

    def do_PROPFIND(self, environ: Environ, base_prefix: str, path: str, *who: Any) -> Response:
        """Properties of the calendar, or of each item in it."""
        return self._sampled(super().do_PROPFIND, environ, base_prefix, path, *who)

    def do_REPORT(self, environ: Environ, base_prefix: str, path: str, *who: Any) -> Response:
        """Reports: what changed, items by name or by filter, or busy times."""
        return self._sampled(super().do_REPORT, environ, base_prefix, path, *who)

    def _sampled(
        self, method: Callable[..., Response], environ: Environ, base_prefix: str, path: str, *who: Any
    ) -> Response:
        """The answer of one of Radicale's methods; for a merged calendar, filled in from the store."""
        parts = path.strip("/").split("/")

        def answer() -> Response:
            # Sharing, which the bridge does not use, leads from one path to another.
            if self._sharing._enabled or parts[1:] not in ([], [CALENDAR]):
                return method(environ, base_prefix, path, *who)
            with self._storage.snapshot() as tx:
                head = self._storage.head(parts[0])
                if head is None:
                    return method(environ, base_prefix, path, *who)
                asked = Asked(
                    head,
                    prefix=base_prefix,
                    itself=bool(parts[1:]),
                    whole=environ["REQUEST_METHOD"] in {"GET", "HEAD"},
                )
                before = ASKED.set(asked)
                try:
                    response = method(environ, base_prefix, path, *who)
                    return self._filled(tx, asked, response, environ)
                finally:
                    ASKED.reset(before)

        try:
            return _unless_unavailable(answer)
        except UnknownReport as e:
            logger.warning("A REPORT that is not known: %s", e)
            return self._error("D:supported-report", who[2])
        except _TooLong:
            refused: Response = httputils.REQUEST_ENTITY_TOO_LARGE
            return refused

    def _filled(self, tx: Tx, asked: Asked, response: Response, environ: Environ) -> Response:
        """Radicale's answer, with the items of the store in place of the samples."""
        if asked.too_much:
            return self._too_much(asked.too_much)
        status, fields, answer, request = response
        headers = dict(fields)
        parts: list[bytes | Piece] = []
        if status == client.OK and asked.free_busy:
            return status, headers | {"Content-Type": _CALENDAR}, with_busy(answer, asked.busy), request
        if status == client.OK and asked.whole and asked.everything:
            headers["Content-Type"] = _CALENDAR
            chunks = calendar_file.chunks(tx, asked.head.user_id)
        elif status == client.MULTI_STATUS:
            parts = list(take_apart(answer))
            if any(isinstance(part, Piece) and part.is_excessive for part in parts):
                return self._too_much("more is asked about each event than there is to say")
            asked.lasts &= not any(isinstance(part, Piece) and part.has_text for part in parts)
            chunks = filled(tx, asked, parts, most=self._most)
        else:
            return response
        try:
            body, compressed = assemble(chunks, gzip=environ[_GZIP])
        except TooMuch as e:
            return self._too_much(str(e))
        if compressed:
            headers["Content-Encoding"] = "gzip"
        if parts:
            environ[_SAMPLE_ANSWER] = SampleAnswer(asked, parts, environ[_GZIP])
        return status, headers, body, request

    def _too_much(self, why: str) -> Response:
        """The answer to a query with too many results (RFC 4791 section 7.8): the client has to ask for less."""
        logger.warning("A request is refused: %s", why)
        return self._error("D:number-of-matches-within-limits", {})

    def _read_xml_request_body(self, environ: Environ, request_info: dict[str, Any]) -> ET.Element | None:
        """The request as XML. Raises `RuntimeError` where it can't be parsed, which Radicale answers with 400."""
        asked = ASKED.get()
        raw = self._raw(environ)
        request = self._parsed(raw, environ, request_info)
        if request is None and environ["REQUEST_METHOD"] == "REPORT":
            raise RuntimeError("a REPORT of nothing")
        if request is not None:
            check(request, environ["REQUEST_METHOD"], of_item=asked is None and not self._sharing._enabled)
            if asked is not None and asked.itself:
                lead = xmlutils.make_href(asked.prefix, f"/{asked.head.user_id}/{CALENDAR}/")
                note_asked(request, asked, lead)
            drop_repetitions(request)
        return request

    def _raw(self, environ: Environ) -> bytes:
        """The body. Without a Content-Length, Radicale would take it for empty (RFC 9112 section 6.3)."""
        if _UNMEASURED in environ:
            body = environ["wsgi.input"].read(self._max_content_length + 1)
            if len(body) > self._max_content_length:
                raise _TooLong
            environ["CONTENT_LENGTH"] = str(len(body))
            environ["wsgi.input"] = io.BytesIO(body)
        raw: bytes = httputils.read_raw_request_body(self.configuration, environ)
        return raw

    def _parsed(self, raw: bytes, environ: Environ, request_info: dict[str, Any]) -> ET.Element | None:
        content = _text(raw, environ[_CONTENT_TYPE])
        if content and "<!" not in content and not logger.isEnabledFor(LOG_LEVEL_NOTICE):
            try:
                return ET.fromstring(content)  # noqa: S314 - without "<!" it declares nothing that could do harm
            except ET.ParseError as e:
                raise RuntimeError(f"not XML: {e}") from e
        raw = content.encode()
        environ |= {"CONTENT_LENGTH": str(len(raw)), "wsgi.input": io.BytesIO(raw)}
        try:
            # Parses with care, ten times as long, and logs.
            request: ET.Element | None = super()._read_xml_request_body(environ, request_info)
        except DefusedXmlException as e:
            raise RuntimeError(f"XML that is not taken: {type(e).__name__}") from e
        return request


def _takes_gzip(accepted: str) -> bool:
    for one in accepted.lower().split(","):
        name, *weight = (part.strip() for part in one.split(";"))
        if name == "gzip":
            return not any(re.fullmatch(r"q=0(\.0*)?", part) for part in weight)
    return False


def _text(raw: bytes, content_type: str) -> str:
    """The body in the encoding that is named, if XML is written in it; else in UTF-8 or, as Radicale does, Latin-1."""
    named = content_type.lower().partition("charset=")[2].partition(";")[0].strip(' "')
    for encoding in (named if named in _ENCODINGS else "utf-8", "utf-8"):
        with contextlib.suppress(UnicodeDecodeError):
            return raw.decode(encoding)
    return raw.decode("iso-8859-1")


def _unless_unavailable(answer: Callable[[], Response]) -> Response:
    """The answer; 503 with Retry-After where the store can't be read at the moment."""
    try:
        return answer()
    except StoreUnavailable as e:
        logger.warning("The store can't be read: %s", e.reason)
        return _UNAVAILABLE
