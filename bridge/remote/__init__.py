"""All requests that the bridge itself sends: to CalDAV servers, and (`receivers`) to receivers of webhooks."""
