"""``syncer verify``: what it finds, what it leaves out, and how often it looks again."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from syncer import config as configuration
from syncer.errors import Interrupted
from syncer.service import app, verify
from tests.integration.inside import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed.provision import Pair
    from tests.integration.harness import Done, Product

ROWS = 3000


class _Counting(threading.Event):
    """A stop that is never asked for; it counts the pauses instead of making them."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses = 0

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        self.pauses += 1
        return False


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_all_tables_are_looked_at_again_together(pair: Pair, database: str) -> None:
    """However many tables differ, there is one series of pauses; a difference is found in a large chunk as in a small one."""
    numbers = ", ".join(f"({number}, 0)" for number in range(ROWS))
    for name in ("large", "small", "equal"):
        pair.script(f"CREATE TABLE {name} (id INT PRIMARY KEY, n INT)", db=database)
    pair.script(
        f"INSERT INTO large VALUES {numbers}",
        "INSERT INTO small VALUES (1, 1)",
        "INSERT INTO equal VALUES (1, 1)",
        db=database,
    )
    pair.a.script(
        "UPDATE large SET n = 1 WHERE id = 77", "DELETE FROM large WHERE id = 78", db=database
    )
    pair.b.script(
        "DELETE FROM large WHERE id = 2999", "UPDATE small SET n = 2 WHERE id = 1", db=database
    )
    a, b = (server.url() for server in pair.sides)
    config = configuration.load(
        None,
        {"a": {"url": a}, "b": {"url": b}, "sync": {"tables": [f"{database}.*"]}},
        environ={},
    )
    stop = _Counting()
    report = app.verify(config, Watcher(), stop)
    found = {
        one.table.split(".")[1]: (one.only_a, one.only_b, one.differing, sorted(one.samples))
        for one in report.tables
    }
    assert found == {
        "large": (1, 1, 1, ["2999", "77", "78"]),
        "small": (0, 0, 1, ["1"]),
        "equal": (0, 0, 0, []),
    }
    assert stop.pauses == len(verify.LOOK_AGAIN_S)


def _verdicts(done: Done) -> dict[str, tuple[bool, str | None]]:
    """Per table: nothing differs, and why it was left out."""
    return {
        one["table"].split(".")[1]: (
            not (one["only_a"] or one["only_b"] or one["differing"]),
            one["skipped"],
        )
        for one in done.document()["tables"]
    }


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_a_table_whose_definitions_do_not_fit_is_left_out_and_not_called_equal(
    pair: Pair, database: str, product: Callable[..., Product]
) -> None:
    """By the standard of a run, however its tables wait; the tables beside are compared."""
    definitions = {
        "extra": ("id INT PRIMARY KEY, onlya INT NOT NULL DEFAULT 0", "id INT PRIMARY KEY"),
        "kind": ("id INT PRIMARY KEY, v INT", "id INT PRIMARY KEY, v VARCHAR(9)"),
        "member": ("id INT PRIMARY KEY, e ENUM('x')", "id INT PRIMARY KEY, e ENUM('x','y')"),
        "scale": ("id INT PRIMARY KEY, d DECIMAL(9,2)", "id INT PRIMARY KEY, d DECIMAL(9,3)"),
        "signed": ("id INT PRIMARY KEY", "id INT UNSIGNED PRIMARY KEY"),
        "keyless": ("v INT, onlya INT", "v INT"),
        "longer": ("id INT PRIMARY KEY, v VARCHAR(9)", "id BIGINT PRIMARY KEY, v VARCHAR(99)"),
        "made": ("id INT PRIMARY KEY, g INT AS (id * 2)", "id INT PRIMARY KEY, g INT AS (id + 2)"),
    }
    for name, each in definitions.items():
        for server, columns in zip(pair.sides, each, strict=True):
            server.script(f"CREATE TABLE {name} ({columns})", db=database)
    fit = (True, None)
    expected = {
        "extra": (True, "column onlya is missing on side b"),
        "kind": (True, "column v is int on side a and varchar(9) on side b"),
        "member": (True, "column e has other members on side a than on side b"),
        "scale": (True, "column d has 2 decimals on side a and 3 on side b"),
        "signed": (True, "key column id is unsigned on side b only"),
        "keyless": (True, "column onlya is missing on side b"),
        "longer": fit,
        "made": fit,
    }
    for difference in ("pause", "stop"):
        syncer = product("--schema-difference", difference)
        done = syncer("verify", "--json").must(1)
        assert done.document()["equal"] is False
        found = _verdicts(done)
        assert found.pop("kind")[1].startswith("column v is int")
        assert found == {name: said for name, said in expected.items() if name != "kind"}
        refusal = syncer("run", "--until-in-sync").must(3).stderr
        for name, (_, reason) in expected.items():
            if reason is not None and name not in {"kind", "keyless"}:
                assert f"table {database}.{name}: {reason}" in refusal
    text = product()("verify").must(1).stdout
    assert "left out: column onlya is missing on side b" in text
    assert "\nDIFFERENT" in text
    lenient = product("--schema-difference", "ignore-extra")("verify", "--json").must(1)
    assert _verdicts(lenient)["extra"] == fit


@pytest.mark.parametrize("pair", ["mysql"], indirect=True)
def test_a_column_that_is_left_out_may_differ_and_a_key_that_differs_is_named(
    pair: Pair, database: str
) -> None:
    pair.a.script("CREATE TABLE t (a INT PRIMARY KEY, b INT NOT NULL, mine INT)", db=database)
    pair.b.script("CREATE TABLE t (a INT NOT NULL, b INT PRIMARY KEY, mine TEXT)", db=database)
    a, b = (server.url() for server in pair.sides)
    config = configuration.load(
        None,
        {
            "a": {"url": a},
            "b": {"url": b},
            "sync": {"tables": [f"{database}.*"]},
            "table": [{"match": f"{database}.t", "ignore_columns": ["mine"]}],
        },
        environ={},
    )
    report = app.verify(config, Watcher(), threading.Event())
    [found] = report.tables
    assert report.equal
    assert found.note == (
        "the key is (a) on side a and (b) on side b: rows are counted, whatever their key"
    )


@pytest.mark.parametrize("signal", ["interrupt", "terminate"])
@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_one_signal_ends_it_as_interrupted(
    pair: Pair, database: str, product: Callable[..., Product], tmp_path: Path, signal: str
) -> None:
    """Also while it waits for its turn; there is no report then, since not everything was compared."""
    pair.script("CREATE TABLE t (id INT PRIMARY KEY, n INT)", db=database)
    pause = tmp_path / "pause"
    pause.touch()
    verifying = product("--pause-file", pause).start("--json", command="verify")
    verifying.wait_event("a pause", lambda e: e.get("event") == "throttle.began")
    getattr(verifying, signal)()
    done = verifying.wait().must(130)
    assert done.stdout == ""
    assert '"code":"interrupted"' in done.stderr
    assert "not everything was compared" in done.stderr


@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_what_could_not_be_looked_at_again_is_not_called_different(
    pair: Pair, database: str, keyed: bool
) -> None:
    pair.script(f"CREATE TABLE t (id INT{' PRIMARY KEY' if keyed else ''})", db=database)
    pair.a.script("INSERT INTO t VALUES (1)", db=database)

    class Ended(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            del timeout
            return True

    a, b = (server.url() for server in pair.sides)
    config = configuration.load(
        None,
        {"a": {"url": a}, "b": {"url": b}, "sync": {"tables": [f"{database}.*"]}},
        environ={},
    )
    with pytest.raises(Interrupted):
        app.verify(config, Watcher(), Ended())
