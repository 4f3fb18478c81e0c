"""The tests, by room; `tests.upstreams` has the servers that they talk to."""
