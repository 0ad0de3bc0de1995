"""
The type matrix: column types with values of every kind, and an oracle that reads them with SELECTs of its own.

Shares no code with the product. A *family* is a table with one column per type; row *n* holds each column's *n*-th value,
counted round, so that every value is written, moved to another row by the updates, and deleted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from testbed.endpoint import Endpoint

Cell = Any
Contents = dict[int, dict[str, Cell]]


@dataclass(frozen=True, eq=False)
class Typed:
    """
    A column.

    Attributes:
        sql: its type; ``{json}`` and the like are not interpreted.
        values: SQL expressions, NULL left out: it is added.
        read: how the oracle reads it, see ``_SELECTS``.
        other: its type on side B, where it has another one there.
        only: the flavour whose pair alone has this type.
        generated: the expression that makes it, instead of values.
    """

    name: str
    sql: str
    values: Sequence[str] = ()
    read: str = "hex"
    other: str | None = None
    only: str | None = None
    generated: str | None = None

    def on(self, side: str) -> str:
        return self.other if side == "b" and self.other is not None else self.sql


@dataclass(frozen=True, eq=False)
class Family:
    """A table of the matrix."""

    name: str
    columns: tuple[Typed, ...]

    def of(self, pair_name: str) -> Family:
        """Leave out what this pair does not have."""
        return Family(self.name, tuple(c for c in self.columns if c.only in {None, pair_name}))

    @property
    def rows(self) -> int:
        return max((len(c.values) for c in self.columns), default=0) + 1

    def create(self, database: str, side: str) -> str:
        columns = ", ".join(
            f"{_quoted(c.name)} {c.on(side)}" + (f" AS ({c.generated})" if c.generated else "")
            for c in self.columns
        )
        return f"CREATE TABLE {database}.{self.name} (id INT NOT NULL PRIMARY KEY, {columns})"

    def _cells(self, number: int) -> list[tuple[str, str]]:
        return [
            (c.name, (*c.values, "NULL")[number % (len(c.values) + 1)])
            for c in self.columns
            if c.generated is None
        ]

    def insert(self, database: str, row: int) -> str:
        names, values = zip(*self._cells(row), strict=True)
        listed = ", ".join(map(_quoted, names))
        return (
            f"INSERT INTO {database}.{self.name} (id, {listed}) VALUES ({row}, {', '.join(values)})"
        )

    def update(self, database: str, row: int, shift: int) -> str:
        """Give row *row* the values of the row *shift* further on."""
        sets = ", ".join(f"{_quoted(name)} = {value}" for name, value in self._cells(row + shift))
        return f"UPDATE {database}.{self.name} SET {sets} WHERE id = {row}"

    def read(self, server: Endpoint, database: str, *, by_value: bool) -> Contents:
        """Read the table whole. *by_value*: the sides are of different flavours."""
        listed = ", ".join(_SELECTS[c.read].format(_quoted(c.name)) for c in self.columns)
        with server.connect(database=database) as connection, connection.cursor() as cursor:
            cursor.execute("SET SESSION time_zone = '+00:00', group_concat_max_len = 1000000")
            cursor.execute(f"SELECT id, {listed} FROM `{self.name}` ORDER BY id")
            return {
                row[0]: {
                    c.name: None if cell is None else _value(c.read, cell, by_value=by_value)
                    for c, cell in zip(self.columns, row[1:], strict=True)
                }
                for row in cursor.fetchall()
            }


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


_SELECTS = {
    "hex": "HEX({0})",
    "text": "CAST({0} AS CHAR)",
    "unicode": "HEX(CONVERT({0} USING utf8mb4))",
    "number": "{0}",
    "bits": "({0} + 0)",
    "float": "CAST({0} AS DOUBLE)",
    "members": "CONCAT({0} + 0 = 0, '/', CONVERT({0} USING utf8mb4))",
    "json": "CAST({0} AS CHAR)",
}


def _value(read: str, cell: Any, *, by_value: bool) -> Cell:
    if read == "float":
        number = float(cell)
        # MariaDB stores no negative zero.
        return (number + 0.0 if by_value else number).hex()
    if read == "members":
        valid, _, listed = cell.partition("/")
        return valid, sorted(listed.split(","))
    if read == "json" and by_value:
        return _json(json.loads(cell, parse_float=lambda text: ("real", Decimal(text).normalize())))
    if read == "hex" or read == "unicode":
        return cell
    return str(cell)


def _json(value: Any) -> Cell:
    if isinstance(value, dict):
        return sorted((key, _json(part)) for key, part in value.items())
    if isinstance(value, list):
        return [_json(part) for part in value]
    return (type(value).__name__, value)


def differences(found: Contents, wanted: Contents) -> list[str]:
    """Name every cell that is not what it must be."""
    lines = []
    for row in sorted(found.keys() | wanted.keys()):
        if row not in found or row not in wanted:
            lines.append(f"row {row} is {'missing' if row in wanted else 'too many'}")
            continue
        lines += [
            f"row {row} {name}: {str(found[row][name])[:90]} is not {str(cell)[:90]}"
            for name, cell in wanted[row].items()
            if found[row][name] != cell
        ]
    return lines


def _integers(bits: int) -> list[str]:
    top = 1 << bits - 1
    return [str(n) for n in (0, 1, -1, top - 1, -top)]


def _naturals(bits: int) -> list[str]:
    return [str(n) for n in (0, 1, (1 << bits - 1) - 1, 1 << bits - 1, (1 << bits) - 1)]


_SIZES = {"TINYINT": 8, "SMALLINT": 16, "MEDIUMINT": 24, "INT": 32, "BIGINT": 64}

NUMBERS = Family(
    "numbers",
    (
        *(
            Typed(f"{kind.lower()}_s", kind, _integers(bits), "number")
            for kind, bits in _SIZES.items()
        ),
        *(
            Typed(f"{kind.lower()}_u", f"{kind} UNSIGNED", _naturals(bits), "number")
            for kind, bits in _SIZES.items()
        ),
        Typed("zerofill", "INT(8) UNSIGNED ZEROFILL", _naturals(32), "number"),
        Typed("zerofill_big", "BIGINT UNSIGNED ZEROFILL", _naturals(64), "number"),
        Typed("wider", "INT", _integers(32), "number", other="BIGINT"),
        Typed("bool_", "BOOL", ["TRUE", "FALSE", "2"], "number"),
        Typed("year_", "YEAR", ["0", "1901", "2155", "2000", "1970"], "number"),
        Typed(
            "decimal65",
            "DECIMAL(65,30)",
            [
                "0",
                "9" * 35 + "." + "9" * 30,
                "-" + "9" * 35 + "." + "9" * 30,
                "0." + "0" * 29 + "1",
                "-0.5",
            ],
            "number",
        ),
        Typed("decimal_whole", "DECIMAL(65,0)", ["9" * 65, "-" + "9" * 65, "0", "1e64"], "number"),
        Typed(
            "decimal_fill",
            "DECIMAL(65,30) UNSIGNED ZEROFILL",
            ["0", "9" * 35 + "." + "9" * 30, "0.5"],
            "number",
        ),
        Typed("decimal_zero", "DECIMAL(5,2)", ["-0.00", "-0.004", "-0.01", "999.99"], "number"),
        Typed(
            "float_",
            "FLOAT",
            [
                "0",
                "'-0'",
                "1e-45",
                "3.4028234663852886e38",
                "-3.4028234663852886e38",
                "0.1",
                "16777217",
                "1.17549435e-38",
            ],
            "float",
        ),
        Typed(
            "double_",
            "DOUBLE",
            [
                "0",
                "'-0'",
                "5e-324",
                "2.2250738585072014e-308",
                "1.7976931348623157e308",
                "-1e308",
                "0.1",
                "9007199254740993",
                "0.30000000000000004",
                "1e15",
                "1e16",
                "123456789012345678",
            ],
            "float",
        ),
        Typed("float_md", "FLOAT(7,2)", ["12345.67", "-0.01", "0", "99999.99"], "float"),
        Typed("double_md", "DOUBLE(20,5)", ["123456789012345.12345", "-0.00001"], "float"),
        *(
            Typed(f"bit{size}", f"BIT({size})", ["b'0'", "b'1'", f"b'{'1' * size}'"], "bits")
            for size in (1, 5, 8, 9, 31, 63, 64)
        ),
    ),
)

_TRICKY = [
    "''",
    "' '",
    "'trailing  '",
    "'  leading'",
    "'A'",
    "'a'",
    "'NULL'",
    "'~'",
    "',1:a'",
    r"'it\'s \" \\\\ \0 \Z \r\n %s %% `'",
]
_UNICODE = ["'é'", "'e\u0301'", "'ß'", "'日本語'", "'İı'", "'\u200b'"]
_EMOJI = ["'😀👩‍👩‍👧'", "'\U0010fffd'"]


def _raw(charset: str, *codes: str) -> list[str]:
    return [f"_{charset} X'{code}'" for code in codes]


TEXTS = Family(
    "texts",
    (
        Typed("char4", "CHAR(40) CHARACTER SET utf8mb4", [*_TRICKY, *_UNICODE, *_EMOJI]),
        Typed("var4", "VARCHAR(40) CHARACTER SET utf8mb4", [*_TRICKY, *_UNICODE, *_EMOJI]),
        Typed(
            "bin4",
            "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
            [*_TRICKY, *_UNICODE, *_EMOJI],
        ),
        Typed("var3", "VARCHAR(40) CHARACTER SET utf8mb3", [*_TRICKY, *_UNICODE]),
        Typed(
            "latin",
            "VARCHAR(40) CHARACTER SET latin1",
            [*_TRICKY, "'é€'", *_raw("latin1", "80", "81", "8D8F909D", "A0FF")],
        ),
        Typed("ascii_", "VARCHAR(40) CHARACTER SET ascii", _TRICKY),
        Typed("ascii_char", "CHAR(40) CHARACTER SET ascii", _TRICKY),
        Typed(
            "gbk_",
            "VARCHAR(40) CHARACTER SET gbk",
            _raw("gbk", "", "815C", "B0A1", "FE50", "A2A1", "80" * 0 + "C4E3BAC3", "20", "5C27"),
        ),
        Typed(
            "sjis_",
            "VARCHAR(40) CHARACTER SET sjis",
            _raw("sjis", "815F", "5C", "835C", "B1", "8140"),
        ),
        Typed(
            "cp932_",
            "VARCHAR(40) CHARACTER SET cp932",
            _raw("cp932", "FA54", "81CA", "8790", "81E0", "F040"),
        ),
        Typed("big5_", "CHAR(20) CHARACTER SET big5", _raw("big5", "A15A", "A1C3", "F9D6", "A55C")),
        Typed("euckr_", "VARCHAR(20) CHARACTER SET euckr", _raw("euckr", "B0A1", "A2E6", "C9A1")),
        Typed("ujis_", "VARCHAR(20) CHARACTER SET ujis", _raw("ujis", "A1C0", "8FA2B7", "8EB1")),
        Typed("greek_", "VARCHAR(20) CHARACTER SET greek", _raw("greek", "E1", "D2", "AA", "FF")),
        Typed("hebrew_", "VARCHAR(20) CHARACTER SET hebrew", _raw("hebrew", "E0", "A1", "FE")),
        Typed("cyrillic", "VARCHAR(20) CHARACTER SET cp1251", _raw("cp1251", "E0", "98", "FF")),
        Typed(
            "ucs2_",
            "VARCHAR(20) CHARACTER SET ucs2",
            _raw("ucs2", "0061", "00200020", "65E5", "FFFD", "D800"),
        ),
        Typed("utf16_", "VARCHAR(20) CHARACTER SET utf16", [*_UNICODE, *_EMOJI]),
        Typed("utf32_", "CHAR(20) CHARACTER SET utf32", [*_UNICODE, *_EMOJI]),
        Typed("gb18030_", "VARCHAR(20) CHARACTER SET gb18030", [*_UNICODE, *_EMOJI], only="mysql"),
        Typed(
            "recoded",
            "VARCHAR(40) CHARACTER SET latin1",
            ["'é€'", "'plain'", "' x '"],
            "unicode",
            other="VARCHAR(60) CHARACTER SET utf8mb4",
        ),
        Typed("tiny", "TINYTEXT", [*_TRICKY, *_UNICODE, *_EMOJI, "REPEAT('x', 255)"]),
        Typed("text_", "TEXT CHARACTER SET latin1", ["''", "REPEAT('é', 65535)", "'a  '"]),
        Typed("medium", "MEDIUMTEXT", ["REPEAT('日', 70000)", "'a\tb'", "''"]),
        Typed("long_", "LONGTEXT CHARACTER SET sjis", _raw("sjis", "815F", "5C", "")),
    ),
)

_BYTES = ["''", "X'00'", "X'0000'", "X'20'", "X'2000'", "X'FF'", "X'C3'", "X'275C22000A0D1A'"]

BINARIES = Family(
    "binaries",
    (
        Typed("binary_", "BINARY(8)", _BYTES),
        Typed("uuid16", "BINARY(16)", ["X'0123456789ABCDEF0123456789ABCD00'", "REPEAT(X'00', 16)"]),
        Typed("varbinary_", "VARBINARY(60)", [*_BYTES, "X'F09F9880'", "REPEAT(X'FE', 60)"]),
        Typed("charbinary", "VARCHAR(20) CHARACTER SET binary", _BYTES),
        Typed("tinyblob_", "TINYBLOB", [*_BYTES, "REPEAT(X'00', 255)"]),
        Typed("blob_", "BLOB", [*_BYTES, "REPEAT(X'00FF', 32767)"]),
        Typed("mediumblob_", "MEDIUMBLOB", [*_BYTES, "REPEAT(X'5C', 100000)"]),
        Typed("longblob_", "LONGBLOB", [*_BYTES, "REPEAT(X'27', 100000)"]),
        Typed("grows", "BLOB", _BYTES, other="LONGBLOB"),
    ),
)

_MEMBERS = r"'b','a','it\'s','comma;','','ü','Z'"

MEMBERS = Family(
    "members",
    (
        Typed(
            "enum_", f"ENUM({_MEMBERS})", [r"'it\'s'", "''", "'ü'", "0", "'b'", "'Z'"], "members"
        ),
        Typed("enum_latin", "ENUM('é','x') CHARACTER SET latin1", ["'é'", "'x'", "0"], "members"),
        Typed(
            "enum_moved",
            "ENUM('a','b','c')",
            ["'a'", "'b'", "'c'", "0"],
            "members",
            other="ENUM('c','a','b')",
        ),
        Typed("set_", "SET('b','a','ü')", ["''", "'a'", "'b,a'", "'b,a,ü'"], "members"),
        Typed(
            "set_moved",
            "SET('x','y','z')",
            ["''", "'x'", "'x,y'", "'x,z'", "'x,y,z'"],
            "members",
            other="SET('z','y','x')",
        ),
        Typed(
            "set64",
            f"SET({','.join(repr(f'm{n}') for n in range(64))})",
            ["''", "'m0'", "'m63'", "'m0,m62,m63'", "~0"],
            "members",
        ),
        Typed(
            "enum300",
            f"ENUM({','.join(repr(f'm{n}') for n in range(300))})",
            ["'m0'", "'m254'", "'m255'", "'m299'"],
            "members",
        ),
    ),
)

_MOMENTS = [
    "'0000-00-00 00:00:00'",
    "'1000-01-01 00:00:00'",
    "'9999-12-31 23:59:59'",
    "'2020-02-31 12:00:00'",
    "'2020-00-15 00:00:00'",
    "'2020-12-00 01:02:03'",
]

TIMES = Family(
    "times",
    (
        Typed(
            "date_",
            "DATE",
            [
                "'0000-00-00'",
                "'1000-01-01'",
                "'9999-12-31'",
                "'2020-02-31'",
                "'2020-00-00'",
                "'0001-01-01'",
            ],
            "text",
        ),
        Typed("datetime0", "DATETIME", _MOMENTS, "text"),
        *(
            Typed(
                f"datetime{digits}",
                f"DATETIME({digits})",
                [*_MOMENTS, f"'2020-01-01 00:00:00.{'9' * digits}'", "'2020-01-01 00:00:00.1'"],
                "text",
            )
            for digits in range(1, 7)
        ),
        *(
            Typed(
                f"timestamp{digits}",
                f"TIMESTAMP({digits}) NULL DEFAULT NULL",
                [
                    "'0000-00-00 00:00:00'",
                    "FROM_UNIXTIME(1)",
                    "FROM_UNIXTIME(2147483647)",
                    f"FROM_UNIXTIME(1616893199.{'9' * (digits or 1)})"
                    if digits
                    else "FROM_UNIXTIME(1616893199)",
                    "FROM_UNIXTIME(1616893200)",
                    "FROM_UNIXTIME(1635638400)",
                    "FROM_UNIXTIME(1635642000)",
                ],
                "text",
            )
            for digits in (0, 1, 3, 6)
        ),
        *(
            Typed(
                f"time{digits}",
                f"TIME({digits})",
                [
                    "'00:00:00'",
                    "'-00:00:01'",
                    "'-838:59:59'",
                    "'838:59:59'",
                    "'-00:00:00.1'",
                    f"'23:59:59.{'9' * (digits or 1)}'" if digits else "'23:59:59'",
                ],
                "text",
            )
            for digits in (0, 2, 6)
        ),
        # MySQL's TIME has no fraction beyond 838:59:59.
        Typed(
            "time_end",
            "TIME(6)",
            ["'838:59:59.999999'", "'-838:59:59.999999'"],
            "text",
            only="mariadb",
        ),
    ),
)

_DOCUMENTS = [
    """'{"b": 1, "aa": [1, 1.5, -0.25, true, false, null, {}, []], "a": {"z": "", "y": "1"}}'""",
    """'[0, 18446744073709551615, -9223372036854775808, 1e300, 5e-324, 0.1, 100.0, 1.0]'""",
    r"""'"quote \\" slash \\\\ \\/ control \\u0001 \\n tab \\t e \\u00e9 emoji \\ud83d\\ude00 😀"'""",
    "'null'",
    "'{}'",
    """'""'""",
    "'true'",
    "' [ 1 , 2 ] '",
    "CONCAT('{\"long\": \"', REPEAT('y', 70000), '\"}')",
]

OTHERS = Family(
    "others",
    (
        Typed("json_", "JSON", _DOCUMENTS, "json"),
        Typed(
            "uuid_",
            "UUID",
            [
                "'00000000-0000-0000-0000-000000000000'",
                "UUID()",
                "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
            ],
            "text",
            only="mariadb",
        ),
        Typed(
            "inet4_",
            "INET4",
            ["'0.0.0.0'", "'255.255.255.255'", "'10.0.0.1'"],
            "text",
            only="mariadb",
        ),
        Typed(
            "inet6_",
            "INET6",
            ["'::'", "'::1'", "'::ffff:1.2.3.4'", "'fe80::1'"],
            "text",
            only="mariadb",
        ),
        Typed(
            "vector_",
            "VECTOR(3)",
            ["TO_VECTOR('[1,2.5,-3e10]')", "TO_VECTOR('[0,-1,1e-30]')"],
            only="mysql",
        ),
        Typed(
            "geometry_",
            "GEOMETRY",
            [
                "ST_GeomFromText('POINT(1 2)')",
                "ST_GeomFromText('POINT(10 20)', 4326)",
                "ST_GeomFromText('POLYGON((0 0,10 0,10 10,0 10,0 0),(1 1,2 1,2 2,1 2,1 1))')",
                "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))')",
                "ST_GeomFromText('MULTIPOLYGON(((0 0,1 0,1 1,0 0)))')",
            ],
        ),
        Typed(
            "point_",
            "POINT",
            ["ST_GeomFromText('POINT(-1.5 2e10)')", "ST_GeomFromText('POINT(0 0)')"],
        ),
        Typed(
            "point_4326", "POINT SRID 4326", ["ST_GeomFromText('POINT(10 20)', 4326)"], only="mysql"
        ),
        Typed("line", "LINESTRING", ["ST_GeomFromText('LINESTRING(0 0,1 1,2 0)')"]),
    ),
)

MADE = Family(
    "made",
    (
        Typed("base", "INT", ["0", "1", "-7", "2147483647"], "number"),
        Typed("virtual_", "BIGINT", (), "number", generated="base * 2"),
        Typed("word", "VARCHAR(20)", ["'Ab'", "''", "'é'"]),
        Typed("stored_", "VARCHAR(60) CHARACTER SET utf8mb4", (), generated="CONCAT(word, '!')"),
        Typed("zero_default", "INT DEFAULT 7", ["0", "1"], "number"),
        Typed("text_default", "VARCHAR(40) DEFAULT (CONCAT('d', 1))", ["''", "'x'"]),
        Typed(
            "stamped",
            "TIMESTAMP(6) NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)",
            ["'2001-02-03 04:05:06.5'", "'1999-01-01 00:00:00'"],
            "text",
        ),
        Typed(
            "stamped_dt",
            "DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3)",
            ["'2001-02-03 04:05:06.5'"],
            "text",
        ),
        Typed("hidden", "INT DEFAULT 3 INVISIBLE", ["0", "5"], "number"),
        Typed("back`tick and space", "INT", ["1", "2"], "number"),
        Typed("select", "VARCHAR(9)", ["'x'"]),
    ),
)

FAMILIES = (NUMBERS, TEXTS, BINARIES, MEMBERS, TIMES, OTHERS, MADE)


def families(pair_name: str) -> Iterable[Family]:
    """Give what a pair can hold."""
    return [family.of(pair_name) for family in FAMILIES]
