"""
The command behind `scripts/simulate`: a trace through ledger and scheduler alone.

No server takes part: rows are taken to differ and every write to succeed at once. What is left is what one process of ours
does itself for each dirty range, in the order in which the service does it: a tailer persists marks, the reconciler claims
keys, reads their marks, decides, stores the intent, and closes it. So the figures say what one process carries at most.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from benchmark.process import peak_mib
from benchmark.trace import Load, Moment, load, save
from syncer.clock import SystemClock
from syncer.core.decision import RowFact, Verdict, decide
from syncer.core.key import StoredKey
from syncer.core.mark import Op
from syncer.core.onesided import verdict
from syncer.core.policy import Policy
from syncer.core.position import StreamPosition
from syncer.core.rules import Rule, RuleKind
from syncer.core.schema import TableName
from syncer.core.side import SIDES, Side
from syncer.core.visibility import Horizon
from syncer.ledger import Ledger
from syncer.ledger.records import Batch, ClaimedKey, IntentItem

BATCH_ROWS = 1_000
PHASES = ("persist marks", "claim", "read marks", "decide", "store intents", "finish")
_POLICY = Policy(rule=Rule(RuleKind.PREFER, side=Side.A))


class Simulation:
    """One ledger in a folder, and the CPU time that each phase of the work on it takes."""

    def __init__(self, folder: Path) -> None:
        """Open a new ledger in *folder*; ``close`` it."""
        self.ledger = Ledger.open(
            folder / "ledger.db", pair_id="simulation", identity={}, clock=SystemClock()
        )
        self.seconds: dict[str, float] = dict.fromkeys(PHASES, 0.0)
        self.keys = 0
        self.written = 0
        self.deepest = 0
        self._seqs = dict.fromkeys(SIDES, 0)
        self._facts = {Side.A: RowFact("1"), Side.B: RowFact("2")}

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()

    def add_tables(self, count: int) -> None:
        """Make the tables 1 to *count* known."""
        for number in range(len(self.ledger.tables()), count):
            table_id = self.ledger.table_id(TableName("simulated", f"t{number + 1}"))
            self.ledger.set_table(table_id, integer=True, unsigned=False)

    @contextlib.contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        begun = time.thread_time()
        yield
        self.seconds[phase] += time.thread_time() - begun

    def persist(self, moment: Moment) -> int:
        """Do a tailer's part; give the number of keys marked."""
        last = moment.records[-1].seq if moment.records else self._seqs[moment.side]
        self._seqs[moment.side] = last
        position = StreamPosition(server="s", gtids="", file="b.000001", offset=last, seq=last)
        with self._timed("persist marks"):
            self.ledger.record(moment.side, moment.records, position)
        marks = [mark for record in moment.records for mark in record.marks]
        keys = sum(
            1 if m.low == m.high else (int(m.high) - int(m.low)) // m.step + 1 for m in marks
        )
        self.keys += keys
        return keys

    def reconcile(self) -> int:
        """Do one cycle of the reconciler's part; give the number of keys it took."""
        now = time.monotonic()
        with self._timed("claim"):
            claimed = self.ledger.claim_keys(BATCH_ROWS, now)
        if not claimed:
            return 0
        by_table: dict[int, list[ClaimedKey]] = defaultdict(list)
        for one in claimed:
            by_table[one.table_id].append(one)
        horizons = {side: Horizon(self._seqs[side], self._seqs[side]) for side in SIDES}
        items: dict[Side, list[IntentItem]] = {side: [] for side in SIDES}
        for table_id, keys in by_table.items():
            self._decide(table_id, [one.key for one in keys], horizons, items)
        with self._timed("store intents"):
            lower = {side: horizons[side].lower for side in SIDES}
            batches = [
                Batch(
                    batch_id=self.ledger.next_batch_id(),
                    target=target,
                    lower=lower,
                    items=tuple(found),
                )
                for target, found in items.items()
                if found
            ]
            self.ledger.begin_batches(batches)
        with self._timed("finish"):
            for batch in batches:
                self.ledger.finish(batch.batch_id, range(len(batch.items)))
        self.written += sum(len(batch.items) for batch in batches)
        return len(claimed)

    def _decide(
        self,
        table_id: int,
        keys: Sequence[StoredKey],
        horizons: dict[Side, Horizon],
        items: dict[Side, list[IntentItem]],
    ) -> None:
        lower = {side: horizons[side].lower for side in SIDES}
        with self._timed("read marks"):
            alone = self.ledger.one_sided(table_id, keys, lower)
            rest = [key for key in keys if not any(key in found for found in alone.values())]
            marks = self.ledger.marks_of(table_id, rest) if rest else {}
        with self._timed("decide"):
            for side, found in alone.items():
                for key, first_op in found.items():
                    if verdict(first_op, "a", "b", one_way=False) is not Verdict.COPY:
                        raise RuntimeError("the simulation copies nothing")
                    items[side.other].append(
                        IntentItem(table_id=table_id, keys=(key,), action=Op.UPDATE, present=True)
                    )
            for key in rest:
                decision = decide(marks[key], self._facts, horizons, _POLICY)
                if decision.verdict is not Verdict.COPY or decision.winner is None:
                    raise RuntimeError(f"the simulation decided {decision.verdict}")
                items[decision.winner.other].append(
                    IntentItem(table_id=table_id, keys=(key,), action=Op.UPDATE, present=True)
                )

    def play(self, moments: Iterator[Moment], *, outage: bool) -> float:
        """
        Play a trace; give the seconds of it.

        Each second is worked off before the next one begins; in an *outage* everything is marked first, then worked off.
        """
        end_s = 0.0
        waiting = 0
        for second, group in groupby(moments, key=lambda moment: int(moment.at_s)):
            end_s = second + 1
            for moment in group:
                waiting += self.persist(moment)
            self.deepest = max(self.deepest, waiting)
            while not outage and self.reconcile():
                pass
            waiting = 0 if not outage else waiting
        while self.reconcile():
            pass
        return end_s


def report(simulation: Simulation, trace_s: float, folder: Path) -> dict[str, object]:
    """Sum up what was seen."""
    total = sum(simulation.seconds.values())
    size = sum(path.stat().st_size for path in folder.iterdir())
    return {
        "trace_seconds": trace_s,
        "keys_marked": simulation.keys,
        "rows_decided": simulation.written,
        "seconds": {phase: round(simulation.seconds[phase], 3) for phase in PHASES},
        "us_per_row": {
            phase: round(1e6 * simulation.seconds[phase] / max(1, simulation.written), 2)
            for phase in PHASES
        },
        "share_of_one_core": round(total / trace_s, 3) if trace_s else None,
        "rows_per_second_at_most": round(simulation.written / total) if total else None,
        "deepest_backlog_keys": simulation.deepest,
        "peak_mib": peak_mib(),
        "ledger_mib": round(size / (1 << 20), 1),
    }


def show(found: dict[str, object]) -> str:
    """Put it as a table for a person."""
    seconds, each = found["seconds"], found["us_per_row"]
    if not isinstance(seconds, dict) or not isinstance(each, dict):
        raise TypeError("not a report")
    lines = [f"{'phase':<14}  {'CPU s':>8}  {'us a row':>8}"]
    lines += [f"{phase:<14}  {seconds[phase]:>8.2f}  {each[phase]:>8.1f}" for phase in PHASES]
    rest = {name: value for name, value in found.items() if name not in {"seconds", "us_per_row"}}
    lines += ["", *(f"{name.replace('_', ' ')}: {value}" for name, value in rest.items())]
    return "\n".join(lines)


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    made = argparse.ArgumentParser(
        prog="scripts/simulate",
        description="Play a trace of dirty ranges through ledger and scheduler alone, without servers.",
        epilog="Example: scripts/simulate --tables 1000 --rows 1000000000 --ranges 10000 --seconds 10",
    )
    made.add_argument("--tables", type=int, default=1_000, metavar="N", help="default: 1000")
    made.add_argument(
        "--rows", type=int, default=10**9, metavar="N", help="per table; default: 1 billion"
    )
    made.add_argument(
        "--ranges", type=int, default=10_000, metavar="N", help="dirty ranges a second, both sides"
    )
    made.add_argument("--seconds", type=int, default=10, metavar="S", help="length of the trace")
    made.add_argument("--seed", type=int, default=1, help="of the made-up trace")
    made.add_argument("--outage", action="store_true", help="mark everything, then work it off")
    made.add_argument("--save", type=Path, metavar="FILE", help="write the trace to FILE and end")
    made.add_argument("--trace", type=Path, metavar="FILE", help="play FILE instead")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    return made


def main() -> int:
    """Run the command; give its exit code."""
    given = parser().parse_args()
    made = Load(
        tables=given.tables,
        rows=given.rows,
        ranges_per_s=given.ranges,
        seconds=given.seconds,
        seed=given.seed,
    )
    if given.save:
        print(f"{save(given.save, made.moments()):,} moments written to {given.save}")
        return 0
    moments = load(given.trace) if given.trace else made.moments()
    with tempfile.TemporaryDirectory(prefix="syncer-simulation-") as name:
        simulation = Simulation(Path(name))
        with contextlib.closing(simulation):
            simulation.add_tables(given.tables)
            trace_s = simulation.play(moments, outage=given.outage)
            found = report(simulation, trace_s, Path(name))
    print(json.dumps(found) if given.json else show(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
