"""The pure core: the vocabulary and the decisions. No SQL, HTTP, files, clock or environment."""
