"""The only SQL. Synchronous, short; one read or write step at a time."""
