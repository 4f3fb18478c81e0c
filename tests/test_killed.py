"""A sidecar that is killed while it delivers a webhook: the next one delivers it, under the same id."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import asynccontextmanager

import pytest
from aiohttp.test_utils import unused_port

from bridge import settings
from bridge.app import build
from bridge.service import book, users, webhooks
from bridge.service.book import NewBlockedSlot
from bridge.service.webhooks import Signature, WebhookChange
from tests.service.receivers import receiver


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "bridge.toml"
    path.write_text(
        f'[store]\npath = "{tmp_path / "bridge.db"}"\n[secrets]\nkey_file = "{tmp_path / "key"}"\n'
        f'[sidecar]\nport = {unused_port()}\n[webhooks]\nnetworks = ["127.0.0.0/8"]\n'
    )
    return path


@asynccontextmanager
async def sidecar(config):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge", "--config", str(config), "--log-level", "warning", "sidecar"
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_what_was_under_way_when_the_process_was_killed_comes_again(config):
    bridge = build(settings.load(config))
    now = int(time.time())
    users.add_user(bridge.db, id="ada", location_id="loc", name="Ada", time_zone="UTC", now=now)
    held = asyncio.Event()
    async with receiver() as hook:
        hook.will(held)
        webhooks.create(
            bridge,
            WebhookChange(url=hook.url(), origins=["api"]),
            location_ids=["loc"],
            signature=Signature.V1,
            token_id="tok",
            networks=bridge.settings.webhooks.networks,
        )
        async with asyncio.timeout(60):
            async with sidecar(config) as first:
                new = NewBlockedSlot(
                    location_id="loc",
                    user_id="ada",
                    booking_calendar_id=None,
                    title="Lunch",
                    start=now + 3600,
                    end=now + 7200,
                    time_zone=None,
                    utc_offset=0,
                    expires_at=None,
                )
                book.create_blocked_slot(bridge.db, new, now=now)
                await hook.arrived.wait()
                first.kill()  # its receiver has not answered yet
                await first.wait()
            held.set()
            hook.arrived.clear()
            async with sidecar(config) as second:
                await hook.arrived.wait()
                while webhooks_pending(bridge):  # noqa: ASYNC110 - another process writes it
                    await asyncio.sleep(0.05)
                second.terminate()
                assert await second.wait() == 0
    first, again = hook.messages
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert first.raw == again.raw
    bridge.db.close()


def webhooks_pending(bridge):
    with bridge.db.read() as tx:
        return tx.execute("SELECT 1 FROM webhook_deliveries WHERE state = 'pending'").fetchone()
