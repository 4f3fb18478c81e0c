"""What hardly is a request gets a clear answer all the same, and leaves no trace of itself in the log."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import socket
import zlib
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from bridge.web import problems, requests
from bridge.web.app import make_web_app
from bridge.web.listening import listen

from .conftest import SLOTS

SLOT = {"assignedUserId": "ada", "startTime": "2027-03-09T12:00:00Z", "endTime": "2027-03-09T13:00:00Z"}
BODY = json.dumps(SLOT).encode()


@pytest.fixture
async def server(api):
    """The application as the sidecar serves it. Gives its port."""
    runner = web.AppRunner(make_web_app(api.world.context))
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    made = await listen(runner, listener)
    yield listener.getsockname()[1]
    made.close()
    await runner.cleanup()


@pytest.fixture(autouse=True)
def all_that_is_logged(caplog):
    caplog.set_level(logging.DEBUG)


@asynccontextmanager
async def connected(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def answer_to(port, *parts):
    """Status, headers and JSON of what is answered to these bytes."""
    async with asyncio.timeout(10), connected(port) as (reader, writer):
        for part in parts:
            writer.write(part)
            await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        status, *lines = head.rstrip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return int(status.split()[1]), headers, json.loads(body)


def request(api, method="POST", path=SLOTS, body=b"", **headers):
    sent = {
        "Host": "bridge",
        "Authorization": f"Bearer {api.token}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in sent.items() if value is not None)
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def noisy(caplog):
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    ("encoding", "body", "status", "code"),
    [
        ("gzip", gzip.compress(BODY), 201, None),
        ("deflate", zlib.compress(BODY), 201, None),
        ("identity", BODY, 201, None),
        ("br", BODY, 415, "unsupported_media_type"),
        ("zstd", BODY, 415, "unsupported_media_type"),
        ("rot13", BODY, 415, "unsupported_media_type"),
        ("gzip, gzip", gzip.compress(gzip.compress(BODY)), 415, "unsupported_media_type"),
        ("gzip", BODY, 400, "bad_request"),
        ("gzip", gzip.compress(BODY)[:-12], 400, "malformed_json"),
        ("gzip", gzip.compress(b'{"title": "' + b"x" * 5_000_000 + b'"}'), 413, "payload_too_large"),
    ],
    ids=["gzip", "deflate", "identity", "br", "zstd", "unknown", "twice", "not-packed", "cut-off", "bomb"],
)
async def test_bodies_may_be_packed_in_ways_that_are_known(api, server, caplog, encoding, body, status, code):
    answered, headers, document = await answer_to(server, request(api, body=body, Content_Encoding=encoding))
    assert (answered, document.get("code")) == (status, code)
    if status == 415:
        assert headers["accept-encoding"] == "gzip, deflate"
    assert noisy(caplog) == []


@pytest.mark.parametrize(
    "head",
    [
        "GET /v1/changes HTTP/1.1\r\nHost: bridge\r\nAuthorization: Bearer {token}\x01\r\n\r\n",
        "GET /v1/changes HTTP/1.1\r\nHost: bridge\r\nAuthorization: Bearer {token}\r\nX-Long: {long}\r\n\r\n",
        "GET /v1/changes?token={token}&{long} HTTP/1.1\r\nHost: bridge\r\n\r\n",
        "GET /v1/{token}\xff HTTP/1.1\r\nHost: bridge\r\n\r\n",
        "GET /v1/{token} {token} HTTP/1.1\r\nHost: bridge\r\n\r\n",
        "STEAL /v1/{token} HTTP/1.1\r\nHost: bridge\r\n\r\n",
        "GET /v1/changes HTTP/1.1\r\nAuthorization: Bearer {token}\r\n\r\n",
        "POST /v1/{token} HTTP/1.1\r\nHost: bridge\r\nContent-Length: -1\r\n\r\n",
        "POST /v1/{token} HTTP/1.1\r\nHost: bridge\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03{token}",
    ],
)
async def test_what_is_no_request_is_refused_without_repeating_what_was_sent(api, server, caplog, head):
    """There may be a token in it."""
    text = head.replace("{token}", api.token).replace("{long}", "x" * 20_000)
    status, headers, document = await answer_to(server, text.encode("latin-1"))
    assert (status, document["code"]) == (400, "bad_request")
    assert headers["content-type"] == problems.MEDIA_TYPE
    assert headers["x-request-id"] == document["traceId"]
    assert noisy(caplog) == []
    assert api.token not in caplog.text + json.dumps(document)
    assert api.token[-8:] not in caplog.text + json.dumps(document)


async def test_a_body_that_nobody_reads_may_be_anything(api, server, caplog):
    asked = request(api, "GET", "/v1/changes", body=b"xx", Content_Encoding="gzip")
    status, _, document = await answer_to(server, asked)
    assert (status, document["changes"]) == (200, [])
    assert noisy(caplog) == []


async def test_a_client_that_leaves_in_the_middle_is_no_trouble_of_the_bridge_s(api, server, caplog):
    async with connected(server) as (_, writer):
        writer.write(request(api, body=BODY)[:-10])
        await writer.drain()
    status, _, _ = await answer_to(server, request(api, "GET", "/v1/changes"))
    assert status == 200
    assert noisy(caplog) == []


@pytest.mark.parametrize("expected", ["100-continue", "the unexpected"])
async def test_a_client_may_hold_its_body_back_and_expect_what_it_likes(api, server, expected):
    asked = request(api, body=BODY, Expect=expected)
    async with asyncio.timeout(10), connected(server) as (reader, writer):
        writer.write(asked[: -len(BODY)])
        if expected == "100-continue":
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(BODY)
        assert (await reader.readline()).startswith(b"HTTP/1.1 201 ")


async def test_a_body_that_does_not_come_to_an_end_is_waited_for_only_so_long(api, server, caplog, monkeypatch):
    monkeypatch.setattr(requests, "BODY_SECONDS", 0.05)
    status, headers, document = await answer_to(server, request(api, body=BODY)[:-10])
    assert (status, document["code"]) == (408, "request_timeout")
    assert headers["connection"] == "close"
    assert noisy(caplog) == []


@pytest.mark.parametrize("text", ['{"title": "ü"}'.encode("latin-1"), json.dumps(SLOT).encode("utf-16"), b"\xff"])
async def test_json_is_utf_8(api, server, text):
    status, _, document = await answer_to(server, request(api, body=text))
    assert (status, document["code"]) == (400, "malformed_json")
    assert "UTF-8" in document["detail"]
