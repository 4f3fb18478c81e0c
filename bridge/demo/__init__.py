"""`bridge demo`: the whole bridge on this machine, with another CalDAV server in the place of iCloud."""
