"""`/metrics` for Prometheus. It requires an API token with the scope `metrics` or `admin`. The address of the client
proves nothing: behind a proxy on the same machine, all requests come from loopback."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from bridge.domain.model import AccountState, OutboxState
from bridge.service import overview, users
from bridge.service.overview import Counts
from bridge.web.keys import CONTEXT


async def metrics(request: web.Request) -> web.Response:
    """Counts of everything. Never a name, an address or a title."""
    context = request.app[CONTEXT]
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    token = users.authenticate_token(context.db, secret.strip()) if scheme.lower() == "bearer" else None
    if token is None or not token.scopes & {"metrics", "admin"}:
        return web.Response(
            status=401,
            text="Send an API token with the scope metrics: Authorization: Bearer TOKEN.\n",
            headers={"WWW-Authenticate": 'Bearer realm="CRM calendar bridge"'},
        )
    registry = CollectorRegistry()
    registry.register(_Counted(overview.counts(context.db), context.clock()))
    ProcessCollector(registry=registry)
    return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


class _Counted(Collector):
    def __init__(self, counts: Counts, now: int) -> None:
        self.counts, self.now = counts, now

    def collect(self) -> Iterator[GaugeMetricFamily]:
        counts = self.counts
        yield GaugeMetricFamily("bridge_users", "Users.", value=counts.users)
        yield _by_state("bridge_accounts", "Connected accounts by state.", counts.accounts)
        yield GaugeMetricFamily("bridge_calendars", "Calendars that are read.", value=counts.calendars)
        yield GaugeMetricFamily(
            "bridge_calendars_in_trouble", "Calendars whose last reading failed.", value=counts.calendars_in_trouble
        )
        yield GaugeMetricFamily(
            "bridge_calendar_oldest_age_seconds",
            "Since the calendar that was read longest ago was read.",
            value=0 if counts.oldest_success_at is None else self.now - counts.oldest_success_at,
        )
        yield GaugeMetricFamily("bridge_unreadable_objects", "Events that can't be read.", value=counts.unreadable)
        yield _by_state("bridge_outbox_entries", "Appointments to be written, by state.", counts.outbox)
        yield GaugeMetricFamily(
            "bridge_outbox_waiting_seconds",
            "Since when the oldest appointment waits to be written.",
            value=0 if counts.waiting_since is None else max(self.now - counts.waiting_since, 0),
        )
        yield GaugeMetricFamily("bridge_published_items", "Events in all merged calendars.", value=counts.published)


def _by_state(
    name: str, help_text: str, counted: Mapping[AccountState, int] | Mapping[OutboxState, int]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, help_text, labels=["state"])
    for state, number in counted.items():
        family.add_metric([str(state)], number)
    return family
