"""
Record the corpus anew: a private server of each flavour, every kind of event we know how to ask it for.

Run ``python -m tests.fuzz.record``; the files in ``corpus/`` are part of the sources, so that the fuzzer needs no server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncer.binlog import events
from syncer.binlog.adapter import Stream
from syncer.core.position import StreamPosition
from syncer.core.side import Side
from syncer.mysql import marker
from syncer.mysql.connection import Session
from syncer.mysql.endpoint import from_text
from syncer.mysql.introspect import load_schemas
from syncer.service.streams import stream_endpoint
from testbed.provision import new_server
from tests.fuzz.corpus import Corpus, Scenario, save

if TYPE_CHECKING:
    from syncer.binlog.layout import Flavor
    from testbed.endpoint import Endpoint

PAIR = "pair"

TABLES = (
    "CREATE TABLE f.ints (id INT PRIMARY KEY, v VARCHAR(40), b BLOB, n DOUBLE)",
    "CREATE TABLE f.big (v TEXT, id BIGINT UNSIGNED PRIMARY KEY, s SMALLINT, y YEAR)",
    (
        "CREATE TABLE f.wide (a VARCHAR(30) CHARACTER SET utf8mb4, d DECIMAL(20,4), t DATETIME(3), e ENUM('x','y','z'),"
        " s SET('p','q','r'), bits BIT(11), bin BINARY(5), v INT NULL, note VARCHAR(300),"
        " c CHAR(8) CHARACTER SET latin1, ts TIMESTAMP(6), ti TIME(2), da DATE, m MEDIUMINT,"
        " PRIMARY KEY (a, d, t, e, s, bits, bin, c, ts, ti, da, m))"
    ),
    "CREATE TABLE f.docs (id INT PRIMARY KEY, j JSON, k JSON)",
)
ROW = (
    "('é😀', -1234567.8901, '2020-02-03 04:05:06.789', 'y', 'p,r', b'10101010101', 'ab', NULL, 'n', 'latin', "
    "'2021-01-02 03:04:05.678901', '-12:34:56.78', '1999-12-31', -7)"
)
LONG = "REPEAT('abcdefgh', 40)"

COMMON: dict[str, list[str]] = {
    "insert": [
        "INSERT INTO f.ints VALUES (1, 'one', X'00ff', 1.5), (2, NULL, NULL, NULL), (-3, '', '', 0)"
    ],
    "update": ["UPDATE f.ints SET v = 'uno' WHERE id > 0"],
    "key change": ["UPDATE f.ints SET id = id + 100"],
    "delete": ["DELETE FROM f.ints"],
    "unsigned": [
        "INSERT INTO f.big VALUES ('t', 18446744073709551615, -1, 2020), (NULL, 0, 5, 0)",
        "UPDATE f.big SET s = 9",
    ],
    "wide": [
        f"INSERT INTO f.wide VALUES {ROW}",
        "UPDATE f.wide SET v = 5, d = 7",
        "DELETE FROM f.wide",
    ],
    "documents": ["INSERT INTO f.docs VALUES (1, '{\"a\": 1, \"b\": [1, 2, 3]}', '[]')"],
    "several tables": [
        "BEGIN",
        "INSERT INTO f.ints VALUES (10, 'x', NULL, 0)",
        "SAVEPOINT s",
        "INSERT INTO f.big VALUES ('y', 10, 1, 1999)",
        "ROLLBACK TO s",
        "INSERT INTO f.big VALUES ('z', 11, 1, 1999)",
        "COMMIT",
    ],
    "own batch": [
        "BEGIN",
        f"UPDATE syncer.marker SET batch = 7, items = X'000000000000000703', kept = '' WHERE pair = '{PAIR}'",
        "INSERT INTO f.ints VALUES (20, 'own', NULL, 0), (21, 'own', NULL, 0)",
        "COMMIT",
    ],
    "minimal image": [
        "SET SESSION binlog_row_image = 'MINIMAL'",
        "UPDATE f.ints SET v = 'min' WHERE id = 10",
        "INSERT INTO f.ints (id) VALUES (30)",
        "DELETE FROM f.ints WHERE id = 30",
    ],
    "noblob image": [
        "SET SESSION binlog_row_image = 'NOBLOB'",
        "UPDATE f.ints SET n = 3 WHERE id = 10",
    ],
    "minimal metadata": [
        "SET GLOBAL binlog_row_metadata = 'MINIMAL'",
        "UPDATE f.ints SET n = 4 WHERE id = 10",
        "UPDATE f.big SET s = 4",
        "SET GLOBAL binlog_row_metadata = 'FULL'",
    ],
    "xa commit": [
        "XA START 'one','two',3",
        "INSERT INTO f.ints VALUES (40, 'xa', NULL, 0)",
        "XA END 'one','two',3",
        "XA PREPARE 'one','two',3",
        "XA COMMIT 'one','two',3",
    ],
    "xa rollback": [
        "XA START 'x'",
        "INSERT INTO f.ints VALUES (41, 'xa', NULL, 0)",
        "XA END 'x'",
        "XA PREPARE 'x'",
        "XA ROLLBACK 'x'",
    ],
    "ddl": [
        "CREATE TABLE f.later (id INT PRIMARY KEY)",
        "ALTER TABLE f.later ADD v INT",
        "DROP TABLE f.later",
    ],
    "statement": [
        "SET SESSION binlog_format = 'STATEMENT'",
        "UPDATE f.ints SET v = 'stated' WHERE id = 10",
    ],
    "truncate": ["TRUNCATE TABLE f.docs"],
    "rotate": ["FLUSH BINARY LOGS", "INSERT INTO f.ints VALUES (50, 'next file', NULL, 0)"],
}
OF_FLAVOR: dict[Flavor, dict[str, list[str]]] = {
    "mysql": {
        "compressed": [
            "SET SESSION binlog_transaction_compression = ON",
            "BEGIN",
            f"INSERT INTO f.ints VALUES (60, 'zstd', {LONG}, 0), (61, 'zstd', {LONG}, 0)",
            f"UPDATE f.big SET v = {LONG}",
            "COMMIT",
        ],
        "partial json": [
            "INSERT INTO f.docs VALUES (2, CONCAT('{\"a\": \"', REPEAT('x', 200), '\", \"n\": 1}'), '{}')",
            "SET SESSION binlog_row_value_options = 'PARTIAL_JSON'",
            "UPDATE f.docs SET j = JSON_SET(j, '$.n', 2) WHERE id = 2",
        ],
        "tagged gtid": [
            "SET SESSION gtid_next = 'AUTOMATIC:tag_one'",
            "INSERT INTO f.ints VALUES (70, 'tag', NULL, 0)",
            "SET SESSION gtid_next = 'AUTOMATIC'",
        ],
        "rows query": [
            "SET SESSION binlog_rows_query_log_events = ON",
            "INSERT INTO f.ints VALUES (71, 'query', NULL, 0)",
        ],
    },
    "mariadb": {
        "compressed": [
            "SET GLOBAL log_bin_compress_min_len = 10",
            "SET GLOBAL log_bin_compress = ON",
            f"INSERT INTO f.ints VALUES (60, 'zlib', {LONG}, 0), (61, 'zlib', {LONG}, 0)",
            f"UPDATE f.ints SET b = CONCAT({LONG}, 'x') WHERE id >= 60",
            "DELETE FROM f.ints WHERE id = 61",
            f"CREATE TABLE f.later (id INT PRIMARY KEY) COMMENT '{'c' * 200}'",
            "SET GLOBAL log_bin_compress = OFF",
        ],
        "standalone and annotated": [
            "SET SESSION binlog_annotate_row_events = ON",
            "INSERT INTO f.ints VALUES (71, 'note', NULL, 0)",
        ],
    },
}  # fmt: skip


def _here(server: Endpoint) -> StreamPosition:
    mysql = server.flavor == "mysql"
    identity, gtids = server.query(
        "SELECT @@server_uuid, @@global.gtid_executed"
        if mysql
        else "SELECT @@server_id, @@global.gtid_binlog_pos"
    )[0]
    file, offset = _end(server)
    return StreamPosition(
        server=str(identity), gtids=gtids.replace("\n", ""), file=file, offset=offset, seq=0
    )


def _end(server: Endpoint) -> tuple[str, int]:
    words = "BINARY LOG" if server.flavor == "mysql" else "MASTER"
    file, offset = server.query(f"SHOW {words} STATUS")[0][:2]
    return file, int(offset)


def _until_idle(stream: Stream) -> list[bytes]:
    """Read until the server has nothing more to say: it sends a heartbeat then, which is kept."""
    found: list[bytes] = []
    while not found or found[-1][5] not in {events.HEARTBEAT, events.HEARTBEAT_V2}:
        found += stream.packets()
    return found


def record(flavor: Flavor) -> Corpus:
    """Start a server, run all scenarios and keep what it sends."""
    with new_server(flavor, f"fuzz-{flavor}", 31) as server:
        server.script("CREATE DATABASE f", *TABLES, marker.CREATE_DATABASE, marker.CREATE_TABLE)
        server.query(marker.INSERT_MARKER, (PAIR, 1, "00"))
        endpoint = from_text(server.url())
        with Session.open(endpoint, Side.A, purpose="check") as session:
            schemas = load_schemas(session, databases=["f"])
        position = _here(server)
        stream = Stream(Side.A, stream_endpoint(endpoint, Side.A), flavor, 9_000)
        stream.open(position)
        head = _until_idle(stream)
        scenarios = []
        for name, statements in (COMMON | OF_FLAVOR[flavor]).items():
            if flavor == "mysql" and name == "statement" and not _knows_formats(server):
                continue
            server.script(*statements)
            packets = _until_idle(stream)
            while len(packets) < 2:  # a heartbeat that was due before
                packets += _until_idle(stream)
            scenarios.append(Scenario(name, tuple(packet.hex() for packet in packets)))
        stream.release()
        return Corpus(
            server.version,
            flavor,
            position,
            tuple(schemas[name] for name in sorted(schemas)),
            tuple(packet.hex() for packet in head),
            tuple(scenarios),
        )


def _knows_formats(server: Endpoint) -> bool:
    return bool(server.query("SHOW VARIABLES LIKE 'binlog_format'"))


if __name__ == "__main__":
    for one in ("mysql", "mariadb"):
        print(save(record(one)))
