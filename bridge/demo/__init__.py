"""`bridge demo`: the whole bridge on this machine. Only iCloud is not the real thing."""
