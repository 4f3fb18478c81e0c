"""Reading a settings file: all its problems at once, each with its line and what to do."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bridge.errors import SettingProblem, SettingsInvalid
from bridge.settings.tables import ProviderSettings, Settings

#: Read when no other file is named; it need not exist.
DEFAULT_PATH = Path("config/bridge.toml")
EXAMPLE = "config/bridge.example.toml"


def load(path: Path | None = None) -> Settings:
    """The settings of the file at `path`; without one, those of `config/bridge.toml` if it exists, else the defaults.

    Raises `SettingsInvalid` with every problem.
    """
    if path is None and not DEFAULT_PATH.exists():
        return Settings()
    path = path or DEFAULT_PATH
    try:
        return parse(path.read_text(encoding="utf-8"), path)
    except OSError as e:
        problem = SettingProblem(
            "", None, f"can't be read: {e.strerror}", f"name another with --config, or copy {EXAMPLE}"
        )
    except UnicodeDecodeError as e:
        line = e.object[: e.start].count(b"\n") + 1
        problem = SettingProblem("", line, "is not UTF-8 text", "save the file as UTF-8")
    raise SettingsInvalid(str(path), (problem,))


def parse(text: str, path: Path) -> Settings:
    """The settings that the TOML in `text` says; `path` is only named in problems. Raises `SettingsInvalid`."""
    try:
        return Settings.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as e:
        problems = [_syntax_problem(str(e), text)]
    except ValidationError as e:
        lines = _lines(text)
        problems = [_problem(details, lines) for details in e.errors(include_url=False)]
    raise SettingsInvalid(str(path), tuple(sorted(problems, key=lambda p: (p.line or 0, p.where))))


def _syntax_problem(message: str, text: str) -> SettingProblem:
    told = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
    line = None if told is None else int(told[1] or text.count("\n") + 1)
    problem = message[: told.start()] if told else message
    return SettingProblem("", line, f"is not TOML: {problem}", f"compare the line with {EXAMPLE}")


def _problem(details: ErrorDetails, lines: Mapping[tuple[str, ...], int]) -> SettingProblem:
    # A list's entries stand with their list, and pydantic marks a bad name of a table with "[key]".
    where = tuple(part for part in details["loc"] if isinstance(part, str) and part != "[key]")
    line = next((lines[where[:n]] for n in range(len(where), 0, -1) if where[:n] in lines), None)
    problem, remedy = _words(details, where)
    return SettingProblem(".".join(where), line, problem, remedy)


def _words(details: ErrorDetails, where: tuple[str, ...]) -> tuple[str, str]:
    """What is wrong and what to do. The value is not repeated: a password may have been written in the wrong place."""
    context: dict[str, Any] = details.get("ctx", {})
    match details["type"]:
        case "setting":
            words = context["problem"], context["remedy"]
        case "extra_forbidden":
            known = _names(where[:-1])
            close = difflib.get_close_matches(where[-1], known, n=1)
            words = (
                "is not a setting",
                f'did you mean "{close[0]}"?' if close else f"remove it, or use {', '.join(known)}",
            )
        case "missing":
            words = "is missing", f"add {where[-1]} to [{'.'.join(where[:-1])}]"
        case "string_pattern_mismatch" if details["loc"][-1] == "[key]":
            words = "is not a provider's name", "use lower-case letters, digits, - and _"
        case "model_type" | "dict_type":
            words = "is not a table", f"write [{'.'.join(where)}] on a line of its own, its settings below"
        case "string_too_short":
            words = "is empty", f"see {where[-1]} in {EXAMPLE}"
        case _:
            words = details["msg"].removeprefix("Input "), f"see {where[-1]} in {EXAMPLE}"
    return words


def _names(where: tuple[str, ...]) -> list[str]:
    """The settings that may stand in the table `where`."""
    table: type[BaseModel] = Settings
    if where[:1] == ("providers",):
        table = ProviderSettings
    elif where:
        found = Settings.model_fields[where[0]].annotation
        table = found if isinstance(found, type) and issubclass(found, BaseModel) else table
    return sorted(table.model_fields)


def _lines(text: str) -> dict[tuple[str, ...], int]:
    """The line of each table and key, by its path: `tomllib` keeps none, and a person needs no more than this finds."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\[?\s*([^\[\]]+?)\s*\]", line):
            table = _parts(header[1])
            found.setdefault(table, number)
        elif key := re.match(r"""\s*([\w."'\s-]+?)\s*=""", line):
            found.setdefault((*table, *_parts(key[1])), number)
    return found


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
