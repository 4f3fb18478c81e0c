"""What the demo prints: addresses, passwords and commands to paste."""

from __future__ import annotations

import datetime as dt
import json
import zoneinfo
from typing import Any


def text(facts: dict[str, Any], time_zone: str, now: dt.datetime) -> str:
    """The text to print. `facts` are what `bridge demo --json` prints; the proposed appointment is after `now`."""
    day = _next_working_day(now.astimezone(zoneinfo.ZoneInfo(time_zone)))
    appointment = {
        "locationId": facts["location_id"],
        "calendarId": facts["calendar_id"],
        "title": "Intro call: Grace Example",
        "startTime": f"{day}T15:00:00",
        "endTime": f"{day}T15:30:00",
        "timezone": time_zone,
    }
    slot = {
        "locationId": facts["location_id"],
        "assignedUserId": facts["user_id"],
        "title": "Focus time",
        "startTime": f"{day}T15:30:00",
        "endTime": f"{day}T16:30:00",
        "timezone": time_zone,
    }
    private = facts["upstream"][0]
    return f"""
The bridge is running. A CalDAV server on this machine stands in for iCloud, with a week of sample events.

Subscribe (Thunderbird, DAVx5, Evolution, vdirsyncer …)
  address    {facts["caldav_url"]}
  user       {facts["user"]}
  password   {facts["password"]}

Settings pages, for a browser: sign in with the same user and password
  {facts["settings_url"]}

Book an appointment
{_post(facts, "calendars/events/appointments", appointment)}

Block time in the CRM
{_post(facts, "calendars/events/block-slots", slot)}

List the merged calendar: both are there, among the blocked slots from "iCloud"
  curl -s -u {facts["user"]}:{facts["password"]} {facts["caldav_url"]} | grep SUMMARY

List the Primary calendar in "iCloud": only the appointment has arrived there
  curl -s -u {private["user"]}:{private["password"]} {private["primary"]} | grep SUMMARY

Press Ctrl-C to stop the demo.
"""


def _post(facts: dict[str, Any], path: str, body: dict[str, Any]) -> str:
    return (
        f"  curl -sS -X POST {facts['api_url']}/{path} \\\n"
        f'    -H "Authorization: Bearer {facts["api_token"]}" -H "Content-Type: application/json" \\\n'
        f"    -d '{json.dumps(body)}'"
    )


def _next_working_day(now: dt.datetime) -> dt.date:
    day = now.date() + dt.timedelta(days=1)
    while day.weekday() > 4:
        day += dt.timedelta(days=1)
    return day
