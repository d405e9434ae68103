"""Logging as the user configures it: with one of logging.config's two formats, or as JSON."""

from __future__ import annotations

import json
import logging.config
from typing import Any

from greenuni.config import Config
from greenuni.errors import ConfigError


def configure_logging(config: Config) -> None:
    """Apply log-config, log-config-json or logconfig_dict. Raises ConfigError."""
    try:
        if config.logconfig_dict:
            _apply_dict(dict(config.logconfig_dict))
        elif config.logconfig_json:
            with open(config.logconfig_json, encoding="utf-8") as file:
                _apply_dict(json.load(file))
        elif config.logconfig:
            # fileConfig takes a missing file for an empty one.
            with open(config.logconfig, encoding="utf-8") as file:
                logging.config.fileConfig(file, disable_existing_loggers=False)
    except Exception as error:  # handlers are made by classes of the user's choice
        source = config.logconfig_json or config.logconfig or "logconfig_dict"
        raise ConfigError(f"the logging configuration {source} cannot be used: {error}") from error


def _apply_dict(settings: dict[str, Any]) -> None:
    settings.setdefault("version", 1)
    settings.setdefault("disable_existing_loggers", False)
    logging.config.dictConfig(settings)
