"""The gate: may this worker ask for work, or start it, right now? (P2, P3)"""

from __future__ import annotations

from .clock import Instant


class Gate:
    """Open for La after the SENDING of the newest heartbeat that was acknowledged (P2).

    The coordinator's lease counts from the receipt of the same heartbeat, which is later, and L is longer than La: so the
    gate closes before anybody may be told that this worker is lost. Counting from the arrival of the acknowledgement
    instead would leave it open too long by however long that was on its way.
    """

    def __init__(self) -> None:
        self._since: Instant | None = None
        self._seconds = 0.0
        self._closed_for_good = False

    def grant(self, lease: float, gate: float) -> None:
        """Take L and La from a Welcome, in seconds. They are fixed for its session.

        P2's own bound is kept even where the coordinator would allow more: clock rates 1 % apart, and a pause d between
        the look at the gate and the start.
        """
        pause = min(1.0, lease / 15)
        self._seconds = min(gate, 0.99 * (lease / 1.01 - pause))

    def renew(self, sent: Instant) -> None:
        """A heartbeat that was sent at `sent` has been acknowledged."""
        if self._since is None or sent.monotonic > self._since.monotonic:
            self._since = sent

    def close_for_good(self) -> None:
        """Before a Goodbye: nothing is ever started again (P6)."""
        self._closed_for_good = True

    def is_open(self, now: Instant) -> bool:
        """Whether work may be asked for and started at `now` (P3)."""
        if self._since is None or self._closed_for_good:
            return False
        return self._since.elapsed(now) < self._seconds

    @property
    def end(self) -> tuple[Instant, float] | None:
        """(since, seconds): closes when so many seconds have elapsed since. For the keepers of single_run work (P11)."""
        return None if self._since is None else (self._since, self._seconds)
