"""What the ledger hands out and takes in, beside the words of ``core``: claims, intents, journal entries, status."""

from __future__ import annotations

import enum

import msgspec

from syncer.core.decision import ConflictKind
from syncer.core.key import StoredKey
from syncer.core.mark import Op, Reason
from syncer.core.position import Coordinate, StreamPosition
from syncer.core.record import OWN_ROW
from syncer.core.schema import TableName, TableSchema
from syncer.core.side import Side
from syncer.ledger.undo import OverwrittenRows, Restoration


class ClaimedKey(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """
    A key that wants a decision.

    Attributes:
        tries: how often it was deferred, the greatest number of its claimable marks; 0 for a key of a run.
        marked_at: when the oldest of its claimable marks was made, seconds since the epoch.
    """

    table_id: int
    key: StoredKey
    tries: int
    marked_at: float


class ClaimedSpan(msgspec.Struct, frozen=True, kw_only=True):
    """
    A range of keys to compare by chunks.

    Attributes:
        low: first key (inclusive); None from the beginning.
        high: end (exclusive); None to the end.
        seqs: per side that is marked, the number of the last transaction that made the span: a read proves something
            for the span only if its lower bound has reached it.
        reasons: per side that is marked, why.
        ids: the rows behind it, for ``narrow_span``.
        rows, chunks, differing: compared so far in this table since its spans were made.
        started_at: when they were made, seconds since the epoch.
    """

    table_id: int
    low: StoredKey | None
    high: StoredKey | None
    seqs: dict[Side, int]
    reasons: dict[Side, Reason]
    ids: dict[Side, int]
    rows: int
    chunks: int
    differing: int
    started_at: float

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides that are marked, at least one."""
        return tuple(self.seqs)


class ClaimedLookup(msgspec.Struct, frozen=True, kw_only=True):
    """
    Children to be found by their foreign key.

    Attributes:
        lookup_id: its row.
        side: where they changed without an event.
        table_id, columns, value, removes: as in ``core.mark.Lookup``.
        first_seq, last_seq: of the transactions that changed their parents (inclusive).
    """

    lookup_id: int
    side: Side
    table_id: int
    columns: tuple[str, ...]
    value: bytes
    removes: bool
    first_seq: int
    last_seq: int


class SpanProgress(msgspec.Struct, frozen=True, kw_only=True):
    """
    How far the comparison of one table has come.

    Attributes:
        finished_at: when its last span was done; None while one is open.
        low: where the oldest open span begins; None at the beginning of the table or where none is open.
    """

    table_id: int
    table: TableName
    reason: Reason
    started_at: float
    finished_at: float | None
    rows: int
    chunks: int
    differing: int
    open_spans: int
    low: StoredKey | None


class ConflictStatus(enum.StrEnum):
    """What has become of a journal entry."""

    PENDING = "pending"
    """Its intent is not finished."""
    APPLIED = "applied"
    """Decided by a rule and written."""
    HELD = "held"
    """Waits for a person."""
    SKIPPED = "skipped"
    """The difference is accepted until either side changes the row again."""
    SUPERSEDED = "superseded"
    """Was held; since then decided otherwise, or the rows became equal."""
    REVERTED = "reverted"
    """Was applied; a person took it back, which is a decision of its own."""


class ConflictEntry(msgspec.Struct, frozen=True, kw_only=True):
    """
    A journal entry: what both sides had, and which rule chose (conflicts.md §8).

    Attributes:
        table: ``database.name``.
        key: the key in printable form, one text per key column.
        detected_at: seconds since the epoch.
        path: how the rule came to its result: rule, tie, null, on_delete, presence, exact, direction.
        winner: the side whose state travels; None for a held entry.
        columns: the names of the columns of both images.
        a_image, b_image: the rows as SQL literal text per column (None for a column without one); None for absent.
        base_image: the row that both sides last agreed on; None where it was absent or is not known.
        result_image: the row that was made of both; None where none was, or it is not known.
        expires_at: when what is skipped is held again, seconds since the epoch; None: never by itself.
        redacted: columns whose values are never kept; they are None in every image.
        a_digest, b_digest: of the whole rows; None where a column is redacted, or the row is absent.
        a_seq, b_seq: number of the side's last transaction that changed the row; None where none is known exactly.
        key_stored: every spelling of the key as the ledger stores it.
        policy_version: short hash of the policy that decided.
        run: the epoch of the run that wrote the entry; 0 where it is not known.
        actor: the person who decided; "" for a rule.
        reverts: the entry that this one takes back; None for any other.
        a_op, b_op: the last operation known on that side; None where none is.
        a_commit_us, b_commit_us: its commit time, microseconds since the epoch; 0 where it is unknown.
        possible: it may be no conflict: one side's history is known inexactly.
        sub_kinds: finer words for it (``core/subkinds.py``).
        a_gtid, b_gtid: of transaction a_seq and b_seq; None where it is not known any more, or has none.
        a_server_id, b_server_id: of the server that logged that transaction first; None where it is not known.
        a_columns, b_columns: what that side changed since both agreed; None where the base row, or a row, is not known.
        skew_bound_s: how far the servers' clocks were apart at most; None where it was not known.
        a_old_key, b_old_key, a_new_key, b_new_key: the keys before and after, of rows that got another key; None for any other.
        kept_key: the key under which the losing row was inserted again (``keep_both``); None where none was, or it is not known.
        in_the_way: keys, in printable form, of the rows of the table that had a unique value of this one at its target.
    """

    table: str
    key: tuple[str, ...]
    kind: ConflictKind
    detected_at: float
    rule: str
    path: str
    winner: Side | None = None
    columns: tuple[str, ...] = ()
    a_image: tuple[str | None, ...] | None = None
    b_image: tuple[str | None, ...] | None = None
    a_op: Op | None = None
    b_op: Op | None = None
    a_commit_us: int = 0
    b_commit_us: int = 0
    possible: bool = False
    note: str = ""
    base_image: tuple[str | None, ...] | None = None
    redacted: tuple[str, ...] = ()
    a_digest: str | None = None
    b_digest: str | None = None
    a_seq: int | None = None
    b_seq: int | None = None
    key_stored: tuple[StoredKey, ...] = ()
    policy_version: str = ""
    run: int = 0
    actor: str = ""
    reverts: int | None = None
    sub_kinds: tuple[str, ...] = ()
    a_gtid: str | None = None
    b_gtid: str | None = None
    a_server_id: int | None = None
    b_server_id: int | None = None
    skew_bound_s: float | None = None
    a_columns: tuple[str, ...] | None = None
    b_columns: tuple[str, ...] | None = None
    result_image: tuple[str | None, ...] | None = None
    expires_at: float | None = None
    in_the_way: tuple[tuple[str, ...], ...] = ()
    a_old_key: tuple[str, ...] | None = None
    b_old_key: tuple[str, ...] | None = None
    a_new_key: tuple[str, ...] | None = None
    b_new_key: tuple[str, ...] | None = None
    kept_key: tuple[str, ...] | None = None


class ConflictRecord(msgspec.Struct, frozen=True, kw_only=True):
    """
    A journal entry as stored.

    Attributes:
        changed_at: when it got its status, seconds since the epoch.
        batch_id: the batch that wrote the decision; None for a held entry.
        pruned: its images were kept for as long as they are to be, and are gone.
        applied_gtid: of the transaction that wrote it; None until its stream has shown it, and where it has none.
    """

    conflict_id: int
    status: ConflictStatus
    changed_at: float
    batch_id: int | None
    entry: ConflictEntry
    pruned: bool = False
    applied_gtid: str | None = None


class Wanted(msgspec.Struct, frozen=True):
    """
    What a person wants to become of a held conflict.

    Attributes:
        side: the side whose row, or whose absence, travels; of a merge: whose value a column takes that both sides changed, None
            for a merge that takes none.
        merge: one row is made of both.
        skip: the difference is accepted until either side changes the row again, or until *until*.
        until: seconds since the epoch; None: for as long as [journal] skip_days says.

    Without a side, a merge and a skip it is to be held: what was skipped is opened again.
    """

    side: Side | None
    merge: bool = False
    skip: bool = False
    until: float | None = None

    @property
    def word(self) -> str:
        """As it is written after ``--take``."""
        if self.merge:
            return "merge"
        if self.skip:
            return "skip"
        return "hold" if self.side is None else self.side.value


class HeldKey(msgspec.Struct, frozen=True):
    """
    A key that waits for a person.

    Attributes:
        conflict_id: its journal entry.
        since: when its oldest mark was made, seconds since the epoch.
    """

    table_id: int
    key: StoredKey
    conflict_id: int
    since: float


class CopiedRange(msgspec.Struct, frozen=True, array_like=True):
    """
    The first part of a span that is copied as a whole to a target that has none of its rows.

    Attributes:
        low: where it and the span begin (inclusive); None at the beginning of the table.
        up_to: where it ends (exclusive); None at the end of the span.
        high: where the span ends (exclusive); None at the end of the table.
        rows: how many rows it holds.
    """

    low: StoredKey | None
    up_to: StoredKey | None
    high: StoredKey | None
    rows: int


class IntentItem(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    One row of an intent, a range of rows, or many rows of which all are written or none. Its place in the batch is its bit in the marker row's bitmap (INV-10).

    Attributes:
        keys: every spelling of the key; empty for a range; where *rows* is greater than 1, the key of each of so many rows.
        present: the agreed row exists after the write.
        conflict: becomes final with the write; None for a one-sided change.
        copied: the range; None for one row.
        undo: what brings the row back that is overwritten or deleted, or many of them, where that is kept.
        base, commit_us: of a merged row, as in ``BatchItem``; None and 0 for any other.
    """

    table_id: int
    keys: tuple[StoredKey, ...]
    action: Op
    present: bool
    conflict: ConflictEntry | None = None
    copied: CopiedRange | None = None
    undo: Restoration | OverwrittenRows | None = None
    base: bytes | None = None
    commit_us: int = 0
    rows: int = 1


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """
    An intent: what is about to be written to one target in one transaction (INV-8).

    Attributes:
        lower: per side, the last transaction that the rows read contain for certain; marks up to it are cleared for
            the items written. A side that is left out keeps its marks (INV-16).
        lane: the one whose marker row it is sent by; OWN_ROW: the pair's own row, ANY_ROW: an older version did not say.
    """

    batch_id: int
    target: Side
    lower: dict[Side, int]
    items: tuple[IntentItem, ...]
    lane: str = OWN_ROW

    @property
    def rows(self) -> int:
        """How many rows it writes; a range counts as one."""
        return sum(item.rows for item in self.items)


class SideSummary(msgspec.Struct, frozen=True):
    """
    What one side of one table has in the ledger.

    Attributes:
        keys: point marks that are not held, plus the keys of runs (a key under both counts twice), plus look-ups of children.
        held: point marks that are held.
        spans: open spans.
    """

    keys: int = 0
    held: int = 0
    spans: int = 0


class TableSummary(msgspec.Struct, frozen=True):
    """What one table has in the ledger; tables without marks are left out of a summary."""

    table_id: int
    table: TableName
    a: SideSummary
    b: SideSummary

    def of(self, side: Side) -> SideSummary:
        """The part of *side*."""
        return self.a if side is Side.A else self.b


class LedgerSummary(msgspec.Struct, frozen=True, kw_only=True):
    """
    The ledger at a glance, for ``status``.

    Attributes:
        keys, held, spans: sums over tables and sides.
        held_keys: distinct keys that are held.
        oldest_s: age of the oldest mark that is not held, in seconds; 0.0 where there is none.
        open_batches: intents without an outcome.
        conflicts: journal entries per status.
    """

    pair_id: str
    epoch: int
    tables: tuple[TableSummary, ...]
    keys: int
    held: int
    held_keys: int
    spans: int
    oldest_s: float
    positions: dict[Side, StreamPosition]
    open_batches: int
    conflicts: dict[ConflictStatus, int]
    counters: dict[str, int]


class PausedTable(msgspec.Struct, frozen=True):
    """
    A table whose marks wait.

    Attributes:
        reason: why, in words: what keeps the two sides from being kept equal.
        since: seconds since the epoch.
    """

    table_id: int
    table: TableName
    reason: str
    since: float


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """
    How the rows of one table are read in the stream of one side, as of that side's saved position.

    Attributes:
        schema: None where it is not known: the table becomes dirty whole at every event.
        certain_from: events that end at or before it may have another layout; None: certain at once.
        server: the identity of the server that *certain_from* belongs to.
    """

    schema: TableSchema | None
    certain_from: Coordinate | None = None
    server: str = ""
