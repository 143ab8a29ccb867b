"""The rules of a worker, without any input or output: what to say next, and what to do about what was said.

`Session` outlives streams and sessions of the protocol alike: it is everything that this process holds. What belongs to
one stream alone (numbers, offers, the coordinator's mirror) is in `Stream`, and goes with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from .clock import Instant
from .gate import Gate
from .inventory import ASKED, LOST, RUNNING, STOPPING, VOID, Mirror, Phase, phase_of_report
from .protos import agent, duration, now as wall_now, seconds, types

# Until a Welcome says what the coordinator accepts, no message is larger than this, but for one large result in it.
CHUNK_BYTES = 256 * 1024
CHUNK_ENTRIES = 2000
HELLO_REPORT_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class Start:
    """Start the run of this permit, if `Session.may_start` still holds then."""

    permit: agent.Permit
    stream_no: int


@dataclass(frozen=True)
class StopRun:
    """End this run: SIGTERM, grace, SIGKILL of the whole group, then a report."""

    token: int
    reason: str


@dataclass(frozen=True)
class Forget:
    """The report of this token is acknowledged: the journal may drop it."""

    token: int
    task_id: str
    disposition: int


@dataclass(frozen=True)
class Record:
    """Journal this report, which no run stands behind."""

    report: agent.Report


@dataclass(frozen=True)
class DrainBy:
    """No new work; runs are stopped when so many seconds have passed, or never."""

    seconds: float | None


Action = Start | StopRun | Forget | Record | DrainBy


@dataclass
class Held:
    """One token that this worker answers for."""

    task_id: str
    phase: Phase
    report: agent.Report | None = None


@dataclass(frozen=True)
class Identity:
    """What a Hello says of this process, besides what it holds."""

    agent_id: str
    instance_id: str
    queues: tuple[str, ...]
    slots: int
    labels: dict[str, str]
    handlers: tuple[str, ...]
    hostname: str
    process: agent.ProcessIdentity


@dataclass
class Stream:
    """One call of Connect."""

    number: int
    seq: int = 1  # the Hello is 1
    applied: int = 0
    sent: dict[int, Instant] = field(default_factory=dict)
    mirror: Mirror = field(default_factory=Mirror)
    welcomed: bool = False
    offers: dict[str, None] = field(default_factory=dict)
    asked: set[int] = field(default_factory=set)
    reported: set[int] = field(default_factory=set)
    changed: set[int] = field(default_factory=set)
    full_inventory_wanted: bool = False
    parts: list[agent.HeartbeatAck] = field(default_factory=list)
    rtt: float | None = None


def stop_reason(reason: int) -> str:
    """A StopReason as a report says it; one that we do not know is treated as SUPERSEDED."""
    names = {
        agent.STOP_REASON_CANCELLED: "cancelled",
        agent.STOP_REASON_TIMEOUT: "timeout",
        agent.STOP_REASON_UNKNOWN: "unknown",
    }
    return names.get(reason, "superseded")


class Session:
    """Everything that this process holds, and what the coordinator has last said of it."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.gate = Gate()
        self.epoch = 0
        self.interval: float | None = None  # H, in seconds
        self.lease: float | None = None  # L, in seconds
        self.limits = agent.Limits()
        self.unknown_messages = 0
        self._asked: dict[int, str] = {}
        self._held: dict[int, Held] = {}
        self._never: set[int] = set()
        self._nonce = 0
        self._stream = Stream(number=0)
        self._stream_is_live = False
        self._draining = False
        self._directive = agent.Directive()

    # ---- what is held ------------------------------------------------------------------------------------------------

    def restore(self, reports: list[agent.Report]) -> None:
        """What an earlier process of this state directory has left: reports, and runs whose end nobody saw."""
        for report in reports:
            self._held[report.token] = Held(report.task_id, phase_of_report(report), report)

    def ended(self, report: agent.Report) -> None:
        """A run has ended and its whole process group is reaped, or it was never started. Journal it first."""
        self._held[report.token] = Held(report.task_id, phase_of_report(report), report)

    def may_start(self, start: Start, now: Instant) -> bool:
        """The last look before exec (P3, I3): same session, newest stream and that alive, gate open, not told to stop."""
        held = self._held.get(start.permit.token)
        return (
            held is not None
            and held.phase == RUNNING
            and start.permit.epoch == self.epoch
            and start.stream_no == self._stream.number
            and self._stream_is_live
            and self.gate.is_open(now)
        )

    @property
    def free_slots(self) -> int:
        """Neither running, nor stopping, nor reserved by a start request. None while nothing new is wanted (P6)."""
        if self._wants_nothing_new:
            return 0
        busy = sum(1 for held in self._held.values() if held.phase in (RUNNING, STOPPING))
        return max(0, self.identity.slots - busy - len(self._asked))

    @property
    def running(self) -> list[int]:
        """Tokens of the runs that have not ended."""
        return [token for token, held in self._held.items() if held.phase in (RUNNING, STOPPING)]

    @property
    def is_empty(self) -> bool:
        """Nothing of any phase is held: a Goodbye may end the session."""
        return not self._held and not self._asked

    @property
    def draining(self) -> bool:
        """Whether this worker is to end when its work is done, by its own wish or the operator's (P6)."""
        return self._draining or self._directive.draining

    def drain(self) -> None:
        """SIGTERM: no new work from here on, not even what has been asked for. The coordinator sees no free slots (P6)."""
        self._draining = True

    @property
    def _wants_nothing_new(self) -> bool:
        return self.draining or self._directive.cordoned

    def entries(self) -> Iterator[agent.InventoryEntry]:
        """The whole inventory."""
        for nonce, task_id in self._asked.items():
            yield agent.InventoryEntry(phase=ASKED, nonce=nonce, task_id=task_id)
        for token, held in self._held.items():
            yield agent.InventoryEntry(phase=held.phase, token=token, task_id=held.task_id)

    # ---- the beginning and the end of a stream -----------------------------------------------------------------------

    def hello(
        self, now: Instant, highest_token: int, highest_epoch: int, proof: agent.PredecessorProof | None
    ) -> list[agent.ConnectRequest]:
        """The first message of the next stream, and the chunks that do not fit into it.

        The gate counts from the sending of the FIRST of them (P2): `now` is before any was sent.
        """
        self._stream = Stream(number=self._stream.number + 1, sent={1: now})
        self._stream_is_live = False
        identity = self.identity
        hello = agent.Hello(
            agent_id=identity.agent_id,
            instance_id=identity.instance_id,
            stream_no=self._stream.number,
            kind=types.AGENT_KIND_WORKER,
            queues=identity.queues,
            slots=identity.slots,
            labels=identity.labels,
            handlers=identity.handlers,
            software="holdfast-python-worker/0.1.0",
            protocol_version=1,
            highest_token=highest_token,
            highest_epoch=highest_epoch,
            hostname=identity.hostname,
            process=identity.process,
            proof=proof,
        )
        entries = list(self.entries())
        self._stream.mirror.replace(entries)
        chunks = list(_chunks(entries, self._reports_of_hello()))
        first, rest = chunks[0], chunks[1:]
        hello.inventory.extend(first.entries)
        hello.reports.extend(first.reports)
        hello.more_chunks = bool(rest)
        return [agent.ConnectRequest(hello=hello), *(agent.ConnectRequest(inventory_chunk=chunk) for chunk in rest)]

    def _reports_of_hello(self) -> list[agent.Report]:
        """As many as a Hello may bring; heartbeats bring the rest."""
        size, reports = 0, []
        for token, held in self._held.items():
            size += 0 if held.report is None else held.report.ByteSize() + 8
            if held.report is not None and size <= HELLO_REPORT_BYTES:
                reports.append(held.report)
                self._stream.reported.add(token)
        return reports

    def welcome(self, welcome: agent.Welcome) -> list[Action]:
        """The Hello is accepted: it counts as a heartbeat, its verdicts come before anything else."""
        stream = self._stream
        stream.applied, stream.welcomed, self._stream_is_live = 1, True, True
        self.epoch = welcome.epoch
        self.interval, self.lease = seconds(welcome.heartbeat_interval), seconds(welcome.lease)
        self.limits = welcome.limits
        self.gate.grant(self.lease, seconds(welcome.gate))
        self.gate.renew(stream.sent[1])
        actions: list[Action] = []
        for verdict in welcome.verdicts:
            if verdict.token:
                actions += self._rule_on_run(verdict)
            elif verdict.kind != agent.VERDICT_KIND_KEEP:  # unspecified: never start
                self._asked.pop(verdict.nonce, None)
                stream.mirror.refuse(verdict.nonce)
        actions += self._acknowledge(welcome.acknowledgements)
        if welcome.HasField("directive"):
            actions += self._direct(welcome.directive)
        return actions

    def _rule_on_run(self, verdict: agent.Verdict) -> list[Action]:
        """A verdict on a token: keep it, stop it, or drop it. A run is never dropped without having been stopped."""
        token = verdict.token
        held = self._held.get(token)
        if verdict.kind == agent.VERDICT_KIND_STOP:
            self._stream.mirror.put(token, STOPPING)
            return self._stop(token, stop_reason(verdict.reason))
        if verdict.kind in (agent.VERDICT_KIND_RECORDED, agent.VERDICT_KIND_NEVER_START):
            self._stream.mirror.acknowledge(token)
            if held is not None and held.report is not None:
                del self._held[token]
                return [Forget(token, held.task_id, agent.REPORT_DISPOSITION_RECORDED)]
            return self._stop(token, "superseded")
        return []

    def refused(self, refused: agent.Refused) -> list[Action]:
        """A refused Hello changes nothing, except that its reports are judged."""
        return self._acknowledge(refused.acknowledgements)

    def stream_lost(self) -> None:
        """However it ended. The session goes on: only the lease ends it (P1), or a Goodbye."""
        self._stream_is_live = False
        self._stream.offers.clear()

    def goodbye(self) -> agent.ConnectRequest:
        """The end of the session on purpose, once nothing is held. The gate closes for good first (P6)."""
        self.gate.close_for_good()
        return agent.ConnectRequest(goodbye=agent.Goodbye(ends_session=True, reason="drained"))

    # ---- what the coordinator says -----------------------------------------------------------------------------------

    def acknowledged(self, ack: agent.HeartbeatAck, now: Instant) -> list[Action]:
        """A HeartbeatAck. Parts of one number are applied together, in the order of their field numbers."""
        stream = self._stream
        stream.parts.append(ack)
        if ack.more:
            return []
        whole = agent.HeartbeatAck()
        for part in stream.parts:
            whole.MergeFrom(part)
        stream.parts.clear()
        self._renew(whole.received, now)
        actions: list[Action] = []
        for stop in [*whole.stops, *whole.cancellations]:
            actions += self._stop(stop.token, stop_reason(stop.reason))
        actions += self._acknowledge(whole.acknowledgements)
        for permit in whole.permits:
            actions += self._permitted(permit, now)
        for refusal in whole.refusals:
            stream.mirror.refuse(refusal.nonce)
            self._asked.pop(refusal.nonce, None)
        for token in whole.void_tokens:
            actions += self._voided(token)
        stream.offers.update((offer.task_id, None) for offer in whole.offers)
        for task_id in whole.withdrawals:
            stream.offers.pop(task_id, None)
        if whole.HasField("directive"):
            actions += self._direct(whole.directive)
        stream.full_inventory_wanted |= whole.send_full_inventory
        stream.applied = max(stream.applied, whole.number)
        return actions

    def _renew(self, received: int, now: Instant) -> None:
        """P2: the gate counts from when the heartbeat was SENT."""
        stream = self._stream
        sent = stream.sent.get(received)
        if sent is None:  # acknowledged before, or never sent
            return
        stream.rtt = sent.elapsed(now)
        self.gate.renew(sent)
        for seq in [seq for seq in stream.sent if seq <= received]:
            del stream.sent[seq]

    def _permitted(self, permit: agent.Permit, now: Instant) -> list[Action]:
        """I3: start on a permit of this session that was asked for, with the gate open; anything else is void for ever."""
        self._stream.mirror.permit(permit.nonce, permit.token)
        asked = self._asked.pop(permit.nonce, None)
        if permit.token in self._held:
            return []  # told again: the same answer, and no second start
        if permit.epoch != self.epoch:
            return self._void(permit.token, permit.task_id, "other_session")
        if asked is None or permit.token in self._never:
            return self._void(permit.token, permit.task_id, "not_asked")
        if self.draining or not self.gate.is_open(now):
            return self._void(permit.token, permit.task_id, "gate_closed")
        self._held[permit.token] = Held(permit.task_id, RUNNING)
        return [Start(permit, self._stream.number)]

    def _voided(self, token: int) -> list[Action]:
        """P13: the coordinator does not see its permit here. Held is shown, in a full inventory; else it is never started."""
        if token in self._held:
            self._stream.full_inventory_wanted = True
            return []
        self._never.add(token)
        return self._void(token, "", "void")

    def _void(self, token: int, task_id: str, reason: str) -> list[Action]:
        report = never_started(token, task_id, reason)
        self._held[token] = Held(task_id, VOID, report)
        return [Record(report)]

    def _stop(self, token: int, reason: str) -> list[Action]:
        held = self._held.get(token)
        if held is None or held.phase not in (RUNNING, STOPPING):
            return []  # ended meanwhile: its report says so
        self.stopping(token)
        return [StopRun(token, reason)]

    def stopping(self, token: int) -> None:
        """A run was told to stop, by whomever; it keeps its slot until it is reaped."""
        self._held[token].phase = STOPPING
        self._stream.changed.add(token)

    def _acknowledge(self, acknowledgements: object) -> list[Action]:
        """Durable, or refused for ever: either way the report may be forgotten."""
        actions: list[Action] = []
        for ack in acknowledgements:  # type: ignore[attr-defined]
            self._stream.mirror.acknowledge(ack.token)
            held = self._held.get(ack.token)
            if held is not None and held.report is not None:
                del self._held[ack.token]
                actions.append(Forget(ack.token, held.task_id, ack.disposition))
        return actions

    def _direct(self, directive: agent.Directive) -> list[Action]:
        was_draining = self._directive.draining
        self._directive = directive
        if not directive.draining or was_draining:
            return []
        return [DrainBy(seconds(directive.drain_timeout) if directive.HasField("drain_timeout") else None)]

    # ---- what to say next --------------------------------------------------------------------------------------------

    def has_news(self, now: Instant) -> bool:
        """Whether a heartbeat should go out at once, without waiting for the tick."""
        stream = self._stream
        return stream.welcomed and (
            bool(stream.changed)
            or stream.full_inventory_wanted
            or self._may_ask(now)
            or (not self._asked.keys() <= stream.asked and self.gate.is_open(now))
            or any(held.report is not None and token not in stream.reported for token, held in self._held.items())
        )

    def _may_ask(self, now: Instant) -> bool:
        """P3: with the gate closed nothing is asked for."""
        return bool(self._stream.offers) and self.free_slots > 0 and self.gate.is_open(now)

    def heartbeat(self, now: Instant, tick: bool, health: agent.Health) -> list[agent.ConnectRequest]:
        """One heartbeat with all there is to say; on the tick also whatever has not been answered yet.

        Every part changes the mirror exactly as the comment at `message Heartbeat` says, in the order of the fields.
        """
        stream = self._stream
        stream.seq += 1
        stream.sent[stream.seq] = now
        beat = agent.Heartbeat(seq=stream.seq, applied=stream.applied)
        if tick:
            stream.reported.clear()
            stream.asked.clear()
            beat.health.CopyFrom(health)
            beat.health.unknown_messages = self.unknown_messages
            if stream.rtt is not None:
                beat.health.rtt.CopyFrom(duration(stream.rtt))
        self._put_reports(beat)
        for token in stream.changed & self._held.keys():
            held = self._held[token]
            if held.report is None:  # an entry with a report is told by its report
                beat.inventory_changes.add(phase=held.phase, token=token, task_id=held.task_id)
                stream.mirror.put(token, held.phase)
        stream.changed.clear()
        self._put_start_requests(beat, now)
        chunks = self._put_full_inventory(beat) if stream.full_inventory_wanted else []
        beat.inventory_count, beat.inventory_hash = stream.mirror.count(), stream.mirror.hash()
        beat.free_slots = self.free_slots
        return [agent.ConnectRequest(heartbeat=beat), *chunks]

    def _put_reports(self, beat: agent.Heartbeat) -> None:
        """As many reports as fit; the rest is news still, and goes with the next heartbeat."""
        most = (self.limits.max_message_bytes or CHUNK_BYTES) // 2
        size = 0
        for token, held in self._held.items():
            if held.report is None or token in self._stream.reported:
                continue
            size += held.report.ByteSize() + 16
            if size > most and beat.reports:
                return
            beat.reports.append(held.report)
            self._stream.reported.add(token)
            self._stream.mirror.put(token, held.phase)

    def _put_start_requests(self, beat: agent.Heartbeat, now: Instant) -> None:
        """New ones while slots are free, and those not answered yet: the same nonce gets the same answer."""
        stream = self._stream
        while self._may_ask(now):
            task_id = next(iter(stream.offers))
            del stream.offers[task_id]
            self._nonce += 1
            self._asked[self._nonce] = task_id
        if not self.gate.is_open(now):
            return
        for nonce, task_id in self._asked.items():
            if nonce not in stream.asked:
                beat.start_requests.add(nonce=nonce, task_id=task_id)
                stream.asked.add(nonce)
                stream.mirror.ask(nonce)

    def _put_full_inventory(self, beat: agent.Heartbeat) -> list[agent.ConnectRequest]:
        self._stream.full_inventory_wanted = False
        entries = list(self.entries())
        self._stream.mirror.replace(entries)
        first, *rest = _chunks(entries, [])
        beat.full_inventory.entries.extend(first.entries)
        beat.full_inventory.more_chunks = bool(rest)
        return [agent.ConnectRequest(inventory_chunk=chunk) for chunk in rest]


def never_started(token: int, task_id: str, reason: str) -> agent.Report:
    """The answer to a permit that was not started and never will be."""
    return agent.Report(
        token=token, task_id=task_id, kind=agent.REPORT_KIND_NEVER_STARTED, reason=reason, ended_at=wall_now()
    )


def lost(token: int, task_id: str) -> agent.Report:
    """What a process says of a run that an earlier one had journalled: gone, and its end is unknown."""
    return agent.Report(
        token=token, task_id=task_id, kind=agent.REPORT_KIND_LOST, reason="agent_lost", ended_at=wall_now()
    )


def _chunks(entries: list[agent.InventoryEntry], reports: list[agent.Report]) -> Iterator[agent.InventoryChunk]:
    """Entries and reports cut into chunks; at least one, and the last one says so."""
    left, waiting = deque(entries), deque(reports)
    while True:
        chunk = agent.InventoryChunk()
        size = 0
        while left and len(chunk.entries) < CHUNK_ENTRIES:
            size += left[0].ByteSize() + 8
            chunk.entries.append(left.popleft())
        while waiting and (size + waiting[0].ByteSize() <= CHUNK_BYTES or not (chunk.entries or chunk.reports)):
            size += waiting[0].ByteSize()
            chunk.reports.append(waiting.popleft())
        chunk.last = not left and not waiting
        yield chunk
        if chunk.last:
            return


__all__ = ["Action", "DrainBy", "Forget", "Identity", "LOST", "Record", "Session", "Start", "StopRun"]
