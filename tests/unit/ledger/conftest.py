import pytest

from tests.unit.ledger.bench import Bench


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path / "syncer.db")
    yield made
    made.ledger.close()
