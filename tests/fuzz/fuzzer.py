"""
Feed damaged events to the decoder and judge what comes of it.

Allowed outcomes: an error of the product's own, or a decode. Where the checksum is not put right again, only an error. Never
another exception, a hang, or memory that follows a length nobody proved.
"""

from __future__ import annotations

import contextlib
import resource
import signal
import time
from collections import Counter
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Any

from syncer.binlog import events
from syncer.binlog.assembler import Assembler
from syncer.binlog.layout import TableLayout
from syncer.core.record import BatchItem, whole
from syncer.core.schema import TableName
from syncer.core.side import Side
from syncer.errors import EventDamaged, SyncerError
from tests.fuzz import mutate
from tests.fuzz.corpus import Corpus, load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fuzz.corpus import Scenario

CASE_S = 10.0
"""One case takes milliseconds; this is a hang."""
MEMORY_BYTES = 1 << 29
"""What the process may grow by, for events of some hundred bytes."""


class FuzzFailure(AssertionError):
    """Says which case, and how to run it again."""


class _Store:
    """Knows batch 7, so that own writes are told apart."""

    def spill(self, side: Side, marks: Any, lookups: Any = ()) -> None:
        """Marks of long transactions: nobody asks for them here."""

    def spill_branch(self, side: Side, marks: Any, lookups: Any, *, first: bool) -> None:
        """The same of XA branches."""

    def batch_items(self, side: Side, batch_id: int) -> tuple[BatchItem, ...] | None:
        return (BatchItem(3, (20,)), BatchItem(3, (21,))) if batch_id == 7 else None


class _Layouts:
    def __init__(self, corpus: Corpus, *, keeps: bool) -> None:
        self._found = {
            (schema.name.database, schema.name.name): TableLayout(number, schema, keeps=keeps)
            for number, schema in enumerate(corpus.schemas, 1)
        }

    def __call__(self, database: str, table: str) -> TableLayout | None:
        return self._found.get((database, table))

    def tables(self) -> list[tuple[int, TableName]]:
        return [(layout.table_id, layout.schema.name) for layout in self._found.values()]


def assembler(corpus: Corpus, *, keeps: bool = False) -> Assembler:
    """Make one that has read nothing yet; *keeps*: what rows were, too."""
    return Assembler(
        Side.A, corpus.flavor, corpus.position, _Store(), _Layouts(corpus, keeps=keeps), "pair",
        lambda _side, _table: None, checksums=True,
    )  # fmt: skip


def decode(corpus: Corpus, packets: list[bytes]) -> list[Any]:
    """Feed packets behind the corpus's head, one by one; give the records."""
    made = assembler(corpus)
    for packet in [bytes.fromhex(packet) for packet in corpus.head] + packets:
        made.feed(packet)
    return list(map(whole, made.take().records))


def pieces(count: int, random: Random) -> list[tuple[int, int]]:
    """Cut *count* packets as a connection may deliver them: places, the end exclusive."""
    cuts = sorted(random.sample(range(1, count), random.randrange(min(3, count))))
    return list(pairwise([0, *cuts, count]))


@contextlib.contextmanager
def limits() -> Iterator[None]:
    """Hold the block to ``MEMORY_BYTES``, and every case to ``CASE_S`` (see ``Fuzzer.case``). Main thread only."""

    def late(_number: int, _frame: object) -> None:
        raise TimeoutError(f"no end within {CASE_S:.0f} s")

    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - no file to speak of
        now = int(statm.read().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGALRM, late)
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY_BYTES, hard))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGALRM, before)


def _without_checksums(packet: bytes) -> bytes:
    """Give an event as a server with ``binlog_checksum=NONE`` sends it."""
    kind = packet[5]
    if kind == events.FORMAT_DESCRIPTION:
        return packet[:-5] + b"\0" + packet[-4:]  # its own checksum is stale there
    return mutate.disguise(packet[:-4], checksum=False)


class Fuzzer:
    """Runs cases from a seed; case *n* of a seed is always the same."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.outcomes: Counter[str] = Counter()
        self.last = 0
        self._corpora = load()
        self._whole = {
            (corpus.flavor, scenario.name, copies): decode(corpus, scenario.raw() * copies)
            for corpus in self._corpora
            for scenario in corpus.scenarios
            for copies in (1, 2)
        }

    def case(self, number: int) -> None:
        """
        Run one.

        Raises:
            FuzzFailure: the outcome is none of those allowed.
        """
        random = Random(f"{self.seed}/{number}")
        corpus = random.choice(self._corpora)
        scenario: Scenario = random.choice(corpus.scenarios)
        head, packets = [bytes.fromhex(packet) for packet in corpus.head], scenario.raw()
        copies = random.choice((1, 2))  # what was met before may be read in another way
        mode = random.choice(("checksum", "checksum", "put right", "put right", "none"))
        stream = head + packets * copies
        if mode == "none":
            stream = [_without_checksums(packet) for packet in stream]
        anywhere = random.random() < 0.1  # the head is the same in all scenarios
        at = random.randrange(0 if anywhere else len(stream) - len(packets), len(stream))
        way = random.choice(mutate.WAYS)
        damaged = way(stream[at], random)
        if mode != "checksum" and random.random() < 0.9:
            damaged = mutate.disguise(damaged, checksum=mode == "put right")
        same = damaged == stream[at]
        stream[at] = damaged
        where = f"seed {self.seed}, case {number}: {corpus.flavor}, {scenario.name!r}, packet {at}, {way.__name__}, {mode}"
        made = assembler(corpus)
        if mode == "none":
            made._checksums = False
        error: SyncerError | None = None
        signal.setitimer(signal.ITIMER_REAL, CASE_S)
        try:
            for start, end in pieces(len(stream), random):
                made.feed_all(stream[start:end])
        except SyncerError as caught:
            error = caught
        except Exception as caught:
            raise FuzzFailure(f"{where}: {type(caught).__name__}: {caught}") from caught
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        self.outcomes[type(error).__name__ if error else "decoded"] += 1
        if mode == "checksum":
            if same and error is not None:
                raise FuzzFailure(f"{where}: an undamaged stream is refused: {error}")
            if not same and not isinstance(error, EventDamaged):
                raise FuzzFailure(f"{where}: damage was not noticed ({error})")
        if same and mode != "none":
            found = list(map(whole, made.take().records))
            if found != self._whole[corpus.flavor, scenario.name, copies]:
                raise FuzzFailure(f"{where}: an undamaged stream is decoded in another way")

    def run(self, *, first: int = 0, cases: int | None = None, seconds: float | None = None) -> int:
        """Run cases until one of the bounds is reached; give their number."""
        end = None if seconds is None else time.monotonic() + seconds
        done = 0
        with limits():
            while (cases is None or done < cases) and (end is None or time.monotonic() < end):
                self.last = first + done
                self.case(self.last)
                done += 1
        return done
