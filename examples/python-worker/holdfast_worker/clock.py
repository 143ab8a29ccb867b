"""Elapsed time that no suspended machine and no wall clock set back can shorten (P2).

Only differences of one machine's own clocks are used, never an instant that another machine has told.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

# Standard library only: the keeper (keeper.py) uses this file too, and starts in milliseconds.


@dataclass(frozen=True)
class Instant:
    """One moment, by each clock of this machine, in seconds."""

    monotonic: float
    wall: float
    boot: float

    def elapsed(self, now: Instant) -> float:
        """Seconds from this instant to `now`: the largest that any clock says.

        CLOCK_MONOTONIC stands still while a Linux machine is suspended, the wall clock may be set back, and only Linux
        has CLOCK_BOOTTIME. A clock that runs ahead closes the gate early, which costs a little work; one that lags would
        leave it open too long, which costs a second copy.
        """
        return max(now.monotonic - self.monotonic, now.wall - self.wall, now.boot - self.boot)


def read() -> Instant:
    """This moment."""
    monotonic = time.monotonic()
    boot = time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else monotonic
    return Instant(monotonic=monotonic, wall=time.time(), boot=boot)
