"""Changing single settings in a settings file. Everything else in the file stays as it is."""

from __future__ import annotations

import os
import tempfile
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import ParseError

from bridge.errors import SettingProblem, SettingsInvalid
from bridge.settings.file import parse, text_of


def set_value(path: Path, key: str, value: str) -> bool:
    """Set `key` (as `table.name`) in the file, which need not exist. Returns False if it had this value already.

    `value` is TOML, or text without quotes. Comments, order and the file's mode are kept. Raises `SettingsInvalid`
    if the file would become invalid, and then leaves it unchanged.
    """
    before = text_of(path) if path.exists() else ""
    if before:
        parse(before, path)
    names = key.split(".")
    if len(names) < 2 or not all(names) or names[0] == "users":
        remedy = "write it as table.name, such as mirror.poll_seconds; users are declared in the file itself"
        raise SettingsInvalid(str(path), (SettingProblem(key, None, "can't be set like this", remedy),))
    document = tomlkit.parse(before)
    table: MutableMapping[str, Any] = document
    for name in names[:-1]:
        found = table.get(name)
        if found is None:
            table[name] = tomlkit.table()
            found = table[name]
        if not isinstance(found, MutableMapping):
            problem = SettingProblem(key, None, f"is unknown: {name} is not a table", "name a setting of the example")
            raise SettingsInvalid(str(path), (problem,))
        table = found
    table[names[-1]] = _value(value)
    after = tomlkit.dumps(document)
    parse(after, path)
    if after == before:
        return False
    _write(path, after)
    return True


def _value(text: str) -> Any:
    try:
        return tomlkit.value(text)
    except (ParseError, ValueError):
        return text


def _write(path: Path, text: str) -> None:
    """Write the file atomically, since a bridge may be reading it. Mode and owner stay as they were."""
    path = path.resolve()  # if it is a symbolic link, its target is changed
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(text)
            file.flush()
            if path.exists():
                there = path.stat()
                os.fchmod(file.fileno(), there.st_mode & 0o7777)
                if (there.st_uid, there.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(file.fileno(), there.st_uid, there.st_gid)
            else:
                os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
