"""What shapes are made of, and what several have in common.

Only types and sizes are checked in shapes; what fields mean together is `bridge.web.fields`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    StrictStr,
    TypeAdapter,
    ValidationError,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

#: What no XML document can carry, and so no calendar client would get: control characters and two non-characters.
_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
_NOT_IN_A_LINE = re.compile("[\t\n\r\x80-\x9f\u2028\u2029]")


def _text(text: str) -> str:
    """Line breaks are newlines, as they are in iCalendar."""
    if _NOT_TEXT.search(text):
        raise PydanticCustomError("control_character", "Leave out control characters.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _line(text: str) -> str:
    if _NOT_TEXT.search(text) or _NOT_IN_A_LINE.search(text):
        raise PydanticCustomError("control_character", "Leave out control characters and line breaks.")
    return text


def _time(value: Any) -> str | int | float:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return value
    raise PydanticCustomError(
        "invalid_datetime", "Write a time as RFC 3339 text, such as 2030-01-15T10:00:00+01:00, or epoch milliseconds."
    )


@dataclass(frozen=True, slots=True)
class Among:
    """Text is one of these words."""

    words: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._known, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "enum": list(self.words)}

    def _known(self, text: str) -> str:
        if text not in self.words:
            raise PydanticCustomError("unknown_value", "Use {words}.", {"words": ", ".join(self.words)})
        return text


Text = Annotated[StrictStr, AfterValidator(_text)]

Line = Annotated[StrictStr, AfterValidator(_line)]

Id = Annotated[Line, Field(min_length=1, max_length=255)]

#: RFC 3339 text or epoch milliseconds.
TimeValue = Annotated[str | int | float, PlainValidator(_time, json_schema_input_type=str | int)]

Most = Annotated[int, Field(ge=1, le=1000)]

Cursor = Annotated[StrictStr, Field(max_length=500)]


class Shape(BaseModel):
    """camelCase outside, snake_case inside. Unknown fields are kept, to be named to the sender."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=False, extra="allow", frozen=True, allow_inf_nan=False
    )

    def unknown(self) -> list[str]:
        """The names of fields that nobody knows, in nested objects too: JSON pointers without the first slash."""
        names = [name.replace("~", "~0").replace("/", "~1") for name in self.model_extra or {}]
        for name in sorted(self.model_fields_set & set(type(self).model_fields)):
            value = getattr(self, name)
            for nested in value if isinstance(value, list) else [value]:
                if isinstance(nested, Shape):
                    names += [f"{to_camel(name)}/{inner}" for inner in nested.unknown()]
        return sorted(set(names))


class Query(Shape):
    """A query. Fields that nobody knows are left alone: HighLevel's programs send more than the bridge needs."""

    #: What can't be left out.
    NEEDED: ClassVar[tuple[str, ...]] = ()


class EventsQuery(Query):
    """Whose events, from when until when, and which of them."""

    NEEDED = ("startTime", "endTime")

    location_id: Id | None = None
    user_id: Id | None = None
    calendar_id: Id | None = None
    group_id: Id | None = None
    start_time: TimeValue | None = None
    end_time: TimeValue | None = None
    limit: Most | None = None
    cursor: Cursor | None = None
    updated_after: TimeValue | None = None
    include_deleted: bool = False


def is_id(text: str) -> bool:
    """Whether `text` could be an id that a CRM gave."""
    try:
        _ID.validate_python(text)
    except ValidationError:
        return False
    return True


_ID: TypeAdapter[str] = TypeAdapter(Id)
