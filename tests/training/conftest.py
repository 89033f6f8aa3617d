import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def strict(strict_dtypes):
    """All of training holds under strict type promotion."""
