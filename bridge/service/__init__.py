"""Use cases, one verb each: they read the store, talk to remotes and write the store."""
