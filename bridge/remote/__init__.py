"""The only CalDAV client code."""
