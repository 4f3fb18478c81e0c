"""`bridge user export`: all data of one user."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import click

from bridge.cli.opened import Opened, pass_opened
from bridge.cli.output import plain
from bridge.errors import Exists
from bridge.service.export import Exported
from bridge.service.export import export as collect


@click.command("export")
@click.argument("user_id", metavar="ID")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@pass_opened
def export(opened: Opened, user_id: str, file: Path) -> None:
    """Write all data of the user ID to the zip archive FILE.

    It holds JSON files, and calendars as .ics: calendar.ics is the merged calendar; mirrored/ has the user's own events
    as read from iCloud. Passwords are not included.
    """
    if file.exists():
        raise Exists("file", str(file))
    with opened.store(read_only=True) as db, db.read() as tx:
        found = collect(tx, user_id)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
        _write(target, found)
    with opened.store() as db:
        opened.note(db, "user exported", user_id)
    click.echo(f"Wrote {file}.")


def _write(target: BinaryIO, found: Exported) -> None:
    names = {calendar.id: calendar.name for calendar in found.person.calendars}
    # In the list each event is named by its own file in the archive.
    mirrored = [
        replace(item, ics=f"mirrored/{item.calendar_id}/{number}.ics") for number, item in enumerate(found.mirrored)
    ]
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, document in (
            ("user", found.person),
            ("appointments", found.appointments),
            ("notes", found.notes),
            ("blocked_slots", found.blocked_slots),
            ("changes", found.changes),
            ("audit", found.audit),
            ("mirrored", [{"calendar": names[item.calendar_id], **plain(item)} for item in mirrored]),
        ):
            archive.writestr(f"{name}.json", json.dumps(plain(document), indent=2, ensure_ascii=False))
        archive.writestr("calendar.ics", found.merged)
        for item, listed in zip(found.mirrored, mirrored, strict=True):
            archive.writestr(listed.ics, item.ics)
