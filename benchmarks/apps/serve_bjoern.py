"""bjoern has no command line of its own: ``serve_bjoern.py module:attribute port``."""

from __future__ import annotations

import importlib
import sys

import bjoern

module, attribute = sys.argv[1].split(":")
bjoern.run(getattr(importlib.import_module(module), attribute), "127.0.0.1", int(sys.argv[2]))
