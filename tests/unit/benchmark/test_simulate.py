"""The simulation leaves nothing behind, and a trace comes back from its file as it was."""

from __future__ import annotations

import pytest

from benchmark.simulate import PHASES, Simulation, report, show
from benchmark.trace import Load, load, save

SMALL = Load(tables=7, rows=5_000, ranges_per_s=2_000, seconds=2)


@pytest.mark.parametrize("outage", [False, True])
def test_a_trace_is_worked_off(tmp_path, outage):
    simulation = Simulation(tmp_path)
    simulation.add_tables(SMALL.tables)
    seconds = simulation.play(SMALL.moments(), outage=outage)
    keys = {
        (mark.table_id, key)
        for moment in SMALL.moments()
        for record in moment.records
        for mark in record.marks
        for key in range(mark.low, mark.high + 1)
    }
    assert seconds == SMALL.seconds
    assert simulation.ledger.is_empty()
    assert simulation.written >= len(keys)
    found = report(simulation, seconds, tmp_path)
    assert found["keys_marked"] >= simulation.written
    assert all(found["seconds"][phase] > 0 for phase in PHASES)
    assert all(phase in show(found) for phase in PHASES)
    simulation.close()
    if outage:
        assert simulation.deepest == found["keys_marked"]
        assert simulation.written == len(keys), "each key once, however often it was marked"


def test_a_trace_is_the_same_from_its_seed_and_from_its_file(tmp_path):
    made = list(SMALL.moments())
    assert made == list(SMALL.moments())
    path = tmp_path / "trace"
    assert save(path, made) == len(made)
    assert list(load(path)) == made
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="cut off"):
        list(load(path))
