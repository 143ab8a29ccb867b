"""The worker: one stream after another (P9), heartbeats, runs, and a drain at the end (P6)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from . import clock, session as rules
from .backoff import Backoff
from .journal import Journal, StartedRun
from .link import Link, StreamEnded
from .output import Outputs
from .protos import agent, duration, seconds
from .runs import Run, end_remains
from .session import Action, DrainBy, Forget, Identity, Record, Session, Start, StopRun
from .tls import Tls

log = logging.getLogger("holdfast")

# How long a Hello may be without an answer, before a Welcome has said what H is, and at least.
FIRST_ANSWER, LEAST_ANSWER = 5.0, 1.0
# How long a Goodbye waits for output that the coordinator does not take (its disk is full, say).
OUTPUT_GETS = 5.0


@dataclass(frozen=True)
class Options:
    """What a worker is started with."""

    coordinator: str
    agent_id: str
    state_directory: Path
    queues: tuple[str, ...] = ("default",)
    slots: int = 4
    labels: tuple[tuple[str, str], ...] = ()
    handlers_file: Path | None = None
    handlers: tuple[str, ...] = ()
    drain_timeout: float | None = None
    tls: Tls | None = None


class Finished(Exception):
    """The session was ended on purpose."""


class Worker:
    """One process of a worker: one instance_id, any number of streams and sessions."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._journal = Journal(options.state_directory)
        self._session = Session(
            Identity(
                agent_id=options.agent_id,
                instance_id=uuid.uuid4().hex,
                queues=options.queues,
                slots=options.slots,
                labels=dict(options.labels),
                handlers=options.handlers,
                hostname=socket.gethostname(),
                process=self._journal.identity,
            )
        )
        self._outputs = Outputs()
        self._runs: dict[int, Run] = {}
        self._carriers: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._backoff = Backoff()
        self._addresses: list[str] = []
        self._proof: agent.PredecessorProof | None = None
        self._drain_by: float | None = None  # by the monotonic clock
        self._loop_lag = 0.0
        self._empty_since = 0.0
        self._goodbye_said = False

    async def run(self) -> None:
        """Until drained. Streams come and go; only a Goodbye that was acknowledged ends this."""
        await self._take_over()
        said = ""
        while True:
            asked, denied = 0.0, False
            try:
                asked = await self._one_stream()
            except Finished:
                break
            except StreamEnded as ended:
                denied = ended.denied
                if denied or str(ended) != said:  # once for an outage, not at every attempt
                    (log.error if denied else log.warning)("stream lost: %s", ended)
                said = str(ended)
            await asyncio.sleep(self._backoff.wait(self._session.lease, asked, denied))
        self._journal.close()

    def drain(self) -> None:
        """SIGTERM: nothing new, what runs may finish, heartbeats to the end, then Goodbye (P6)."""
        log.info("draining: %d runs to finish", len(self._session.running))
        self._session.drain()
        self._drain_within(self._options.drain_timeout)

    # ---- what an earlier process has left ----------------------------------------------------------------------------

    async def _take_over(self) -> None:
        """P5: reports as they were; runs without one are lost, once nothing of them is left."""
        reports = self._journal.reports()
        boot_id = self._journal.identity.boot_id
        for run in self._journal.unfinished():
            await end_remains(run, boot_id)
            report = rules.lost(run.token, run.task_id)
            self._journal.end(report)
            reports.append(report)
        self._session.restore(reports)
        self._proof = self._journal.proof()

    # ---- one stream --------------------------------------------------------------------------------------------------

    async def _one_stream(self) -> float:
        """One call of Connect. Returns how long the coordinator asks to wait before the next."""
        address = self._addresses.pop(0) if self._addresses else self._options.coordinator
        link = Link(address, self._options.tls)
        writer: asyncio.Task[None] | None = None
        self._goodbye_said = False
        try:
            hello = self._session.hello(
                clock.read(), self._journal.highest_token, self._journal.highest_epoch, self._proof
            )
            async with asyncio.timeout(self._answer_within()):
                for message in hello:
                    await link.send(message)
            first = await link.receive(self._answer_within())
            if first.WhichOneof("message") == "refused":
                return self._refused(first.refused)
            if first.WhichOneof("message") != "welcome":
                raise StreamEnded("the first message was neither Welcome nor Refused")
            self._welcome(first.welcome)
            writer = asyncio.create_task(self._write(link))
            return await self._read(link, writer)
        except TimeoutError as error:
            raise StreamEnded("nobody took the Hello") from error
        finally:
            self._session.stream_lost()
            if writer is not None:
                writer.cancel()
                with contextlib.suppress(asyncio.CancelledError, StreamEnded):
                    await writer
            await link.close()

    def _answer_within(self) -> float:
        interval = self._session.interval
        return FIRST_ANSWER if interval is None else max(LEAST_ANSWER, 1.5 * interval)

    def _refused(self, refused: agent.Refused) -> float:
        log.warning("refused: %s", refused.message)
        self._perform(self._session.refused(refused))
        if refused.reason == agent.HELLO_REFUSAL_DENIED:
            raise StreamEnded("the credential does not allow this agent", denied=True)
        return seconds(refused.delay)

    def _welcome(self, welcome: agent.Welcome) -> None:
        anew = "a new" if welcome.epoch != self._session.epoch else "the same"
        # Durable before anything of this session is carried out (P18).
        self._journal.welcomed(self._session.identity.instance_id, welcome.epoch)
        self._proof = None  # the next Hello is this same instance's
        self._perform(self._session.welcome(welcome))
        self._backoff.connected()
        self._outputs.new_stream()
        self._gate_moved()
        log.info("welcome: %s session, %d; H %.1f s, L %.1f s", anew, welcome.epoch, *self._pace())

    def _pace(self) -> tuple[float, float]:
        return self._session.interval or 0.0, self._session.lease or 0.0

    async def _read(self, link: Link, writer: asyncio.Task[None]) -> float:
        """Every message down, in order. After 1.5 H of silence the stream is lost (P4)."""
        assert self._session.interval is not None
        while True:
            receive = asyncio.ensure_future(link.receive(1.5 * self._session.interval))
            await asyncio.wait({receive, writer}, return_when=asyncio.FIRST_COMPLETED)
            if writer.done():
                receive.cancel()
                await writer  # raises why
                raise StreamEnded("the writer has ended")
            message = await receive
            kind = message.WhichOneof("message")
            if kind == "ack":
                self._acknowledged(message.ack)
            elif kind == "log_ack":
                self._outputs.acknowledge(message.log_ack)
                self._news.set()
            elif kind == "reconnect":
                log.info("asked to reconnect: %s", message.reconnect.reason)
                self._addresses = list(message.reconnect.addresses)
                return seconds(message.reconnect.delay)
            elif kind == "farewell" and self._goodbye_said:
                raise Finished
            else:
                self._session.unknown_messages += 1

    def _acknowledged(self, ack: agent.HeartbeatAck) -> None:
        for token in [*(permit.token for permit in ack.permits), *ack.void_tokens]:
            self._journal.seen_token(token)
        self._perform(self._session.acknowledged(ack, clock.read()))
        self._gate_moved()
        self._news.set()

    def _gate_moved(self) -> None:
        """The keepers of single_run work are told how long they may let it go on (P11)."""
        if self._session.gate.end is not None:
            for run in self._runs.values():
                run.gate_moved(self._session.gate.end)

    # ---- heartbeats --------------------------------------------------------------------------------------------------

    async def _write(self, link: Link) -> None:
        """The only writer: a heartbeat on the tick, and at once when there is something to say; output when there is none.

        Output is sent a chunk at a time, and after each of them heartbeats come first again: bulk never delays them by
        more than one chunk.
        """
        session = self._session
        assert session.interval is not None
        tick_at = time.monotonic()  # the first one at once: it says what is free, and acknowledges the Welcome's verdicts
        while True:
            self._news.clear()
            self._watch_drain()
            now = time.monotonic()
            if now >= tick_at or session.has_news(clock.read()):
                for message in session.heartbeat(clock.read(), now >= tick_at, self._health()):
                    await link.send(message)
                if now >= tick_at:
                    self._loop_lag, tick_at = 0.0, now + session.interval
            elif session.draining and session.is_empty and self._output_is_up(now) and not self._goodbye_said:
                self._goodbye_said = True
                await link.send(session.goodbye())
            elif (chunk := self._outputs.next_chunk(session.limits)) is not None:
                await link.send(agent.ConnectRequest(log_chunk=chunk))
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause(tick_at)):
                    await self._news.wait()
            self._loop_lag = max(self._loop_lag, time.monotonic() - tick_at)  # how late it was for its tick

    def _output_is_up(self, now: float) -> bool:
        """Whether a Goodbye need not wait for output: there is none left, or nobody has taken it for long enough."""
        self._empty_since = self._empty_since or now
        return self._outputs.waiting == 0 or now - self._empty_since > OUTPUT_GETS

    def _pause(self, tick_at: float) -> float:
        """Until the tick, the drain's deadline, or the time to send output again, whichever comes first."""
        now = time.monotonic()
        until = tick_at if self._drain_by is None else min(tick_at, self._drain_by)
        if self._outputs.waiting:
            until = min(until, now + 0.25)
        return max(0.0, until - now)

    def _health(self) -> agent.Health:
        return agent.Health(loop_lag=duration(self._loop_lag), log_bytes_waiting=self._outputs.waiting)

    # ---- what the rules want done ------------------------------------------------------------------------------------

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Start):
                carrier = asyncio.create_task(self._carry_out(action))
                self._carriers.add(carrier)  # a task that nobody holds may be collected
                carrier.add_done_callback(self._carriers.discard)
            elif isinstance(action, StopRun):
                log.info("token %d has to end: %s", action.token, action.reason)
                if action.token in self._runs:
                    self._runs[action.token].stop(action.reason)
            elif isinstance(action, Forget):
                self._journal.forget(action.token)
                self._outputs.finished(action.token)
            elif isinstance(action, Record):
                log.info("token %d is never started: %s", action.report.token, action.report.reason)
                self._journal.end(action.report)
            elif isinstance(action, DrainBy):
                log.info("asked to drain")
                self._drain_within(action.seconds)
        self._news.set()

    async def _carry_out(self, start: Start) -> None:
        """A permit, from the process group to the journalled report."""
        permit, session = start.permit, self._session
        folder = self._options.state_directory / "work" / str(permit.token)
        output = self._outputs.open(permit.token, permit.task_id)
        run = Run(permit, folder, output, self._options.agent_id, self._options.handlers_file)
        self._runs[permit.token] = run

        def gate() -> tuple[clock.Instant, float] | None:
            return session.gate.end if session.may_start(start, clock.read()) else None

        def journal(started: StartedRun) -> None:
            self._journal.start(started)
            log.info("token %d starts: task %s, try %d", permit.token, permit.task_id, permit.try_number)

        report = await run.carry_out(gate, journal, self._news.set)
        del self._runs[permit.token]
        self._journal.end(report)
        session.ended(report)
        log.info("token %d has ended: %s %s", permit.token, agent.ReportKind.Name(report.kind), report.reason)
        self._news.set()

    def _drain_within(self, timeout: float | None) -> None:
        if timeout is not None:
            self._drain_by = time.monotonic() + timeout
        self._news.set()

    def _watch_drain(self) -> None:
        """When the drain's deadline has passed, what still runs is stopped."""
        if self._drain_by is None or not self._session.draining or time.monotonic() < self._drain_by:
            return
        self._drain_by = None
        for token in self._session.running:
            self._session.stopping(token)
            self._runs[token].stop("drain")
