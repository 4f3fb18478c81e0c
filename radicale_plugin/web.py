"""What a person sees who opens the calendars' address in a browser. Radicale redirects `/` to `/.web`."""

from __future__ import annotations

from http import client
from typing import Any

from radicale import httputils
from radicale.web import BaseWeb

from radicale_plugin.refusals import Response

_TEXT = (
    "This address is for calendar programs: Apple Calendar, Thunderbird, DAVx5 and others.\n\n"
    "To subscribe to your calendar, open the calendar bridge's settings pages in your browser, and go to"
    " My Profile > Subscribe. Your CRM has the link to them; so does your administrator.\n"
)


class Web(BaseWeb):  # type: ignore[misc] # Radicale is not typed for others
    """Tells where the settings pages are."""

    def get(self, _environ: object, base_prefix: str, path: str, *_who: Any) -> Response:
        """The text, to anybody."""
        if path != "/.web":
            redirect: Response = httputils.redirect(f"{base_prefix}/.web")
            return redirect
        return client.OK, {"Content-Type": "text/plain"}, _TEXT, None
