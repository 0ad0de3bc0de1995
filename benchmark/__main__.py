"""The command behind `scripts/bench`."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from pathlib import Path

import msgspec

from benchmark import chart, machine, report
from benchmark.arena import MIXED, Arena
from benchmark.lines import LINES, Line
from benchmark.result import Result, join
from testbed.binaries import FLAVORS, ServerMissingError

ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / "build" / "bench.json"
PAGE = ROOT / "docs" / "performance.md"
CHART = ROOT / "docs" / "performance.svg"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, one run: under three minutes"
    )
    parser.add_argument(
        "--only",
        type=_numbers,
        metavar="N,N",
        help="these lines; what build/bench.json holds of the others is kept",
    )
    parser.add_argument(
        "--flavor",
        choices=(*FLAVORS, MIXED),
        help="servers of this flavour alone, or one of each; the others' results are kept",
    )
    parser.add_argument(
        "--rows", type=int, metavar="R", help="rows or transactions instead of a line's own size"
    )
    parser.add_argument("--runs", type=int, metavar="K", help="runs instead of a line's own number")
    parser.add_argument(
        "--publish", action="store_true", help="write docs/performance.md and its chart as well"
    )
    parser.add_argument("--list", action="store_true", help="name the lines and end")
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def main() -> int:
    """Measure; give the exit code: 0 measured, whether targets are met or not, 1 where a line failed."""
    arguments = _arguments()
    if arguments.list:
        for line in LINES:
            print(f"{line.number:2}  {line.what}: {line.full.rows:,} x {line.full.runs}")
        return 0
    lines = [line for line in LINES if not arguments.only or line.number in arguments.only]
    if not lines:
        print(f"bench: no such line; there are {[line.number for line in LINES]}", file=sys.stderr)
        return 2
    before = _read() if arguments.only or arguments.flavor else []
    measured: list[Result] = []
    versions: list[str] = []
    failed = 0
    for flavor in [arguments.flavor] if arguments.flavor else (*FLAVORS, MIXED):
        here = [line for line in lines if line.mixed or flavor != MIXED]
        if not here:
            continue
        try:
            arena = Arena(flavor)
        except ServerMissingError as error:
            print(f"bench: {error}", file=sys.stderr)
            failed += 1
            continue
        try:
            if flavor != MIXED:
                versions.append(f"{flavor} {arena.a.version}")
            for line in here:
                found = _measure(line, arena, arguments)
                failed += found is None
                measured += found or []
                _write(join(before, measured))
        finally:
            arena.close()
    results = join(before, measured)
    if arguments.quick:
        print("quick: small sizes, single runs; the ratios of a full run are others")
    print(report.table(results))
    if arguments.publish:
        PAGE.write_text(
            report.page(PAGE.read_text("utf-8"), results, machine.facts(versions)), "utf-8"
        )
        CHART.write_text(chart.svg(results), "utf-8")
    return 1 if failed else 0


def _measure(line: Line, arena: Arena, arguments: argparse.Namespace) -> list[Result] | None:
    size = line.quick if arguments.quick else line.full
    rows, runs = arguments.rows or size.rows, arguments.runs or size.runs
    begun = time.monotonic()
    try:
        found = line.measure(arena, rows, runs)
    except Exception:  # noqa: BLE001 - the other lines are measured all the same
        print(f"bench: line {line.number} on {arena.flavor} failed", file=sys.stderr)
        traceback.print_exc()
        return None
    spent = time.monotonic() - begun
    for result in found:
        print(f"[{spent:4.0f} s] {' | '.join(report.cells(result))}", file=sys.stderr, flush=True)
    return found


def _read() -> list[Result]:
    if not OUTPUT.exists():
        return []
    return msgspec.json.decode(OUTPUT.read_bytes(), type=list[Result])


def _write(results: list[Result]) -> None:
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2))


if __name__ == "__main__":
    sys.exit(main())
