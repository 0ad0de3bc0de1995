"""One decided key: what is written for it, what the ledger keeps of it, and its journal entry. No I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import chain

import msgspec

from syncer.core.decision import ConflictKind, Decision, Verdict
from syncer.core.guard import WriteGuard
from syncer.core.keptimage import RenderedRow, pack
from syncer.core.key import Key, StoredKey
from syncer.core.links import circular, families
from syncer.core.literals import split_image
from syncer.core.mark import KeyMarks, Op
from syncer.core.origins import Origin
from syncer.core.outcome import NO_BASE, Base
from syncer.core.pairing import PairedTable
from syncer.core.policy import Policy
from syncer.core.side import SIDES, Side
from syncer.core.stale import STALE
from syncer.core.subkinds import SubKind, changed_columns, sub_kinds
from syncer.ledger.records import ConflictEntry, IntentItem
from syncer.ledger.undo import OverwrittenRows, Restoration
from syncer.mysql.carrying import Rows
from syncer.mysql.columns import key_text
from syncer.mysql.reader import RowRead
from syncer.mysql.writing import Write
from syncer.service.answering import PERSON
from syncer.service.oversize import SIZE, large_rows, size_note
from syncer.service.reading import KeyGroup

UNDO_IMAGE_CHARS = 16_384
"""Longer rows are not kept for an undo: the ledger stays bounded."""

OriginOf = Callable[[Side, int], Origin | None]


def nobody_knows(_side: Side, _seq: int) -> Origin | None:
    """Stand in for what streams tell of their transactions."""
    return None


class KeyUnit(msgspec.Struct, frozen=True):
    """The keys of rows that got another one, per side: before and after."""

    olds: Mapping[Side, StoredKey]
    news: Mapping[Side, StoredKey]


class Planned(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """
    One decided key.

    Attributes:
        stored: every spelling as the ledger stores it.
        marked_at: when the key was marked, seconds since the epoch; None where unknown.
        tries: how often it was deferred.
        lower: per side, the last transaction that the rows contain for certain; a key with a mark beyond is not held.
        actor: the person who decided; "" for a rule.
        base: what is known of the row that both sides agreed on.
        until: of a skip that a person asked for: when it is held again, seconds since the epoch; None where nobody said.
        skew_bound_s: how far the servers' clocks were apart at most; None: not known.
        stale: a change left the column that a rule compares as it was, or set it back.
        origin: says what a transaction is called at its server.
        note: what the journal's entry says beside the rule.
        unit: the keys that it is decided with; None for any other. *marks* are those of both sides' new keys then.
    """

    table: PairedTable
    group: KeyGroup
    stored: tuple[StoredKey, ...]
    marks: KeyMarks
    decision: Decision
    marked_at: float | None = None
    tries: int = 0
    lower: dict[Side, int] = {}
    actor: str = ""
    base: Base = NO_BASE
    until: float | None = None
    skew_bound_s: float | None = None
    stale: bool = False
    origin: OriginOf = nobody_knows
    note: str = ""
    unit: KeyUnit | None = None

    @property
    def target(self) -> Side:
        """The side to be written; the decision has a winner."""
        if self.decision.winner is None:
            raise ValueError("no winner, no target")
        return self.decision.winner.other

    def write(self) -> Write:
        """What the applier is to do."""
        return self._write

    @cached_property
    def _write(self) -> Write:
        source = self.group.rows[self.target.other]
        there = self.group.rows[self.target]
        merged = self.decision.merged
        spelt = there if merged is not None else source or there
        if spelt is None:
            raise ValueError("a write needs a row on one side")
        if merged is not None:
            return Write(
                table=self.table,
                key=spelt.key,
                target_key=spelt.key,
                expected=spelt.digest,
                meant=None,
                image=",".join(merged),
                made=True,
            )
        return Write(
            table=self.table,
            key=spelt.key,
            target_key=there.key if there else None,
            expected=there.digest if there else None,
            meant=source.digest if source else None,
            image=source.image if source else None,
            aside=there.image if there and self.decision.keeps else None,
        )

    def item(self, detected_at: float) -> IntentItem:
        """What the ledger keeps of it (INV-8)."""
        write = self.write()
        conflict = None
        if self.decision.conflict is not None:
            winner = None if self.decision.merged is not None else self.decision.winner
            conflict = self.entry(detected_at, winner=winner)
        return IntentItem(
            table_id=self.table.table_id,
            keys=self.stored,
            action=write.op,
            present=write.image is not None,
            conflict=conflict,
            undo=self._undo(write),
            base=self._base(),
            commit_us=self._commit_us(),
        )

    def _base(self) -> bytes | None:
        """What the target's change begins with, for a merged row: the other side's row, which it has taken in (INV-16)."""
        source = self.group.rows[self.target.other]
        if self.decision.merged is None or source is None:
            return None
        return pack(RenderedRow(self.table.written, tuple(split_image(source.image))))

    def _commit_us(self) -> int:
        """When the change was committed that a merged row has of its target: what we write is no newer than that (conflicts.md §1)."""
        touch = self.marks.of(self.target).exact
        return touch.commit_us if touch and self.decision.merged is not None else 0

    def _undo(self, write: Write) -> Restoration | None:
        """What brings back the row that is overwritten or deleted; None where there is none, or it is not kept."""
        there = self.group.rows[self.target]
        if there is None:
            return None
        made = write.image if write.made else None
        return restoration(self.table, self.target, there, write.meant, made, self.group.keys[0])

    def shown_base(self) -> tuple[str | None, ...] | None:
        """Return the base row as the journal keeps it."""
        cells = self.base.cells
        return None if cells is None else _shown_cells(self.table, cells)

    def entry(
        self,
        detected_at: float,
        *,
        winner: Side | None,
        kind: ConflictKind | None = None,
        rule: str | None = None,
        note: str = "",
    ) -> ConflictEntry:
        """The journal entry, with both images."""
        rows = self.group.rows
        note = note or self.note
        if self.decision.path == SIZE and not note:
            note = size_note(self.table, large_rows(rows))
        if self.decision.path == PERSON and self.decision.verdict is Verdict.HOLD and not note:
            note = self.decision.rule
        a, b = self.marks.a.exact, self.marks.b.exact
        from_a, from_b = (
            None if touch is None else self.origin(side, touch.last_seq)
            for side, touch in ((Side.A, a), (Side.B, b))
        )
        kind = kind or self.decision.conflict or ConflictKind.DRIFT
        cells = self._cells()
        changed = changed_columns(self.table.written, cells, self.base.cells)
        merged = self.decision.merged
        return ConflictEntry(
            table=str(self.table.name),
            key=tuple(map(key_text, self.table.a.key_columns, self.group.keys[0])),
            kind=kind,
            detected_at=detected_at,
            rule=rule or self.decision.rule,
            path=self.decision.path,
            winner=winner,
            columns=self.table.written,
            a_image=shown_image(self.table, rows[Side.A]),
            b_image=shown_image(self.table, rows[Side.B]),
            base_image=self.shown_base(),
            result_image=None if merged is None else _shown_cells(self.table, merged),
            expires_at=self.until,
            redacted=self.table.redacted,
            a_digest=_kept_digest(self.table, rows[Side.A]),
            b_digest=_kept_digest(self.table, rows[Side.B]),
            a_seq=a.last_seq if a else None,
            b_seq=b.last_seq if b else None,
            key_stored=self.stored,
            policy_version=policy_version(self.table),
            actor=self.actor,
            a_op=a.last_op if a else None,
            b_op=b.last_op if b else None,
            a_commit_us=a.commit_us if a else 0,
            b_commit_us=b.commit_us if b else 0,
            possible=self.decision.possible,
            note=note,
            sub_kinds=self._sub_kinds(kind, cells),
            a_gtid=from_a.gtid if from_a else None,
            b_gtid=from_b.gtid if from_b else None,
            a_server_id=from_a.server_id if from_a else None,
            b_server_id=from_b.server_id if from_b else None,
            skew_bound_s=self.skew_bound_s,
            a_columns=changed.get(Side.A),
            b_columns=changed.get(Side.B),
            **self._changed_keys(),  # type: ignore[arg-type]  # four fields of one type
        )

    def _changed_keys(self) -> dict[str, tuple[str, ...]]:
        """Return the keys of the unit, in printable form, by the names that the entry has for them."""
        if self.unit is None:
            return {}
        return {
            f"{side}_{when}_key": tuple(
                map(key_text, self.table.a.key_columns, self.table.load(keys[side]))
            )
            for when, keys in (("old", self.unit.olds), ("new", self.unit.news))
            for side in SIDES
        }

    def _cells(self) -> dict[Side, Sequence[str] | None]:
        """Return the literals of both rows, where there is a base to compare them with."""
        rows, known = self.group.rows, self.base.cells is not None
        return {
            side: split_image(row.image) if known and (row := rows[side]) and row.whole else None
            for side in SIDES
        }

    def _sub_kinds(
        self, kind: ConflictKind, cells: Mapping[Side, Sequence[str] | None]
    ) -> tuple[str, ...]:
        found = sub_kinds(kind, self.marks, self.lower, cells, self.base.cells)
        named = tuple(one.value for one in found)
        return (*named, STALE) if self.stale and kind is self.decision.conflict else named


def with_rivals(entry: ConflictEntry, table: PairedTable, rivals: Sequence[Key]) -> ConflictEntry:
    """Return *entry* with the rows that are in the way of its row; without any it stays as it is."""
    if not rivals:
        return entry
    sub_kind = SubKind.UNIQUE_ONE if len(rivals) == 1 else SubKind.UNIQUE_MANY
    return msgspec.structs.replace(
        entry,
        in_the_way=tuple(tuple(map(key_text, table.a.key_columns, key)) for key in rivals),
        sub_kinds=(*entry.sub_kinds, sub_kind.value),
    )


def restoration(
    table: PairedTable,
    target: Side,
    there: RowRead,
    meant: str | None,
    made: str | None = None,
    key: Key | None = None,
) -> Restoration | None:
    """
    Return what brings *there* back, a row of *target* that is overwritten or deleted; None where it is not kept.

    Args:
        meant: the digest of the row that takes its place; None: it is deleted, or the digest is not known.
        made: the literals of that row, where it was made of both sides'.
        key: how side A spells the key, where that may be otherwise.
    """
    image = there.image
    if not table.undo or len(image) > UNDO_IMAGE_CHARS or not _is_text(image):
        return None  # the ledger's form has no room for bytes that are no text
    if made is not None and (len(made) > UNDO_IMAGE_CHARS or not _is_text(made)):
        return None
    return Restoration(
        table=table.full_name,
        key=tuple(map(key_text, table.a.key_columns, key or there.key)),
        key_stored=(table.store(there.key),),
        side=target,
        columns=table.written,
        expected=meant,
        meant=there.digest,
        image=image,
        actor="",
        expected_image=made,
    )


def restorations(table: PairedTable, target: Side, rows: Rows) -> OverwrittenRows | None:
    """Do what ``restoration`` does for each of *rows*, whose keys are spelt alike on both sides; None where none is kept."""
    there, stored = rows.there, rows.stored
    meant: list[str | None] = [*rows.meant] or [None] * len(there)
    images = [row.image for row in there]
    if not table.undo:
        return None
    if max(map(len, images)) > UNDO_IMAGE_CHARS or not _is_text("".join(images)):
        kept = [
            at
            for at, image in enumerate(images)
            if len(image) <= UNDO_IMAGE_CHARS and _is_text(image)
        ]
        if not kept:
            return None
        there, stored = [there[at] for at in kept], [stored[at] for at in kept]
        meant, images = [meant[at] for at in kept], [images[at] for at in kept]
    columns = table.a.key_columns
    return OverwrittenRows(
        table.full_name,
        target,
        table.written,
        [tuple(map(key_text, columns, row.key)) for row in there],
        stored,
        meant,
        [row.digest for row in there],
        images,
    )


def _is_text(image: str) -> bool:
    if image.isascii():
        return True
    try:
        image.encode()
    except UnicodeEncodeError:
        return False
    return True


def halves(planned: Sequence[Planned]) -> tuple[list[Planned], list[Planned]]:
    """
    Divide what a target has refused in two; at least two rows.

    New or deleted rows of tables that refer to each other stay together, since they can only be written together.
    """
    together = circular({p.table.name: p.table.schema(p.target) for p in planned}.values())
    groups = [[p] for p in planned]
    if together:
        rows = [(p.table.schema(p.target), _literals(p)) for p in planned]
        groups = [[planned[at] for at in places] for places in families(rows)]
    if len(groups) == 1:
        groups = [[p] for p in planned]
    middle = len(groups) // 2
    return list(chain(*groups[:middle])), list(chain(*groups[middle:]))


def _literals(planned: Planned) -> dict[str, str] | None:
    """The row that is to be there, or that is to go, as text by column."""
    rows = planned.group.rows
    row = rows[planned.target.other] or rows[planned.target]
    if row is None:
        return None
    names = (name.lower() for name in planned.table.written)
    cells = planned.decision.merged or split_image(row.image)
    return dict(zip(names, cells, strict=True))


WORDS = {Op.INSERT: "insert", Op.UPDATE: "update", Op.DELETE: "delete"}
"""What a write does, for counters and people."""


def operation(write: Write) -> str:
    """Name what a write does."""
    return WORDS[write.op]


def _shown_cells(table: PairedTable, cells: Sequence[str | None]) -> tuple[str | None, ...]:
    if not table.redacted:
        return tuple(cells)
    hidden = {name.lower() for name in table.redacted}
    named = zip(table.written, cells, strict=True)
    return tuple(None if name.lower() in hidden else cell for name, cell in named)


def shown_image(table: PairedTable, row: RowRead | None) -> tuple[str | None, ...] | None:
    """Return a row as the journal keeps it: the literals of the written columns, None for those that are redacted."""
    if row is None or not row.whole:
        return None
    return _shown_cells(table, split_image(row.image))


def _kept_digest(table: PairedTable, row: RowRead | None) -> str | None:
    """A digest could be searched for the value of a column that is redacted."""
    return None if row is None or table.redacted else row.digest


def policy_version(table: PairedTable) -> str:
    """Return a short text that is another one where the table's policy or guards are."""
    return _version_of(table.policy, table.guard)


@lru_cache(maxsize=1024)
def _version_of(policy: Policy, guard: WriteGuard) -> str:
    return hashlib.sha256(f"{policy} {guard}".encode()).hexdigest()[:12]
