"""The HTTP API and the settings pages, on aiohttp: routes, handlers, parsing of requests, answers."""
