"""Settings: typed, read once, from the environment and `tuckshop.toml`."""

from tuckshop.settings.documented import documented
from tuckshop.settings.fields import SECRETS, EdgeSettings, Settings, environment_name
from tuckshop.settings.listeners import is_own_listener, is_public
from tuckshop.settings.reading import (
    CONFIG_FILE,
    Loaded,
    load_for_commands,
    load_from_process,
    load_settings,
)

__all__ = [
    "CONFIG_FILE",
    "SECRETS",
    "EdgeSettings",
    "Loaded",
    "Settings",
    "documented",
    "environment_name",
    "is_own_listener",
    "is_public",
    "load_for_commands",
    "load_from_process",
    "load_settings",
]
