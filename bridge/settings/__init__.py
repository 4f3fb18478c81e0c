"""The settings file, `config/bridge.toml`. Secrets are not settings: see `bridge.secrets`."""

from bridge.settings.file import load, parse, path_of
from bridge.settings.tables import ProviderSettings, Settings

__all__ = ["ProviderSettings", "Settings", "load", "parse", "path_of"]
