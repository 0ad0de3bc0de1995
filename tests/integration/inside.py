"""A run in this process, where a test can put its hand on the parts."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from syncer import config as configuration
from syncer.service.probes import Probe, no_probe
from syncer.service.run import Run, RunOptions
from tests.integration.harness import wait_until

if TYPE_CHECKING:
    from syncer.clock import Clock
    from syncer.service.reports import RunSnapshot
    from tests.integration.harness import Product


class Watcher:
    """Keeps the last snapshot."""

    def __init__(self) -> None:
        self.last: RunSnapshot | None = None

    def update(self, snapshot: RunSnapshot) -> None:
        self.last = snapshot

    def verify_progress(self, progress, waits=None) -> None:
        pass


class Inside:
    """
    A run in a thread of its own.

    Args:
        heartbeat_s: Off unless asked for: its transactions would keep every cycle waiting for a stream that is held back.
    """

    def __init__(
        self,
        product: Product,
        policy: dict[str, str] | None = None,
        *,
        heartbeat_s: float = 0.0,
        clock: Clock | None = None,
        engine: dict[str, object] | None = None,
        sync: dict[str, object] | None = None,
        probe: Probe = no_probe,
    ) -> None:
        a, b = product.urls
        config = configuration.load(
            None,
            {
                "a": {"url": a},
                "b": {"url": b},
                "sync": {"tables": [product.tables], **(sync or {})},
                "policy": policy or {},
                "ledger": str(product.ledger),
                "heartbeat": {"interval_s": heartbeat_s},
                "engine": engine or {},
            },
            environ={},
        )
        self.stop = threading.Event()
        self.error: BaseException | None = None
        self.watcher = Watcher()
        run = Run(config, RunOptions(), self.watcher, self.stop, clock=clock, probe=probe)

        def body() -> None:
            try:
                run()
            except BaseException as error:  # noqa: BLE001 - the test raises it
                self.error = error

        self._thread = threading.Thread(target=body, name="run", daemon=True)
        self._thread.start()

    @property
    def last(self) -> RunSnapshot:
        """The last snapshot; waits for the first."""
        wait_until("a snapshot", lambda: (self.watcher.last is not None, self.error))
        return self.watcher.last

    def end(self) -> None:
        self.stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error
