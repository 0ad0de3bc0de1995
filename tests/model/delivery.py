"""Steps of a delivery: intent, guard, write, look up, clear (INV-8 to INV-11, INV-14)."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.rules import Rules
from tests.model.servers import Servers, begun
from tests.model.state import (
    ABSENT,
    SIDES,
    Config,
    Cycle,
    Item,
    Site,
    State,
    Step,
    content,
    put,
    row_name,
)

IDLE = Cycle()
CHUNK_TURN = Cycle("chunk")


class Delivering:
    """``Delivery`` of the product, both targets at the same time."""

    def __init__(self, config: Config) -> None:
        """Take the bounds; the mutant is part of them."""
        self.config, self.mutant = config, config.mutant
        self.rules = Rules(config)
        self.servers = Servers(config, self.rules)
        self.gtids = config.variant == "mysql"
        self.every = (1 << config.keys) - 1

    def _deliver(self, state: State, s: int) -> Iterator[Step]:
        """``Delivery.deliver`` of one target; the other target's goes on at the same time."""
        intent = state.ledger.intents[s]
        if intent is None:
            return
        site, side = state[s], SIDES[s]
        if intent.stage == "unknown":
            if self.mutant == "unknown_is_dropped":
                yield self._drop(state, s, f"the batch at {side} is taken as not applied")
            elif site.own is None:
                yield self._settled(state, s, "the batch is looked up at")
            return
        if site.own is not None:
            return
        if site.marker[0]:
            label = f"apply at {side} acknowledged, marks <= L of what it wrote cleared"
            yield self._finish(state, s, site.marker[1], label)
            return
        unlocked = self.mutant == "guard_without_lock" and intent.stage == "send"
        if unlocked and all(content(site.seen[i.key]) == content(i.expected) for i in intent.items):
            passed = intent._replace(stage="passed")
            ledger = state.ledger._replace(intents=put(state.ledger.intents, s, passed))
            label = f"{side}: the guard reads without locks and passes"
            yield Step(label, "reconciler", state._replace(ledger=ledger))
            return
        if any(site.lock[item.key] for item in intent.items):
            return
        missed = (
            [] if intent.stage == "passed" else [i for i in intent.items if self._misses(i, site)]
        )
        if missed:
            label = f"{side}: guard misses {', '.join(row_name(site.now[i.key]) for i in missed)}"
            yield self._drop(state, s, label + ": rolled back, intent dropped")
        chosen = [item for item in intent.items if item not in missed]
        if chosen:
            yield self._begin(state, s, chosen, missed)

    def _misses(self, item: Item, site: Site) -> bool:
        if self.mutant == "no_guard":
            return False
        if self.mutant == "upsert_absent" and content(item.expected) == ABSENT:
            return False
        return content(site.now[item.key]) != content(item.expected)

    def _begin(self, state: State, s: int, chosen: list[Item], missed: list[Item]) -> Step:
        site, rest, lost = begun(state[s], chosen, state.rest, attached=True)
        rows = ", ".join(row_name(item.meant) for item in chosen)
        label = f"{SIDES[s]}: apply locks, guard passes, writes {rows}"
        if missed:
            label += f"; leaves key {missed[0].key} out"
        made = state._replace(**{"ab"[s]: site})._replace(rest=rest)
        return Step(label, "reconciler", made, lost and ("P4", lost))

    def _finish(self, state: State, s: int, written: int, label: str) -> Step:
        """``Ledger.finish``."""
        intent = state.ledger.intents[s]
        assert intent is not None
        sites = [state.a, state.b]
        logged, held = list(state.rest.logged), list(state.ledger.held)
        for item in intent.items:
            if not written >> item.key & 1 and self.mutant != "target_as_one":
                continue
            absent = content(item.meant) == ABSENT
            for t in (0, 1):
                cut = self.rules.cleared(sites[t].marks[item.key], intent.lower[t], absent=absent)
                sites[t] = sites[t]._replace(marks=put(sites[t].marks, item.key, cut))
            held[item.key] = None
            if item.loser > 0:
                logged[item.key] |= item.loser
        sites[s] = sites[s]._replace(marker=(False, 0))
        ledger = state.ledger._replace(intents=put(state.ledger.intents, s, None), held=tuple(held))
        rest = state.rest._replace(logged=tuple(logged))
        made = state._replace(a=sites[0], b=sites[1], ledger=ledger, rest=rest)
        return Step(f"reconciler: {label}", "reconciler", self._delivered(made))

    def _drop(self, state: State, s: int, label: str) -> Step:
        """``Ledger.drop``."""
        intent = state.ledger.intents[s]
        assert intent is not None
        wrong = None
        if self.mutant == "logged_at_decision" and any(item.loser > 0 for item in intent.items):
            wrong = ("P5", "the journal names a loser, but nothing was overwritten")
        ledger = state.ledger._replace(intents=put(state.ledger.intents, s, None))
        made = state._replace(ledger=ledger, **{"ab"[s]: forgotten(state[s])})
        return Step(f"reconciler: {label}", "reconciler", self._delivered(made), wrong)

    def _delivered(self, state: State) -> State:
        if state.cycle.pc != "deliver" or any(state.ledger.intents):
            return state
        return state._replace(cycle=self._end(state))

    def _settled(self, state: State, s: int, label: str) -> Step:
        site = state[s]
        if site.marker[0] and site.marker[1]:
            return self._finish(state, s, site.marker[1], f"{label} {SIDES[s]}: found, cleared")
        return self._drop(state, s, f"{label} {SIDES[s]}: not there, intent dropped")

    @staticmethod
    def _end(state: State) -> Cycle:
        """A chunk has its turn after a batch of keys."""
        return CHUNK_TURN if state.a.span or state.b.span else IDLE


def forgotten(site: Site) -> Site:
    """The target, once its intent is dropped: if the batch is or will be there, the ledger does not know it."""
    if site.own is not None:
        stage, written, _, number = site.own
        log = site.log
        if number:
            log = put(log, number - 1, (*log[number - 1][:2], False, log[number - 1][3]))
        return site._replace(own=(stage, written, False, number), log=log)
    if site.marker[0]:
        log = site.log
        for at in range(len(log) - 1, site.tailed - 1, -1):
            if log[at][0] < 0:
                log = put(log, at, (*log[at][:2], False, log[at][3]))
                break
        return site._replace(marker=(False, 0), log=log)
    return site._replace(marker=(False, 0))
