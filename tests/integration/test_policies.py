"""Rules without a base row on real servers: both rows kept, a table halted, a difference accepted, a function asked."""

from __future__ import annotations

import pytest

from testbed import oracle
from tests.integration.harness import syncer as command
from tests.integration.harness import wait_until

RULES = {
    "kept": "keep_both:a then hold",
    "halted": "halt",
    "skipped": "skip",
    "asked": "custom:bigger:decide then prefer:b",
    "tested": "equals:note=from b then hold",
    "emptied": 'prefer:a"\non_truncate = "hold',
}
TYPED = (
    "n INT NOT NULL, i INT, u BIGINT UNSIGNED, y YEAR, d DECIMAL(6,2), f DOUBLE, g FLOAT, s VARCHAR(40), c CHAR(9), t TEXT, "
    "e ENUM('p','q'), st SET('p','q'), bt BIT(3), bn BINARY(4), vb VARBINARY(9), bl BLOB, day DATE, dtm DATETIME(3), "
    "ts TIMESTAMP(6) NULL, ti TIME(1), j JSON, l VARCHAR(9) CHARACTER SET latin1"
)
"""Columns of which a function makes every value anew."""
FUNCTION = """
import datetime as dt
from decimal import Decimal

TYPED = dict(
    n=9, i=-5, u=18446744073709551615, y=2026, d=Decimal("1.5"), f=0.1, g=0.1, s="it's \\\\ \\n\\0 \\x1a \U0001f600", c="ab  ",
    t="text", e="q", st="q,p", bt=5, bn=b"\\1", vb=b"\\0'\\xff", bl=b"", day=dt.date(2026, 1, 2),
    dtm=dt.datetime(2026, 1, 2, 3, 4, 5, 6000), ts="2026-01-02 03:04:05.123456", ti=-dt.timedelta(hours=30, seconds=5),
    j='{"b": [1, 2.5, null], "a": "\u00e9"}', l="\u00e9",
)

def decide(kind, a, b, base, meta):
    if meta["table"].endswith(".typed"):
        return TYPED
    if meta["key"] == ["2"]:
        raise ValueError(a["note"])
    if meta["key"] in (["4"], ["5"]):
        return {"n": a["n"] + b["n"], "note": "both's" if meta["key"] == ["4"] else 30 * a["note"]}
    return "next" if a["n"] == b["n"] else "a" if a["n"] > b["n"] else "b"
"""


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_every_table_has_its_rules(pair, database, product, tmp_path):
    for name in RULES:
        pair.script(
            f"CREATE TABLE {name} (id INT AUTO_INCREMENT PRIMARY KEY, n INT NOT NULL, note VARCHAR(20) NOT NULL)",
            f"INSERT INTO {name} VALUES (1,0,'o'),(2,0,'o'),(3,0,'o'),(4,0,'o'),(5,0,'o')",
            db=database,
        )
    pair.script(
        f"CREATE TABLE typed (id INT PRIMARY KEY, {TYPED}) CHARACTER SET utf8mb4",
        "INSERT INTO typed (id, n) VALUES (1, 0)",
        db=database,
    )
    rules = {**RULES, "typed": RULES["asked"]}
    entries = [f'[[table]]\nmatch = "{database}.{n}"\nrule = "{r}"' for n, r in rules.items()]
    config = tmp_path / "rules.toml"
    # What a slow machine takes to answer is not what is tested here.
    config.write_text("\n".join(["[policy]\ncustom_timeout_s = 60", *entries]), "utf-8")
    syncer = product("--config", config)
    (syncer.folder / "bigger.py").write_text(FUNCTION, "utf-8")
    syncer.until_in_sync()
    for side, name, n in ((pair.a, "a", 2), (pair.b, "b", 1)):
        change = f"SET n={n}, note='from {name}'"
        side.script(
            "INSERT INTO kept VALUES (100," + f"{n},'from {name}')",
            f"UPDATE halted {change} WHERE id=1",
            f"UPDATE skipped {change} WHERE id=1",
            f"UPDATE asked {change}",
            f"UPDATE typed SET n={n}",
            "UPDATE asked SET n=5 WHERE id=3",
            f"UPDATE tested {change} WHERE id=1",
            f"UPDATE emptied {change} WHERE id=1" if name == "a" else "TRUNCATE TABLE emptied",
            db=database,
        )
    syncer.until_in_sync(codes=(1,))
    status = {c.table.split(".")[1] + c.key[0]: c for c in syncer.conflicts()}
    found = oracle.read_pair(pair, database)

    # keep_both: A's row has the key, B's a new one, on both sides.
    assert found["kept"][0] == found["kept"][1]
    rows = {key: row for (key,), row in found["kept"][0].items() if key >= 100}
    assert rows.pop(100)[2] == "from a"
    assert [row[1:] for row in rows.values()] == [(1, "from b")]
    listed = command(
        *("conflicts", "list", "--status", "applied", "--table", "kept", "--json"),
        *("--ledger", syncer.ledger),
        cwd=syncer.folder,
    )
    (entry,) = (one["entry"] for one in listed.must(0).document()["conflicts"])
    assert entry["kept_key"] == [str(key) for key in rows]

    assert [found[name][0][1,][2] for name in ("tested", "asked")] == ["from b", "from a"]
    assert [found[name][1][1,][2] for name in ("tested", "asked")] == ["from b", "from a"]
    assert found["asked"][0][3,] == found["asked"][1][3,] == (3, 5, "from b")
    assert status["asked2"].rule == "custom:bigger:decide: the function raised ValueError"
    assert found["asked"][0][4,] == found["asked"][1][4,] == (4, 3, "both's")
    assert found["typed"][0] == found["typed"][1]
    assert (status["typed1"].status, status["typed1"].path) == ("applied", "custom")
    assert None not in found["typed"][0][1,]
    assert found["typed"][0][1,][8] == "it's \\ \n\0 \x1a \U0001f600"
    made = status["asked4"]
    assert (made.status, made.winner, made.path) == ("applied", None, "custom")
    assert status["asked5"].rule.endswith(
        "the function returned a row with a note that is too long"
    )
    assert [status[key].status for key in ("asked2", "asked5", "halted1", "skipped1")] == [
        "held",
        "held",
        "held",
        "skipped",
    ]

    # Truncated on one side: what the other one changed waits, all else goes.
    assert [sorted(both) for both in found["emptied"]] == [[(1,)], []]
    assert (status["emptied1"].kind, status["emptied1"].status) == ("truncate_dml", "held")

    # Halted: its other rows wait too, until the conflict is answered; a start changes nothing.
    pair.a.script("UPDATE halted SET note='later' WHERE id=2", db=database)
    pair.a.script("UPDATE skipped SET note='again' WHERE id=2", db=database)
    syncer.until_in_sync(codes=(1,))
    found = oracle.read_pair(pair, database)
    assert found["halted"][1][2,][2] == "o"
    assert found["skipped"][1][2,][2] == "again"
    number = held_by(syncer, "halted")
    command(
        *("conflicts", "resolve", number, "--take", "a", "--ledger", syncer.ledger),
        cwd=syncer.folder,
    ).must(0)
    running = syncer.start()

    def flows() -> tuple[bool, object]:
        halted = oracle.read_pair(pair, database)["halted"]
        return halted[0] == halted[1] and halted[1][2,][2] == "later", halted

    wait_until("the halted table flows again", flows)

    # Skipped: a person opens it again, and skips it for a time, beside the running syncer.
    def answered(*words):
        resolve = ("conflicts", "resolve", "--table", "skipped", *words, "--ledger", syncer.ledger)
        command(*resolve, cwd=syncer.folder).must(0)

    def statuses():
        return [c.status for c in syncer.conflicts() if ".skipped" in c.table]

    answered("--take", "hold")
    wait_until("it is held", lambda: (statuses() == ["superseded", "held"], statuses()))
    answered("--take", "skip", "--for", "7d")
    wait_until("it is skipped", lambda: (statuses()[1:] == ["superseded", "skipped"], statuses()))
    running.stop().must(0, 1)

    # Skipped: a new change of either side opens it again.
    pair.b.script("UPDATE skipped SET note='from a', n=2 WHERE id=1", db=database)
    syncer.until_in_sync(codes=(1,))
    assert statuses() == ["superseded"] * 3


def held_by(product, table: str) -> int:
    listed = command("conflicts", "list", "--json", "--ledger", product.ledger, cwd=product.folder)
    (number,) = (
        record["conflict_id"]
        for record in listed.must(1).document()["conflicts"]
        if record["entry"]["table"].endswith(f".{table}")
    )
    return number
