"""
The shape of ``syncer.toml``: one Struct per section, one described field per key.

What the keys mean together (precedence, glob matching, policies) is in ``effective.py``; reading is in ``loader.py``.
``docs/config.md`` and the template of ``syncer config init`` are made from the descriptions here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from syncer.config.engine import EngineSection
from syncer.config.keeping import GuardSection, JournalSection
from syncer.config.section import Percent, Rows, Section, described
from syncer.core.filtering import parse_filter
from syncer.core.guard import WriteKind
from syncer.core.naming import parse_map
from syncer.core.policy import BaseRow, OnDelete, OnFk, OnNull, OnTie, OnTruncate, Presence
from syncer.core.replica import parse_replica
from syncer.core.schema import SchemaDifference
from syncer.core.side import Direction
from syncer.mysql.endpoint import SslMode


class EndpointSection(Section, frozen=True, kw_only=True):
    """One primary: a URL, or its parts."""

    url: Annotated[
        str | None,
        described(
            "mysql://user@host:port/database?ssl-mode=..., or a DSN h=,P=,u=,D=",
            "mysql://syncer@db1:3306/shop",
        ),
    ] = None
    host: Annotated[str | None, described("host name or address, instead of url", "db1")] = None
    port: Annotated[
        Annotated[int, Meta(ge=1, le=65_535)] | None, described("TCP port; where not set: 3306")
    ] = None
    socket: Annotated[
        str | None, described("path of a unix socket, instead of host", "/run/mysqld/mysqld.sock")
    ] = None
    user: Annotated[str | None, described("account name", "syncer")] = None
    password_file: Annotated[
        str | None, described("file whose first line is the password", "/run/secrets/db1")
    ] = None
    password_env: Annotated[
        str | None, described("environment variable that holds the password", "DB1_PASSWORD")
    ] = None
    ssl_mode: Annotated[
        SslMode | None,
        described("disabled, preferred, required, verify-ca or verify-identity", "verify-identity"),
    ] = None
    ssl_ca: Annotated[
        str | None, described("file with the CA certificates", "/etc/ssl/db-ca.pem")
    ] = None
    ssl_cert: Annotated[str | None, described("file with the client certificate")] = None
    ssl_key: Annotated[str | None, described("file with the client key")] = None


class SyncSection(Section, frozen=True, kw_only=True):
    """Which tables are kept equal, and which way differences travel. Globs: * ? [abc]."""

    databases: Annotated[
        tuple[str, ...], described("only tables of these databases (globs)", '["shop"]')
    ] = ()
    tables: Annotated[
        tuple[str, ...],
        described("only these tables (globs on database.table)", '["shop.*", "crm.customers"]'),
    ] = ()
    ignore_databases: Annotated[
        tuple[str, ...], described("never tables of these databases (globs)", '["scratch_*"]')
    ] = ()
    ignore_tables: Annotated[
        tuple[str, ...], described("never these tables (globs on database.table)", '["shop.log_*"]')
    ] = ()
    where: Annotated[
        str,
        described(
            "only rows for which this is true, in the servers' own words; a row counts where it is true on either side",
            "region = 'eu'",
        ),
    ] = ""
    map: Annotated[
        tuple[str, ...],
        described(
            "tables and databases that have another name on side b: name on a = name on b",
            '["shop=store", "crm.customers=crm.clients"]',
        ),
    ] = ()
    direction: Annotated[
        Direction, described("both: two-way; a-to-b or b-to-a: the source decides everything")
    ] = Direction.BOTH
    schema_difference: Annotated[
        SchemaDifference,
        described(
            "what becomes of a table whose definitions stop fitting each other. pause: it waits until they do; "
            "ignore-extra: columns of one side alone that have a default are left out, all else waits; stop: the run ends"
        ),
    ] = SchemaDifference.PAUSE

    def __post_init__(self) -> None:
        parse_map(self.map)
        parse_filter(self.where)


class PolicySection(Section, frozen=True, kw_only=True):
    """What is decided when both sides changed the same row. Only conflicts are concerned."""

    rule: Annotated[
        str,
        described(
            "newest[:column], oldest[:column], highest_version:column, lowest_version:column, prefer:a, prefer:b, "
            "update_wins, delete_wins, equals:column=value, matches:column=pattern, custom:module:function, "
            "keep_both:a, keep_both:b, column_merge[:a+b,...], delta:columns, max:columns, min:columns, hold (a person decides), halt (and the table waits) or skip; several joined by "
            "`then`: each is asked what the one before leaves open. See docs/conflicts.md",
        ),
    ] = "hold"
    on_delete: Annotated[
        OnDelete | None,
        described(
            "update_wins, delete_wins or hold: an update against a delete, where the rule compares a column"
        ),
    ] = None
    on_tie: Annotated[
        OnTie | None, described("a, b or hold: two equal values under a comparing rule")
    ] = None
    on_null: Annotated[
        OnNull | None, described("lose or hold: NULL in the rule's column on one side")
    ] = None
    presence: Annotated[
        Presence,
        described("copy or hold: a row on one side only of which no stream ever told"),
    ] = Presence.COPY
    on_truncate: Annotated[
        OnTruncate,
        described(
            "change_wins, hold or halt: a row that one side changed and the other one truncated away. change_wins: it comes back; "
            "hold: a person decides; halt: and the table waits until then"
        ),
    ] = OnTruncate.CHANGE_WINS
    on_fk: Annotated[
        OnFk | None,
        described(
            "hold, restore_parent, drop_child or cascade: a child that one side wrote while the other one deleted its parent. Said of the "
            "child's table; where it says nothing, restore_parent and cascade of the parent's count; where neither does: hold"
        ),
    ] = None
    base: Annotated[
        BaseRow,
        described(
            "auto or keep: the row that both sides agreed on last, shown with a conflict. auto: kept where a rule cannot do "
            "without it; keep: always, so that newest:column and the version rules notice a value that a change left as it was"
        ),
    ] = BaseRow.AUTO
    custom_timeout_s: Annotated[
        float,
        Meta(gt=0, le=60, description="seconds that the function of a custom rule may take"),
    ] = 1.0
    clock_margin_s: Annotated[
        float,
        Meta(
            ge=0,
            le=86_400,
            description="two times closer than their resolution, the measured skew of the servers' clocks and so many "
            "seconds are equal (on_tie); 0: only commit times, a column's are taken as they are",
        ),
    ] = 0.0
    max_future_s: Annotated[
        float,
        Meta(
            ge=0,
            le=86_400_000,
            description="a commit time or TIMESTAMP so many seconds ahead of the servers' clocks is held; 0: never",
        ),
    ] = 60.0


class TableSection(Section, frozen=True, kw_only=True):
    """Settings of some tables. Of several matching entries the later wins, key by key; a key not set falls back."""

    match: Annotated[str, described("glob on database.table", "shop.orders")]
    direction: Annotated[Direction | None, described("as in [sync]")] = None
    rule: Annotated[str | None, described("as in [policy]", "newest:updated_at")] = None
    on_delete: Annotated[OnDelete | None, described("as in [policy]")] = None
    on_tie: Annotated[OnTie | None, described("as in [policy]")] = None
    on_null: Annotated[OnNull | None, described("as in [policy]")] = None
    presence: Annotated[Presence | None, described("as in [policy]")] = None
    on_truncate: Annotated[OnTruncate | None, described("as in [policy]")] = None
    on_fk: Annotated[OnFk | None, described("as in [policy]")] = None
    base: Annotated[BaseRow | None, described("as in [policy]")] = None
    custom_timeout_s: Annotated[
        Annotated[float, Meta(gt=0, le=60)] | None, described("as in [policy]")
    ] = None
    clock_margin_s: Annotated[
        Annotated[float, Meta(ge=0, le=86_400)] | None, described("as in [policy]")
    ] = None
    max_future_s: Annotated[
        Annotated[float, Meta(ge=0, le=86_400_000)] | None, described("as in [policy]")
    ] = None
    key: Annotated[
        str | None,
        described(
            "the columns of the unique key, NOT NULL, that tells rows apart; where not set: the primary key, else the "
            "shortest unique key",
            "tenant, code",
        ),
    ] = None
    deletes_max: Annotated[Rows | None, described("as in [guard]")] = None
    deletes_percent_max: Annotated[Percent | None, described("as in [guard]")] = None
    updates_max: Annotated[Rows | None, described("as in [guard]")] = None
    updates_percent_max: Annotated[Percent | None, described("as in [guard]")] = None
    forbid_a: Annotated[tuple[WriteKind, ...] | None, described("as in [guard]", '["delete"]')] = (
        None
    )
    forbid_b: Annotated[tuple[WriteKind, ...] | None, described("as in [guard]", '["delete"]')] = (
        None
    )
    where: Annotated[
        str | None, described("as in [sync]; empty: every row", "deleted = 0 AND id > 1000")
    ] = None
    ignore_columns: Annotated[
        tuple[str, ...] | None,
        described("columns neither compared nor written", '["cached_total"]'),
    ] = None

    def __post_init__(self) -> None:
        parse_filter(self.where or "")


class ThrottleSection(Section, frozen=True, kw_only=True):
    """When whole-table comparisons and copies give way to the application. Live changes are never held up."""

    max_load: Annotated[
        tuple[str, ...],
        described(
            "pause while a status variable of either primary is above its limit; empty: never",
            '["Threads_running=25"]',
        ),
    ] = ("Threads_running=25",)
    rows_per_s: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000_000,
            description="most rows compared or copied per second; 0: no limit",
        ),
    ] = 0
    pause_file: Annotated[
        str | None, described("pause while this file exists", "/run/syncer/pause")
    ] = None
    replicas: Annotated[
        tuple[str, ...],
        described(
            "pause while one of these replicas of a primary is behind; asked with that side's account",
            '["a=db3:3306", "b=db4"]',
        ),
    ] = ()
    find_replicas: Annotated[
        bool,
        described("ask both primaries for replicas that say where they are (report_host), too"),
    ] = False
    replica_lag_max_s: Annotated[
        float,
        Meta(ge=0, le=86_400, description="seconds that a replica may be behind"),
    ] = 10.0

    def loads(self) -> dict[str, int]:
        """Return the limits of ``max_load`` by variable. Raises ValueError where one is not ``NAME=NUMBER``."""
        found = {}
        for text in self.max_load:
            name, sign, most = text.partition("=")
            if not sign or not most.strip().isdecimal() or not name.strip().isidentifier():
                raise ValueError(f"max_load: {text!r} is not NAME=NUMBER, as in Threads_running=25")
            found[name.strip()] = int(most)
        return found

    def __post_init__(self) -> None:
        self.loads()
        for text in self.replicas:
            parse_replica(text)


class HeartbeatSection(Section, frozen=True, kw_only=True):
    """A tiny write per side on an interval: measures lag on idle servers, keeps positions moving, watches the clocks."""

    interval_s: Annotated[
        float,
        Meta(
            ge=0,
            le=60,
            description="seconds between two heartbeats of a side, at least 0.1; 0 for none: then lag is known only "
            "while others write, to the whole second on MariaDB, and the clocks are compared at the start only",
        ),
    ] = 1.0
    source: Annotated[
        bool,
        Meta(
            description="write heartbeats also to a side that no table is written to, the source of a one-way run"
        ),
    ] = False

    def __post_init__(self) -> None:
        if 0 < self.interval_s < 0.1:
            raise ValueError("interval_s is below 0.1: a heartbeat costs its server a commit")


class LogSection(Section, frozen=True, kw_only=True):
    """Logs go to stderr."""

    format: Annotated[
        Literal["console", "json"] | None,
        described("console or json; where not set: console on a terminal, else json"),
    ] = None
    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        described("debug, info, warning or error: least severity shown"),
    ] = "info"


class FileConfig(Section, frozen=True, kw_only=True):
    """The whole file."""

    ledger: Annotated[
        str, described("the file that remembers positions, dirty keys and conflicts")
    ] = "./syncer.db"
    pair: Annotated[
        Annotated[str, Meta(max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")] | None,
        described("name of the pair in the marker rows; where not set: made from both addresses"),
    ] = None
    a: EndpointSection = EndpointSection()
    b: EndpointSection = EndpointSection()
    sync: SyncSection = SyncSection()
    policy: PolicySection = PolicySection()
    table: tuple[TableSection, ...] = ()
    guard: GuardSection = GuardSection()
    journal: JournalSection = JournalSection()
    engine: EngineSection = EngineSection()
    heartbeat: HeartbeatSection = HeartbeatSection()
    throttle: ThrottleSection = ThrottleSection()
    log: LogSection = LogSection()


SECTIONS: dict[str, type[Section]] = {
    "a": EndpointSection,
    "b": EndpointSection,
    "sync": SyncSection,
    "policy": PolicySection,
    "guard": GuardSection,
    "journal": JournalSection,
    "engine": EngineSection,
    "heartbeat": HeartbeatSection,
    "throttle": ThrottleSection,
    "log": LogSection,
}
"""Every section that is a table of its own, in file order; ``[[table]]`` stands before engine."""
