"""
Run the model by hand.

``python -m tests.model`` runs the suite ``quick``; ``--suite wide`` wider bounds; ``--suite mutants`` every mistake, with
``--traces`` its shortest counterexample; ``--suite table`` the table of ``docs/protocol.md``.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.model.explore import Result, explore, show
from tests.model.mutants import ALL, MUTANTS
from tests.model.suites import SUITES


def main() -> int:
    """Run a suite; 1 where anything is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.model")
    parser.add_argument("--suite", default="quick", choices=[*SUITES, "mutants", "table"])
    parser.add_argument("--mutant", help="only this one")
    parser.add_argument("--traces", action="store_true", help="print counterexamples step by step")
    given = parser.parse_args()
    began = time.monotonic()
    if given.suite in SUITES and not given.mutant:
        wrong, states = run_suite(given.suite, traces=given.traces)
    else:
        wrong, states = run_mutants(given.mutant, table=given.suite == "table", traces=given.traces)
    print(f"states explored: {states}, unexpected: {wrong}, {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


def run_suite(name: str, *, traces: bool) -> tuple[int, int]:
    """Run what must pass."""
    wrong = states = 0
    for config in SUITES[name]():
        result = explore(config)
        show(result, traces=traces or bool(result.violations))
        wrong += bool(result.violations) or not result.complete
        states += result.states
    return wrong, states


def run_mutants(only: str | None, *, table: bool, traces: bool) -> tuple[int, int]:
    """Run what must be caught."""
    wrong = states = 0
    for mutant in MUTANTS:
        if only and mutant.name != only:
            continue
        results = [explore(config) for config in mutant.configs()]
        states += sum(result.states for result in results)
        wrong += sum(bool(result.violations) == mutant.harmless for result in results)
        if table:
            print(_row(mutant, results))
            continue
        print(f"{mutant.name} ({mutant.rule}): {mutant.text}")
        for result in results:
            show(result, traces=traces)
    return wrong, states


def _row(mutant, results: list[Result]) -> str:
    cells = dict.fromkeys(ALL, "")
    for result in results:
        found = result.shortest
        text = f"{found[0]} {len(found[2])}" if found else f"none ({result.states} states)"
        cells["mariadb" if result.config.variant == "exact" else result.config.variant] = text
    name = f"`{mutant.name}`" + (f" ({mutant.reference})" if mutant.reference else "")
    return f"| {mutant.rule} | {name}: {mutant.text} | " + " | ".join(cells[v] for v in ALL) + " |"


if __name__ == "__main__":
    sys.exit(main())
