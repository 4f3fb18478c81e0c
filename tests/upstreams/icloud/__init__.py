"""A stand-in for iCloud: a CalDAV server in memory with the ways of iCloud, each of them a switch.

    with icloud.running(icloud.Quirks(forgotten_token=410)) as cloud:
        anna = cloud.login()
        work = anna.make_calendar("Work")
        anna.put(work, "dentist.ics", text)
        cloud.fail(icloud.Drop.AFTER, method="PUT")
        ...
        assert cloud.mails == []

The root is one address of loopback and each partition another. `Quirks()` is iCloud as it is reported to be,
`BY_THE_BOOK` a server that keeps to the RFCs.
"""

from tests.upstreams.icloud.faults import Cut, Drop, Hang, Status
from tests.upstreams.icloud.login import CloudLogin
from tests.upstreams.icloud.quirks import BY_THE_BOOK, Quirks
from tests.upstreams.icloud.server import Cloud, running
from tests.upstreams.icloud.state import Mail, Notice

__all__ = ["BY_THE_BOOK", "Cloud", "CloudLogin", "Cut", "Drop", "Hang", "Mail", "Notice", "Quirks", "Status", "running"]
