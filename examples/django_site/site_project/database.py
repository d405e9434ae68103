"""Makes the example work at its first start.

A real site runs ``manage.py migrate`` once when it is deployed, not in every worker.
"""

import fcntl
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connections


def migrate() -> None:
    """Create or update the tables. Workers that start together take turns."""
    database = Path(settings.DATABASES["default"]["NAME"])
    with database.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        call_command("migrate", verbosity=0, interactive=False)
    connections.close_all()  # with --preload this runs before the fork, which SQLite does not survive
