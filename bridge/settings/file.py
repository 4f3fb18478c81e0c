"""Reading a settings file. All problems are reported at once, each with its line and what to do."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bridge.domain.declared import Place, Problem
from bridge.errors import SettingProblem, SettingsInvalid
from bridge.settings import checks
from bridge.settings.lines import Lines, lines_of
from bridge.settings.people import AccountSettings, SlotsSettings, UserSettings
from bridge.settings.tables import ProviderSettings, Settings

#: The file that is read when none is named. It need not exist.
DEFAULT_PATH = Path("config/bridge.toml")
EXAMPLE = "config/bridge.example.toml"


def path_of(path: Path | None) -> Path | None:
    """The file that is read: the one named, or `config/bridge.toml` if it exists, or none."""
    return DEFAULT_PATH if path is None and DEFAULT_PATH.exists() else path


def load(path: Path | None = None, *, passwords: bool = False) -> Settings:
    """The settings of the file at `path`; without one, those of `config/bridge.toml` if it exists, else the defaults.

    With `passwords`, the passwords that the file refers to must be readable. Raises `SettingsInvalid` with every
    problem.
    """
    path = path_of(path)
    return Settings() if path is None else parse(text_of(path), path, passwords=passwords)


def text_of(path: Path) -> str:
    """The text of the file. Raises `SettingsInvalid`."""
    try:
        return path.read_text(encoding="utf-8-sig")  # some editors write a byte order mark
    except OSError as e:
        problem = SettingProblem(
            "", None, f"can't be read: {e.strerror}", f"name another with --config, or copy {EXAMPLE}"
        )
    except UnicodeDecodeError as e:
        line = e.object[: e.start].count(b"\n") + 1
        problem = SettingProblem("", line, "is not UTF-8 text", "save the file as UTF-8")
    raise SettingsInvalid(str(path), (problem,))


def parse(text: str, path: Path, *, passwords: bool = False) -> Settings:
    """The settings in this TOML text. `path` is only used in error messages. Raises `SettingsInvalid`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise SettingsInvalid(str(path), (_syntax_problem(str(e), text),)) from None
    found = [*checks.misfits(document), *(checks.passwords(document, os.environ) if passwords else ())]
    try:
        settings = Settings.model_validate(document)
    except ValidationError as e:
        found += _wrong_fields(e.errors(include_url=False), document)
    else:
        if not found:
            return settings
    raise refused(path, text, found)


def refused(path: Path, text: str, found: Iterable[Problem]) -> SettingsInvalid:
    """The error for these problems of the file, with their lines."""
    lines, document = lines_of(text), _document(text)
    problems = {_problem(one, lines, document) for one in found}
    return SettingsInvalid(str(path), tuple(sorted(problems, key=lambda p: (p.line or 0, p.where, p.problem))))


def _document(text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}  # the file was changed meanwhile: problems are reported without names


#: The most frequent mistakes: tomllib's message, and what is wrong and what to do.
_OF_SYNTAX = {
    "Cannot overwrite a value": ("sets a value that is already set above", "keep one of the two lines"),
    "Invalid value": ("has a value that is not valid TOML", "put texts in quotes"),
    "Illegal character '\\n'": ("ends within a text", "close the quotes"),
}


def _syntax_problem(message: str, text: str) -> SettingProblem:
    where = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
    line = None if where is None else int(where[1] or text.count("\n") + 1)
    problem = message[: where.start()] if where else message
    if twice := re.fullmatch(r"Cannot declare (\(.*\)) twice", problem):
        named = ".".join(re.findall(r"'([^']*)'", twice[1]))
        return SettingProblem("", line, f"opens [{named}] a second time", "move its settings to the first one")
    if problem in _OF_SYNTAX:
        return SettingProblem("", line, *_OF_SYNTAX[problem])
    return SettingProblem("", line, f"is not TOML: {problem}", f"compare the line with {EXAMPLE}")


def _problem(found: Problem, lines: Lines, document: Mapping[str, Any]) -> SettingProblem:
    return SettingProblem(".".join(_names(found.place, document)), lines.of(found.place), found.problem, found.remedy)


def _names(place: Place, document: Any) -> Iterator[str]:
    """The parts of a place as people name them: users and accounts by name, other entries of lists by their number."""
    for part in place:
        inside = isinstance(document, list) if isinstance(part, int) else isinstance(document, dict)
        try:
            document = document[part] if inside else None
        except (LookupError, TypeError):
            document = None
        if isinstance(part, str):
            yield part
        elif isinstance(document, dict):
            named = document.get("id", document.get("username"))
            yield named if isinstance(named, str) and named else f"#{part + 1}"


def _wrong_fields(errors: Iterable[ErrorDetails], document: Mapping[str, Any]) -> Iterator[Problem]:
    for details in errors:
        # For a bad name of a table, pydantic adds "[key]".
        place: Place = tuple(part for part in details["loc"] if part != "[key]")
        problem, remedy = _words(details, tuple(part for part in place if isinstance(part, str)), place, document)
        yield Problem(place, problem, remedy)


_NUMBER = "is not a whole number", "write digits only, without quotes or a point"
_FLAG = "is neither true nor false", "write one of them, without quotes: {name} = true"
_TEXT = "is not text", 'put it in quotes: {name} = "…"'
_CHOICE = "is not one of the allowed values", "write {expected}"

#: What can be wrong with a single value, by pydantic's type of error.
_OF_VALUES = {
    "int_type": _NUMBER,
    "int_parsing": _NUMBER,
    "int_from_float": _NUMBER,
    "bool_type": _FLAG,
    "bool_parsing": _FLAG,
    "string_type": _TEXT,
    "path_type": _TEXT,
    "greater_than_equal": ("is too small", "write {ge} or more"),
    "less_than_equal": ("is too large", "write {le} or less"),
    "enum": _CHOICE,
    "literal_error": _CHOICE,
}


def _words(details: ErrorDetails, where: tuple[str, ...], place: Place, document: Mapping[str, Any]) -> tuple[str, str]:
    """What is wrong and what to do. The value is never quoted: it may be a password in the wrong place."""
    context: dict[str, Any] = details.get("ctx", {})
    match details["type"]:
        case "setting":
            words = context["problem"], context["remedy"]
        case "extra_forbidden" if where[-1] == "password":
            words = "does not belong here", "write it into a file of its own, and name that under password_file"
        case "extra_forbidden":
            known = _known(where[:-1])
            close = difflib.get_close_matches(where[-1], known, n=1)
            words = (
                "is not a setting",
                f'did you mean "{close[0]}"?' if close else f"remove it, or use {', '.join(known)}",
            )
        case "missing":
            table = ".".join(where[:-1])
            words = "is missing", f"add {where[-1]} to {f'[[{table}]]' if isinstance(place[-2], int) else f'[{table}]'}"
        case "string_pattern_mismatch" if details["loc"][-1] == "[key]":
            words = "is not a provider's name", "use lower-case letters, digits, - and _"
        case "model_type" | "dict_type" if isinstance(place[-1], int):
            words = "is not a list of tables", f"write [[{'.'.join(where)}]] before each"
        case "model_type" | "dict_type":
            words = "is not a table", f"write [{'.'.join(where)}] on a line of its own, its settings below"
        case "tuple_type" if where[-1] in {"users", "accounts"}:
            words = "is not a list of tables", f"write [[{'.'.join(where)}]] before each"
        case "tuple_type":
            words = "is not a list", f'write it as {where[-1]} = ["…", "…"]'
        case "string_too_short":
            words = "is empty", f"write something, or remove it; see {where[-1]} in {EXAMPLE}"
        case kind if kind in _OF_VALUES:
            problem, remedy = _OF_VALUES[kind]
            words = problem, remedy.format(name=where[-1], **context)
        case _:
            words = details["msg"].removeprefix("Input "), f"see {where[-1]} in {EXAMPLE}"
    return words


def _known(where: tuple[str, ...]) -> list[str]:
    """The settings that the table `where` may have."""
    table: type[BaseModel] = Settings
    match where:
        case ("providers", *_):
            table = ProviderSettings
        case ("users", "accounts", "slots", *_):
            table = SlotsSettings
        case ("users", "accounts"):
            table = AccountSettings
        case ("users",):
            table = UserSettings
        case (name,):
            found = Settings.model_fields[name].annotation
            table = found if isinstance(found, type) and issubclass(found, BaseModel) else table
    return sorted(table.model_fields)
