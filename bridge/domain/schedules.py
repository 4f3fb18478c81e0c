"""Working hours as CRMs write them: schedules of rules, and a calendar's own opening hours. Pure."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.domain.hours import DAY_MINUTES, Hours, Stretch
from bridge.errors import FieldProblem

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_CLOCK = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Working hours that the CRM has set for a User; with `user_id` None, for all Users of the calendars it names."""

    id: str
    location_id: str
    user_id: str | None
    name: str
    time_zone: str
    #: As the CRM wrote them: rules of the types `wday` and `date`, with intervals `from` and `to`.
    rules: tuple[Mapping[str, Any], ...]
    #: The booking calendars that it is for; empty: all of the User's that no schedule names.
    calendar_ids: tuple[str, ...]
    created_at: int
    updated_at: int

    def hours(self) -> Hours:
        """The working hours that the rules describe."""
        return hours_of(self.rules, self.time_zone)


def hours_of(rules: Sequence[Mapping[str, Any]], time_zone: str) -> Hours:
    """The working hours that rules describe. `rule_problems` must have found nothing wrong with them."""
    weekdays: dict[str, tuple[Stretch, ...]] = {}
    dates: dict[str, tuple[Stretch, ...]] = {}
    for rule in rules:
        stretches = tuple(_stretch(interval) for interval in rule.get("intervals") or ())
        found, key = (weekdays, rule["day"].lower()) if rule["type"] == "wday" else (dates, rule["date"][:10])
        found[key] = found.get(key, ()) + stretches
    return Hours(time_zone, tuple(weekdays.get(day, ()) for day in WEEKDAYS), tuple(sorted(dates.items())))


def rule_problems(rules: Sequence[Mapping[str, Any]]) -> list[FieldProblem]:
    """Everything that is wrong with rules."""
    problems = []
    for number, rule in enumerate(rules):
        at = f"/rules/{number}"
        if rule.get("type") == "wday":
            if str(rule.get("day", "")).lower() not in WEEKDAYS:
                problems.append(FieldProblem(f"{at}/day", "unknown_value", "Use monday, tuesday, … or sunday."))
        elif rule.get("type") == "date":
            if not _is_date(rule.get("date")):
                problems.append(FieldProblem(f"{at}/date", "invalid_value", "Write a date such as 2030-01-31."))
        else:
            problems.append(FieldProblem(f"{at}/type", "unknown_value", 'Use "wday" or "date".'))
        for index, interval in enumerate(rule.get("intervals") or ()):
            problems += _interval_problems(interval, f"{at}/intervals/{index}")
    return problems


def open_hours(settings: Mapping[str, Any], time_zone: str) -> Hours | None:
    """A calendar's own opening hours (HighLevel's `openHours` and `availabilities`); None where it has none."""
    weekdays: dict[int, tuple[Stretch, ...]] = {}
    dates: dict[str, tuple[Stretch, ...]] = {}
    if settings.get("availabilityType") != 1:
        for entry in _mappings(settings.get("openHours")):
            for day in entry.get("daysOfTheWeek") or ():
                if isinstance(day, int) and 0 <= day <= 6:
                    monday_first = (day - 1) % 7
                    weekdays[monday_first] = weekdays.get(monday_first, ()) + _spelled_out(entry)
    if settings.get("availabilityType") != 0:
        for entry in _mappings(settings.get("availabilities")):
            if _is_date(entry.get("date")) and not entry.get("deleted"):
                dates[entry["date"][:10]] = dates.get(entry["date"][:10], ()) + _spelled_out(entry)
    if not weekdays and not dates:
        return None
    return Hours(time_zone, tuple(weekdays.get(day, ()) for day in range(7)), tuple(sorted(dates.items())))


def _stretch(interval: Mapping[str, Any]) -> Stretch:
    start, end = _minutes(interval["from"]), _minutes(interval["to"])
    assert start is not None and end is not None, "rules are checked before they are kept"  # noqa: S101
    # "To 00:00" is midnight; any other end before the start is on the next day.
    return start, end if end > start else end + DAY_MINUTES


def _interval_problems(interval: Mapping[str, Any], at: str) -> list[FieldProblem]:
    problems = [
        FieldProblem(f"{at}/{name}", "invalid_value", "Write a time of day such as 09:00.")
        for name in ("from", "to")
        if _minutes(interval.get(name)) is None
    ]
    if not problems and interval["from"] == interval["to"] and _minutes(interval["to"]) != 0:
        detail = "It ends when it begins. Write 00:00 to 24:00 for the whole day, and no intervals for none of it."
        problems.append(FieldProblem(f"{at}/to", "end_before_start", detail))
    return problems


def _minutes(clock: object) -> int | None:
    match = _CLOCK.fullmatch(clock) if isinstance(clock, str) else None
    minutes = int(match[1]) * 60 + int(match[2]) if match else None
    return minutes if minutes is not None and minutes <= DAY_MINUTES else None


def _is_date(text: object) -> bool:
    if not isinstance(text, str):
        return False
    try:
        dt.date.fromisoformat(text[:10])
    except ValueError:
        return False
    return True


def _spelled_out(entry: Mapping[str, Any]) -> tuple[Stretch, ...]:
    stretches = []
    for hours in _mappings(entry.get("hours")):
        start = _number(hours.get("openHour")) * 60 + _number(hours.get("openMinute"))
        end = _number(hours.get("closeHour")) * 60 + _number(hours.get("closeMinute"))
        stretches.append((start, end if end > start else end + DAY_MINUTES))
    return tuple(stretches)


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def _number(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
