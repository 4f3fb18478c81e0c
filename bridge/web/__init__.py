"""aiohttp only: routes, handlers, request parsing, pages."""
