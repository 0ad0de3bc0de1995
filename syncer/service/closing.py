"""How a run ended, in words and as an exit code."""

from __future__ import annotations

from syncer.errors import ExitCode
from syncer.service.endings import Ending
from syncer.service.reports import RunReport, RunSnapshot


def conclude(
    ending: Ending,
    last: RunSnapshot,
    *,
    asked: Ending | None,
    rows_read: int,
    rows_compared: int,
    planned: tuple[str, ...],
) -> RunReport:
    """
    Make the report; held rows, paused tables and a dry run's plan are a difference, a stopped table asks for a person.

    So is an end before the one that was *asked* for: who waits for both sides to be equal must not take it for that.
    """
    left = _left_over(last)
    apart = " and ".join(filter(None, (left, _accepted(last))))
    message = "stopped; everything is saved"
    early = asked is not None and ending is Ending.STOPPED
    in_sync = False if early and asked is Ending.IN_SYNC else None
    if ending is Ending.IN_SYNC:
        in_sync = not left
        message = f"in sync but for {apart}" if apart else "in sync"
    elif ending is Ending.ONE_PASS:
        message = f"one pass done but for {apart}" if apart else "one pass done"
    elif early:
        goal = "both sides were in sync" if asked is Ending.IN_SYNC else "the pass was done"
        also = f"; what is left: {left}" if left else ""
        message = f"stopped before {goal}; everything is saved, run it again to go on{also}"
    elif left:
        message = f"stopped; what is left: {left}"
    code = ExitCode.DIFFERENT if left or planned or early else ExitCode.OK
    if any(one.guard for one in last.paused):
        code = ExitCode.OPERATOR
    return RunReport(
        in_sync=in_sync,
        exit_code=int(code),
        last=last,
        rows_read=rows_read,
        rows_compared=rows_compared,
        planned=planned,
        message=message,
        ended=ending.value,
    )


def _accepted(last: RunSnapshot) -> str:
    """Count the differences that nobody is to answer, and name the command that shows them; "" where there are none."""
    count = last.conflicts_skipped
    word = "difference" if count == 1 else "differences"
    return f"{count} accepted {word} (syncer conflicts list --status skipped)" if count else ""


def _left_over(last: RunSnapshot) -> str:
    """Name what waits for a person, and the command that shows it; "" where nothing does."""
    found = []
    if last.held:
        found.append(f"{last.held} held rows (syncer conflicts list)")
    if last.paused:
        found.append(f"paused tables: {'; '.join(f'{p.table}: {p.reason}' for p in last.paused)}")
    return " and ".join(found)
