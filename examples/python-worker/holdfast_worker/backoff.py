"""When to dial again (P9): for ever, with full jitter, whatever ended the stream."""

from __future__ import annotations

import random
import time

FIRST = 0.25
MOST = 10.0
# In the first 10 s after a loss the wait is 1 s at most: most outages are short, and the lease is running.
EAGER_FOR, EAGER_MOST = 10.0, 1.0
# A credential that is refused will be refused again: slowly, and loudly.
DENIED = 30.0


class Backoff:
    """The waits of one outage after another, in seconds."""

    def __init__(self) -> None:
        self._attempts = 0
        self._lost_at: float | None = None

    def connected(self) -> None:
        """A Welcome has come: the next loss begins anew."""
        self._attempts, self._lost_at = 0, None

    def wait(self, lease: float | None, asked: float = 0.0, denied: bool = False) -> float:
        """How long to wait now: what the coordinator has asked for, and a random part of the cap (full jitter).

        Without jitter a thousand workers that lost the same coordinator would come back in the same millisecond.
        """
        now = time.monotonic()
        if self._lost_at is None:
            self._lost_at = now
        most = MOST if lease is None else min(MOST, lease / 5)
        if now - self._lost_at < EAGER_FOR:
            most = min(most, EAGER_MOST)
        jitter = random.uniform(0, min(most, FIRST * 2 ** min(self._attempts, 16)))
        self._attempts += 1
        return jitter + (DENIED if denied else asked)
