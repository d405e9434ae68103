"""What the guided fuzzer kept because it took a new branch, or because it was a difference once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.blobs import judge

SEEDS = sorted((Path(__file__).parent / "seeds").iterdir())


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)
def test_seed(seed: Path) -> None:
    judge(seed.read_bytes())
