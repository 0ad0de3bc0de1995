"""The reconciler's thread: steps while there is work, backs off where servers fail, ends where the goal is reached."""

from __future__ import annotations

import threading

import structlog

from syncer.clock import BEHIND_S, Clock, until_next_s
from syncer.errors import SyncerError, TransientDatabaseError
from syncer.ledger import Ledger
from syncer.service.endings import Ending, Goal
from syncer.service.reading import StoppedWaiting
from syncer.service.reconciler import Reconciler

IDLE_WAIT_S = 1.0
"""What other processes ask for, as answers to conflicts, is seen within so long; changes of the servers wake the loop."""
STUCK_WAIT_S = (0.002, 0.2)
FIRST_BACK_OFF_S = 0.05


class Loop:
    """Owns the reconciler's thread. ``ended`` is set when it is over; then ``error`` or ``ending`` says how."""

    def __init__(
        self,
        reconciler: Reconciler,
        ledger: Ledger,
        goal: Goal,
        clock: Clock,
        log: structlog.stdlib.BoundLogger,
        *,
        stop: threading.Event,
        wake: threading.Event,
        backoff_max_s: float,
    ) -> None:
        """Compose; ``start`` begins."""
        self._reconciler = reconciler
        self._ledger = ledger
        self._goal = goal
        self._clock = clock
        self._log = log
        self._stop = stop
        self._wake = wake
        self._backoff_max_s = backoff_max_s
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)
        self.ended = threading.Event()
        self.error: BaseException | None = None
        self.ending = Ending.STOPPED
        self.phase = "starting"
        self.trouble: str | None = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait for the end."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self._steps()
        except StoppedWaiting:
            pass
        except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self.error = error
        finally:
            self._reconciler.end()
            self.ended.set()

    def _steps(self) -> None:
        stuck = 0
        failures = 0
        begun = False
        while not self._stop.is_set():
            self._wake.clear()
            try:
                if not begun:
                    self._goal.begin()
                    begun = True
                moved = self._reconciler.step()
                failures = 0
                self.trouble = None
                if moved:
                    stuck = 0
                    self.phase = (
                        "baseline"
                        if self._ledger.claim_span(self._clock.monotonic())
                        else "reconciling"
                    )
                    continue
                ending = self._goal.reached(self._stop)
                if ending is not None:
                    self.ending = ending
                    return
            except TransientDatabaseError as error:
                failures += 1
                self._back_off(error, failures)
                continue
            if self._ledger.has_claimable(self._clock.monotonic()):
                # Nothing can be said of these keys yet: an event waits for its row to become visible. Or a rate is kept.
                stuck += 1
                wait_s = min(STUCK_WAIT_S[1], STUCK_WAIT_S[0] * 2 ** min(stuck, 10))
                pace_s = self._reconciler.throttle.free_in_s()
                self._wake.wait(wait_s if pace_s is None else min(wait_s, pace_s))
                continue
            stuck = 0
            self.phase = "tailing"
            self._wait_for_work()

    def _wait_for_work(self) -> None:
        now = self._clock.monotonic()
        due = self._ledger.next_due(now)
        wait_s = until_next_s(now, IDLE_WAIT_S, BEHIND_S)
        self._wake.wait(wait_s if due is None else min(wait_s, max(0.0, due - now)))

    def _back_off(self, error: SyncerError, failures: int) -> None:
        wait_s = min(self._backoff_max_s, FIRST_BACK_OFF_S * 2 ** min(failures, 12))
        self.trouble = str(error)
        level = self._log.debug if failures < 3 else self._log.warning
        level(
            "cycle.retried",
            error_code=error.code,
            attempt=failures,
            wait_s=wait_s,
            reason=str(error),
        )
        self._stop.wait(wait_s)
