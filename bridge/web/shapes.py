"""The shapes of request bodies: HighLevel's field names first, then the bridge's own.

Only types and sizes are checked here; what fields mean together is `bridge.web.requests`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError


def _no_control_characters(text: str) -> str:
    if any(ord(c) < 32 and c not in "\t\n\r" for c in text):
        raise PydanticCustomError("control_character", "Leave out control characters.")
    return text


Text = Annotated[StrictStr, AfterValidator(_no_control_characters)]
Id = Annotated[Text, Field(min_length=1, max_length=255)]
#: RFC 3339 text or epoch milliseconds.
TimeValue = StrictStr | StrictInt | StrictFloat
Status = Literal["new", "confirmed", "cancelled", "showed", "noshow", "invalid", "completed", "active"]
Place = Literal["custom", "zoom", "gmeet", "phone", "address", "ms_teams", "google"]


class Shape(BaseModel):
    """camelCase outside, snake_case inside. Unknown fields are kept, to be named to the sender."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=False, extra="allow", frozen=True)

    def unknown(self) -> list[str]:
        """The names of fields that nobody knows."""
        return sorted(self.model_extra or {})


class Contact(Shape):
    """Who is booked. Kept in the bridge, not written to iCloud."""

    name: Annotated[Text, Field(max_length=255)] | None = None
    email: Annotated[Text, Field(max_length=255)] | None = None
    phone: Annotated[Text, Field(max_length=64)] | None = None


class Reminder(Shape):
    """A wish for a reminder."""

    minutes_before: Annotated[StrictInt, Field(ge=0, le=40_320)]


Metadata = Annotated[
    dict[Annotated[StrictStr, Field(max_length=40)], Annotated[StrictStr, Field(max_length=500)]], Field(max_length=50)
]


class AppointmentBody(Shape):
    """An appointment, to be created or changed; what may be left out depends on which."""

    location_id: Id | None = None
    calendar_id: Id | None = None
    contact_id: Id | None = None
    assigned_user_id: Id | None = None
    title: Annotated[Text, Field(max_length=1000)] | None = None
    start_time: TimeValue | None = None
    end_time: TimeValue | None = None
    appointment_status: Status | None = None
    description: Annotated[Text, Field(max_length=32_000)] | None = None
    address: Annotated[Text, Field(max_length=2000)] | None = None
    meeting_location_type: Place | None = None
    meeting_location_id: Id | None = None
    override_location_config: StrictBool | None = None
    ignore_date_range: StrictBool | None = None
    ignore_free_slot_validation: StrictBool | None = None
    to_notify: StrictBool | None = None
    rrule: Annotated[Text, Field(max_length=4000)] | None = None
    timezone: StrictStr | None = None
    all_day: StrictBool | None = None
    external_id: Id | None = None
    contact: Contact | None = None
    invite_contact: StrictBool | None = None
    metadata: Metadata | None = None
    reminders: Annotated[list[Reminder], Field(max_length=10)] | None = None


class BlockedSlotBody(Shape):
    """A blocked slot, to be created or changed."""

    location_id: Id | None = None
    calendar_id: Id | None = None
    assigned_user_id: Id | None = None
    title: Annotated[Text, Field(max_length=1000)] | None = None
    start_time: TimeValue | None = None
    end_time: TimeValue | None = None
    timezone: StrictStr | None = None
    expires_at: TimeValue | None = None
