"""The settings pages: plain forms, rendered here, that work without JavaScript."""
