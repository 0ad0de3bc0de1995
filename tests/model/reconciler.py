"""Steps of the reconciler: read, fence, decide (INV-3 to INV-7), and all steps put together."""

from __future__ import annotations

from collections.abc import Iterator

from syncer.core import families
from tests.model.delivery import IDLE
from tests.model.faults import Faulty
from tests.model.state import (
    ABSENT,
    SIDES,
    Cycle,
    Intent,
    Item,
    Site,
    State,
    Step,
    content,
    history,
    normal,
    ones,
    put,
    row_name,
)

NEVER = -1


class Protocol(Faulty):
    """All successors of a state."""

    def steps(self, state: State) -> list[Step]:
        """Every step that can be taken next; states come out normal."""
        found = [*self.servers.steps(state), *self._faults(state), *self._reconciler(state)]
        for step in found:
            step.state = normal(step.state, masks=self.gtids)
        return found

    def _reconciler(self, state: State) -> Iterator[Step]:
        pc = state.cycle.pc
        if pc in {"idle", "chunk"}:
            yield from self._claim(state)
        elif pc == "read":
            yield from self._read(state)
        elif pc == "fence":
            if self.mutant == "no_fence" or all(
                state[s].tailed >= state.cycle.reads[s][1] for s in (0, 1)
            ):
                yield from self._decide(state)
        elif pc == "planned":
            yield self._carry_out(state, state.cycle.plan, "the plan is carried out")
        elif pc == "deliver":
            for s in (1, 0):
                yield from self._deliver(state, s)
        elif pc in {"raise0", "raise1", "settle"}:
            yield from self._restart(state)

    # Reading

    def _claim(self, state: State) -> Iterator[Step]:
        """``Reconciler.step``: the keys that are due, then a chunk of a span."""
        due = 0
        for key in range(self.config.keys):
            marked = any(state[s].marks[key] != (None, None) for s in (0, 1))
            if marked and state.ledger.held[key] is None:
                due |= 1 << key
        span = any(state[s].span for s in (0, 1))
        kinds: list[tuple[str, int]] = []
        if due and state.cycle.pc == "idle":
            plain = "locked" if self.config.variant == "lock" else "keys"
            kinds.append((plain, due))
            if self.config.locking:
                kinds += [("locked", m) for m in range(1, due + 1) if m & due == m]
        elif span:
            kinds.append(("chunk", self.every))
        for kind, claim in kinds:
            cycle = Cycle("read", kind, claim)
            yield from self._read(state._replace(cycle=cycle), first=True)

    def _read(self, state: State, *, first: bool = False) -> Iterator[Step]:
        """
        One step of the reads: A's, then B's (steps at different sites commute).

        Claiming has no step of its own: nothing that the reads do depends on marks.
        """
        cycle = state.cycle
        s = 0 if cycle.reads[0][1] < 0 or cycle.reads[0][2] is None or cycle.reads[0][0] < 0 else 1
        site, side = state[s], SIDES[s]
        low, up, rows = cycle.reads[s]
        what = {"keys": "rows", "locked": "rows, locked,", "chunk": "chunk"}[cycle.kind]
        made: tuple
        if cycle.kind == "locked":
            if any(n and cycle.claim >> k & 1 for k, n in enumerate(site.lock)):
                return
            end = len(site.log)
            made = (((1 << end) - 1) if self.gtids else end, end, site.now)
            label = f"reconciler: {what} of {side} read with the binlog's end{self._shown(site.now, cycle)}"
        elif self.gtids:
            order = "rlu" if self.mutant == "low_after_rows" else "lru"
            at = order[sum((low >= 0, up >= 0, rows is not None))]
            if at == "l":
                mask = site.executed
                if self.mutant == "low_is_binlog_end":
                    mask = (1 << len(site.log)) - 1
                made, label = (mask, up, rows), f"reconciler: L of {side} read"
            elif at == "r":
                made = (low, up, site.seen)
                label = f"reconciler: {what} of {side} read{self._shown(site.seen, cycle)}"
                if self.mutant == "no_fence":
                    made = (low, site.tailed, site.seen)
            else:
                made, label = (low, len(site.log), rows), f"reconciler: U of {side} read"
        else:
            coordinate = ones(site.visible)
            if self.mutant == "low_after_rows":
                if rows is None:
                    made = (low, up, site.seen)
                    label = f"reconciler: {what} of {side} read{self._shown(site.seen, cycle)}"
                else:
                    made = (coordinate, coordinate, rows)
                    label = f"reconciler: coordinate of {side} read after the rows"
            elif low < 0:
                lower = (
                    len(site.log)
                    if self.mutant in {"low_is_binlog_end", "xa_prepare"}
                    else coordinate
                )
                made = (lower, up, rows)
                label = f"reconciler: end of what is committed on {side} read"
            else:
                made = (low, len(site.log), site.seen)
                shown = self._shown(site.seen, cycle)
                label = f"reconciler: snapshot of {what} of {side} with the binlog's end{shown}"
        reads = put(cycle.reads, s, made)
        whole = all(r[0] >= 0 and r[1] >= 0 and r[2] is not None for r in reads)
        cycle = cycle._replace(pc="fence" if whole else "read", reads=reads)
        yield Step(label, "reconciler", state._replace(cycle=cycle))

    def _shown(self, rows: tuple[int, ...], cycle: Cycle) -> str:
        names = [row_name(row) for k, row in enumerate(rows) if cycle.claim >> k & 1]
        return ": " + ", ".join(names)

    # Deciding

    def _decide(self, state: State) -> Iterator[Step]:
        """
        Marks are read, every key is decided, and the decisions are carried out.

        Where only equal keys are cleared and intents written, this is one step: both go by bounds below every mark that
        a tailer may add in between, so they commute with it. Holds and alarms do not: they have a step of their own.
        """
        cycle = state.cycle
        bounds = []
        sites = []
        for s in (0, 1):
            site = state[s]
            low, up, _ = cycle.reads[s]
            lower, upper, floor, unproven = self.rules.bounds(
                cycle.kind, site.tailed, site.floor, low, up, unproven=site.unproven
            )
            bounds.append((lower, upper))
            sites.append(site._replace(floor=floor, unproven=unproven))
        state = state._replace(a=sites[0], b=sites[1])
        lowers, uppers = tuple(b[0] for b in bounds), tuple(b[1] for b in bounds)
        if cycle.kind == "chunk":
            yield self._narrow(state, lowers, uppers)
            return
        plan: list = []
        wrong = None
        for key in range(self.config.keys):
            if cycle.claim >> key & 1:
                item, bad = self._decide_key(state, key, tuple(bounds))
                plan.append(item)
                wrong = wrong or bad
        if self.mutant == "clear_to_upper":
            lowers = uppers
        full = (lowers, uppers, *plan)
        verdicts = [item[1] for item in plan]
        text = "; ".join(item[4] for item in plan)
        if set(verdicts) & {"hold", "alarm"} and self.mutant != "hold_by_known_marks":
            made = state._replace(cycle=Cycle("planned", cycle.kind, cycle.claim, plan=full))
            yield Step(f"reconciler decides: {text}", "reconciler", made, wrong)
        else:
            step = self._carry_out(state, full, f"decides: {text}")
            step.violation = step.violation or wrong
            yield step

    def _decide_key(self, state: State, key: int, bounds: tuple) -> tuple[tuple, tuple | None]:
        marks = []
        for s in (0, 1):
            exact, inexact = state[s].marks[key]
            if state[s].span is not None:
                inexact = self.rules.fold_inexact(inexact, state[s].span)
            marks.append((exact, inexact))
        rows = tuple(state.cycle.reads[s][2][key] for s in (0, 1))
        answer = self.rules.decide(tuple(marks), tuple(map(content, rows)), bounds)
        verdict, winner = answer.verdict, answer.winner
        wrong = None
        if self.mutant == "no_compare_rows" and verdict == "equal":
            known = [s for s in (0, 1) if marks[s][0] and marks[s][0][0] <= bounds[s][0]]
            if known:
                verdict, winner = "copy", known[0]
        text = f"{verdict} {SIDES[winner] + ' wins' if winner >= 0 else ''}".strip()
        if answer.conflict:
            turned = ", turned round" if answer.path == families.PATH else ""
            text += f", conflict{' (possible)' if answer.possible else ''}{turned}"
            wrong = self._false_conflict(state, key, marks, rows, bounds, answer)
        if verdict == "alarm":
            wrong = (
                "P3",
                f"rows differ, {row_name(rows[0])} and {row_name(rows[1])}, and nobody changed them",
            )
        loser = history(rows[1 - winner]) if answer.conflict and winner >= 0 else NEVER
        name = f"key {key}: {text}" if self.config.keys > 1 else text
        return (key, verdict, winner, loser, name, rows), wrong

    def _false_conflict(self, state, key, marks, rows, bounds, answer):
        """P3, P6 and P7 of one conflict; None where all is well."""
        pasts = [history(row) for row in rows]
        exact = all(m[1] is None for m in marks)
        by_rule = answer.path not in {"direction", families.PATH}
        if by_rule and exact and not state.rest.person and pasts[0] & pasts[1] in pasts:
            return ("P3", f"false conflict: {row_name(rows[0])} against {row_name(rows[1])}")
        w = answer.winner
        if w < 0:
            return None
        changed = [m[0] is not None and m[0][0] <= bounds[s][0] for s, m in enumerate(marks)]
        only_loser_exact = changed[1 - w] and not changed[w]
        if by_rule and only_loser_exact and pasts[w] & pasts[1 - w] == pasts[w] != pasts[1 - w]:
            return ("P6", f"inexact {row_name(rows[w])} beats the later {row_name(rows[1 - w])}")
        if self.config.rule == "newest" and exact and answer.path in {"rule", "tie"}:
            # A mark may already tell of a later write than the row shows: the row follows.
            site = state[w]
            times = [e[3] for e in site.log[: site.tailed] if e[0] == key]
            if max([rows[w] >> 16, *times]) < rows[1 - w] >> 16:
                return (
                    "P7",
                    f"newest: {row_name(rows[w])} beats the newer {row_name(rows[1 - w])}",
                )
        return None

    def _narrow(self, state: State, lowers: tuple, uppers: tuple) -> Step:
        """``ChunkComparer.compare``: equal keys are done, differing ones become inexact marks of their own."""
        spans = [state[s].span for s in (0, 1)]
        cycle = IDLE
        if any(span is not None and span[1] > lowers[s] for s, span in enumerate(spans)):
            made = state._replace(cycle=cycle)
            return Step("reconciler: the span reaches beyond L, read again", "reconciler", made)
        reads = state.cycle.reads
        differing = [
            k for k in range(self.config.keys) if content(reads[0][2][k]) != content(reads[1][2][k])
        ]
        if self.mutant != "chunk_no_ambiguity" and any(
            touch is not None and touch[0] <= uppers[s] and lowers[s] < touch[1]
            for s in (0, 1)
            for k, (touch, *_) in enumerate(state[s].marks)
            if k not in differing
        ):
            label = "reconciler: a change may be in the chunk, read again"
            return Step(label, "reconciler", state._replace(cycle=cycle))
        held = list(state.ledger.held)
        sites = []
        for s in (0, 1):
            marks, span = list(state[s].marks), spans[s]
            if span is not None:
                for k in differing:
                    marks[k] = (marks[k][0], self.rules.fold_inexact(marks[k][1], span))
                    held[k] = None
            sites.append(state[s]._replace(marks=tuple(marks), span=None))
        state = state._replace(
            a=sites[0], b=sites[1], cycle=cycle, ledger=state.ledger._replace(held=tuple(held))
        )
        for k in range(self.config.keys):
            if k not in differing:
                decided = held[k] is None and self.mutant != "chunk_keeps_marks"
                # What an exact mark tells of is not settled while it stays: the other side has not seen it.
                settled = [
                    decided or m[0] is None or m[0][0] > lowers[s]
                    for s, m in enumerate(site.marks[k] for site in sites)
                ]
                state = joined(state, k, reads[0][2][k], reads[1][2][k], settled)
                if decided:
                    state = self._without_marks(state, k, lowers)
        label = f"reconciler: chunk compared, {len(differing)} keys differ, span done"
        return Step(label, "reconciler", state)

    def _without_marks(self, state: State, key: int, lowers: tuple) -> State:
        """``Spans.settled_keys``: what both sides have of a key in an equal chunk is decided (INV-6), as by the key itself."""
        marks = [site.marks[key] for site in (state.a, state.b)]
        if any(m is not None and m[1] <= lowers[s] for s in (0, 1) for m in marks[s]):
            for s in (0, 1):
                cut = self.rules.cleared(marks[s], lowers[s], absent=False)
                site = state[s]._replace(marks=put(state[s].marks, key, cut))
                state = state._replace(**{"ab"[s]: site})
        return state

    def _carry_out(self, state: State, plan: tuple, label: str) -> Step:
        """``Reconciler._carry_out``: clear, hold, alarm, and one intent per target."""
        lowers, uppers, *items = plan
        sites = [state.a, state.b]
        held = list(state.ledger.held)
        intents: list = [[], []]
        logged = list(state.rest.logged)
        wrong = None
        again = state
        for key, verdict, winner, loser, _, rows in items:
            if verdict == "equal":
                absent = content(rows[0]) == ABSENT
                for s in (0, 1):
                    cut = self.rules.cleared(sites[s].marks[key], lowers[s], absent=absent)
                    sites[s] = sites[s]._replace(marks=put(sites[s].marks, key, cut))
                held[key] = None
            elif verdict == "hold":
                if self._may_hold(sites, key, lowers):
                    held[key] = (content(rows[0]), content(rows[1]))
            elif verdict == "alarm":
                for s in (0, 1):
                    exact, old = sites[s].marks[key]
                    new = self.rules.fold_inexact(old, (uppers[s], uppers[s], None))
                    sites[s] = sites[s]._replace(marks=put(sites[s].marks, key, (exact, new)))
                held[key] = None
            elif verdict == "copy":
                entry = loser
                if self.mutant == "logged_at_decision" and loser > 0:
                    logged[key] |= loser
                intents[1 - winner].append(Item(key, rows[1 - winner], rows[winner], entry))
        again = state._replace(a=sites[0], b=sites[1])
        for key, verdict, _, _, _, rows in items:
            if verdict == "equal":
                again = joined(again, key, rows[0], rows[1])
        made = tuple(Intent(tuple(part), lowers) if part else None for part in intents)
        cycle = Cycle("deliver") if any(made) else self._end(again)
        if any(made):
            sites = [again[s]._replace(marker=(False, 0)) if made[s] else again[s] for s in (0, 1)]
            again = again._replace(a=sites[0], b=sites[1])
            targets = " and ".join(SIDES[s] for s in (0, 1) if made[s])
            label += f": intent for {targets} saved"
        ledger = again.ledger._replace(intents=made, held=tuple(held))
        rest = again.rest._replace(logged=tuple(logged))
        again = again._replace(cycle=cycle, ledger=ledger, rest=rest)
        return Step(f"reconciler {label}", "reconciler", again, wrong)

    def _may_hold(self, sites: list[Site], key: int, lowers: tuple) -> bool:
        """A mark above L is of a change that the images held do not show: such a key is not held, but read again."""
        marks = [(s, m) for s in (0, 1) for m in sites[s].marks[key] if m is not None]
        if not marks or self.mutant in {"hold_hides_marks", "hold_by_known_marks"}:
            return bool(marks)
        spans = [(s, sites[s].span) for s in (0, 1) if sites[s].span is not None]
        return all(mark[1] <= lowers[s] for s, mark in marks + spans)


def joined(state: State, key: int, row_a: int, row_b: int, settled=(True, True)) -> State:
    """A ghost: rows found equal have one history from now on, for whoever builds on either; a side's if it is settled."""
    pasts = (history(row_a), history(row_b))
    if pasts[0] == pasts[1]:
        return state

    def grown(row: int, s: int) -> int:
        if not settled[1 - s]:
            return row
        return row | pasts[1 - s] if history(row) & pasts[s] == pasts[s] else row

    for s in (0, 1):
        site = state[s]
        state = state._replace(
            **{
                "ab"[s]: site._replace(
                    seen=put(site.seen, key, grown(site.seen[key], s)),
                    now=put(site.now, key, grown(site.now[key], s)),
                )
            }
        )
    late = state.rest.late
    if late is not None:
        items = tuple(
            i._replace(meant=grown(i.meant, 1 - late[0])) if i.key == key else i for i in late[1]
        )
        state = state._replace(rest=state.rest._replace(late=(late[0], items, late[2])))
    return state
