"""Output of runs on its way up: chunks with offsets, a bounded buffer, a window. It renews no lease."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

from .protos import Timestamp, agent, types

# What one run may have waiting while the coordinator is away; beyond it output is dropped, and the run told nothing: a
# command that blocked on its pipe would stop working because of a network it knows nothing of.
BUFFER_BYTES = 8 * 1024 * 1024
STDOUT, STDERR, SYSTEM = types.LOG_STREAM_STDOUT, types.LOG_STREAM_STDERR, types.LOG_STREAM_SYSTEM


@dataclass
class _Piece:
    offset: int
    data: bytes
    stream: int
    at: Timestamp


@dataclass
class Output:
    """The output of one token. Offsets count its bytes over both streams, in the order in which they were read."""

    token: int
    task_id: str
    pieces: deque[_Piece] = field(default_factory=deque)
    end: int = 0  # offset after the last byte
    acknowledged: int = 0
    sent: int = 0
    closed: bool = False
    dropped: int = 0
    hold_until: float = 0.0  # monotonic: asked to send again later
    finished: bool = False
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, data: bytes, stream: int) -> None:
        """What the run has just written."""
        if self.closed or not data:
            return
        if self.waiting + len(data) > BUFFER_BYTES:
            self.dropped += len(data)
            return
        if self.dropped:
            note, self.dropped = f"[{self.dropped} bytes of output were dropped]\n".encode(), 0
            self.write(note, SYSTEM)
        at = Timestamp()
        at.GetCurrentTime()
        self.pieces.append(_Piece(self.end, data, stream, at))
        self.end += len(data)

    @property
    def waiting(self) -> int:
        """Bytes that are not acknowledged."""
        return self.end - self.acknowledged

    @property
    def is_settled(self) -> bool:
        """Nothing is left to be sent or acknowledged."""
        return self.closed or self.waiting == 0

    def acknowledge(self, ack: agent.LogAck) -> None:
        """Take an offset back from the coordinator."""
        self.acknowledged = max(self.acknowledged, min(ack.next_offset, self.end))
        while self.pieces and self.pieces[0].offset + len(self.pieces[0].data) <= self.acknowledged:
            self.pieces.popleft()
        if ack.closed:
            self.closed = True
            self.pieces.clear()
        if ack.resend:
            self.sent, self.hold_until = self.acknowledged, time.monotonic() + 1.0
        self.sent = max(self.sent, self.acknowledged)
        if self.is_settled:
            self.settled.set()

    def next_chunk(self, most: int) -> agent.LogChunk | None:
        """What to send next, at most so many bytes of one stream."""
        if self.closed or self.sent >= self.end or time.monotonic() < self.hold_until:
            return None
        for piece in self.pieces:
            if piece.offset + len(piece.data) > self.sent:
                data = piece.data[self.sent - piece.offset :][:most]
                chunk = agent.LogChunk(
                    token=self.token, task_id=self.task_id, offset=self.sent, data=data, stream=piece.stream, at=piece.at
                )
                self.sent += len(data)
                return chunk
        return None


class Outputs:
    """The output of all runs, sent in turn and never more ahead of its acknowledgements than the window."""

    def __init__(self) -> None:
        self._outputs: dict[int, Output] = {}

    def open(self, token: int, task_id: str) -> Output:
        """The output of a run that begins."""
        output = Output(token, task_id)
        self._outputs[token] = output
        return output

    @property
    def waiting(self) -> int:
        """Bytes that are not acknowledged, of all runs."""
        return sum(output.waiting for output in self._outputs.values() if not output.closed)

    def new_stream(self) -> None:
        """Whatever was not acknowledged goes again."""
        for output in self._outputs.values():
            output.sent, output.hold_until = output.acknowledged, 0.0

    def acknowledge(self, ack: agent.LogAck) -> None:
        """A LogAck."""
        output = self._outputs.get(ack.token)
        if output is not None:
            output.acknowledge(ack)
            self._drop_settled(output)

    def finished(self, token: int) -> None:
        """Its report is acknowledged; what is left of its output still goes up."""
        output = self._outputs.get(token)
        if output is not None:
            output.finished = True
            self._drop_settled(output)

    def _drop_settled(self, output: Output) -> None:
        if output.finished and output.is_settled:
            del self._outputs[output.token]

    def next_chunk(self, limits: agent.Limits) -> agent.LogChunk | None:
        """The next chunk of anybody's output, while the window has room."""
        window = limits.log_window_bytes or 256 * 1024
        most = min(limits.max_log_chunk_bytes or 65536, 65536)
        if sum(output.sent - output.acknowledged for output in self._outputs.values()) >= window:
            return None
        for token in list(self._outputs):
            chunk = self._outputs[token].next_chunk(most)
            if chunk is not None:
                self._outputs[token] = self._outputs.pop(token)  # the next one's turn
                return chunk
        return None
