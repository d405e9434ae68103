"""Every setting, declared once, and the sources that are merged into one frozen `Config`."""

from __future__ import annotations

from greenuni.config.address import Address, FdAddress, TcpAddress, UnixAddress, parse_address
from greenuni.config.applicable import check_applicable
from greenuni.config.merge import read_config
from greenuni.config.settings import SETTINGS, Config

__all__ = [
    "SETTINGS",
    "Address",
    "Config",
    "FdAddress",
    "TcpAddress",
    "UnixAddress",
    "check_applicable",
    "parse_address",
    "read_config",
]
