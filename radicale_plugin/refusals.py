"""Radicale with refusals in the terms of the protocol: every write is 403 with the missing privilege."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from http import client
from typing import Any

from radicale import app, httputils, pathutils, xmlutils
from radicale.log import logger

#: What Radicale's methods return: status, headers, body, and the request for the log.
Response = tuple[int, Any, Any, str | None]
Environ = dict[str, Any]

_ALLOWED = "GET, HEAD, OPTIONS, PROPFIND, REPORT"
#: The DAV header: without locks, address books, and creating collections.
_COMPLIANCE = "1, 3, calendar-access"


class UnknownReport(Exception):
    """A REPORT that is not supported."""


class ReadOnly(app.Application):  # type: ignore[misc] # Radicale is not typed for others
    """Refuses every write, and names the privilege that is missing (RFC 3744 section 7.1.1)."""

    def do_OPTIONS(self, *request: Any) -> Response:
        """The methods that are allowed here, rather than all that Radicale knows."""
        status, headers, answer, text = super().do_OPTIONS(*request)
        return status, headers | {"Allow": _ALLOWED, "DAV": _COMPLIANCE}, answer, text

    def do_PROPFIND(self, *request: Any) -> Response:
        """Properties, with the same DAV header as for OPTIONS: clients read it from either."""
        response: Response = super().do_PROPFIND(*request)
        status, headers, answer, text = response
        return response if status != client.MULTI_STATUS else (status, headers | {"DAV": _COMPLIANCE}, answer, text)

    def do_GET(self, environ: Environ, prefix: str, path: str, *who: Any) -> Response:
        """An object or a calendar. There is no profile for Apple devices here: Radicale's has an address book in it."""
        if path == "/.mobileconfig":
            missing: Response = httputils.NOT_FOUND
            return missing
        response: Response = super().do_GET(environ, prefix, path, *who)
        return response

    def do_PUT(self, *request: Any) -> Response:
        """Refused."""
        return self._explained(super().do_PUT, "D:write-content", *request)

    def do_PROPPATCH(self, *request: Any) -> Response:
        """Refused."""
        return self._explained(super().do_PROPPATCH, "D:write-properties", *request)

    def do_DELETE(self, *request: Any) -> Response:
        """Refused."""
        return self._explained(super().do_DELETE, "D:unbind", *request)

    def do_MOVE(self, *request: Any) -> Response:
        """Refused."""
        return self._explained(super().do_MOVE, "D:unbind", *request)

    def do_MKCOL(self, *request: Any) -> Response:
        """Refused."""
        return self._explained(super().do_MKCOL, "D:bind", *request)

    def do_MKCALENDAR(self, *request: Any) -> Response:
        """Refused."""
        return self._explained(super().do_MKCALENDAR, "D:bind", *request)

    def _explained(
        self, method: Callable[..., Response], privilege: str, environ: Environ, prefix: str, path: str, *who: Any
    ) -> Response:
        response = method(environ, prefix, path, *who)
        user, _, request_info = who
        if response != httputils.NOT_ALLOWED or not user:  # without a login, Radicale asks for one first
            return response
        logger.notice("Access to %r denied for %r", path, user)
        # To add or remove a member needs a privilege on its parent (RFC 3744 appendix B).
        where = path if privilege.startswith("D:write") else pathutils.parent_path(path)
        return self._error("D:need-privileges", request_info, _resource(xmlutils.make_href(prefix, where), privilege))

    def _error(self, condition: str, request_info: dict[str, Any], *inside: ET.Element) -> Response:
        """403 with a precondition (RFC 4918 section 16)."""
        error = xmlutils.webdav_error(condition)
        error[0].extend(inside)
        headers = {"Content-Type": f"text/xml; charset={self._encoding}"}
        return client.FORBIDDEN, headers, self._xml_response(error, request_info), None


def _resource(href: str, privilege: str) -> ET.Element:
    resource = ET.Element(xmlutils.make_clark("D:resource"))
    ET.SubElement(resource, xmlutils.make_clark("D:href")).text = href
    ET.SubElement(ET.SubElement(resource, xmlutils.make_clark("D:privilege")), xmlutils.make_clark(privilege))
    return resource
