"""Storage, auth and rights for Radicale: each User's merged calendar, read-only, from the bridge's store.

Radicale loads each part by this module's name and takes these classes from it. They read the store and never the
network, so a client's refresh costs a look-up.
"""

from radicale_plugin.auth import Auth
from radicale_plugin.rights import Rights
from radicale_plugin.storage import Storage

__all__ = ["Auth", "Rights", "Storage"]
