"""Every step of the protocol, spoiled: the model must notice."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.model.state import Config

SNAPSHOTS = ("mysql", "mariadb")
ALL = ("mysql", "mariadb", "lock")
ONE: dict = {"writes": ((1,), (0,)), "faults": 0, "kinds": "w"}
BOTH: dict = {"writes": ((1,), (1,)), "faults": 0, "kinds": "w"}
MORE: dict = {"writes": ((2,), (1,)), "faults": 0, "kinds": "w"}
PAIR: dict = {"writes": ((1, 1), (0, 0)), "faults": 0, "start": ("base",), "kinds": "w"}


@dataclass(frozen=True)
class Mutant:
    """
    One mistake.

    Attributes:
        rule: the invariant that it breaks.
        bounds: of the run that notices it, as fields of ``Config``.
        reference: its name in the reference model.
        harmless: nothing goes wrong, and that is what is checked.
    """

    name: str
    rule: str
    text: str
    bounds: dict = field(default_factory=dict)
    variants: tuple[str, ...] = ALL
    reference: str = ""
    harmless: bool = False

    def configs(self) -> list[Config]:
        """One run per variant."""
        return [
            Config(**{**self.bounds, "variant": v, "mutant": self.name, "stop": True})
            for v in self.variants
        ]


MUTANTS = (
    # Reading the log
    Mutant(
        "position_first",
        "INV-1",
        "the position is saved before the marks",
        {**ONE, "faults": 1},
        reference="m8",
    ),
    Mutant(
        "mark_first",
        "INV-1",
        "the marks are saved before the position",
        {**BOTH, "kinds": "wd", "faults": 1},
        reference="m8b",
        harmless=True,
    ),
    Mutant(
        "fold_keeps_last",
        "INV-1",
        "folding keeps the number of the first mark as the last one",
        MORE,
        SNAPSHOTS,
    ),
    Mutant(
        "fold_keeps_time",
        "§8",
        "folding keeps the commit time of the first mark",
        {**MORE, "rule": "newest", "tie": "b"},
    ),
    # Reading the rows
    Mutant("low_is_binlog_end", "INV-3", "L is the end of the binlog", ONE, SNAPSHOTS, "m4"),
    Mutant("low_after_rows", "INV-3", "L is read after the rows", ONE, SNAPSHOTS, "m7"),
    Mutant(
        "highest_gtid",
        "INV-19",
        "L is the highest GTID executed, gaps or not",
        {**PAIR, "lag": "gap"},
        ("mysql",),
    ),
    Mutant(
        "restart_proves",
        "INV-3",
        "after a restart the saved position counts as visible",
        {**ONE, "faults": 1},
        SNAPSHOTS,
    ),
    Mutant(
        "lock_bound_for_all",
        "INV-5",
        "the binlog's end of a locking read is taken for rows that were not locked",
        {**PAIR, "locking": True},
        SNAPSHOTS,
    ),
    Mutant("no_fence", "INV-4", "nobody waits for the tailers", BOTH, reference="m1"),
    Mutant(
        "chunk_no_ambiguity",
        "INV-5",
        "a chunk is found equal whatever may have changed in it while it was read",
        {**BOTH, "kinds": "wd", "start": ("onlya",)},
        SNAPSHOTS,
    ),
    Mutant(
        "chunk_keeps_marks",
        "INV-6",
        "what both sides have of a key in an equal chunk keeps its mark, which folds with what comes later",
        {**MORE, "kinds": "wd", "start": ("onlya",)},
        SNAPSHOTS,
    ),
    Mutant(
        "no_ambiguity",
        "INV-5",
        "a mark in (L, U] is no reason to read again",
        BOTH,
        ("mysql",),
        "Fw",
    ),
    Mutant(
        "folded_not_ambiguous",
        "INV-5",
        "a folded mark from below L to above U is taken as hiding nothing",
        MORE,
        ("mysql",),
    ),
    # Deciding
    Mutant("marks_above_lower", "INV-6", "marks above L count as changes", BOTH, reference="Fu"),
    Mutant("clear_to_upper", "INV-6", "marks are cleared up to U", ONE, SNAPSHOTS, "m3"),
    Mutant(
        "clear_whole",
        "INV-11",
        "a folded mark that reaches beyond L is cleared whole",
        MORE,
        SNAPSHOTS,
    ),
    Mutant(
        "clear_none_of_folded",
        "INV-11",
        "a folded mark that reaches beyond L is kept whole",
        {**MORE, "kinds": "wd"},
        ("mariadb",),
    ),
    Mutant(
        "cut_keeps_insert",
        "INV-11",
        "what is cut off a mark still begins with INSERT",
        {**MORE, "kinds": "wx", "start": ("absent",)},
    ),
    Mutant(
        "no_compare_rows",
        "INV-6",
        "own marks are kept, and marks are forwarded without comparing rows",
        ONE,
        reference="m12",
    ),
    Mutant(
        "inexact_as_exact",
        "INV-7",
        "an inexact mark counts as an exact one",
        {**BOTH, "kinds": "wn", "rule": "prefer:b"},
        reference="Fx",
    ),
    Mutant(
        "insert_despite_gap",
        "INV-7",
        "an INSERT after a gap proves that the row was absent when both agreed",
        {"writes": ((1,), (1,)), "faults": 0, "kinds": "wdsx", "reason": "purged"},
    ),
    Mutant(
        "hold_hides_marks",
        "hold",
        "a key is held although a mark above L is there",
        {**MORE, "rule": "hold"},
    ),
    Mutant(
        "hold_by_known_marks",
        "hold",
        "a key is held although the decision knew of a mark above L",
        {**MORE, "rule": "hold"},
    ),
    Mutant(
        "span_keeps_held",
        "hold",
        "a span mark does not re-open the held keys it covers",
        {**MORE, "kinds": "sx"},
    ),
    Mutant(
        "turned_unlogged",
        "INV-8",
        "what on_fk turns round has no entry",
        {**ONE, "rule": "turned"},
    ),
    # Writing
    Mutant(
        "no_intent",
        "INV-8",
        "no intent and no batch id: a crash forgets the batch",
        {**BOTH, "faults": 1},
        reference="m6",
    ),
    Mutant(
        "logged_at_decision",
        "INV-8",
        "the conflict entry is final at the decision",
        {**BOTH, "faults": 1},
        reference="Fl",
    ),
    Mutant(
        "no_guard",
        "INV-9",
        "the row is not compared before it is overwritten",
        BOTH,
        reference="m2",
    ),
    Mutant(
        "upsert_absent",
        "INV-9",
        "an absent row is not guarded: upsert for insert",
        BOTH,
        reference="m9",
    ),
    Mutant(
        "guard_without_lock",
        "INV-9",
        "compared without locks, then locked and written",
        BOTH,
        reference="m10",
    ),
    Mutant(
        "taken_as_dropped",
        "INV-10",
        "restart takes the batch as not applied",
        {**BOTH, "faults": 1},
        reference="m6b",
    ),
    Mutant(
        "taken_as_applied",
        "INV-10",
        "restart takes the batch as applied",
        {**ONE, "faults": 1},
        reference="m6c",
    ),
    Mutant(
        "target_as_one",
        "INV-10",
        "a batch found counts as all its keys written, left-out ones too",
        {"writes": ((1, 1), (1, 0)), "faults": 0, "kinds": "w", "start": ("base",)},
        ("exact",),
        "target",
    ),
    Mutant(
        "batch_lumped",
        "INV-10",
        "found at one target, the batch counts as applied at both",
        {"writes": ((1, 0), (0, 1)), "faults": 1, "kinds": "w", "start": ("base",)},
        ("exact",),
        "lumped",
    ),
    Mutant("own_marked", "INV-12", "our own writes make marks", MORE, reference="m5"),
    Mutant(
        "no_erase",
        "INV-12",
        "our write met in the stream erases no earlier marks",
        {"writes": ((2,), (2,)), "faults": 0, "kinds": "wd", "start": ("absent",)},
        ("mariadb", "lock"),
        "Fo",
    ),
    Mutant(
        "erase_unwritten",
        "INV-12",
        "our batch met in the stream erases marks of left-out keys too",
        {"writes": ((1, 1), (1, 0)), "faults": 0, "kinds": "w", "start": ("base",)},
        ("exact",),
    ),
    Mutant(
        "restart_does_not_wait",
        "INV-13",
        "restart looks the batch up without waiting for an apply in flight",
        {**BOTH, "faults": 1},
        reference="Fr",
    ),
    Mutant(
        "no_epoch",
        "INV-13",
        "a late apply of the dead syncer is let in",
        {**BOTH, "faults": 1, "late": True},
        reference="Fe",
    ),
    Mutant(
        "raise_repeats_batch",
        "INV-13",
        "raising the epoch shows the last batch in the stream again",
        {**BOTH, "faults": 1},
    ),
    Mutant(
        "raise_forgets_batch",
        "INV-13",
        "raising the epoch loses what the last batch wrote; a second crash",
        {**BOTH, "faults": 2},
    ),
    Mutant(
        "unknown_is_dropped",
        "INV-14",
        "an unknown outcome is taken as not applied, without a look-up",
        {**BOTH, "faults": 1},
    ),
    Mutant(
        "xa_prepare",
        "INV-18",
        "XA: marks are stamped with the GTID of XA PREPARE",
        ONE,
        SNAPSHOTS,
        "m13",
    ),
)
