"""
Breadth first through every state within bounds, so that the first violation is also a shortest one.

P4 and the rules of one decision (P3, P5, P6, P7) are seen on steps; P1 and P2 where nothing can move but users and faults;
livelock is a cycle without users and faults that is weakly fair to every actor.
"""

from __future__ import annotations

import itertools
import sys
import time
from array import array
from dataclasses import dataclass, field

from tests.model.reconciler import Protocol
from tests.model.state import Config, State, bit_names, content, history, initial, row_name

OUTSIDE = {"user", "fault"}
PART_BITS = 26
PART_MASK = (1 << PART_BITS) - 1
FIRST_ROWS = {"onlya": 8, "differ": 136}
"""The rows that were there before the first write, as bits of a history."""


@dataclass
class Result:
    """
    What a run found.

    Attributes:
        violations: property to (text, trace).
        ends: states at rest.
        met: labels of the steps taken.
    """

    config: Config
    states: int = 0
    steps: int = 0
    seconds: float = 0.0
    complete: bool = True
    ends: int = 0
    violations: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    met: set[str] = field(default_factory=set)

    def verdict(self, name: str) -> str:
        """``ok``, ``ok*`` where the run was cut short, or the length of the shortest counterexample."""
        if name in self.violations:
            return str(len(self.violations[name][1]))
        return "ok" if self.complete else "ok*"

    @property
    def shortest(self) -> tuple[str, str, list[str]] | None:
        """The shortest counterexample: property, text, trace."""
        if not self.violations:
            return None
        name = min(self.violations, key=lambda p: (len(self.violations[p][1]), p))
        return (name, *self.violations[name])


class Explorer:
    """One run."""

    def __init__(self, config: Config) -> None:
        """Prepare; nothing is explored yet."""
        self.config = config
        self.protocol = Protocol(config)
        self.result = Result(config)
        self._number: dict = {}
        self._parts: list = []
        self._seen: dict[int, int] = {}
        self._order: list[int] = []
        self._parent = array("i")
        self._label = array("i")
        self._labels: dict[str, int] = {}
        self._names: list[str] = []
        self._inner = (array("i"), array("i"), array("b"))
        self._actors: dict[str, int] = {}

    def run(self) -> Result:
        """Explore and return what was found."""
        began = time.process_time()
        result, config = self.result, self.config
        for state in initial(config):
            self._add(self._pack(state), -1, -1)
        at = 0
        while at < len(self._order):
            self._expand(at)
            at += 1
            if config.stop and result.violations:
                result.complete = False
                break
            if len(self._order) > config.most:
                result.complete = False
                break
        result.states = len(self._order)
        result.met = set(self._names)
        if result.complete and "P1" not in result.violations:
            self._look_for_livelock()
        result.seconds = time.process_time() - began
        return result

    def _pack(self, state: State, before: State | None = None, as_packed: int = 0) -> int:
        """Give the number of *state*; parts that it shares with the state *before* keep theirs."""
        packed = 0
        for at, part in enumerate(state):
            if before is not None and part is before[at]:
                packed = packed << PART_BITS | as_packed >> PART_BITS * (4 - at) & PART_MASK
                continue
            number = self._number.get(part)
            if number is None:
                number = self._number[part] = len(self._parts)
                self._parts.append(part)
            packed = packed << PART_BITS | number
        return packed

    def _unpack(self, packed: int) -> State:
        return State(*(self._parts[packed >> PART_BITS * at & PART_MASK] for at in (4, 3, 2, 1, 0)))

    def _add(self, packed: int, parent: int, label: int) -> int:
        at = self._seen[packed] = len(self._order)
        self._order.append(packed)
        self._parent.append(parent)
        self._label.append(label)
        return at

    def _expand(self, at: int) -> None:
        before = self._order[at]
        state = self._unpack(before)
        moved = False
        sources, targets, actors = self._inner
        for step in self.protocol.steps(state):
            packed = self._pack(step.state, state, before)
            to = self._seen.get(packed)
            if to is None:
                label = self._labels.get(step.label)
                if label is None:
                    label = self._labels[step.label] = len(self._names)
                    self._names.append(step.label)
                to = self._add(packed, at, label)
            self.result.steps += 1
            if step.violation is not None:
                self._report(*step.violation, [*self._trace(at), step.label])
            if step.actor not in OUTSIDE:
                moved = True
                sources.append(at)
                targets.append(to)
                actors.append(self._actors.setdefault(step.actor, len(self._actors)))
        if not moved:
            self.result.ends += 1
            for name, text in at_rest(state, self.config):
                self._report(name, text, self._trace(at))

    def _report(self, name: str, text: str, trace: list[str]) -> None:
        if name in self.config.properties and name not in self.result.violations:
            self.result.violations[name] = (text, trace)

    def _trace(self, at: int) -> list[str]:
        found = []
        while at >= 0 and self._label[at] >= 0:
            found.append(self._names[self._label[at]])
            at = self._parent[at]
        return found[::-1]

    # Livelock

    def _look_for_livelock(self) -> None:
        sources, targets, actors = self._inner
        count = len(self._order)
        start = array("i", bytes(4 * (count + 1)))
        for a in sources:
            start[a + 1] += 1
        for at in range(count):
            start[at + 1] += start[at]
        # Steps were added state by state, so they are sorted by source.
        core = self._trimmed(start)
        for component in self._components(core, start):
            taken: set[int] = set()
            always: set[int] | None = None
            for a in component:
                can = set()
                for edge in range(start[a], start[a + 1]):
                    can.add(actors[edge])
                    if targets[edge] in component:
                        taken.add(actors[edge])
                always = can if always is None else always & can
            if (always or set()) <= taken:
                first = min(component)
                loop = self._loop(first, component, start)
                trace = [*self._trace(first), "-- from here round and round:", *loop]
                self._report("P1", f"livelock, a loop of {len(loop)} steps", trace)
                return

    def _trimmed(self, start: array) -> bytearray:
        """States that may lie on a cycle: the others go, sources first."""
        _, targets, _ = self._inner
        count = len(self._order)
        incoming = array("i", bytes(4 * count))
        for b in targets:
            incoming[b] += 1
        alive = bytearray(b"\1") * count
        stack = [at for at in range(count) if not incoming[at]]
        while stack:
            a = stack.pop()
            alive[a] = 0
            for edge in range(start[a], start[a + 1]):
                b = targets[edge]
                incoming[b] -= 1
                if not incoming[b]:
                    stack.append(b)
        return alive

    def _components(self, alive: bytearray, start: array):
        """Strongly connected components with a cycle, by Tarjan's algorithm without recursion."""
        _, targets, _ = self._inner
        index: dict[int, int] = {}
        low: dict[int, int] = {}
        on_stack: set[int] = set()
        stack: list[int] = []
        for root in (at for at in range(len(alive)) if alive[at]):
            if root in index:
                continue
            work = [(root, start[root])]
            index[root] = low[root] = len(index)
            stack.append(root)
            on_stack.add(root)
            while work:
                a, edge = work.pop()
                deeper = False
                while edge < start[a + 1]:
                    b = targets[edge]
                    edge += 1
                    if not alive[b]:
                        continue
                    if b not in index:
                        work += [(a, edge), (b, start[b])]
                        index[b] = low[b] = len(index)
                        stack.append(b)
                        on_stack.add(b)
                        deeper = True
                        break
                    if b in on_stack:
                        low[a] = min(low[a], index[b])
                if deeper:
                    continue
                if work:
                    above = work[-1][0]
                    low[above] = min(low[above], low[a])
                if low[a] == index[a]:
                    component = set()
                    while True:
                        b = stack.pop()
                        on_stack.discard(b)
                        component.add(b)
                        if b == a:
                            break
                    loops = a in targets[start[a] : start[a + 1]]
                    if len(component) > 1 or loops:
                        yield component

    def _loop(self, first: int, component: set[int], start: array) -> list[str]:
        """Some way round, for people."""
        _, targets, _ = self._inner
        before: dict[int, int] = {}
        queue = [first]
        last = None
        for a in queue:
            for edge in range(start[a], start[a + 1]):
                b = targets[edge]
                if b == first:
                    last = a
                    break
                if b in component and b not in before:
                    before[b] = a
                    queue.append(b)
            if last is not None:
                break
        path = [first]
        at = last
        while at is not None and at != first:
            path.append(at)
            at = before[at]
        path.append(first)
        path.reverse()
        return [self._step_between(a, b) for a, b in itertools.pairwise(path)]

    def _step_between(self, a: int, b: int) -> str:
        for step in self.protocol.steps(self._unpack(self._order[a])):
            if self._seen.get(self._pack(step.state)) == b:
                return step.label
        return "?"


def at_rest(state: State, config: Config):
    """Nothing can move but users and faults: the ledger is empty, the rows are equal, every write is accounted for."""
    sites = (state.a, state.b)
    marked = any(m != (None, None) for site in sites for m in site.marks)
    if marked or any(state.ledger.intents) or any(site.span for site in sites):
        held = any(state.ledger.held)
        what = "a key is held although its rows are equal" if held else "the ledger is not empty"
        yield "P1", f"stuck: nothing can move but {what}"
        return
    for key in range(config.keys):
        rows = [site.seen[key] for site in sites]
        equal = content(rows[0]) == content(rows[1])
        if not equal:
            yield "P1", f"at rest, but {row_name(rows[0])} and {row_name(rows[1])} differ"
        issued = sum(((1 << site.done[key]) - 1) << 4 * s for s, site in enumerate(sites))
        issued |= FIRST_ROWS.get(config.start[0], 0)
        have = history(rows[0] | rows[1]) if equal else history(rows[0] & rows[1])
        rest = state.rest
        lost = issued & ~have & ~rest.logged[key] & ~rest.undone[key] & ~rest.nothing[key]
        if lost:
            yield (
                "P2",
                f"{bit_names(lost)} silently lost, at rest {row_name(rows[0])}, {row_name(rows[1])}",
            )


def explore(config: Config) -> Result:
    """Explore one configuration."""
    return Explorer(config).run()


def show(result: Result, *, traces: bool, out=None) -> None:
    """Print a run."""
    out = out or sys.stdout
    verdicts = " ".join(f"{p}={result.verdict(p)}" for p in sorted(result.config.properties))
    print(
        f"{result.config!s:76} {verdicts} states={result.states} ends={result.ends} {result.seconds:.1f}s"
        + ("" if result.complete or result.config.stop else " [bounded]"),
        file=out,
        flush=True,
    )
    for name in sorted(result.violations):
        text, trace = result.violations[name]
        print(f"    {name}: {text}", file=out)
        for number, line in enumerate(trace if traces else (), 1):
            print(f"      {number:2}. {line}", file=out)
