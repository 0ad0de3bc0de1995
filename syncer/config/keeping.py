"""The sections of ``syncer.toml`` about what is withheld and what is kept: guards and the journal."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from syncer.config.section import Percent, Rows, Section, described
from syncer.core.guard import WriteKind


class GuardSection(Section, frozen=True, kw_only=True):
    """Writes that a side does not get, or not so many of, without a person. Nothing withheld is lost."""

    deletes_max: Annotated[
        Rows,
        described(
            "most deletes that a table of either side gets within window_s, those that are marked included; more stop the "
            "table until `syncer guard confirm` or `reject`; 0: no limit"
        ),
    ] = 0
    deletes_percent_max: Annotated[
        Percent,
        described(
            "the same as a share of the table's rows, in tables of percent_from_rows and more: half of them, where nothing is said; 0: no limit"
        ),
    ] = 50.0
    updates_max: Annotated[Rows, described("the same for updates; 0: no limit")] = 0
    updates_percent_max: Annotated[
        Percent, described("the same for updates, as a share; 0: no limit")
    ] = 0.0
    percent_from_rows: Annotated[
        int,
        Meta(ge=1, le=1_000_000_000, description="shares count in tables of at least so many rows"),
    ] = 1_000
    window_s: Annotated[
        float, Meta(gt=0, le=86_400, description="seconds for which a write of ours is counted")
    ] = 60.0
    forbid_a: Annotated[
        tuple[WriteKind, ...],
        described(
            "what is never written to side a: insert, update, delete; such a change of side b is held",
            '["delete"]',
        ),
    ] = ()
    forbid_b: Annotated[
        tuple[WriteKind, ...],
        described("what is never written to side b; such a change of side a is held", '["delete"]'),
    ] = ()


class JournalSection(Section, frozen=True, kw_only=True):
    """What the journal keeps of rows, and for how long."""

    image_days: Annotated[
        int,
        Meta(
            ge=1,
            le=36_500,
            description="days for which the rows of a decided conflict are kept; what was decided, and why, stays",
        ),
    ] = 30
    undo_rows: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000_000,
            description="rows overwritten or deleted by us that are kept for `syncer undo`, the newest ones, for image_days at most; "
            "0: none",
        ),
    ] = 100_000
    skip_days: Annotated[
        float,
        Meta(
            ge=0,
            le=36_500,
            description="days after which a difference that was skipped, by a rule or a person, is held again; 0: not before either "
            "side changes the row",
        ),
    ] = 0
    redact: Annotated[
        tuple[str, ...],
        described(
            "columns whose values are never kept (globs on database.table.column); none of a key",
            '["crm.people.tax_id", "*.*.password"]',
        ),
    ] = ()

    def __post_init__(self) -> None:
        for pattern in self.redact:
            if pattern.count(".") != 2:
                raise ValueError(f"redact: {pattern!r} is not database.table.column")
