"""
A model of its own for rows that are made of two: ``delta`` and ``column_merge``, with the base row that they rest on.

One key, whose row is a tuple of numbers. Users count (delta) or set columns of their own (columns). Decisions, bases, folding and
cutting are the product's: ``decide``, ``agreed``, ``Touch.fold``, ``Rules.cleared`` (held against a real ledger elsewhere). Every
interleaving of users, engine commits, tailers, reads, the delivery and kill -9 is explored, breadth first.

Properties: at rest both rows are equal and hold every write exactly once; nothing waits for ever; no alarm.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from syncer.core.agreement import KeptRow, agreed
from syncer.core.decision import RowFact, decide
from syncer.core.mark import KeyMarks, SideMarks
from syncer.core.outcome import Around, Verdict, WrittenColumn
from syncer.core.policy import Policy
from syncer.core.rules import parse_chain
from syncer.core.side import SIDES, Side
from syncer.core.visibility import Horizon
from syncer.ledger.ranges import as_touch
from tests.model.rules import Rules
from tests.model.state import Config

MOST = 10_000
NEVER = -1


@dataclass(frozen=True)
class Merge:
    """
    One run.

    Attributes:
        rule: a chain. With ``delta`` users add 1; else side A sets column x, side B column y, to values that nobody had.
        writes: user writes per side.
        crashes: kill -9, so many times.
        swings: every other write takes 1 away: a row may be again what it was.
    """

    rule: str = "delta:x then hold"
    writes: tuple[int, int] = (2, 2)
    crashes: int = 1
    swings: bool = False
    mutant: str = ""

    @property
    def counts(self) -> bool:
        """Users count."""
        return self.rule.startswith("delta")

    def __str__(self) -> str:
        more = f" swings={self.swings}" * self.swings + f" mutant={self.mutant}" * bool(self.mutant)
        return f"{self.rule} writes={self.writes} crashes={self.crashes}{more}"


class Event(NamedTuple):
    """One transaction of a binlog: u a user's, c our copy, m our merge with the *base* that the intent names."""

    kind: str
    before: tuple
    after: tuple
    base: tuple | None = None


class Site(NamedTuple):
    """A primary: the row as it is, as it is seen, its binlog; its marks, its kept images and its tailer's position."""

    now: tuple
    seen: tuple
    pending: bool = False
    log: tuple[Event, ...] = ()
    tailed: int = 0
    mark: tuple | None = None
    kept: tuple[tuple[int, tuple], ...] = ()
    done: int = 0


class Intent(NamedTuple):
    """What is about to be written; *found*: the marker row names it."""

    target: int
    expected: tuple
    row: tuple
    base: tuple | None
    lower: tuple[int, int]
    found: bool = False


class State(NamedTuple):
    """Everything. *lows*, *rows*, *ups* are what the cycle has read so far, per side."""

    sites: tuple[Site, Site]
    lows: tuple = (NEVER, NEVER)
    rows: tuple = (None, None)
    ups: tuple = (NEVER, NEVER)
    intent: Intent | None = None
    crashes: int = 0


class Wrong(Exception):
    """A property is broken by a step."""


class Model:
    """The steps of one run."""

    def __init__(self, config: Merge) -> None:
        self.config, self.mutant = config, config.mutant
        self.rules = Rules(Config())
        chain = parse_chain(config.rule)
        self.policy = Policy(rule=chain[0], fallbacks=chain[1:])
        names = ("x",) if config.counts else ("x", "y")
        self.columns = tuple(WrittenColumn(n, -MOST, MOST) for n in names)
        start = Site((0,) * len(names), (0,) * len(names))
        self.start = State((start, start), crashes=config.crashes)

    def steps(self, state: State):
        """Yield (label, state) of every step that may come next."""
        for s in (0, 1):
            yield from self._site(state, s)
        yield from self._cycle(state)
        if state.crashes:
            yield "kill -9", self._restarted(state)

    # Users, servers, tailers

    def _site(self, state: State, s: int):
        site = state.sites[s]
        if site.done < self.config.writes[s] and not site.pending:
            after = self._written(site, s)
            log = (*site.log, Event("u", site.now, after))
            made = site._replace(now=after, pending=True, log=log, done=site.done + 1)
            yield f"user at {SIDES[s]} writes {after}", put(state, s, made)
        if site.pending:
            yield f"{SIDES[s]}: visible", put(state, s, site._replace(seen=site.now, pending=False))
        if site.tailed < len(site.log):
            yield f"tailer {SIDES[s]}", put(state, s, self._tailed(site))

    def _written(self, site: Site, s: int) -> tuple:
        if self.config.counts:
            return (site.now[0] + (-1 if self.config.swings and site.done % 2 else 1),)
        value = 10 * (s + 1) + site.done
        return (value, site.now[1]) if s == 0 else (site.now[0], value)

    def _tailed(self, site: Site) -> Site:
        seq = site.tailed + 1
        event = site.log[site.tailed]
        mark, kept = site.mark, site.kept
        if event.kind != "u":
            mark, _ = self.rules.cleared((mark, None), seq - 1, absent=False)
            if self.mutant != "erasing_keeps_images":
                kept = ()
        if event.kind == "c" or (event.kind == "m" and self.mutant == "merge_makes_no_mark"):
            return site._replace(tailed=seq, mark=mark, kept=kept)
        mark = self.rules.fold(mark, self.rules.touch(seq, "u", 0))
        image = event.before
        if event.kind == "m" and self.mutant != "merge_shows_its_image":
            image = event.base
        kept = (*kept, (seq, image))
        if self.mutant == "last_image_counts":
            kept = kept[-1:]
        return site._replace(tailed=seq, mark=mark, kept=kept)

    # The reconciler

    def _cycle(self, state: State):
        if state.intent is not None:
            yield from self._deliver(state, state.intent)
            return
        if all(low == NEVER for low in state.lows) and all(x.mark is None for x in state.sites):
            return
        for s, site in enumerate(state.sites):
            if state.lows[s] == NEVER:
                low = len(site.log) - site.pending
                yield f"L of {SIDES[s]}", state._replace(lows=set_at(state.lows, s, low))
                return
            if state.rows[s] is None:
                made = state._replace(
                    rows=set_at(state.rows, s, site.seen), ups=set_at(state.ups, s, len(site.log))
                )
                yield f"row and U of {SIDES[s]}: {site.seen}", made
                return
        fenced = all(site.tailed >= up for site, up in zip(state.sites, state.ups, strict=True))
        if fenced or self.mutant == "no_fence":
            yield self._decided(state)

    def _decided(self, state: State):
        sites, ended = (
            state.sites,
            state._replace(lows=(NEVER,) * 2, rows=(None,) * 2, ups=(NEVER,) * 2),
        )
        marks = KeyMarks(*(SideMarks(site.mark and as_touch(site.mark)) for site in sites))
        cells = [tuple(map(str, row)) for row in state.rows]
        base = agreed(
            marks, {side: self._kept(sites[at], marks.of(side)) for at, side in enumerate(SIDES)}
        )
        found = decide(
            marks,
            {side: RowFact(repr(cells[at]), (), cells=cells[at]) for at, side in enumerate(SIDES)},
            {
                side: Horizon(state.lows[at], max(state.ups[at], state.lows[at]))
                for at, side in enumerate(SIDES)
            },
            self.policy,
            Around(columns=self.columns, base=base),
        )
        equal = found.verdict is Verdict.EQUAL
        if self.mutant == "equal_is_settled" and cells[0] == cells[1]:
            equal = found.verdict is not Verdict.AMBIGUOUS
        if equal:
            return "equal: cleared", self._cleared(ended, state.lows)
        if found.verdict in {Verdict.AMBIGUOUS, Verdict.LATER}:
            return "ambiguous", ended
        if found.verdict is not Verdict.COPY or found.winner is None:
            raise Wrong(f"{found.verdict}: {found.rule}")
        target = 1 - SIDES.index(found.winner)
        row, other = state.rows[1 - target], None
        if found.merged is not None:
            row, other = tuple(map(int, found.merged)), row
        intent = Intent(target, state.rows[target], row, other, state.lows)
        return f"intent for {SIDES[target]}: {row} ({found.rule or 'one-sided'})", ended._replace(
            intent=intent
        )

    def _kept(self, site: Site, marks: SideMarks) -> KeptRow | None:
        first = marks.exact.first_seq if marks.exact else 0
        if self.mutant in {"erasing_keeps_images", "clearing_keeps_images"}:
            first = 0
        for seq, row in site.kept:
            if seq >= first:
                at = marks.exact.first_seq if marks.exact and seq < marks.exact.first_seq else seq
                return KeptRow(at, tuple(map(str, row)))
        return None

    def _deliver(self, state: State, intent: Intent):
        s = intent.target
        site = state.sites[s]
        if intent.found:
            yield "finished", self._finished(state)
            return
        if site.pending:
            return  # the row is locked
        if site.now != intent.expected and self.mutant != "no_guard":
            yield "guard misses", state._replace(intent=None)
            return
        kind = "c" if intent.base is None else "m"
        log = (*site.log, Event(kind, site.now, intent.row, intent.base))
        made = put(state, s, site._replace(now=intent.row, seen=intent.row, log=log))
        yield f"{SIDES[s]}: applied {intent.row}", made._replace(intent=intent._replace(found=True))

    def _finished(self, state: State) -> State:
        intent = state.intent
        lower = intent.lower
        if intent.base is not None and self.mutant == "merge_clears_later":
            lower = tuple(len(site.log) for site in state.sites)
            return self._cleared(state._replace(intent=None), lower)
        if intent.base is not None:
            # Side A's stay until its stream shows the merge: what is still to be carried to B is never without a mark.
            lower = set_at(lower, intent.target, NEVER)
            state = self._marked(state, intent.target)
        return self._cleared(state._replace(intent=None), lower)

    def _marked(self, state: State, s: int) -> State:
        """Raise Wrong where nothing says any more that the merged row is still to be carried over."""
        if state.sites[s].mark is None:
            raise Wrong("a merged row without a mark")
        return state

    def _cleared(self, state: State, lower: tuple[int, int]) -> State:
        for s, site in enumerate(state.sites):
            mark, _ = self.rules.cleared((site.mark, None), lower[s], absent=False)
            kept = site.kept
            if self.mutant != "clearing_keeps_images":
                kept = tuple(one for one in kept if one[0] > lower[s])
            state = put(state, s, site._replace(mark=mark, kept=kept))
        return state

    def _restarted(self, state: State) -> State:
        """Nothing but the ledger is left; the intent is looked up (INV-13)."""
        made = State(state.sites, crashes=state.crashes - 1)
        intent = state.intent
        if intent is None or self.mutant == "restart_drops":
            return made
        if intent.found or self.mutant == "restart_finishes":
            return self._finished(made._replace(intent=intent))
        return made

    # What must hold

    def at_rest(self, state: State) -> None:
        """Raise Wrong unless everything that was written is there, once, on both sides."""
        a, b = state.sites
        if a.mark or b.mark or state.intent:
            raise Wrong("something waits for ever")
        if a.now != b.now:
            raise Wrong(f"rows differ at rest: {a.now} {b.now}")
        if self.config.counts:
            total = sum(n % 2 if self.config.swings else n for n in self.config.writes)
            if a.now != (total,):
                raise Wrong(f"{a.now[0]} instead of {total}")
            return
        meant = tuple(10 * (s + 1) + n - 1 if n else 0 for s, n in enumerate(self.config.writes))
        if a.now != meant:
            raise Wrong(f"{a.now} instead of {meant}")


def put(state: State, s: int, site: Site) -> State:
    """The state with one site replaced."""
    return state._replace(sites=set_at(state.sites, s, site))


def set_at(values: tuple, at: int, value: object) -> tuple:
    """A tuple with one element replaced."""
    return (*values[:at], value, *values[at + 1 :])


@dataclass
class Found:
    """What a run met: its states, its labels by their first word, and the first thing that was wrong with the way to it."""

    states: int
    met: set[str]
    wrong: str = ""
    way: tuple[str, ...] = ()


def explore(config: Merge, most: int = 2_000_000) -> Found:
    """Explore every interleaving, breadth first; ends at the first thing that is wrong."""
    model = Model(config)
    before: dict[State, tuple[State, str] | None] = {model.start: None}
    queue = deque([model.start])
    met: set[str] = set()
    while queue:
        state = queue.popleft()
        label = ""
        try:
            ways = list(model.steps(state))
            # Whoever only crashes has come to rest.
            if not [way for way in ways if way[0] != "kill -9"]:
                model.at_rest(state)
        except Wrong as wrong:
            return Found(len(before), met, str(wrong), way_to(before, state))
        for label, made in ways:
            met.add(label.split(":")[0])
            if made not in before:
                before[made] = state, label
                queue.append(made)
        if len(before) > most:
            raise RuntimeError(f"{config}: more than {most} states")
    return Found(len(before), met)


def way_to(before: dict, state: State) -> tuple[str, ...]:
    """The labels of the shortest way to a state."""
    labels: list[str] = []
    while before[state] is not None:
        state, label = before[state]
        labels.append(label)
    return tuple(reversed(labels))


RUNS = (
    Merge(writes=(2, 2)),
    Merge(writes=(3, 1), crashes=0),
    Merge(writes=(1, 1), crashes=2),
    Merge(writes=(3, 2), crashes=0, swings=True),
    Merge("column_merge then hold", (2, 2)),
    Merge("column_merge then prefer:a", (1, 2), crashes=2),
)
"""What must pass."""

MUTANTS = {
    "equal_is_settled": "rows that look equal are settled, whatever both sides counted",
    "merge_makes_no_mark": "our merge met in the stream is an own write and no change of side A",
    "merge_shows_its_image": "the base of what comes after a merge is what its event shows, not the row of side B",
    "merge_clears_later": "a merge clears what it has not read",
    "last_image_counts": "the last image is kept instead of the first",
    "clearing_keeps_images": "images of settled changes are kept",
    "erasing_keeps_images": "our write met in the stream leaves older images",
    "no_guard": "the row is not compared before it is overwritten",
    "no_fence": "nobody waits for the tailers",
    "restart_drops": "a restart takes the batch as not applied",
    "restart_finishes": "a restart takes the batch as applied",
}
"""What must be noticed, each in a run of its own of the same bounds."""


def mutants() -> list[Merge]:
    """One run per mistake."""
    swinging = Merge(writes=(3, 2), crashes=0, swings=True, mutant="erasing_keeps_images")
    others = [name for name in MUTANTS if name != swinging.mutant]
    return [swinging, *(Merge(writes=(2, 2), mutant=name) for name in others)]


__all__ = ["MUTANTS", "RUNS", "Found", "Merge", "Side", "explore", "mutants"]
