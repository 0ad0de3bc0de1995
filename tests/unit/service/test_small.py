"""How many small tables are looked at together: a rate is not to be used up by one read."""

from types import SimpleNamespace

import pytest
import structlog

from syncer.service.small import MOST_ROWS, TABLES_AT_ONCE, SmallTables

SIDE = SimpleNamespace(rows=1)
TABLE = SimpleNamespace(a=SIDE, b=SIDE, row_bytes=10)
SPAN = SimpleNamespace(table_id=1, low=None, high=None, ids={})


class Ledger:
    asked = None

    def claim_tables(self, limit):
        self.asked = limit
        return []


@pytest.mark.parametrize(
    ("most_rows", "asked"),
    [
        (None, TABLES_AT_ONCE),
        (10 * MOST_ROWS, 10),
        (10**6, TABLES_AT_ONCE),
        (2 * MOST_ROWS - 1, None),
    ],
)
def test_no_more_together_than_the_rate_allows(most_rows, asked):
    ledger = Ledger()
    catalog, throttle = SimpleNamespace(flowing={1: TABLE}), SimpleNamespace(most_rows=most_rows)
    small = SmallTables(ledger, catalog, None, throttle, structlog.get_logger(), settled=print)
    assert not small.compare(SPAN)
    assert ledger.asked == asked
