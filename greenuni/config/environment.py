"""The environment: variables that stand for one setting, and ``GREENUNI_CMD_ARGS`` that stands for any."""

from __future__ import annotations

from collections.abc import Mapping

from greenuni.config.commandline import parse_arguments
from greenuni.config.kinds import Whole
from greenuni.config.settings import KEYS, SETTINGS
from greenuni.config.sources import Given, Layer, Origin, Rank
from greenuni.errors import ConfigError

ARGUMENTS = "GREENUNI_CMD_ARGS"
GUNICORN_ARGUMENTS = "GUNICORN_CMD_ARGS"
PREFIX = "GREENUNI_"


def read_variables(environ: Mapping[str, str]) -> Layer:
    """What the variables of single settings say, with notes on those that look as if they were."""
    layer = Layer()
    for setting in SETTINGS.values():
        raw = environ.get(setting.environment) if setting.environment else None
        # An empty number is how a deployment says "not set"; an empty list of proxies is a list.
        if raw is None or (not raw.strip() and isinstance(setting.kind, Whole)):
            continue
        origin = Origin(Rank.ENVIRONMENT, "environment", setting.environment)
        layer.give(Given(setting, raw, origin))
    if environ.get(GUNICORN_ARGUMENTS) and not environ.get(ARGUMENTS):
        layer.note(f"{GUNICORN_ARGUMENTS} is not read: rename it to {ARGUMENTS}")
    for variable in environ:
        meant = KEYS.get(variable.removeprefix(PREFIX).lower())
        if variable.startswith(PREFIX) and meant is not None and meant.flags:
            layer.note(f"{variable} is not read: set {ARGUMENTS}='{meant.flag} ...'")
    return layer


def read_arguments(environ: Mapping[str, str]) -> Layer:
    """What ``GREENUNI_CMD_ARGS`` says, split as a shell would. Raises `ConfigError`."""
    text = environ.get(ARGUMENTS, "")
    if not text:
        return Layer()
    import shlex  # what no process keeps that has no such variable

    try:
        arguments = shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"environment variable {ARGUMENTS}: {error}") from None
    return parse_arguments(arguments, Rank.ARGUMENTS_IN_ENVIRONMENT, ARGUMENTS)
