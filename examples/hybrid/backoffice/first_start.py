"""Makes the example work at its first start.

A real site runs ``migrate`` and ``createsuperuser`` once when it is deployed, not in every worker.
"""

import fcntl

import notices
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections


def prepare() -> None:
    """Make the tables and, for trying out, somebody who may log in. Workers take turns."""
    with notices.DATABASE.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        call_command("migrate", verbosity=0, interactive=False)
        if settings.DEBUG and not User.objects.exists():
            User.objects.create_superuser("admin", password="admin")
    connections.close_all()  # with --preload this runs before the fork, which SQLite does not survive
