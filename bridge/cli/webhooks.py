"""`bridge webhook`: the webhooks, and the messages sent to their receivers."""

from __future__ import annotations

import click

from bridge.cli.opened import Opened, pass_opened
from bridge.cli.output import instant, json_option, print_json, table, yes_option
from bridge.service import webhooks
from bridge.service.webhooks import DeliveryState


@click.group()
def webhook() -> None:
    """The webhooks that were made over the API."""


@webhook.command("list")
@json_option
@pass_opened
def list_webhooks(opened: Opened, as_json: bool) -> None:
    """List the webhooks and the state of their receivers."""
    with opened.store(read_only=True) as db:
        found = webhooks.list_all(db, locations=None)
    if as_json:
        print_json(found)
        return
    table(
        ("ID", "ADDRESS", "EVENTS", "LOCATIONS", "STATUS", "TOKEN"),
        [
            (
                one.id,
                one.url,
                " ".join(one.events),
                " ".join(sorted(one.location_ids)) or "all",
                str(one.status) if one.active else "paused",
                one.token_id,
            )
            for one in found
        ],
    )
    for one in found:
        if one.status_reason:
            click.echo(f"{one.id}: {one.status_reason}")


@webhook.command()
@click.argument("webhook_id", metavar="ID")
@click.option("--state", type=click.Choice([str(one) for one in DeliveryState]), help="Only messages in this state.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="The maximum number.")
@json_option
@pass_opened
def deliveries(opened: Opened, *, webhook_id: str, state: str | None, limit: int, as_json: bool) -> None:
    """List the messages of the webhook ID, sent and waiting."""
    wanted = None if state is None else DeliveryState(state)
    with opened.store(read_only=True) as db:
        found = [
            delivery
            for _, delivery in webhooks.list_deliveries(
                db, webhook_id, locations=None, state=wanted, before=None, limit=limit
            )
        ]
    if as_json:
        print_json(found)
    else:
        table(
            ("ID", "EVENT", "ABOUT", "STATE", "ATTEMPTS", "LAST", "ANSWER"),
            [
                (
                    one.id,
                    one.type,
                    one.resource_id,
                    str(one.state),
                    one.attempts,
                    instant(one.last_attempt_at),
                    one.last_reason or one.last_status or "",
                )
                for one in found
            ],
        )


@webhook.command()
@click.argument("webhook_id", metavar="ID")
@click.argument("delivery_id", metavar="DELIVERY")
@pass_opened
def retry(opened: Opened, webhook_id: str, delivery_id: str) -> None:
    """Send DELIVERY of the webhook ID again.

    The sidecar sends it as soon as the webhook accepts messages.
    """
    with opened.store() as db:
        webhooks.retry(db, webhook_id, delivery_id, locations=None, now=opened.now)
    click.echo(f"{delivery_id} will be sent again.")


@webhook.command()
@click.argument("webhook_id", metavar="ID")
@yes_option("This can't be undone.")
@pass_opened
def remove(opened: Opened, webhook_id: str) -> None:
    """Remove the webhook ID.

    Messages that are waiting are not sent.
    """
    with opened.store() as db:
        webhooks.delete(db, webhook_id, locations=None)
        opened.note(db, "webhook removed", webhook_id)
    click.echo(f"Removed {webhook_id}.")
