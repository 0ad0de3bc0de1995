"""The ledger's disk is full, the file is lost, damaged, foreign, newer or older than it was."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
from typing import TYPE_CHECKING

import pytest

from testbed.workload import Workload
from tests.fault.runner import FULL, check_nothing_lost, flavors, present
from tests.figures import totals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.harness import Product, Running

NEXT_STEP = "costs a baseline and deletes nothing"


class TinyDisk:
    """A disk with 12 MiB of space, filled to the last page by `fill`."""

    words = "no space left for the ledger"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self, running: Running) -> None:
        with self._ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 4096)

    def free(self) -> None:
        self._ballast.unlink()


class SizeLimit:
    """A limit on the size of files: what the process writes beyond it fails, as where a quota is used up."""

    words = "its quota and the limit on the size of files"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, running: Running) -> None:
        # Python ignores SIGXFSZ: the write fails instead.
        resource.prlimit(running._process.pid, resource.RLIMIT_FSIZE, (1 << 15, 1 << 15))

    def free(self) -> None:
        """Nothing: the limit ended with its process."""


@pytest.fixture(params=["disk", "limit"] if FULL else ["disk"])
def tiny(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TinyDisk | SizeLimit]:
    """Give a place that can be filled up: a small disk, or a limit where this user may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)]
    if (
        request.param == "limit"
        or shutil.which("mount") is None
        or subprocess.run(mount, capture_output=True, check=False).returncode != 0
    ):
        yield SizeLimit(folder)
        return
    yield TinyDisk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("pair", flavors("mariadb"), indirect=True)
def test_full_disk_ends_the_run_clearly_and_loses_nothing(
    pair, database, shop, product, tiny, write_for
):
    shop(200, foreign_keys=True)
    syncer: Product = product()
    syncer.ledger = tiny.folder / "ledger.db"
    syncer.until_in_sync()
    first = present(pair, database)
    running = syncer.start()
    running.connected()
    with Workload.disjoint(pair, database, rate=25) as workload:
        write_for(workload, 1.0, running)
        tiny.fill(running)
        done = running.wait(60)
    assert done.code == 5, str(done)
    assert tiny.words in done.stderr, str(done)
    assert "Traceback" not in done.stderr
    # The end of the run has given its write-ahead log's space back: little work may go through now.
    again = syncer("run", "--until-in-sync").must(0, 5)
    assert again.code == 0 or tiny.words in again.stderr, str(again)
    tiny.free()
    syncer.until_in_sync()
    assert check_nothing_lost(pair, database, first, workload) > 0
    assert syncer.conflicts() == []
    totals["faults survived"] += 1


@pytest.mark.parametrize("pair", flavors("mysql"), indirect=True)
def test_lost_ledger_costs_a_baseline_and_deletes_nothing(pair, database, shop, product):
    shop(200)
    syncer: Product = product("--rule", "prefer:a")
    syncer.until_in_sync()
    pair.a.script("DELETE FROM counters WHERE id = 1", db=database)
    pair.b.script("DELETE FROM counters WHERE id = 11", db=database)
    pair.a.script("UPDATE counters SET value = 5 WHERE id = 21", db=database)
    syncer.ledger.unlink()
    report = syncer.until_in_sync()
    found = present(pair, database)["counters"]
    assert {(1,), (11,)} <= found.keys()  # a delete that no history tells of is no delete
    assert found[21,][2] == 5
    applied = report["last"]
    assert (applied["a"]["applied_deletes"], applied["b"]["applied_deletes"]) == (0, 0)
    totals["faults survived"] += 1


def _garbage(path: Path) -> None:
    path.write_bytes(os.urandom(50_000))


def _truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _torn(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(8192))


def _newer(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 9999")
    db.close()


def _foreign(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = 'another-pair' WHERE name = 'pair_id'")
    db.close()


def _other_program(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE recipes (name TEXT)")
    db.close()


@pytest.mark.parametrize("pair", flavors("mariadb"), indirect=True)
def test_unfit_ledgers_are_refused_with_the_next_step(pair, database, shop, product):
    shop(200)
    syncer: Product = product()
    syncer.until_in_sync()
    good = syncer.ledger.read_bytes()
    pair.a.script("UPDATE counters SET value = 9 WHERE id = 1", db=database)
    for damage, words in (
        (_garbage, NEXT_STEP),
        (_truncated, NEXT_STEP),
        (_torn, NEXT_STEP),
        (_newer, "newer syncer"),
        (_foreign, "name another file"),
        (_other_program, "name another file"),
    ):
        syncer.ledger.write_bytes(good)
        damage(syncer.ledger)
        before = syncer.ledger.read_bytes()
        done = syncer("run", "--until-in-sync").must(5)
        assert words in done.stderr, f"{damage.__name__}\n{done}"
        assert str(syncer.ledger) in done.stderr
        assert syncer.ledger.read_bytes() == before, damage.__name__
        totals["faults survived"] += 1
    assert pair.b.query("SELECT value FROM counters WHERE id = 1", db=database) == [(1,)]
    syncer.ledger.write_bytes(good)
    syncer.until_in_sync()
    present(pair, database)


@pytest.mark.parametrize("pair", flavors("mysql"), indirect=True)
def test_ledger_from_an_older_copy_is_noticed(pair, database, shop, product, write_for):
    shop(200)
    syncer: Product = product()
    syncer.until_in_sync()
    copy = syncer.folder / "copy.db"
    shutil.copyfile(syncer.ledger, copy)
    first = present(pair, database)
    with Workload.disjoint(pair, database, rate=25) as workload:
        running = syncer.start("--log-level", "debug")
        running.connected()
        write_for(workload, 1.0, running)
        # Only what a server knows of and the copy does not tells that the copy is old.
        running.wait_event("applied", lambda line: line.get("event") == "batch.applied")
        running.kill()
        for leftover in syncer.folder.glob("ledger.db*"):
            leftover.unlink()
        shutil.copyfile(copy, syncer.ledger)
        running = syncer.start()
        running.connected()
        write_for(workload, 1.0, running)
    syncer.settled()
    assert running.wait_event("said", lambda line: line.get("event") == "ledger.behind")
    running.stop()
    # Rows of the time that the ledger forgot may be held: their keys are named, the acknowledged row stays on its side.
    held = syncer.conflicts("open")
    but = {(c.table.rpartition(".")[2], (int(c.key[0]),)) for c in held}
    assert check_nothing_lost(pair, database, first, workload, but) > 0
    totals["faults survived"] += 1
