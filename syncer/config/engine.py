"""The section ``[engine]``."""

from __future__ import annotations

import os
from typing import Annotated

from msgspec import Meta

from syncer.config.section import Section

MOST_LANES = 4
"""So many chunks are read at a time at most where nobody says, and so many transactions are under way: catching up was slower with fewer, and with more."""


class EngineSection(Section, frozen=True, kw_only=True):
    """How hard the servers are worked. The defaults suit most pairs."""

    chunk_time_s: Annotated[
        float,
        Meta(gt=0, le=60, description="seconds one chunk of a whole-table comparison should take"),
    ] = 0.5
    chunk_rows_min: Annotated[
        int, Meta(ge=1, le=1_000_000, description="a chunk never holds fewer rows")
    ] = 50
    chunk_rows_max: Annotated[
        int, Meta(ge=1, le=1_000_000, description="a chunk never holds more rows")
    ] = 20_000
    threads: Annotated[
        int,
        Meta(
            ge=0,
            le=64,
            description="chunks of whole tables that are read at a time, and transactions that are under way at a time at one side, "
            "each on connections of its own; 0: as many chunks as this machine has processors, at most 4, and 4 transactions",
        ),
    ] = 0
    batch_rows: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            description="most rows that one transaction of ours reads and writes; a user's transaction "
            "that fits arrives whole; up to four times as many, or *threads* times, where much is due and some of it is decided row by row",
        ),
    ] = 1_000
    lock_wait_s: Annotated[
        int,
        Meta(
            ge=1,
            le=60,
            description="innodb_lock_wait_timeout of our sessions: rows that others hold are put off, what else can be had goes on",
        ),
    ] = 1
    retry_limit: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000,
            description="tries of a row that the target refuses (foreign key, unique key) before it is "
            "held as a conflict; no row is held while changes from before its first refusal are undecided",
        ),
    ] = 8
    backoff_max_s: Annotated[
        float,
        Meta(ge=0.1, le=3_600, description="longest pause between two tries to reach a server"),
    ] = 30.0
    connect_timeout_s: Annotated[
        float, Meta(ge=0.1, le=600, description="seconds a connection attempt may take")
    ] = 10.0
    statement_timeout_s: Annotated[
        float,
        Meta(
            ge=1,
            le=86_400,
            description="seconds a statement of ours may take; a server that is silent for 10 more is taken for lost",
        ),
    ] = 300.0

    def __post_init__(self) -> None:
        if self.chunk_rows_min > self.chunk_rows_max:
            raise ValueError("chunk_rows_min is greater than chunk_rows_max")

    @property
    def lanes(self) -> int:
        """How many chunks are read at a time; at least 1."""
        return self.threads or max(1, min(MOST_LANES, os.cpu_count() or 1))

    @property
    def writes(self) -> int:
        """How many transactions are under way at a time at one side; at least 1."""
        return self.threads or MOST_LANES
