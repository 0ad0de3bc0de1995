"""
What a state of the model is, how it is bounded, and how equal futures become equal states.

A row is a number: ``time << 16 | content << 8 | history``. *Content* is what a SELECT sees and the guard compares. *History*
is a ghost: a bit per user write that the row includes (bits 0-2 and the initial row in bit 3 for side A, 4-7 for side B);
*time* is a ghost too: the commit time of its last write. A copy carries all three.

Sequence numbers are those of the product: the n-th transaction of a side's binlog has number n. They are kept relative to
a prefix that everybody has consumed (``normal``): otherwise a loop of the protocol would be an endless path.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

ABSENT, SAME, BASE = 0, 50, 99
SIDES = "AB"
PROPERTIES = ("P1", "P2", "P3", "P4", "P5", "P6", "P7")


@dataclass(frozen=True)
class Config:
    """
    One run.

    Attributes:
        variant: how rows are read: mysql (gtid_executed, snapshot, binlog end), mariadb (end of what is committed, then snapshot and binlog end),
            lock (rows locked while the binlog's end is read), exact (as mariadb, and writes are visible at once).
        writes: user writes per side and key.
        kinds: w new value, d delete, z a value that both sides may write; inexact: n nothing, s new value, x delete.
        reason: why the inexact ones are: a value of ``Reason``.
        start: the rows before the first write: base, absent; or unequal under a baseline: onlya, differ.
        faults: kill -9, or a lost connection, so many times.
        late: an apply of a dead syncer may still begin after the restart.
        lag: gtid_executed is behind what is visible by one group (one) or any number (any); gap: in any order.
        locking: besides plain reads any key may be read with locks.
        rule: prefer:a, prefer:b, hold, newest (with tie), a-to-b (direction), turned (what a foreign key makes of it: ``on_fk``).
        tie: on_tie for newest.
    """

    variant: str = "mysql"
    writes: tuple[tuple[int, ...], ...] = ((2,), (2,))
    kinds: str = "wd"
    reason: str = "statement"
    start: tuple[str, ...] = ("base", "absent")
    faults: int = 1
    late: bool = False
    lag: str = "one"
    locking: bool = False
    rule: str = "prefer:a"
    tie: str = "hold"
    mutant: str = ""
    most: int = 3_000_000
    stop: bool = False
    properties: frozenset[str] = frozenset(PROPERTIES)

    @property
    def keys(self) -> int:
        """How many keys there are."""
        return len(self.writes[0])

    @property
    def inexact(self) -> bool:
        """Some marks are inexact."""
        return bool(set(self.kinds) & set("nsx")) or bool(set(self.start) & {"onlya", "differ"})

    def __str__(self) -> str:
        numbers = " ".join(",".join(map(str, side)) for side in self.writes)
        more = "".join(
            f" {text}"
            for text, on in (
                (f"lag={self.lag}", self.lag != "one"),
                ("locking", self.locking),
                (f"start={'+'.join(self.start)}", self.start != ("base", "absent")),
                (f"reason={self.reason}", self.reason != "statement"),
                (f"tie={self.tie}", self.rule == "newest"),
                (f"mutant={self.mutant}", self.mutant),
            )
            if on
        )
        late = "+late" if self.late else ""
        return (
            f"{self.variant:7} {self.rule:8} writes={numbers} kinds={self.kinds} faults={self.faults}{late}"
            + more
        )


class Site(NamedTuple):
    """
    One primary, its users, its tailer, and this side's part of the ledger.

    Attributes:
        seen: committed rows, per key.
        now: rows with the pending change of whoever holds the lock, per key.
        lock: per key: 0 free, n > 0 the user transaction with number n, -1 an apply of ours.
        own: an apply in flight: (stage, keys written, attached to an open intent, its number once flushed).
        log: the binlog: (key, op, kind, time) or (-1, keys written, known, keys of the intent).
        visible, executed: bit n-1: transaction n is visible, is in gtid_executed.
        tailed: the saved position.
        memory: for two mutants: the transaction of which only half is saved.
        floor, unproven: the product's ``TransactionLog``: base_seq, and whether a read must contain it first.
        marks: per key: (exact, inexact): exact is a Touch as a tuple, inexact (first, last, reason).
        span: (first, last, reason) of a span over all keys.
        done: user writes so far, per key.
        clock: commit time of the last write.
        marker: (the last batch is that of the open intent, keys written).
    """

    seen: tuple[int, ...]
    now: tuple[int, ...]
    lock: tuple[int, ...]
    own: tuple[int, int, bool, int] | None
    log: tuple[tuple, ...]
    visible: int
    executed: int
    tailed: int
    memory: int
    floor: int
    unproven: bool
    marks: tuple[tuple, ...]
    span: tuple | None
    done: tuple[int, ...]
    clock: int
    marker: tuple[bool, int]


class Cycle(NamedTuple):
    """
    The reconciler.

    Attributes:
        pc: what it does next.
        kind: keys, locked (keys read with locks), chunk (a span).
        claim: keys of this cycle, a bit each.
        reads: per side (L, U, rows): L a bit mask on mysql and a number elsewhere; -1 and None: not read.
        plan: decisions that are not carried out yet.
        found: after a crash: per side the keys that the marker row names, None where it names another batch.
    """

    pc: str = "idle"
    kind: str = ""
    claim: int = 0
    reads: tuple[tuple, tuple] = ((-1, -1, None), (-1, -1, None))
    plan: tuple = ()
    found: tuple = (None, None)


class Item(NamedTuple):
    """One row of an intent; *loser* is the history that the conflict entry keeps, -1 where there is none."""

    key: int
    expected: int
    meant: int
    loser: int


class Intent(NamedTuple):
    """What is about to be written to one target; stage: send, unknown (the answer was lost), passed (a mutant)."""

    items: tuple[Item, ...]
    lower: tuple[int, int]
    stage: str = "send"


class Ledger(NamedTuple):
    """The rest of the ledger: an intent per target, and per key the two contents for which it is held."""

    intents: tuple[Intent | None, Intent | None] = (None, None)
    held: tuple = ()


class Rest(NamedTuple):
    """
    Faults left; ghosts per key: logged losers, writes undone by their user, writes of nothing; a late apply.

    *person*: somebody has settled a key by hand. He knows what no stream tells, so P3 has nothing to say from then on.
    """

    faults: int
    logged: tuple[int, ...]
    undone: tuple[int, ...]
    nothing: tuple[int, ...]
    late: tuple | None = None
    person: bool = False


class State(NamedTuple):
    """Everything."""

    a: Site
    b: Site
    cycle: Cycle
    ledger: Ledger
    rest: Rest


@dataclass
class Step:
    """One successor: its label, the actor, the state, and a violation (property, text) that the step itself is."""

    label: str
    actor: str
    state: State
    violation: tuple[str, str] | None = None


def content(row: int) -> int:
    """What a SELECT sees of it."""
    return row >> 8 & 255


def history(row: int) -> int:
    """The user writes it includes."""
    return row & 255


def make(what: int, past: int, time: int = 0) -> int:
    """A row."""
    return time << 16 | what << 8 | past


@cache
def bit_names(past: int) -> str:
    """The writes of a history, for people."""
    names = [f"{'ab'[b // 4]}{b % 4 + 1 if b % 4 < 3 else 0}" for b in range(8) if past >> b & 1]
    return "{" + ",".join(names) + "}"


@cache
def row_name(row: int) -> str:
    """A row for people."""
    known = {ABSENT: "absent", SAME: "z", BASE: "base"}
    what = content(row)
    return known.get(what, bit_names(1 << max(what - 1, 0))[1:-1]) + bit_names(history(row))


def put(values: tuple, at: int, value: object) -> tuple:
    """A tuple with one element replaced."""
    return (*values[:at], value, *values[at + 1 :])


@cache
def ones(mask: int) -> int:
    """How many of the lowest bits are set without a gap."""
    return ((mask + 1) & ~mask).bit_length() - 1


def initial(config: Config):
    """The states to begin with."""
    keys = config.keys
    for start in config.start:
        rows = {
            "base": (make(BASE, 0), make(BASE, 0)),
            "absent": (make(ABSENT, 0), make(ABSENT, 0)),
            "onlya": (make(4, 8), make(ABSENT, 0)),
            "differ": (make(4, 8), make(8, 128)),
        }[start]
        span = (0, 0, "baseline") if start in {"onlya", "differ"} else None
        sites = [
            Site(
                seen=(row,) * keys,
                now=(row,) * keys,
                lock=(0,) * keys,
                own=None,
                log=(),
                visible=0,
                executed=0,
                tailed=0,
                memory=-1,
                floor=0,
                unproven=False,
                marks=((None, None),) * keys,
                span=span,
                done=(0,) * keys,
                clock=0,
                marker=(False, 0),
            )
            for row in rows
        ]
        none = (0,) * keys
        yield State(
            *sites, Cycle(), Ledger(held=(None,) * keys), Rest(config.faults, none, none, none)
        )


def normal(state: State, *, masks: bool) -> State:
    """
    Drop the prefix of each binlog that everybody has consumed.

    A mark's number in the prefix becomes 0: it is below every bound there will ever be. *masks*: L is a bit mask.
    """
    sites = [state.a, state.b]
    cycle, ledger = state.cycle, state.ledger
    for s in (0, 1):
        site = sites[s]
        seen_to = ones(site.executed & site.visible)
        low, up, rows = cycle.reads[s]
        low_count = -1 if low < 0 else ones(low) if masks else low
        if site.floor and site.floor <= seen_to and (low < 0 or low_count >= site.floor):
            site = sites[s] = site._replace(floor=0, unproven=False)
        cut = min(seen_to, site.tailed)
        if not cut:
            continue
        if site.memory >= 0:
            cut = min(cut, site.memory)
        if low >= 0:
            cut = min(cut, low_count)
        if up >= 0:
            cut = min(cut, up)
        for intent in ledger.intents:
            if intent is not None and intent.lower[s] >= 0:
                cut = min(cut, intent.lower[s])
        if cycle.plan and cycle.plan[0][s] >= 0:
            cut = min(cut, cycle.plan[0][s])
        if not cut:
            continue
        sites[s] = _shifted(site, cut)
        if low >= 0 or up >= 0:
            low = low if low < 0 else low >> cut if masks else low - cut
            reads = put(cycle.reads, s, (low, up if up < 0 else up - cut, rows))
            cycle = cycle._replace(reads=reads)
        if cycle.plan:
            plan = cycle.plan
            uppers = put(plan[1], s, max(plan[1][s] - cut, 0))
            lowers = plan[0] if plan[0][s] < 0 else put(plan[0], s, plan[0][s] - cut)
            cycle = cycle._replace(plan=(lowers, uppers, *plan[2:]))
        if any(ledger.intents):
            ledger = ledger._replace(
                intents=tuple(
                    i
                    if i is None or i.lower[s] < 0
                    else i._replace(lower=put(i.lower, s, i.lower[s] - cut))
                    for i in ledger.intents
                )
            )
    return State(sites[0], sites[1], cycle, ledger, state.rest)


@lru_cache(1 << 16)
def _shifted(site: Site, cut: int) -> Site:
    marks = tuple(
        (
            exact and (max(exact[0] - cut, 0), max(exact[1] - cut, 0), *exact[2:]),
            inexact and (max(inexact[0] - cut, 0), max(inexact[1] - cut, 0), inexact[2]),
        )
        for exact, inexact in site.marks
    )
    span = site.span
    own = site.own
    return site._replace(
        lock=tuple(n - cut if n > 0 else n for n in site.lock),
        own=own and (*own[:3], max(own[3] - cut, 0)),
        log=site.log[cut:],
        visible=site.visible >> cut,
        executed=site.executed >> cut,
        tailed=site.tailed - cut,
        memory=site.memory if site.memory < 0 else site.memory - cut,
        floor=max(site.floor - cut, 0),
        marks=marks,
        span=span and (max(span[0] - cut, 0), max(span[1] - cut, 0), span[2]),
    )
