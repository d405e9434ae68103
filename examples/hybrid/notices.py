"""What the three applications share: the notices in a database, which Django's admin writes."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

DATABASE = Path(os.environ.get("DATABASE_PATH") or Path(__file__).with_name("db.sqlite3"))


def after(number: int) -> list[dict[str, object]]:
    """The notices that were posted after the one with this number, the oldest first."""
    try:
        with closing(sqlite3.connect(f"file:{DATABASE}?mode=ro", uri=True)) as connection:
            rows = connection.execute(
                "SELECT id, text FROM backoffice_notice WHERE id > ? ORDER BY id", (number,)
            )
            return [{"id": row[0], "text": row[1]} for row in rows]
    except sqlite3.OperationalError:
        return []  # Django makes the table at its first start, perhaps just now
