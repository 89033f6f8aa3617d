import pytest


@pytest.fixture(autouse=True)
def strict(strict_dtypes):
    """All of training holds under strict type promotion."""
