"""Lines 3, 4, 5 and 10: whole tables, and rows that differ in them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from benchmark import peers
from benchmark.arena import DATABASE, NAME, TABLE, Arena, checksum
from benchmark.result import Result, Sense, Target, judge
from testbed.proxy import Proxy

if TYPE_CHECKING:
    from testbed.endpoint import Endpoint

_DIGEST = (
    "SELECT COUNT(*), BIT_XOR(CAST(CONV(LEFT(SHA2(CONCAT_WS('#', id, customer_id, name, email, amount, status, note,"
    f" created, version), 256), 16), 16, 10) AS UNSIGNED)) FROM {NAME}"
)


_DRIFT = 1000
_FAR_TABLE, _FAR_PEER, _ONE_WAY_S = 10, 300, 0.010


def compare(arena: Arena, rows: int, runs: int) -> list[Result]:
    """Both sides hold the same rows; `verify` reads both."""
    arena.fresh(rows_a=rows, rows_b=rows)
    ours, digest, toolkit = [], [], []
    note = ""
    for _ in range(runs):
        ours.append(arena.product().verify())
        digest.append(max(_spent(arena, side) for side in (0, 1)))
        if peers.toolkit("pt-table-checksum") is None:
            note = "pt-table-checksum is not installed: scripts/install-servers peers"
        elif not note:
            try:
                toolkit.append(peers.pt_table_checksum(arena.a))
            except RuntimeError as error:
                note = f"pt-table-checksum does not run on this server: {_first_line(error)}"
    size = f"{rows:,} rows"
    return [
        judge(
            3,
            "compare equal tables, against one SHA2 digest of one side",
            arena.flavor,
            "s",
            ours,
            Target(Sense.COST, 1.3),
            peer=digest,
            size=size,
        ),
        judge(
            3,
            "compare equal tables, against pt-table-checksum of one side",
            arena.flavor,
            "s",
            ours,
            Target(Sense.COST, 1.0),
            peer=toolkit,
            size=size,
            note=note,
        ),
    ]


def _spent(arena: Arena, side: int) -> float:
    begun = time.perf_counter()
    arena.pair.sides[side].query(_DIGEST)
    return time.perf_counter() - begun


def _first_line(error: Exception) -> str:
    """What a program said, without what names this machine."""
    text = str(error).partition(": ")[2].strip().splitlines()
    return text[0].split(" at /")[0][:160] if text else type(error).__name__


def drift(arena: Arena, rows: int, runs: int) -> list[Result]:
    """Every thousandth row differs, and no stream tells of it."""
    ours: list[float] = []
    peer: list[float] = []
    note = ""
    arena.fresh(rows_a=rows, rows_b=rows)
    wanted = checksum(arena.a)
    for _ in range(runs):
        _differ(arena, f"id % {_DRIFT} = 7")
        ours.append(arena.product().until_in_sync())
        _same(arena, wanted)
        arena.forget_binlogs()
        if note:
            continue
        _differ(arena, f"id % {_DRIFT} = 7")
        note = _sync(arena.b, arena, wanted, peer)
    return [
        judge(
            4,
            "find and fix 0.1 % drift, against pt-table-sync",
            arena.flavor,
            "s",
            ours,
            Target(Sense.FASTER, 6),
            peer=peer,
            size=f"{rows:,} rows",
            note=note,
        )
    ]


def _sync(target: Endpoint, arena: Arena, wanted: tuple[object, ...], spent: list[float]) -> str:
    """Repair by pt-table-sync and note the seconds; say why where it cannot."""
    if peers.toolkit("pt-table-sync") is None:
        return "pt-table-sync is not installed: scripts/install-servers peers"
    try:
        seconds = peers.pt_table_sync(arena.a, target)
    except RuntimeError as error:
        return f"pt-table-sync does not run on this server: {_first_line(error)}"
    finally:
        arena.forget_binlogs()
    if checksum(arena.b) != wanted:
        return "pt-table-sync left differences"
    spent.append(seconds)
    return ""


def _differ(arena: Arena, where: str) -> None:
    with arena.b.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_log_bin = 0")
        # Not the same change in each row: equal ones cancel out in the peer's checksums, and it would find nothing.
        cursor.execute(f"UPDATE {NAME} SET note = CONCAT('drift ', SHA2(id, 224)) WHERE {where}")


def far(arena: Arena, rows: int, runs: int) -> list[Result]:
    """Scattered rows differ, 20 ms away; the peer gets 300 of them, a tenth of fewer than 3,000, and its rate is taken for all."""
    ours: list[float] = []
    peer: list[float] = []
    note = ""
    few = min(_FAR_PEER, rows // 10)
    arena.fresh(rows_a=_FAR_TABLE * rows, rows_b=_FAR_TABLE * rows)
    wanted = checksum(arena.a)
    with Proxy(arena.b) as proxy:
        for _ in range(runs):
            _differ(arena, f"id % {_FAR_TABLE} = 7")
            product = arena.product()
            product.urls[1] = proxy.url()
            proxy.delay_s = _ONE_WAY_S
            ours.append(rows / product.until_in_sync())
            proxy.delay_s = 0.0
            _same(arena, wanted)
            arena.forget_binlogs()
            if note:
                continue
            _differ(arena, f"id % {_FAR_TABLE} = 7 AND id <= {few * _FAR_TABLE}")
            proxy.delay_s = _ONE_WAY_S
            spent: list[float] = []
            note = _sync(cast("Endpoint", _Through(arena.b, proxy.port)), arena, wanted, spent)
            proxy.delay_s = 0.0
            peer += [few / seconds for seconds in spent]
    return [
        judge(
            10,
            "repair scattered rows 20 ms away, against pt-table-sync",
            arena.flavor,
            "rows/s",
            ours,
            Target(Sense.FASTER, 50),
            peer=peer,
            size=f"{rows:,} of {_FAR_TABLE * rows:,} rows",
            note=note,
        )
    ]


class _Through:
    """The address of a server behind a proxy, as `peers.dsn` reads it."""

    def __init__(self, server: Endpoint, port: int) -> None:
        self.host, self.port, self.password = "127.0.0.1", port, server.password
        self.flavor = server.flavor


def copy(arena: Arena, rows: int, runs: int) -> list[Result]:
    """Side B's table is empty. Rows are loaded where the server lets its clients do so: MariaDB does, MySQL where it is told to."""
    ours: dict[str, list[float]] = {"ON": [], "OFF": []}
    peer: list[float] = []
    arena.fresh(rows_a=rows)
    wanted = checksum(arena.a)
    [(usual,)] = arena.b.query("SELECT @@GLOBAL.local_infile")
    for _ in range(runs):
        for value, times in ours.items():
            _empty(arena)
            arena.b.query(f"SET GLOBAL local_infile = {value}")
            times.append(arena.product().until_in_sync())
            _same(arena, wanted)
        _empty(arena)
        peer.append(peers.dump_and_load(arena.a, arena.b))
        _same(arena, wanted)
    arena.b.query(f"SET GLOBAL local_infile = {usual}")
    return [
        judge(
            5,
            f"copy into an empty table, local_infile {_said(value, usual)}, against mysqldump | mysql",
            arena.flavor,
            "s",
            times,
            Target(Sense.FASTER, 1.6),
            peer=peer,
            size=f"{rows:,} rows",
        )
        for value, times in ours.items()
    ]


def _said(value: str, usual: object) -> str:
    return f"{value.lower()} (default)" if (value == "ON") == bool(usual) else value.lower()


def _empty(arena: Arena) -> None:
    arena.b.script(f"DROP TABLE {NAME}")
    create = arena.a.query(f"SHOW CREATE TABLE {NAME}")[0][1]
    arena.b.script(create, db=DATABASE)
    arena.b.query(f"SELECT COUNT(*) FROM {DATABASE}.{TABLE}")
    arena.forget_binlogs()


def _same(arena: Arena, wanted: tuple[object, ...]) -> None:
    if checksum(arena.b) != wanted:
        raise RuntimeError("side B does not hold what side A holds")
