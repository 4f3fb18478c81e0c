"""Numbers of things in English sentences, on pages and in the terminal."""

from __future__ import annotations


def count(number: int, thing: str, several: str = "") -> str:
    """A number of things: "1 event", "2 events". `several` is the plural where it is not formed by an "s"."""
    return f"{number} {thing}" if number == 1 else f"{number} {several or thing + 's'}"
