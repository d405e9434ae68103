"""Every setting, declared once, and the sources that are merged into one frozen `Config`."""

from __future__ import annotations

from greenuni.config.address import Address, FdAddress, TcpAddress, UnixAddress, parse_address
from greenuni.config.applicable import check_applicable, worker_interface
from greenuni.config.checks import check_outputs
from greenuni.config.merge import asks_for, read_config
from greenuni.config.settings import SETTINGS, Config
from greenuni.config.show import render_config, render_given

__all__ = [
    "SETTINGS",
    "Address",
    "Config",
    "FdAddress",
    "TcpAddress",
    "UnixAddress",
    "asks_for",
    "check_applicable",
    "check_outputs",
    "parse_address",
    "read_config",
    "render_config",
    "render_given",
    "worker_interface",
]
