"""Greenuni: one pre-fork application server for WSGI and ASGI applications."""

import os

from greenuni import _finders

__version__ = "0.1.0"

if os.environ.get("GREENUNI_PURE"):
    # Run from the Python sources although compiled modules are there: to debug, and to test both.
    _finders.install_sources()
else:
    _finders.install_library()
