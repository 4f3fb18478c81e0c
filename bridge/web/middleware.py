"""What every request passes: getting an id, authentication, and turning errors into answers."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable

from aiohttp import web

from bridge.errors import BridgeError, StoreUnavailable
from bridge.service import users
from bridge.web import problems
from bridge.web.keys import CONTEXT, OPEN, RATE, TOKEN, TRACE_ID
from bridge.web.problems import Problem

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: Answers to what aiohttp itself refuses.
_REFUSALS = {
    404: ("not_found", "There is nothing at this address. Paths begin with /v1/; see the documentation."),
    405: ("method_not_allowed", "This address does not take this method; see the Allow header."),
    413: ("payload_too_large", "The body is too large: 256 kB at most."),
}


#: A body that is cut off, or not encoded as its headers say. What follows it on the connection can't be told apart.
UNREADABLE = Problem(400, "bad_request", "The body is not encoded as its headers say.", headers={"Connection": "close"})


def new_trace_id() -> str:
    """The id of a request, in its answer and in the log."""
    return f"req_{secrets.token_hex(8)}"


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request an id, and turn exceptions into answers."""
    trace_id = request[TRACE_ID] = new_trace_id()
    try:
        response = await handler(request)
    except Problem as problem:
        response = problems.answer(problem, path=request.path, trace_id=trace_id)
    except BridgeError as error:
        found = problems.problem_of(error)
        if isinstance(error, StoreUnavailable):
            log.warning("request %s failed: the store can't be used: %s", trace_id, error.reason)
        response = (
            _unexpected(request, trace_id)
            if found is None
            else problems.answer(found, path=request.path, trace_id=trace_id)
        )
    except web.HTTPException as error:
        if error.status < 400:
            raise
        response = _refusal(request, error, trace_id)
    except web.RequestPayloadError:
        response = problems.answer(UNREADABLE, path=request.path, trace_id=trace_id)
    except Exception as error:  # the outermost frame
        left = isinstance(error, ConnectionError) and request.transport is None
        # The client has closed the connection in the middle of its request, so there is nobody to answer.
        response = web.Response(status=400) if left else _unexpected(request, trace_id)
    response.headers["X-Request-Id"] = trace_id
    for name, value in request.get(RATE, {}).items():
        response.headers[name] = value
    return response


def _unexpected(request: web.Request, trace_id: str) -> web.Response:
    """The exception at hand: answered without internals, told in the log under the id that the client has."""
    log.exception("request %s failed", trace_id)
    return problems.answer(
        Problem(500, "internal_error", "Something unexpected went wrong. See the log, under this traceId."),
        path=request.path,
        trace_id=trace_id,
    )


def _refusal(request: web.Request, error: web.HTTPException, trace_id: str) -> web.Response:
    code, detail = _REFUSALS.get(error.status, ("bad_request", "The request can't be read."))
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    problem = Problem(error.status, code, detail, headers=headers)
    return problems.answer(problem, path=request.path, trace_id=trace_id)


@web.middleware
async def authentication(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Require a bearer token for everything under /v1/, except for what is public."""
    if not request.path.startswith("/v1/") or request.path in request.app[OPEN]:
        return await handler(request)
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    secret = secret.strip()
    # Our tokens are ASCII. Other bytes may not even be text.
    known = scheme.lower() == "bearer" and secret.isascii()
    token = users.authenticate_token(request.app[CONTEXT].db, secret) if known else None
    if token is None:
        raise Problem(
            401,
            "unauthorized",
            "Send an API token: Authorization: Bearer TOKEN. `bridge token add` makes one.",
            headers={"WWW-Authenticate": 'Bearer realm="CRM calendar bridge"'},
        )
    request[TOKEN] = token
    return await handler(request)


def needs(scope: str, handler: Handler) -> Handler:
    """A handler that requires a scope of the token. `admin` includes all scopes."""

    async def checked(request: web.Request) -> web.StreamResponse:
        if not request[TOKEN].scopes & {scope, "admin"}:
            raise Problem(403, "insufficient_scope", f"The token lacks the scope {scope}.")
        return await handler(request)

    return checked
