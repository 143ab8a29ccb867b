"""The messages that `./setup` generates from proto/holdfast/v1, under short names."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "generated"))

from google.protobuf.duration_pb2 import Duration  # noqa: E402
from google.protobuf.timestamp_pb2 import Timestamp  # noqa: E402
from holdfast.v1 import agent_service_pb2 as agent  # noqa: E402
from holdfast.v1 import task_service_pb2 as task  # noqa: E402
from holdfast.v1 import types_pb2 as types  # noqa: E402

__all__ = ["agent", "task", "types", "Duration", "Timestamp", "duration", "now", "seconds"]


def seconds(duration: Duration) -> float:
    """A Duration as seconds."""
    return duration.seconds + duration.nanos / 1e9


def duration(value: float) -> Duration:
    """Seconds as a Duration."""
    return Duration(seconds=int(value), nanos=int(value % 1 * 1e9))


def now() -> Timestamp:
    """The wall clock, for people: timestamps of two machines are never compared."""
    stamp = Timestamp()
    stamp.GetCurrentTime()
    return stamp
