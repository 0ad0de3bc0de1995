"""Runs of the protocol as it is: all must pass, and together they must meet every kind of step."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.state import Config

TWO = ((2,), (2,))
MORE = ((2,), (1,))
BOTH = ((1,), (1,))
VARIANTS = ("mysql", "mariadb", "lock")
RULES = ("prefer:a", "prefer:b", "hold", "newest")

MUST_MEET = (
    "equal",
    "conflict",
    "(possible)",
    "hold",
    "ambiguous",
    "a change may be in the chunk",
    "a person makes",
    "locked, of",
    "guard misses",
    "leaves key 0 out",
    "earlier marks erased",
    "intent for A and B",
    "kill -9",
    "may still arrive",
    "late apply of the dead syncer passes its guard",
    "epoch raised at B",
    "batch found at A, finished; batch not found at B",
    "batch not found at A, intent dropped; batch found at B",
    "nobody sent its COMMIT",
    "answer to COMMIT is lost",
    "looked up at B: found",
    "looked up at B: not there",
    "connection lost before COMMIT",
    "turned round",
    "chunk compared, 1 keys differ",
    "the span reaches beyond L",
)
"""Labels without which an ``ok`` of the whole suite says little."""


def quick() -> Iterator[Config]:
    """Under two minutes on one core."""
    # One key, exact marks: every way to read, late applies, a crash.
    yield Config("mysql", MORE, late=True)
    yield Config("mysql", BOTH, late=True, lag="any", rule="hold")
    yield Config("mysql", BOTH, locking=True, kinds="w", start=("base",))
    yield Config("mariadb", TWO, late=True)
    yield Config("mariadb", MORE, rule="prefer:b", late=True)
    yield Config("mariadb", MORE, kinds="wdz", rule="hold")
    yield Config("mariadb", BOTH, faults=2, late=True)
    yield Config("mariadb", MORE, rule="newest", tie="b", faults=0)
    yield Config("mariadb", MORE, rule="a-to-b")
    yield Config("lock", MORE, late=True)
    yield Config("lock", BOTH, kinds="wdnsx")
    # Inexact marks: statements, a gap, a baseline.
    yield Config("mysql", BOTH, kinds="wdns", faults=0)
    for rule in ("prefer:a", "prefer:b", "hold"):
        yield Config("mariadb", MORE, kinds="wdns", faults=0, rule=rule)
        yield Config("mariadb", BOTH, kinds="wdnsx", rule=rule)
        yield Config("mariadb", BOTH, kinds="wdsx", reason="purged", rule=rule)
        yield Config("mariadb", BOTH, kinds="wdsx", reason="cascade", rule=rule)
    yield Config("mariadb", MORE, kinds="sx", faults=0)
    yield Config("mariadb", MORE, kinds="wx", faults=0)
    for start in ("onlya", "differ"):
        for rule in ("prefer:b", "hold", "a-to-b"):
            yield Config("mariadb", BOTH, start=(start,), rule=rule)
    # What a target refuses for the sake of another row, and ``on_fk`` turns round.
    yield Config("mysql", BOTH, rule="turned", late=True)
    yield Config("mariadb", MORE, rule="turned", late=True)
    yield Config("mariadb", BOTH, kinds="wdsx", reason="cascade", rule="turned")
    yield Config("mariadb", BOTH, kinds="wdsx", reason="purged", rule="turned")
    # Two keys in one batch, to one target and to both.
    yield Config("exact", ((1, 1), (1, 1)), kinds="w", start=("base",))
    yield Config("mysql", ((1, 1), (1, 0)), kinds="w", faults=0, start=("base",))
    yield Config("mysql", ((1, 1), (0, 0)), faults=0, lag="gap", locking=True)
    yield Config("mariadb", ((1, 1), (0, 1)), kinds="w", start=("base",))


def wide() -> Iterator[Config]:
    """About ten minutes of one core."""
    for variant in VARIANTS:
        for rule in RULES:
            yield Config(variant, MORE, rule=rule, late=True, most=8_000_000)
    for variant in ("mariadb", "lock"):
        for rule in ("prefer:a", "prefer:b", "hold", "a-to-b"):
            yield Config(variant, TWO, rule=rule, late=True)
        yield Config(variant, TWO, kinds="w", faults=2, late=True)
        yield Config(variant, MORE, kinds="wdnsz", rule="prefer:b")
    yield Config("mysql", TWO, kinds="w", late=True, most=8_000_000)
    yield Config("mysql", MORE, lag="any", faults=0)
    yield Config("mysql", MORE, locking=True, kinds="w", faults=0)
    yield Config("mysql", BOTH, kinds="wdnsx")
    for reason in ("purged", "truncate", "alarm", "cascade"):
        for rule in RULES:
            yield Config("mariadb", BOTH, kinds="wdnsx", reason=reason, rule=rule)
    for start in ("onlya", "differ"):
        for rule in (*RULES, "a-to-b"):
            yield Config("mariadb", MORE, start=(start,), rule=rule, most=8_000_000)
    yield Config("exact", ((1, 1), (1, 1)))
    yield Config("exact", ((2, 1), (1, 1)), kinds="w", start=("base",))
    yield Config("mariadb", ((1, 1), (1, 1)), kinds="w", start=("base",), faults=0)
    yield Config("mysql", ((1, 1), (1, 0)), lag="gap", kinds="w", start=("base",), faults=0)


SUITES = {"quick": quick, "wide": wide}
