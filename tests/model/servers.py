"""Steps of users, servers and tailers: whatever happens without the reconciler."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.rules import Rules
from tests.model.state import (
    ABSENT,
    SAME,
    SIDES,
    Config,
    Site,
    State,
    Step,
    bit_names,
    content,
    history,
    make,
    put,
    row_name,
)

TIMES = {"mysql": (1, 2), "mariadb": (1_000_000, 3_000_000)}
"""Commit times for the rule newest: microseconds there, whole seconds here (closer than a second is a tie)."""


class Servers:
    """Successors that need no reconciler."""

    def __init__(self, config: Config, rules: Rules) -> None:
        """Take the bounds and the product's rules."""
        self.config, self.rules, self.mutant = config, rules, config.mutant
        self.gtids = config.variant == "mysql"
        newest = config.rule == "newest"
        self.times = TIMES.get(config.variant, TIMES["mysql"]) if newest else (0,)
        self._known: dict[tuple, list[tuple]] = {}

    def steps(self, state: State) -> Iterator[Step]:
        """All of them."""
        for s in (0, 1):
            yield from self._alone(state, s)
            if state[s].own is not None:
                yield from self._own(state, s)
        yield from self._late(state)
        yield from self._human(state)

    def _alone(self, state: State, s: int) -> Iterator[Step]:
        """
        What users, commits and the tailer of one side do.

        They look at their site, at the keys that are held and at the writes of nothing, and change no more. The same site is
        met in many states, so answers are kept.
        """
        site, ledger, rest = state[s], state.ledger, state.rest
        asked = (s, site, ledger.held, rest.nothing)
        known = self._known.get(asked)
        if known is None:
            known = self._known[asked] = [
                (
                    step.label,
                    step.actor,
                    step.state[s],
                    step.state.ledger.held,
                    step.state.rest.nothing,
                )
                for does in (self._users, self._commits, self._tailer)
                for step in does(state, s)
            ]
        for label, actor, made, held, nothing in known:
            after = rest if nothing is rest.nothing else rest._replace(nothing=nothing)
            kept = ledger if held is ledger.held else ledger._replace(held=held)
            sites = (made, state.b) if s == 0 else (state.a, made)
            yield Step(label, actor, State(*sites, state.cycle, kept, after))

    # Users

    def _users(self, state: State, s: int) -> Iterator[Step]:
        """Lock, compute, flush to the binlog: one step, since nobody can look in between."""
        config, site = self.config, state[s]
        for key, limit in enumerate(config.writes[s]):
            if site.lock[key] or site.done[key] >= limit:
                continue
            for kind in config.kinds:
                for time in self.times:
                    if time >= site.clock:
                        yield from self._write(state, s, key, kind, time)

    def _write(self, state: State, s: int, key: int, kind: str, time: int) -> Iterator[Step]:
        site = state[s]
        bit = 4 * s + site.done[key]
        row = site.now[key]
        there = content(row)
        if (there == ABSENT and kind in "dx") or (there == SAME and kind == "z"):
            return
        if there == ABSENT and kind == "s" and self.config.reason == "cascade":
            return  # a parent's change inserts no child
        what = {"d": ABSENT, "x": ABSENT, "z": SAME, "n": there}.get(kind, 1 + bit)
        past = history(row) | (0 if kind == "n" else 1 << bit)
        new = make(what, past, row >> 16 if kind == "n" else time)
        op = "d" if what == ABSENT else "i" if there == ABSENT else "u"
        inexact = kind in "nsx"
        word = {"i": "insert", "u": "update", "d": "delete"}[op]
        if inexact:
            word = (
                f"{'statement that misses the row' if kind == 'n' else 'statement-format ' + word}"
            )
        rest = state.rest
        if kind == "n":
            rest = rest._replace(nothing=put(rest.nothing, key, rest.nothing[key] | 1 << bit))
        name = bit_names(1 << bit)[1:-1] + (f" of key {key}" if self.config.keys > 1 else "")
        when = f" at time {time}" if self.times != (0,) else ""
        if self.config.variant == "exact":
            made = self._logged(site, key, (key, op, inexact, time), new)
            made = made._replace(done=put(site.done, key, site.done[key] + 1), clock=time)
            made = self._visible(made, len(made.log), key)
            label = f"user at {SIDES[s]}: {word} {name}{when}, visible at once"
        else:
            made = self._logged(site, key, (key, op, inexact, time), new)
            made = made._replace(done=put(site.done, key, site.done[key] + 1), clock=time)
            label = f"user at {SIDES[s]}: {word} {name}{when}, flushed, not yet visible"
        yield Step(label, "user", _with(state, s, made)._replace(rest=rest))

    @staticmethod
    def _logged(site: Site, key: int, entry: tuple, row: int) -> Site:
        log = (*site.log, entry)
        return site._replace(
            now=put(site.now, key, row), lock=put(site.lock, key, len(log)), log=log
        )

    def _visible(self, site: Site, number: int, key: int) -> Site:
        seen = site.visible | 1 << number - 1
        return site._replace(
            seen=put(site.seen, key, site.now[key]),
            lock=put(site.lock, key, 0),
            visible=seen,
            executed=site.executed if self.gtids else seen,
        )

    def _human(self, state: State) -> Iterator[Step]:
        """
        Somebody settles a held key by hand: what one side has is written at the other.

        Only when nothing else moves: whoever compares by hand does so at rest. What the key was held for must be what he sees.
        """
        ledger = state.ledger
        for key, held in enumerate(ledger.held):
            if held is None or state.cycle.pc != "idle" or any(ledger.intents):
                continue
            if any(
                site.tailed < len(site.log) or any(site.lock) or site.own or site.span
                for site in (state.a, state.b)
            ):
                continue
            rows = [site.seen[key] for site in (state.a, state.b)]
            if content(rows[0]) == content(rows[1]):
                continue
            wrong = None
            if held != (content(rows[0]), content(rows[1])):
                wrong = ("P1", "the key is held for images that are no longer there")
            for s in (0, 1):
                site, other = state[s], rows[1 - s]
                new = make(content(other), history(rows[s]), site.clock)
                there, what = content(rows[s]), content(other)
                op = "d" if what == ABSENT else "i" if there == ABSENT else "u"
                made = self._logged(site, key, (key, op, False, site.clock), new)
                if self.config.variant == "exact":
                    made = self._visible(made, len(made.log), key)
                label = f"a person makes the held row at {SIDES[s]} what the other side has"
                rest = state.rest._replace(person=True)
                yield Step(label, "human", _with(state, s, made)._replace(rest=rest), wrong)

    # Servers

    def _commits(self, state: State, s: int) -> Iterator[Step]:
        site, side = state[s], SIDES[s]
        in_order = self.config.lag != "gap"
        for key, number in enumerate(site.lock):
            if number <= 0:
                continue
            before = (1 << number - 1) - 1
            if in_order and site.visible & before != before:
                continue
            if self._held_up(site, before):
                continue
            yield Step(
                f"{side}: engine commit, row {row_name(site.now[key])} visible",
                f"visible{side}",
                _with(state, s, self._visible(site, number, key)),
            )
        if self.gtids:
            done = site.executed
            ready = (1 << len(site.log)) - 1 if self.mutant == "xa_prepare" else site.visible
            for at in range(len(site.log)):
                if not done >> at & 1 and ready >> at & 1:
                    made = site._replace(executed=done | 1 << at)
                    label = f"{side}: gtid_executed takes transaction in"
                    yield Step(label, f"executed{side}", _with(state, s, made))
                    if in_order:
                        break
                elif not done >> at & 1 and in_order:
                    break

    def _held_up(self, site: Site, before: int) -> bool:
        """Lag of one group: the groups before are in gtid_executed by now."""
        return self.gtids and self.config.lag == "one" and site.executed & before != before

    def _own(self, state: State, s: int) -> Iterator[Step]:
        """An apply of ours goes on: flush, commit; or the server rolls it back, where its client is gone."""
        site, side = state[s], SIDES[s]
        assert site.own is not None
        stage, written, attached, number = site.own
        actor = f"own{side}"
        intent = state.ledger.intents[s]
        if stage == "locked":
            # It may be committed only while somebody is there, or was there, to send the COMMIT.
            whole = intent_keys(intent) if intent is not None else written
            log = (*site.log, (-1, written, attached, whole))
            made = site._replace(own=("flushed", written, attached, len(log)), log=log)
            if self.config.variant == "exact":
                label = f"{side}: our apply commits, rows and batch id visible"
                yield Step(label, actor, _with(state, s, self._own_visible(made)))
            else:
                yield Step(f"{side}: our apply is flushed", actor, _with(state, s, made))
        if stage in {"locked", "doomed"} and (
            stage == "doomed"
            or state.cycle.pc != "deliver"
            or intent is None
            or intent.stage == "unknown"
        ):
            made = site._replace(
                own=None,
                now=tuple(
                    seen if n < 0 else now
                    for n, seen, now in zip(site.lock, site.seen, site.now, strict=True)
                ),
                lock=tuple(max(n, 0) for n in site.lock),
            )
            label = f"{side}: our apply is rolled back (nobody sent its COMMIT)"
            yield Step(label, actor, _with(state, s, made))
        if stage == "flushed":
            before = (1 << number - 1) - 1
            if self.config.lag != "gap" and site.visible & before != before:
                return
            if self._held_up(site, before):
                return
            label = f"{side}: our apply commits, rows and batch id visible"
            yield Step(label, actor, _with(state, s, self._own_visible(site)))

    def _own_visible(self, site: Site) -> Site:
        assert site.own is not None
        _, written, attached, number = site.own
        own = [n < 0 for n in site.lock]
        seen = site.visible | 1 << number - 1
        executed = seen
        if self.gtids:
            # Lag of one group: the next user transaction waits for it anyway.
            executed = site.executed | (1 << number - 1 if self.config.lag == "one" else 0)
        return site._replace(
            own=None,
            seen=tuple(n if o else r for o, n, r in zip(own, site.now, site.seen, strict=True)),
            lock=tuple(max(n, 0) for n in site.lock),
            visible=seen,
            executed=executed,
            marker=(attached, written),
        )

    def _late(self, state: State) -> Iterator[Step]:
        """What a dead syncer had begun to send arrives."""
        late = state.rest.late
        if late is None:
            return
        s, items, attached = late
        site = state[s]
        rest = state.rest._replace(late=None)
        yield Step(
            f"{SIDES[s]}: a late apply of the dead syncer vanishes",
            "late",
            state._replace(rest=rest),
        )
        if site.own is not None or any(site.lock[item.key] for item in items):
            return
        chosen = [i for i in items if content(site.now[i.key]) == content(i.expected)]
        if len(chosen) < len(items):
            return
        made, rest, _ = begun(site, chosen, rest, attached=attached)
        label = f"{SIDES[s]}: a late apply of the dead syncer passes its guard"
        yield Step(label, "late", _with(state, s, made)._replace(rest=rest))

    # Tailers

    def _tailer(self, state: State, s: int) -> Iterator[Step]:
        site, side = state[s], SIDES[s]
        actor = f"tailer{side}"
        number = (site.memory if site.memory >= 0 else site.tailed) + 1
        if number > len(site.log):
            return
        entry = site.log[number - 1]
        name = f"transaction {number}" if len(site.log) > 1 else "its transaction"
        marked, ledger = self._recorded(state, s, number, entry)
        if self.mutant == "position_first" and entry[0] >= 0:
            if site.memory >= 0:
                made = marked._replace(memory=-1)
                label = f"tailer {side}: mark of {name} saved"
                yield Step(label, actor, _with(state, s, made)._replace(ledger=ledger))
            else:
                made = site._replace(tailed=number, memory=number - 1)
                label = f"tailer {side}: position past {name} saved, its mark not yet"
                yield Step(label, actor, _with(state, s, made))
            return
        if self.mutant == "mark_first" and entry[0] >= 0:
            if site.memory >= 0:
                made = site._replace(tailed=number, memory=-1)
                label = f"tailer {side}: position past {name} saved"
                yield Step(label, actor, _with(state, s, made))
            else:
                made = marked._replace(memory=number - 1)
                label = f"tailer {side}: mark of {name} saved, position not yet"
                yield Step(label, actor, _with(state, s, made)._replace(ledger=ledger))
            return
        if entry[0] >= 0:
            label = f"tailer {side}: mark and position of {name} saved"
        else:
            gone = ", earlier marks erased" if marked.marks != site.marks else ""
            label = f"tailer {side}: our apply met{gone}"
        made = marked._replace(tailed=number)
        yield Step(label, actor, _with(state, s, made)._replace(ledger=ledger))

    def _recorded(self, state: State, s: int, number: int, entry: tuple):
        """``Marks.record`` of one transaction: the site with its marks, the ledger with what it re-opens."""
        site, held = state[s], state.ledger.held
        if entry[0] >= 0:
            key, op, inexact, time = entry
            if inexact:
                span = self.rules.fold_inexact(site.span, (number, number, self.config.reason))
                if self.mutant != "span_keeps_held":
                    held = (None,) * len(held)
                return site._replace(span=span), state.ledger._replace(held=held)
            exact, rest = site.marks[key]
            exact = self.rules.fold(exact, self.rules.touch(number, op, time))
            ledger = state.ledger._replace(held=put(held, key, None))
            return site._replace(marks=put(site.marks, key, (exact, rest))), ledger
        _, written, known, whole = entry
        marks = list(site.marks)
        touched = list(held)
        if self.mutant == "erase_unwritten":
            written = whole
        for key in range(len(marks)):
            if not written >> key & 1:
                continue
            if self.mutant in {"own_marked", "no_compare_rows"} or not known:
                if known:
                    new = self.rules.touch(number, "u", 0)
                    marks[key] = (self.rules.fold(marks[key][0], new), marks[key][1])
                else:
                    joined = self.rules.fold_inexact(marks[key][1], (number, number, None))
                    marks[key] = (marks[key][0], joined)
                touched[key] = None
            elif self.mutant != "no_erase":
                marks[key] = self.rules.cleared(marks[key], number - 1, absent=False)
        site = site._replace(marks=tuple(marks))
        return site, state.ledger._replace(held=tuple(touched))


def intent_keys(intent) -> int:
    """The keys of an intent, a bit each."""
    return sum(1 << item.key for item in intent.items)


def _with(state: State, s: int, site: Site) -> State:
    return state._replace(**{"ab"[s]: site})


def begun(site: Site, items, rest, *, attached: bool):
    """An apply takes its locks, its guard is content, and it writes: (site, rest, text of a lost write or None)."""
    seen, lock, undone = list(site.now), list(site.lock), list(rest.undone)
    mask, wrong = 0, None
    for item in items:
        key, row = item.key, seen[item.key]
        back = 0
        if content(row) == content(item.expected):
            # The user's writes since the read have undone one another: the content is what was read.
            back = history(row) & ~history(item.expected)
        kept = rest.logged[key] | max(item.loser, 0) | undone[key] | back | rest.nothing[key]
        lost = history(row) & ~history(item.meant) & ~kept
        if lost:
            wrong = f"{row_name(item.meant)} overwrites {row_name(row)}: {bit_names(lost)} lost without an entry"
        undone[key] |= back
        seen[key], lock[key] = item.meant, -1
        mask |= 1 << key
    made = site._replace(
        now=tuple(seen), lock=tuple(lock), own=("locked", mask, attached, 0), marker=(False, 0)
    )
    return made, rest._replace(undone=tuple(undone)), wrong
