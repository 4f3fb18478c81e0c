"""Rights: a User may read their own merged calendar, and nobody may write anything.

The whole collection is read-only, since iOS knows nothing finer. This is decided here rather than in the storage, so
that every write method is refused with 403 before its body is read. Neither the calendar nor the home set advertises
any write privilege: Thunderbird shows a calendar as read-only by these.
"""

from __future__ import annotations

from radicale.rights import BaseRights

from radicale_plugin.tree import CALENDAR


class Rights(BaseRights):  # type: ignore[misc] # Radicale is not typed for others
    """`R` on the root and on one's principal, `r` on one's merged calendar, and nothing else."""

    def authorization(self, user: str, user_groups: set[str], path: str) -> str:
        """The rights of `user` at `path`, which Radicale has sanitized."""
        if not user:
            return ""
        parts = path.strip("/").split("/")
        if parts in ([""], [user]):
            return "R"
        return "r" if parts == [user, CALENDAR] else ""
