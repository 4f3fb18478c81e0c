"""The shapes of answers about the API itself."""

from __future__ import annotations

from typing import Any

from pydantic import RootModel

from bridge.web.shapes.base import Shape


class Health(Shape):
    """`ok`."""

    status: str


class Document(RootModel[dict[str, Any]]):
    """An OpenAPI document."""
