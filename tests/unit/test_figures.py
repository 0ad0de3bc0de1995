"""The figures at the end of a run."""

from __future__ import annotations

from tests.figures import lines

FOUND = {
    "probes killed on mysql": 3,
    "probes killed on mariadb": 2,
    "acknowledged writes checked": 900,
    "faults survived": 7,
    "model: mutants caught": 4,
    "model: states explored": 100,
}


def test_all_figures_are_told_and_the_verdict_last():
    assert lines(FOUND, failed=False) == [
        "model: states explored: 100",
        "model: mutants caught: 4",
        "probes killed: 5 (2 on mariadb, 3 on mysql)",
        "faults survived: 7",
        "acknowledged writes checked: 900",
        "lost 0, resurrected 0",
    ]


def test_a_run_that_failed_or_looked_at_no_write_claims_nothing():
    assert "lost 0, resurrected 0" not in lines(FOUND, failed=True)
    assert lines({"model: states explored": 100}, failed=False) == ["model: states explored: 100"]
    assert lines({}, failed=False) == []
