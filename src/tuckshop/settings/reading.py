"""
Settings, read once, from the environment and `tuckshop.toml`.

The only module that reads the environment. `load_settings` is pure, so tests hand it a dict. An environment variable
wins over the file. A name that does not exist is an error, so that a typo is told and not ignored.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from tuckshop.domain.errors import SettingsError
from tuckshop.settings.checks import check
from tuckshop.settings.fields import (
    ENVIRONMENT_NAMES,
    SECRETS,
    EdgeSettings,
    Settings,
    environment_name,
)

CONFIG_FILE: Final = "tuckshop.toml"

# Kubernetes injects these for a service that is called tuckshop; they are not settings of ours.
_KUBERNETES: Final = re.compile(r"TUCKSHOP_(SERVICE_|PORT_)")


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force and, per dotted name, where each came from."""

    settings: Settings
    origins: Mapping[str, str]


def load_settings(environ: Mapping[str, str], folder: Path) -> Loaded:
    """
    The settings that *environ* and *folder*'s ``tuckshop.toml`` state.

    Raises:
        SettingsError: An unknown name or a bad value: which, where it came from, what was expected.
    """
    known = _known()
    values: dict[str, Any] = {}
    origins: dict[str, str] = dict.fromkeys(known, "default")
    for name, raw, origin in (
        *_from_file(folder / CONFIG_FILE),
        *_from_environment(environ, known),
    ):
        if name not in known:
            raise SettingsError(f"{origin}: there is no such setting{_nearest(name, known)}")
        values[name] = _value(raw, known[name], origin)
        origins[name] = origin
    edge = {n.removeprefix("edge."): v for n, v in values.items() if n.startswith("edge.")}
    rest = {n: v for n, v in values.items() if not n.startswith("edge.")}
    settings = Settings(**rest, edge=EdgeSettings(**edge))
    check(settings, origins)
    return Loaded(settings, origins)


def load_from_process() -> Loaded:
    """The settings of this process: its environment and the working directory's ``tuckshop.toml``."""
    return load_settings(os.environ, Path.cwd())  # noqa: TID251 - the one place that may


def load_for_commands() -> Loaded:
    """
    The settings of a command that calls a server: those of the process, but the environment's `OPENAI_…`.

    There they are often a student's key and tuckshop's own address, set to try it, and of no concern to a command.
    """
    theirs = {*ENVIRONMENT_NAMES.values(), *(f"{name}_FILE" for name in ENVIRONMENT_NAMES.values())}
    environ = os.environ  # noqa: TID251 - the other place that may
    return load_settings({n: v for n, v in environ.items() if n not in theirs}, Path.cwd())


def _known() -> dict[str, Any]:
    hints = get_type_hints(Settings)
    known = {f.name: hints[f.name] for f in fields(Settings) if f.name != "edge"}
    edge_hints = get_type_hints(EdgeSettings)
    known |= {f"edge.{f.name}": edge_hints[f.name] for f in fields(EdgeSettings)}
    return known


def _from_file(path: Path) -> list[tuple[str, object, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path.name} cannot be read: {error}") from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path.name} is not TOML: {error}") from error
    found: list[tuple[str, object, str]] = []
    for name, value in table.items():
        if name == "edge" and isinstance(value, dict):
            found += [(f"edge.{n}", v, f"{path.name}, [edge] {n}") for n, v in value.items()]
        else:
            found.append((name, value, f"{path.name}, {name}"))
    return found


def _from_environment(
    environ: Mapping[str, str], known: Mapping[str, Any]
) -> list[tuple[str, object, str]]:
    by_variable = {environment_name(name): name for name in known}
    by_file_variable = {f"{environment_name(name)}_FILE": name for name in SECRETS}
    found: list[tuple[str, object, str]] = []
    for variable, raw in sorted(environ.items()):
        if variable in by_file_variable:
            if (
                by_file_variable[variable]
                and environment_name(by_file_variable[variable]) in environ
            ):
                raise SettingsError(
                    f"{variable}: {environment_name(by_file_variable[variable])} is set too; give one of them"
                )
            found.append((by_file_variable[variable], _secret_from(Path(raw), variable), variable))
        elif variable in by_variable:
            if variable == "TUCKSHOP_PORT" and raw.startswith("tcp://"):
                continue
            if variable in ENVIRONMENT_NAMES.values() and not raw:
                continue  # `OPENAI_API_KEY=` is how people unset it for one command
            found.append((by_variable[variable], raw, variable))
        elif variable.startswith("TUCKSHOP_") and not _KUBERNETES.match(variable):
            raise SettingsError(
                f"{variable}: there is no such setting{_nearest(variable, by_variable)}"
            )
    return found


def _secret_from(path: Path, variable: str) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{variable}: {path} cannot be read: {error}") from error


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    import difflib  # only on the way to an error

    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _value(raw: object, expected: Any, origin: str) -> Any:
    options = get_args(expected)
    if get_origin(expected) is Literal:
        if raw not in options:
            raise SettingsError(f"{origin}: {raw!r} is not one of {', '.join(options)}")
        return raw
    if get_origin(expected) is tuple:
        return _list(raw, origin)
    kind = options[0] if options else expected  # `str | None` → str
    if kind is Path and isinstance(raw, str) and raw:
        return Path(raw)
    if kind is str and isinstance(raw, str) and raw:
        return raw
    if kind in (int, float) and isinstance(raw, str | int | float) and not isinstance(raw, bool):
        try:
            number: int | float = kind(raw)
        except ValueError:
            number = -1
        if number >= 0 and number < 2**53:
            return number
    wanted = {int: "a whole number", float: "a number of seconds"}.get(
        kind, "a text that is not empty"
    )
    shown = "its value" if any(secret in origin.lower() for secret in SECRETS) else repr(raw)
    raise SettingsError(f"{origin}: {shown} is not {wanted}")


def _list(raw: object, origin: str) -> tuple[str, ...]:
    """Several texts: a list in the file; in a variable, with commas or spaces in between."""
    items = raw.replace(",", " ").split() if isinstance(raw, str) else raw
    if not isinstance(items, list) or not all(isinstance(item, str) and item for item in items):
        raise SettingsError(f"{origin}: {raw!r} is not a list of texts")
    return tuple(items)
