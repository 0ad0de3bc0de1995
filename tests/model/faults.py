"""Faults and what follows: kill -9, a lost connection, the restart (INV-13, INV-14)."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.delivery import IDLE, Delivering, forgotten
from tests.model.servers import intent_keys
from tests.model.state import SIDES, Cycle, State, Step, ones, put


class Faulty(Delivering):
    """A syncer that can be killed or cut off between any two steps."""

    def _faults(self, state: State) -> Iterator[Step]:
        if not state.rest.faults:
            return
        yield from self._cut_connection(state)
        if state.cycle.pc in {"idle", "chunk"} and all(
            site.memory < 0 and site.tailed <= ones(site.executed & site.visible)
            for site in (state.a, state.b)
        ):
            return  # nothing is in memory
        rest = state.rest._replace(faults=state.rest.faults - 1)
        sites = []
        for site in (state.a, state.b):
            unproven = self.mutant != "restart_proves"
            sites.append(site._replace(memory=-1, floor=site.tailed, unproven=unproven))
        crashed = state._replace(a=sites[0], b=sites[1], rest=rest)
        lates = [rest.late]
        if self.config.late and state.cycle.pc == "deliver":
            for s, intent in enumerate(state.ledger.intents):
                if (
                    intent
                    and intent.stage == "send"
                    and not state[s].own
                    and not state[s].marker[0]
                ):
                    lates.append((s, intent.items, True))
        for late in lates:
            label = "kill -9" + (
                "" if late is rest.late else f"; its apply at {SIDES[late[0]]} may still arrive"
            )
            made = crashed._replace(rest=rest._replace(late=late))
            if self.mutant == "no_intent" and any(state.ledger.intents):
                sites = [forgotten(site) for site in (made.a, made.b)]
                made = made._replace(
                    a=sites[0],
                    b=sites[1],
                    ledger=made.ledger._replace(intents=(None, None)),
                    rest=made.rest._replace(late=late and (*late[:2], False)),
                )
            open_ = any(made.ledger.intents) or made.rest.late or made.a.own or made.b.own
            made = made._replace(cycle=Cycle("raise0") if open_ else IDLE)
            yield Step(label, "fault", made)

    def _cut_connection(self, state: State) -> Iterator[Step]:
        """The target's connection is lost: before COMMIT was sent, or its answer is."""
        if state.cycle.pc != "deliver":
            return
        rest = state.rest._replace(faults=state.rest.faults - 1)
        for s, intent in enumerate(state.ledger.intents):
            site = state[s]
            if intent is None or intent.stage == "unknown" or not (site.own or site.marker[0]):
                continue
            unknown = intent._replace(stage="unknown")
            ledger = state.ledger._replace(intents=put(state.ledger.intents, s, unknown))
            made = state._replace(ledger=ledger, rest=rest)
            yield Step(f"{SIDES[s]}: the answer to COMMIT is lost", "fault", made)
            if site.own and site.own[0] == "locked":
                step = self._drop(
                    state._replace(rest=rest),
                    s,
                    "connection lost before COMMIT was sent, intent dropped",
                )
                doomed = step.state[s]._replace(own=("doomed", *site.own[1:]))
                step.state, step.actor = step.state._replace(**{"ab"[s]: doomed}), "fault"
                yield step

    def _restart(self, state: State) -> Iterator[Step]:
        """``raise_epochs`` at A, at B, then ``settle`` (INV-13)."""
        pc = state.cycle.pc
        if pc == "settle":
            yield from self._settle(state)
            return
        s = int(pc[-1])
        site, side = state[s], SIDES[s]
        if site.own is not None and self.mutant != "restart_does_not_wait":
            return  # the marker row is locked
        rest = state.rest
        if rest.late is not None and rest.late[0] == s and self.mutant != "no_epoch":
            rest = rest._replace(late=None)
        written = site.marker[1] if site.marker[0] else None
        if self.mutant == "raise_repeats_batch" and written:
            number = len(site.log) + 1
            site = site._replace(
                log=(*site.log, (-1, written, True, written)),
                visible=site.visible | 1 << number - 1,
                executed=site.executed | 1 << number - 1,
            )
        if self.mutant == "raise_forgets_batch":
            site = site._replace(marker=(False, 0))
        cycle = state.cycle._replace(
            pc="raise1" if s == 0 else "settle", found=put(state.cycle.found, s, written)
        )
        made = state._replace(cycle=cycle, rest=rest, **{"ab"[s]: site})
        yield Step(f"restart: epoch raised at {side}, its marker row read", "reconciler", made)

    def _settle(self, state: State) -> Iterator[Step]:
        found = state.cycle.found
        if self.mutant == "batch_lumped" and any(found):
            found = tuple(self.every if i else None for i in state.ledger.intents)
        violation = None
        state = state._replace(cycle=IDLE)
        texts = []
        for s, intent in enumerate(state.ledger.intents):
            if intent is None:
                continue
            written = found[s]
            if self.mutant == "taken_as_dropped":
                written = None
            if self.mutant == "taken_as_applied":
                written = intent_keys(intent)
            if written:
                step = self._finish(state, s, written, "")
                texts.append(f"batch found at {SIDES[s]}, finished")
            else:
                step = self._drop(state, s, "")
                texts.append(f"batch not found at {SIDES[s]}, intent dropped")
            state, violation = step.state, violation or step.violation
        late = state.rest.late
        if late is not None:
            state = state._replace(rest=state.rest._replace(late=(*late[:2], False)))
        yield Step(f"restart: {'; '.join(texts) or 'no intent'}", "reconciler", state, violation)
