"""Storage, auth, rights and a front page for Radicale: each User's merged calendar, read-only, from the bridge's store.

Radicale loads these classes by the name of this package. They read the store, and never use the network. The modules:

- `storage`, `collection`, `auth`, `rights`, `web`: Radicale's plugin interfaces. These are all that a stock Radicale
  needs.
- `filters`, `properties`, `busy`, `expansion`: what Radicale would parse events for (queries, free-busy, expansion),
  answered from stored occurrences and from the text.
- `app`: the application that `bridge serve` runs. Radicale decides about each request as usual, but is shown one sample
  item in place of thousands (`sample`, `sampled_calendar`), while what the request asks for is noted (`request`,
  `asked`). Then the store renders the real items by the answer for the sample (`filling`, `body`).
- `request_key`, `answer_cache`, `cache`: reusing answers for requests that differ only in the names of items.
- `refusals`: answers to requests that can't be fulfilled, in the terms of the protocol.
- `serving`, `stalled`: the server processes; cutting off clients that keep them waiting.
- `settings`, `tree`: the option in Radicale's configuration, the names in paths.
"""

from radicale_plugin.auth import Auth
from radicale_plugin.rights import Rights
from radicale_plugin.storage import Storage
from radicale_plugin.web import Web

__all__ = ["Auth", "Rights", "Storage", "Web"]
