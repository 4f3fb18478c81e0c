"""How commands print: tables for people, JSON for programs, progress on standard error."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from bridge.domain.english import count

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def yes_option(warning: str) -> Callable[[_Decorated], _Decorated]:
    """The option `--yes`. Without it, the command prints the warning and asks for confirmation."""
    return click.confirmation_option(help="Do not ask for confirmation.", prompt=f"{warning} Do it?")


def instant(seconds: int | None) -> str:
    """Unix seconds as RFC 3339 in UTC; "never" for None."""
    return "never" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows in aligned columns."""
    lines = [headings, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def facts(pairs: Iterable[tuple[str, object]]) -> None:
    """Print names and values, aligned."""
    pairs = list(pairs)
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        click.echo(f"  {name.ljust(width)}  {value}")


def progress(text: str) -> None:
    """Say what is being done, on standard error, where it does not mix with the answer."""
    click.echo(text, err=True)


def tell_logins(number: int) -> None:
    """Say that so many logins of the settings file are being tried at their servers."""
    progress(f"Trying {count(number, 'login')} …")


def print_json(value: object) -> None:
    """Print dataclasses and collections as JSON."""
    click.echo(json.dumps(plain(value), indent=2, ensure_ascii=False))


def plain(value: object, name: str = "") -> Any:
    """A value that JSON can hold. Instants become RFC 3339; sealed secrets are left out."""
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name), f.name) for f in fields(value) if f.repr}
    if isinstance(value, dict):
        return {key: plain(entry, key) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(entry) for entry in value)
    # Instants are plain numbers: only their names tell that they are instants.
    if isinstance(value, int) and (name.endswith("_at") or name in {"since", "start", "end", "state_since"}):
        return instant(value)
    return value
