"""What the tests of the examples share."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="session")
def own_database(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment that keeps the Django example's database out of the checkout."""
    return {"DATABASE_PATH": str(tmp_path_factory.mktemp("django") / "db.sqlite3")}
