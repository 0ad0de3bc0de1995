"""
Every event name of the logs, once, with what it says.

``component.past_event``, written as a literal where it is logged; ``tests/unit/cli/test_pages.py`` fails on a name that is not
listed here. Levels: INFO for the life of a run, WARNING for what was mended without help, ERROR for what a person must look
at, DEBUG for the rest. Fields carry their unit (``wait_s``, ``rows``); row values and credentials are never logged.
"""

from __future__ import annotations

RUN_STATUS = "run.status"
VERIFY_STATUS = "verify.status"
COMMAND_FAILED = "command.failed"

DESCRIPTIONS = {
    RUN_STATUS: "where a run stands; every few seconds and at every change of phase",
    VERIFY_STATUS: "where a verification stands",
    COMMAND_FAILED: "an unexpected error ends the command; the traceback",
    "config.exposed": "a file with a password or a key can be read by every user of the machine",
    "run.draining": "a signal or the end of the duration: the batch in hand is finished",
    "baseline.started": "tables are compared whole",
    "stream.connected": "a stream is read",
    "stream.interrupted": "a stream's connection ended; it is opened again",
    "stream.stopped": "a stream is no longer read",
    "stream.position_lost": "the saved position is gone from the binlog: tables are compared again",
    "stream.server_changed": "another server took a side's place: it is followed if it holds all that was read",
    "stream.followed": "the stream goes on at another server, which holds all that was read from the one before",
    "stream.refused": "an event cannot be read and may not be skipped: the stream stops there",
    "stream.loss_accepted": "a server went back and the operator accepts it: tables are compared again, nothing is deleted",
    "stream.table_marked": "an event that names no keys: the whole table is dirty",
    "preflight.found": "a finding that does not stop the run",
    "table.key_changed": "a table's key was altered: it is compared whole",
    "table.mark_owed": "an earlier run ended before it marked an altered table: it is compared whole",
    "table.schema_changed": "a table was altered: it is looked at anew",
    "throttle.began": "whole-table comparisons give way",
    "throttle.replicas_found": "the replicas that both servers told of: whole-table comparisons wait for them",
    "throttle.ended": "whole-table comparisons go on",
    "table.paused": "a table's definitions do not fit each other: it waits, and its changes are kept in mind",
    "table.halted": "a rule has halted a table: it waits until the conflict is answered",
    "table.resumed": "a table's definitions have been looked at and fit each other: it flows again",
    "table.joined": "a new table that is on both sides now: it is compared whole",
    "table.left": "a table is gone on both sides: what was known of it is forgotten",
    "range.compared": "a chunk was compared",
    "range.refused": "a range cannot be copied as a whole: it is compared key by key",
    "range.alarm": "rows differ of which no stream told (they are compared again), or what both agreed on does (a rule without it decides)",
    "cycle.retried": "a cycle could not be finished and is tried again",
    "batch.applied": "rows were written to a side",
    "rows.locked": "somebody else holds rows at a side: they are tried again, the others go on",
    "batch.divided": "rows of one side's changes go one by one",
    "lane.missed": "no further transaction can be under way at a side for now: fewer are, and it is tried again",
    "batch.looked_up": "the outcome of a batch was looked up at its target",
    "guard.failed": "rows moved between the read and the write: nothing was written",
    "guard.stopped": "a table is about to get more writes of a kind than its guard allows: nothing was written, a person decides",
    "guard.ended": "what a person let through a guard is written: it counts anew",
    "guard.turned_back": "what a person turned back is written back, or held",
    "restoration.done": "a row that a person wanted back is what it was; it travels to the other side as a change",
    "restoration.left": "a row that a person wanted back has changed since, or cannot be written: it is left",
    "conflict.held": "a key waits for a person",
    "conflict.skipped": "a difference is accepted by a rule until either side changes the row again",
    "conflict.released": "held keys are decided anew: the table's policy has changed",
    "heartbeat.interrupted": "no heartbeat can be written for now: lag is not measured; tried again",
    "heartbeat.refused": "the server refuses heartbeats: lag is not measured; tried again now and then",
    "heartbeat.resumed": "heartbeats are written again",
    "clock.jumped": "a server's clock was set: seconds forward, negative backward",
    "clock.skewed": "the servers' clocks differ by more than a bound: commit times of both may mislead a rule",
    "clock.agreed": "the servers' clocks differ by less than the bound again",
    "epoch.waiting": "a marker row is locked by an apply still in flight",
    "epoch.raised": "this syncer has taken the pair over",
    "ledger.behind": "the ledger is older than what the servers confirm: tables are compared again",
}

ALL = frozenset(DESCRIPTIONS)
"""Every name."""
