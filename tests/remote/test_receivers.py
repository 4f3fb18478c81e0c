"""Where webhooks may be sent is decided by the address that is connected to, whatever a name says."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import threading
import zlib

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.domain.addresses import may_reach
from bridge.errors import NotTaken
from bridge.remote.receivers import Receivers

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


@pytest.fixture
async def server():
    """Counts what comes in."""
    arrived = []

    async def take(request):
        arrived.append(await request.read())
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/hook", take)
    made = TestServer(app)
    await made.start_server()
    made.arrived = arrived
    yield made
    await made.close()


@pytest.fixture
async def guarded():
    made = Receivers(lambda address, encrypted: may_reach(address, encrypted=encrypted, networks=()), timeout=2)
    yield made
    await made.close()


@pytest.fixture
async def trusting():
    made = Receivers(lambda address, encrypted: may_reach(address, encrypted=encrypted, networks=LOOPBACK), timeout=2)
    yield made
    await made.close()


async def test_what_is_allowed_arrives_as_it_was_signed(server, trusting):
    body = '{"title": "Größe"}'.encode()
    assert await trusting.post(str(server.make_url("/hook")), {"webhook-id": "msg_1"}, body) == 204
    assert server.arrived == [body]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_nothing_is_sent_to_this_machine_however_it_is_spelt(server, guarded, host, scheme):
    with pytest.raises(NotTaken) as refused:
        await guarded.post(f"{scheme}://{host}:{server.port}/hook", {}, b"{}")
    assert refused.value.status is None
    assert server.arrived == []


async def test_a_name_that_changes_its_mind_gains_nothing(server, guarded, monkeypatch):
    """The name is public when it is looked up by anybody else, and leads home when a connection is made."""

    def home(host, port, *_, **__):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", home)
    with pytest.raises(NotTaken) as refused:
        await guarded.post(f"https://receiver.example:{server.port}/hook", {}, b"{}")
    assert "not allowed" in refused.value.reason
    assert server.arrived == []


async def test_names_that_take_long_to_look_up_hold_up_nothing_else(guarded, monkeypatch):
    """Threads that everything else of the process shares are not used up by slow name servers."""
    looked_up, go_on = [], threading.Event()

    def slowly(host, *_, **__):
        looked_up.append(host)
        go_on.wait(10)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    posts = [asyncio.create_task(guarded.post(f"https://{n}.receiver.example/", {}, b"{}")) for n in range(40)]
    try:
        async with asyncio.timeout(5):
            while len(looked_up) < 32:  # noqa: ASYNC110 - threads write it
                await asyncio.sleep(0.01)
            assert await asyncio.to_thread(lambda: "done") == "done"
    finally:
        go_on.set()
        outcomes = await asyncio.gather(*posts, return_exceptions=True)
    assert {outcome.reason for outcome in outcomes} == {"its name is not known"}


async def test_https_is_https_in_capital_letters_too(server):
    seen = []
    asking = Receivers(lambda address, encrypted: bool(seen.append(encrypted)), timeout=2)
    with pytest.raises(NotTaken):
        await asking.post(f"HTTPS://127.0.0.1:{server.port}/hook", {}, b"{}")
    await asking.close()
    assert seen == [True]


async def test_of_several_addresses_only_allowed_ones_are_tried(server, trusting, monkeypatch):
    def both(host, port, *_, **__):
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("169.254.169.254", "127.0.0.1")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    assert await trusting.post(f"http://receiver.example:{server.port}/hook", {}, b"{}") == 204


async def test_a_server_without_tls_or_with_an_unknown_certificate_gets_nothing(server, trusting, tmp_path):
    with pytest.raises(NotTaken):
        await trusting.post(f"https://127.0.0.1:{server.port}/hook", {}, b"{}")
    key, certificate = _self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    secure = TestServer(server.app, scheme="https")
    await secure.start_server(ssl=context)
    try:
        with pytest.raises(NotTaken, match="certificate"):
            await trusting.post(f"https://127.0.0.1:{secure.port}/hook", {}, b"{}")
    finally:
        await secure.close()
    assert server.arrived == []


async def test_an_endless_answer_is_not_read(trusting):
    async def endless(request):
        response = web.StreamResponse(status=200)
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65_536)
        except ConnectionError:
            return response

    app = web.Application()
    app.router.add_post("/hook", endless)
    server = TestServer(app)
    await server.start_server()
    try:
        assert await trusting.post(str(server.make_url("/hook")), {}, b"{}") == 200
    finally:
        await trusting.close()
        await server.close()


async def test_a_small_answer_that_unpacks_to_a_huge_one_is_not_unpacked(trusting, monkeypatch):
    packed = zlib.compressobj(wbits=31)
    small = packed.compress(bytes(4_000_000)) + packed.flush()

    async def packs(request):
        return web.Response(body=small, headers={"Content-Encoding": "gzip"})

    unpacked = []
    app = web.Application()
    app.router.add_post("/hook", packs)
    server = TestServer(app)
    await server.start_server()
    monkeypatch.setattr("aiohttp.http_parser.DeflateBuffer.feed_data", lambda *given: bool(unpacked.append(given)))
    try:
        assert await trusting.post(str(server.make_url("/hook")), {}, b"{}") == 200
    finally:
        await server.close()
    assert unpacked == []


def _self_signed(directory):
    import datetime as dt

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "receiver")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    key_file, certificate_file = directory / "key.pem", directory / "certificate.pem"
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return key_file, certificate_file
