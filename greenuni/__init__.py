"""Greenuni: one pre-fork application server for WSGI and ASGI applications."""

__version__ = "0.1.0"
