"""
A model of its own for rows that both sides give another key: three keys, of which one UPDATE makes another.

Key 0 is there. Side A may change it to key 1, side B to key 2, and either may write what it has before and after. Decisions are the
product's (``decide``, ``decide_unit``), and so are folding and cutting. Every interleaving of users, engine commits, tailers, reads, the
delivery and kill -9 is explored, breadth first. A row is what it looks like and a ghost: the user writes that are in it.

Properties: at rest both sides are equal; every user write is in a row or in the journal, or was written over by its own side; one of
the two new keys stands, or both.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from syncer.core.decision import RowFact, decide
from syncer.core.keyunits import Half, decide_unit
from syncer.core.mark import KeyMarks, SideMarks
from syncer.core.outcome import ALONE, Decision, Verdict
from syncer.core.policy import OnDelete, Policy
from syncer.core.rules import parse_chain
from syncer.core.side import SIDES
from syncer.core.visibility import Horizon
from syncer.ledger.ranges import as_touch
from tests.model.merging import Found, Wrong, set_at, way_to
from tests.model.rules import Rules
from tests.model.state import Config

KEYS = 3
NEVER = -1


@dataclass(frozen=True)
class Rekey:
    """
    One run.

    Attributes:
        rule: a chain.
        steps: what the users of each side do, in turn: ``r`` changes key 0 to the side's own, ``w`` writes the row that they have.
        crashes: kill -9, so many times.
        batch: keys of one cycle at most; those of one row are read with it.
    """

    rule: str = "prefer:a"
    steps: tuple[str, str] = ("r", "r")
    crashes: int = 1
    batch: int = 3
    mutant: str = ""

    def __str__(self) -> str:
        more = f" mutant={self.mutant}" * bool(self.mutant)
        return f"{self.rule} steps={','.join(self.steps)} crashes={self.crashes} batch={self.batch}{more}"


class Event(NamedTuple):
    """One transaction of a binlog: the keys it touched and how, the change of a key, the user's write; 0: it is ours."""

    ops: tuple[tuple[int, str], ...]
    change: tuple[int, int] | None = None
    bit: int = 0


class Site(NamedTuple):
    """A primary, its binlog, and this side's part of the ledger; *changes*: (old, new, number) of changed keys."""

    now: tuple
    seen: tuple
    pending: bool = False
    log: tuple[Event, ...] = ()
    tailed: int = 0
    marks: tuple = (None,) * KEYS
    changes: tuple[tuple[int, int, int], ...] = ()
    done: int = 0


class Item(NamedTuple):
    """One row of an intent; *loser*: the user writes that its journal entry has."""

    key: int
    expected: int | None
    row: int | None
    loser: int


class Intent(NamedTuple):
    """What is about to be written to one target; *found*: the marker row names it."""

    target: int
    items: tuple[Item, ...]
    lower: tuple[int, int]
    found: bool = False


class State(NamedTuple):
    """Everything. *claim*: the keys that the cycle reads."""

    sites: tuple[Site, Site]
    claim: tuple[int, ...] = ()
    asked: tuple[int, ...] = ()
    lows: tuple = (NEVER, NEVER)
    rows: tuple = (None, None)
    ups: tuple = (NEVER, NEVER)
    intents: tuple[Intent, ...] = ()
    logged: int = 0
    crashes: int = 0


class Model:
    """The steps of one run. A row is a number: a bit per user write of side A (0 to 3) and of side B (4 to 7), and bit 8."""

    def __init__(self, config: Rekey) -> None:
        self.config, self.mutant = config, config.mutant
        self.rules = Rules(Config())
        chain = parse_chain(config.rule)
        self.policy = Policy(rule=chain[0], fallbacks=chain[1:], on_delete=OnDelete.UPDATE_WINS)
        site = Site((1 << 8, None, None), (1 << 8, None, None))
        self.start = State((site, site), crashes=config.crashes)

    def steps(self, state: State):
        """Yield (label, state) of every step that may come next."""
        for s in (0, 1):
            yield from self._site(state, s)
        if state.intents:
            yield from self._deliver(state)
        else:
            yield from self._cycle(state)
        if state.crashes:
            yield "kill -9", self._restarted(state)

    # Users, servers, tailers

    def _site(self, state: State, s: int):
        site = state.sites[s]
        if site.pending:
            yield f"{SIDES[s]}: visible", put(state, s, site._replace(seen=site.now, pending=False))
        elif site.done < len(self.config.steps[s]):
            yield from self._written(state, s)
        if site.tailed < len(site.log):
            yield f"tailer {SIDES[s]}", put(state, s, self._tailed(site))

    def _written(self, state: State, s: int):
        site, what = state.sites[s], self.config.steps[s][state.sites[s].done]
        mine = s + 1
        at = mine if site.now[mine] is not None else 0
        if site.now[at] is None or (what == "r" and at == mine):
            yield (
                f"user at {SIDES[s]}: nothing is there",
                put(state, s, site._replace(done=site.done + 1)),
            )
            return
        bit = 1 << 4 * s + site.done
        row = site.now[at] | bit
        if what == "r":
            now = set_at(set_at(site.now, 0, None), mine, row)
            event = Event(((0, "d"), (mine, "i")), (0, mine), bit)
        else:
            now, event = set_at(site.now, at, row), Event(((at, "u"),), None, bit)
        made = site._replace(now=now, pending=True, log=(*site.log, event), done=site.done + 1)
        yield f"user at {SIDES[s]}: {what}", put(state, s, made)

    def _tailed(self, site: Site) -> Site:
        seq = site.tailed + 1
        event = site.log[site.tailed]
        marks, changes = list(site.marks), site.changes
        for key, op in event.ops:
            if not event.bit:
                marks[key], _ = self.rules.cleared((marks[key], None), seq - 1, absent=False)
                if self.mutant != "changes_stay":
                    changes = tuple(one for one in changes if one[1] != key)
            else:
                marks[key] = self.rules.fold(marks[key], self.rules.touch(seq, op, 0))
        if event.change:
            changes = (*changes, (*event.change, seq))
        return site._replace(tailed=seq, marks=tuple(marks), changes=changes)

    # The reconciler

    def _cycle(self, state: State):
        if not state.claim:
            marked = [k for k in range(KEYS) if any(site.marks[k] for site in state.sites)]
            if not marked:
                return
            for first in marked:
                claim = {first, *(k for k in marked if k > first)}
                asked = tuple(sorted(claim)[: self.config.batch])
                also = self._others(state, asked)
                read = tuple(sorted({*asked, *also}))
                yield from self._read(state._replace(claim=read, asked=asked), f"claims {asked}: ")
            return
        yield from self._read(state, "")

    def _others(self, state: State, keys: tuple[int, ...]) -> set[int]:
        changes = [one for site in state.sites for one in site.changes]
        olds = {one[0] for one in changes if set(one[:2]) & set(keys)}
        found = {key for one in changes if one[0] in olds for key in one[:2]}
        return {k for k in found if any(site.marks[k] for site in state.sites)}

    def _read(self, state: State, label: str):
        for s, site in enumerate(state.sites):
            if state.lows[s] == NEVER:
                low = len(site.log) - site.pending
                yield f"{label}L of {SIDES[s]}", state._replace(lows=set_at(state.lows, s, low))
                return
            if state.rows[s] is None:
                rows = set_at(state.rows, s, site.seen)
                ups = set_at(state.ups, s, len(site.log))
                yield f"rows and U of {SIDES[s]}", state._replace(rows=rows, ups=ups)
                return
        fenced = all(site.tailed >= up for site, up in zip(state.sites, state.ups, strict=True))
        if fenced:
            yield self._decided(state)

    def _decided(self, state: State):
        ended = state._replace(
            claim=(), asked=(), lows=(NEVER,) * 2, rows=(None,) * 2, ups=(NEVER,) * 2
        )
        marks, facts, plan = {}, {}, {}
        horizons = {
            side: Horizon(state.lows[at], max(state.ups[at], state.lows[at]))
            for at, side in enumerate(SIDES)
        }
        for key in state.claim:
            marks[key] = KeyMarks(
                *(SideMarks(m and as_touch(m)) for m in (site.marks[key] for site in state.sites))
            )
            rows = [state.rows[s][key] for s in (0, 1)]
            facts[key] = {
                side: RowFact(None if row is None else str(row))
                for side, row in zip(SIDES, rows, strict=True)
            }
            plan[key] = decide(marks[key], facts[key], horizons, self.policy)
        self._unite(state, plan, marks, facts)
        label = []
        parts: list[list[Item]] = [[], []]
        for key, found in plan.items():
            label.append(f"{key} {found.verdict} {found.winner or ''} {found.rule}".strip())
            if found.verdict is Verdict.EQUAL:
                ended = self._cleared(ended, key, state.lows, absent=state.rows[0][key] is None)
            elif found.verdict is Verdict.COPY:
                target = 1 - SIDES.index(found.winner)
                row, there = state.rows[1 - target][key], state.rows[target][key]
                loser = there or 0 if found.conflict else 0
                parts[target].append(Item(key, there, row, loser))
            elif found.verdict is Verdict.ALARM:
                raise Wrong(f"alarm: key {key}")
        intents = tuple(
            Intent(target, tuple(part), state.lows) for target, part in enumerate(parts) if part
        )
        return f"decides {'; '.join(label)}", ended._replace(intents=intents)

    def _unite(self, state: State, plan: dict, marks: dict, facts: dict) -> None:
        """``Units.decide``."""
        if self.mutant == "each_alone":
            return
        changes = {side: site.changes for side, site in zip(SIDES, state.sites, strict=True)}
        new = {side: [one[1] for one in changes[side] if one[0] == 0] for side in SIDES}
        if any(len(new[side]) != 1 for side in SIDES):
            return
        keys = {side: new[side][0] for side in SIDES}
        if not all(key in plan for key in keys.values()):
            for key in keys.values():
                if key in plan:
                    plan[key] = Decision(verdict=Verdict.LATER)
            return
        halves = {side: Half(plan[key], marks[key], facts[key]) for side, key in keys.items()}
        found = decide_unit(halves, self.policy, ALONE)
        for side, decision in found.items():
            bare = Decision(verdict=decision.verdict, winner=decision.winner)
            plan[keys[side]] = bare if self.mutant == "unit_unlogged" else decision

    def _deliver(self, state: State):
        for at, intent in enumerate(state.intents):
            s = intent.target
            site = state.sites[s]
            rest = state.intents[:at] + state.intents[at + 1 :]
            if intent.found:
                made = state._replace(intents=rest)
                logged = state.logged
                for item in intent.items:
                    made = self._cleared(made, item.key, intent.lower, absent=item.row is None)
                    logged |= item.loser
                yield "finished", made._replace(logged=logged)
                continue
            if site.pending:
                continue  # the rows are locked
            missed = [item for item in intent.items if site.now[item.key] != item.expected]
            if missed and self.mutant != "no_guard":
                yield "guard misses", state._replace(intents=rest)
                continue
            now = site.now
            for item in intent.items:
                now = set_at(now, item.key, item.row)
            event = Event(tuple((item.key, "u") for item in intent.items))
            made = put(state, s, site._replace(now=now, seen=now, log=(*site.log, event)))
            found = set_at(state.intents, at, intent._replace(found=True))
            yield f"{SIDES[s]}: applied", made._replace(intents=found)

    def _cleared(self, state: State, key: int, lower: tuple[int, int], *, absent: bool) -> State:
        for s, site in enumerate(state.sites):
            mark, _ = self.rules.cleared((site.marks[key], None), lower[s], absent=absent)
            changes = tuple(one for one in site.changes if one[1] != key or one[2] > lower[s])
            if self.mutant == "changes_stay":
                changes = site.changes
            state = put(
                state, s, site._replace(marks=set_at(site.marks, key, mark), changes=changes)
            )
        return state

    def _restarted(self, state: State) -> State:
        """Nothing but the ledger is left; the intents are looked up (INV-13)."""
        made = State(state.sites, logged=state.logged, crashes=state.crashes - 1)
        for intent in state.intents:
            if intent.found:
                for item in intent.items:
                    made = self._cleared(made, item.key, intent.lower, absent=item.row is None)
                    made = made._replace(logged=made.logged | item.loser)
        return made

    # What must hold

    def at_rest(self, state: State) -> None:
        """Raise Wrong unless all is well."""
        a, b = state.sites
        if any(a.marks) or any(b.marks) or a.changes or b.changes or state.intents:
            raise Wrong("something waits for ever")
        if a.now != b.now:
            raise Wrong(f"rows differ at rest: {a.now} {b.now}")
        kept, wrote = state.logged, 0
        for row in a.now:
            kept |= row or 0
        for event in (*a.log, *b.log):
            wrote |= event.bit
        if wrote & ~kept:
            raise Wrong(f"writes {wrote & ~kept:b} are nowhere")
        if not any(a.now):
            raise Wrong("the row is gone")


RUNS = (
    Rekey(batch=1),
    Rekey(crashes=2),
    Rekey(steps=("rw", "r")),
    Rekey("prefer:b", ("wr", "rw"), crashes=0),
    Rekey("prefer:b", ("wr", "wr"), crashes=0, batch=1),
    Rekey("prefer:a", ("w", "rw")),
    Rekey("prefer:b", ("rw", "w")),
    Rekey("delete_wins then prefer:b", ("rw", "rw"), crashes=0, batch=2),
)
"""What must pass."""

MUTANTS = {
    "unit_unlogged": "what loses as a unit has no entry",
    "changes_stay": "changes of keys are kept when their marks are settled",
    "no_guard": "the rows are not compared before they are overwritten",
}
"""What must be noticed."""


def mutants() -> list[Rekey]:
    """One run per mistake."""
    return [Rekey(steps=("rw", "rw"), crashes=0, mutant=name) for name in MUTANTS]


def put(state: State, s: int, site: Site) -> State:
    """The state with one site replaced."""
    return state._replace(sites=set_at(state.sites, s, site))


def explore(config: Rekey, most: int = 2_000_000) -> Found:
    """Explore every interleaving, breadth first; ends at the first thing that is wrong."""
    model = Model(config)
    before: dict[State, tuple[State, str] | None] = {model.start: None}
    queue = deque([model.start])
    met: set[str] = set()
    while queue:
        state = queue.popleft()
        try:
            ways = list(model.steps(state))
            if not [way for way in ways if way[0] != "kill -9"]:
                model.at_rest(state)
        except Wrong as wrong:
            return Found(len(before), met, str(wrong), way_to(before, state))
        for label, made in ways:
            met.add(label)
            if made not in before:
                before[made] = state, label
                queue.append(made)
        if len(before) > most:
            raise RuntimeError(f"{config}: more than {most} states")
    return Found(len(before), met)
