"""What all tables of the settings have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

Flag = Annotated[bool, Field(strict=True)]


def wrong(problem: str, remedy: str) -> PydanticCustomError:
    """The error for a check to raise: what is wrong with a value, and what to do."""
    return PydanticCustomError("setting", "{problem}", {"problem": problem, "remedy": remedy})


def _names_a_file(path: Path) -> Path:
    if not path.name:
        raise wrong("names no file", "write the path of a file, such as data/bridge.db")
    return path


File = Annotated[Path, AfterValidator(_names_a_file)]


class Table(BaseModel):
    """A table of the settings file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
