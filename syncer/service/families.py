"""
Families: rows that are refused for the sake of each other, and what ``on_fk`` makes of them (``core/families.py``).

Looked at where a row would be held, and not before. What is decided is kept in memory, as an answer of a person is kept in the
ledger: it takes the place of the policy's decision in a later cycle, by that cycle's proof (INV-3 to INV-7), and only while the
row is what it was. A crash forgets it, and the row is refused again.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from syncer.core.decision import ConflictKind, Verdict
from syncer.core.families import (
    Course,
    Kin,
    Stand,
    Turn,
    course,
    deletes,
    is_new,
    passed_down,
    passed_on,
    stand_of,
    turned,
    word_of,
)
from syncer.core.key import Key, StoredKey
from syncer.core.mark import Op
from syncer.core.pairing import PairedTable
from syncer.core.policy import OnFk
from syncer.core.side import Side
from syncer.ledger import Ledger
from syncer.mysql.connection import Session
from syncer.mysql.relatives import children_of
from syncer.service.answering import PERSON
from syncer.service.catalog import Catalog
from syncer.service.following import Following
from syncer.service.guarding import REJECT
from syncer.service.planned import Planned
from syncer.service.relations import References
from syncer.service.sides import Workers

MORE_TRIES = 4
"""So many tries more a row waits for its family to be decided, before it is held."""
MOST_TRIES_TIMES = 16
"""So many times the limit's tries a row waits for what is decided to be done."""
MOST_KIN = 1000
"""A larger family is a person's affair."""
KNOWN = 10_000

_MISSING = ConflictKind.FK_PARENT_MISSING
_CHILD = ConflictKind.FK_CHILD_EXISTS
_At = tuple[int, StoredKey]


class _Member(msgspec.Struct, frozen=True):
    """A child that stands in the way: as its kin sees it, and what is written for it."""

    table: PairedTable
    key: Key
    at: _At
    digest: str
    kin: Kin
    new: bool


class Families:
    """What is known of refused rows. Thread-safe: both deliveries ask, and the reconciler."""

    def __init__(
        self,
        ledger: Ledger,
        catalog: Catalog,
        references: References,
        following: Following,
        *,
        retry_limit: int,
    ) -> None:
        """Compose; *retry_limit* as in ``Delivery``."""
        self._ledger = ledger
        self._catalog = catalog
        self._references = references
        self.following = following
        self._retry_limit = retry_limit
        self._lock = threading.Lock()
        self._turns: dict[_At, Turn] = {}
        self._missing: dict[_At, Side] = {}
        self._given_up: set[_At] = set()

    @classmethod
    def of(cls, ledger: Ledger, catalog: Catalog, workers: Workers, retry_limit: int) -> Families:
        """Build them for a run."""
        references = References(lambda: catalog.flowing)
        following = Following(ledger, catalog, references, workers)
        return cls(ledger, catalog, references, following, retry_limit=retry_limit)

    # What the deliveries tell and ask.

    def refused(self, planned: Planned, kind: ConflictKind | None) -> None:
        """Take note of a refusal."""
        if kind is not _MISSING:
            return
        with self._lock:
            if len(self._missing) >= KNOWN:
                self._missing.clear()  # refused again, they are known again
            for key in planned.stored:
                self._missing[planned.table.table_id, key] = planned.target

    def put_off(
        self, planned: Planned, kind: ConflictKind, session: Session, *, waits: bool = True
    ) -> bool:
        """
        Say whether a row that would be held now is to be tried again instead.

        Args:
            session: for reads at the target, on its worker's thread.
            waits: where nothing can be decided yet it is to be tried again; else the caller knows when.

        Raises TransientDatabaseError.
        """
        decision = planned.decision
        if decision.path in {PERSON, REJECT} or decision.merged is not None or decision.keeps:
            return False
        if planned.unit is not None:
            return False
        if planned.table.policy.direction.source is not None:
            return False
        if kind is _MISSING:
            return self._awaits_parent(planned)
        if kind is _CHILD and planned.write().op is Op.DELETE:
            return self._look_after(planned, session, waits=waits)
        return False

    def is_turned(self, planned: Planned) -> bool:
        """Say whether something is decided about the key that is still to be done: it is due at once."""
        return self._turn_of(planned) is not None

    def forget(self, planned: Planned) -> None:
        """The row is held, or written."""
        self.settled(planned.table.table_id, planned.stored)

    def settled(self, table_id: int, keys: Iterable[StoredKey]) -> None:
        """Nothing is left to be decided about *keys*, for now."""
        with self._lock:
            if not self._is_any_known():
                return
            for key in keys:
                at = table_id, key
                self._turns.pop(at, None)
                self._missing.pop(at, None)
                self._given_up.discard(at)

    def written(self, planned: Sequence[Planned]) -> None:
        """Rows are written: whoever waited for them is tried again."""
        with self._lock:
            known = self._is_any_known()
        if known:
            for item in planned:
                turn = self._turn_of(item)
                self.forget(item)
                if turn is not None:
                    self._ledger.make_due(turn.root[0], [turn.root[1]])
        self.following.note(planned)

    def _is_any_known(self) -> bool:
        return bool(self._turns or self._missing or self._given_up)

    # What the reconciler asks.

    def concerns(self, table: PairedTable, target: Side) -> bool:
        """Say whether a row of *table* that goes to *target* may be turned, or waited for: it is decided by itself, and ``written`` told of it."""
        with self._lock:
            known = self._is_any_known()
        return (known and self._references.has(table.table_id)) or self.following.concerns(
            table, target
        )

    def turn(self, planned: list[Planned]) -> list[Planned]:
        """Put what is decided for the sake of a family in the place of what the policy says; a person's answer stands."""
        with self._lock:
            if not self._turns:
                return planned
        return [self._turned(item) for item in planned]

    def _turned(self, item: Planned) -> Planned:
        turn = self._turn_of(item)
        if turn is None or item.decision.path == PERSON or item.tries < self._retry_limit:
            return item
        if item.decision.verdict in {Verdict.AMBIGUOUS, Verdict.LATER}:
            return item
        row = item.group.rows[turn.here]
        digest = None if row is None else row.digest
        decision = None
        if self._stands(turn):
            decision = turned(turn, item.decision, item.marks, digest)
        if decision is None:
            self.forget(item)
            return item
        return msgspec.structs.replace(item, decision=decision, note=turn.note)

    def _stands(self, turn: Turn) -> bool:
        """Say whether the delete that began it still is the last that is known of its row, and no person is asked about it otherwise."""
        table_id, key = turn.root
        marks = self._ledger.marks_of(table_id, [key])[key]
        held = self._ledger.held_as(table_id, [key]).get(key, _CHILD)
        return held is _CHILD and deletes(marks.of(turn.here.other))

    def _turn_of(self, planned: Planned) -> Turn | None:
        with self._lock:
            found = (self._turns.get((planned.table.table_id, key)) for key in planned.stored)
            return next((turn for turn in found if turn is not None), None)

    # What becomes of a refused row.

    def _awaits_parent(self, planned: Planned) -> bool:
        """A child is refused, or a parent that comes back: wait for its own parent, as long as somebody may decide about that."""
        if self.is_turned(planned):
            return planned.tries < self._retry_limit * MOST_TRIES_TIMES
        with self._lock:
            if any((planned.table.table_id, key) in self._given_up for key in planned.stored):
                return False
        if planned.tries >= self._retry_limit + MORE_TRIES:
            return False
        return self._is_spoken_for(planned.table, planned.target, set())

    def _is_spoken_for(self, table: PairedTable, side: Side, seen: set[int]) -> bool:
        """Say whether ``on_fk`` may say anything but hold of rows of *table*: its own, or that of tables above it."""
        if table.policy.on_fk is not None or table.table_id in seen:
            return table.policy.on_fk not in {None, OnFk.HOLD}
        seen.add(table.table_id)
        return any(
            passed_on(one.parent.policy) is not None
            or (one.parent.policy.on_fk is None and self._is_spoken_for(one.parent, side, seen))
            for one in self._references.of(side, table.table_id)
        )

    def _look_after(self, planned: Planned, session: Session, *, waits: bool) -> bool:
        """A parent's delete is refused: look at the children in its way, and decide."""
        here, table = planned.target, planned.table
        turn = self._turn_of(planned)
        passed = passed_on(table.policy) if turn is None else passed_down(turn.word)
        links = self._references.to(here, table.table_id)
        words = {word_of(one.child.policy, passed) for one in links if one.stops}
        if words <= {OnFk.HOLD} or planned.tries >= self._retry_limit * MOST_TRIES_TIMES:
            return False
        key = planned.write().target_key
        row = planned.group.rows[here]
        if key is None or row is None:
            return False
        with self._catalog.doubting([table, *(one.child for one in links)]):
            found, members = self._look(session, table, key, passed)
        if found is Course.RESTORE and (
            turn is not None or not deletes(planned.marks.of(here.other))
        ):
            found = Course.HOLD
        if found is Course.WAIT and (not waits or planned.tries < self._retry_limit + MORE_TRIES):
            return waits
        if found is Course.RESTORE:
            self._restore(planned, row.digest, members)
            return True
        if found is Course.DROP:
            root = (table.table_id, planned.stored[0]) if turn is None else turn.root
            self._drop(members, here, root)
            return True
        with self._lock:
            if len(self._given_up) >= KNOWN:
                self._given_up.clear()
            self._given_up.update(one.at for one in members)
        return False

    def _look(
        self, session: Session, table: PairedTable, key: Key, passed: OnFk | None
    ) -> tuple[Course, list[_Member]]:
        """Find the children in the way of a row's delete, and those in the way of theirs, where these are to go with it."""
        children = self._children(session, table, [key], passed)
        found = course([one.kin for one in children])
        if found is not Course.DROP:
            return (found if len(children) <= MOST_KIN else Course.HOLD), children
        seen = {one.at: one for one in children}
        below: list[_Member] = []
        ahead = [one for one in children if one.new]
        while ahead and len(seen) <= MOST_KIN:
            groups: dict[tuple[int, OnFk | None], list[_Member]] = defaultdict(list)
            for one in ahead:
                groups[one.table.table_id, passed_down(one.kin.word)].append(one)
            ahead = []
            for (_, further), some in groups.items():
                for one in self._children(session, some[0].table, [m.key for m in some], further):
                    if one.at not in seen:
                        seen[one.at] = one
                        below.append(one)
                        ahead += [one] if one.new else []
        if len(seen) > MOST_KIN:
            return Course.HOLD, list(seen.values())
        found = course([one.kin for one in children], [one.kin for one in below])
        return found, list(seen.values())

    def _children(
        self, session: Session, parent: PairedTable, keys: Sequence[Key], passed: OnFk | None
    ) -> list[_Member]:
        found: list[_Member] = []
        for one in self._references.to(session.side, parent.table_id):
            if one.stops:
                rows = children_of(session, parent, keys, one.child, one.pairs, MOST_KIN + 1)
                found += self._members(session.side, one.child, rows.items(), passed)
        return found

    def _members(
        self, here: Side, table: PairedTable, rows: Iterable[tuple[Key, str]], passed: OnFk | None
    ) -> list[_Member]:
        stored = {table.store(key): (key, digest) for key, digest in rows}
        marks = self._ledger.marks_of(table.table_id, list(stored))
        held = self._ledger.held_as(table.table_id, list(stored))
        two_way = table.policy.direction.source is None
        word = word_of(table.policy, passed) if two_way else OnFk.HOLD
        found = []
        for number, (key, digest) in stored.items():
            at = table.table_id, number
            with self._lock:
                turn, refused = self._turns.get(at), self._missing.get(at) is here.other
            why = held.get(number)
            stand = Stand.STAYS
            if why is None or why is _MISSING:
                stand = stand_of(
                    here,
                    marks[number],
                    refused=refused or why is _MISSING,
                    turned=None if turn is None else turn.winner,
                )
            new = is_new(here, marks[number])
            found.append(_Member(table, key, at, digest, Kin(word, stand), new))
        return found

    def _restore(self, planned: Planned, digest: str, children: Sequence[_Member]) -> None:
        here, at = planned.target, (planned.table.table_id, planned.stored[0])
        self._say(
            at,
            Turn(
                winner=here,
                kind=_CHILD,
                word=OnFk.RESTORE_PARENT,
                here=here,
                digest=digest,
                root=at,
                note=f"rows of {_names(children)} refer to it, written on side {here}",
            ),
        )

    def _drop(self, members: Sequence[_Member], here: Side, root: _At) -> None:
        parent = self._ledger.tables()[root[0]]
        due: dict[int, list[StoredKey]] = defaultdict(list)
        for one in members:
            self._say(
                one.at,
                Turn(
                    winner=here.other,
                    kind=_MISSING,
                    word=one.kin.word,
                    here=here,
                    digest=one.digest,
                    root=root,
                    note=f"it went with a row of {parent}, deleted on side {here.other}",
                ),
            )
            due[one.at[0]].append(one.at[1])
        for table_id, keys in due.items():
            self._ledger.make_due(table_id, keys)

    def _say(self, at: _At, turn: Turn) -> None:
        with self._lock:
            if len(self._turns) >= KNOWN:
                self._turns.clear()  # refused again, they are looked at again
            self._turns[at] = turn
            self._given_up.discard(at)


def _names(members: Iterable[_Member]) -> str:
    return ", ".join(sorted({str(one.table.name) for one in members}))
