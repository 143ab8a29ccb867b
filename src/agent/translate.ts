import type { Epoch, Nonce, TaskId, Token } from '../kit/ids.js';
import type { Entry } from '../kit/inventory.js';
import type * as proto from '../wire/gen/holdfast/v1/agent_service.js';
import { LIMITS, PROTOCOL_VERSION } from '../wire/limits.js';
import {
  agentKinds,
  dispositions,
  helloRefusals,
  partitionPolicies,
  phases,
  refusalReasons,
  reportKinds,
  snapshotStates,
  stopReasons,
  verdictKinds,
} from '../wire/names.js';
import { durationOf, millisOf } from '../wire/time.js';
import type { BundleTold } from './core/bundle-upload.js';
import type {
  Ack,
  Beat,
  Directive,
  Hello,
  Permit,
  Refused,
  Report,
  Up,
  Verdict,
  Welcome,
  Work,
} from './core/messages.js';
import { deferralOf, resumptionOf, triggerEventOf, triggerStartOf } from './translate-triggers.js';

/** Inventory entries in one message; the rest follows in chunks. */
const CHUNK_ENTRIES = 4_096;
/** Bytes of reports in one message, about. */
const CHUNK_BYTES = 512 * 1024;

/** What an agent says of itself beside what its core decides; for people, nothing is decided on it. */
export interface Condition {
  readonly loopLagMs: number;
  /** Output of tasks that is not acknowledged yet. */
  readonly logBytesWaiting: number;
  /** Messages of arms that this version does not know, since the process started. */
  readonly unknownArms: number;
}

/** What the agent's core says, as the proto's messages: one, or several where it is too large for one. */
export function requestsOf(up: Up, condition: Condition): proto.ConnectRequest[] {
  switch (up.kind) {
    case 'hello':
      return helloOf(up.hello);
    case 'heartbeat':
      return beatOf(up.beat, condition);
    case 'goodbye':
      return [{ message: { $case: 'goodbye', value: { endsSession: up.endsSession, reason: up.reason } } }];
  }
}

function helloOf(hello: Hello): proto.ConnectRequest[] {
  const { identity, streamNo, highestToken, highestEpoch } = hello;
  const chunks = chunksOf(hello.inventory.map(entryOf), hello.reports.map(reportOf));
  const value: proto.Hello = {
    agentId: identity.agentId,
    instanceId: identity.instanceId,
    streamNo,
    kind: agentKinds.to(identity.kind),
    queues: identity.queues,
    slots: identity.slots,
    labels: new Map(Object.entries(identity.labels)),
    software: identity.software,
    protocolVersion: PROTOCOL_VERSION,
    capabilities: [],
    maxMessageBytes: LIMITS.messageBytes,
    highestToken,
    highestEpoch,
    inventory: chunks[0]?.entries ?? [],
    reports: chunks[0]?.reports ?? [],
    moreChunks: chunks.length > 1,
    process: identity.process,
    proof: identity.proof ?? undefined,
    hostname: identity.hostname,
    handlers: identity.handlers,
    bundles: identity.bundles,
    triggerKinds: identity.triggerKinds,
  };
  return [{ message: { $case: 'hello', value } }, ...followUps(chunks)];
}

function beatOf(beat: Beat, { loopLagMs, logBytesWaiting, unknownArms }: Condition): proto.ConnectRequest[] {
  const chunks = beat.fullInventory === null ? [] : chunksOf(beat.fullInventory.map(entryOf), []);
  const value: proto.Heartbeat = {
    seq: BigInt(beat.seq),
    applied: BigInt(beat.applied),
    reports: beat.reports.map(reportOf),
    inventoryChanges: beat.inventoryChanges.map(entryOf),
    inventoryCount: beat.inventoryCount,
    inventoryHash: beat.inventoryHash,
    startRequests: beat.startRequests,
    freeSlots: beat.freeSlots,
    health:
      beat.rttMs === null
        ? undefined
        : {
            loopLag: durationOf(loopLagMs),
            rtt: durationOf(beat.rttMs),
            logBytesWaiting: BigInt(logBytesWaiting),
            unknownMessages: BigInt(unknownArms),
          },
    triggerEvents: beat.triggerEvents.map(triggerEventOf),
    fullInventory:
      beat.fullInventory === null
        ? undefined
        : { entries: chunks[0]?.entries ?? [], moreChunks: chunks.length > 1 },
  };
  return [{ message: { $case: 'heartbeat', value } }, ...followUps(chunks)];
}

interface Chunk {
  readonly entries: proto.InventoryEntry[];
  readonly reports: proto.Report[];
}

function chunksOf(entries: readonly proto.InventoryEntry[], reports: readonly proto.Report[]): Chunk[] {
  const chunks: Chunk[] = [];
  for (let i = 0; i < entries.length; i += CHUNK_ENTRIES) {
    chunks.push({ entries: entries.slice(i, i + CHUNK_ENTRIES), reports: [] });
  }
  let bytes = CHUNK_BYTES;
  for (const report of reports) {
    const size = report.result.length + report.message.length * 3 + 512;
    bytes += size;
    if (bytes > CHUNK_BYTES && (chunks.at(-1)?.reports.length ?? 1) > 0) {
      chunks.push({ entries: [], reports: [] });
      bytes = size;
    }
    chunks.at(-1)?.reports.push(report);
  }
  return chunks;
}

function followUps(chunks: readonly Chunk[]): proto.ConnectRequest[] {
  return chunks.slice(1).map(({ entries, reports }, i) => ({
    message: { $case: 'inventoryChunk', value: { entries, reports, last: i === chunks.length - 2 } },
  }));
}

function entryOf(entry: Entry): proto.InventoryEntry {
  const phase = phases.to(entry.phase);
  if (entry.phase === 'asked') return { phase, token: 0n, nonce: entry.nonce, taskId: entry.taskId };
  return { phase, token: entry.token, nonce: 0n, taskId: entry.taskId };
}

function reportOf(report: Report): proto.Report {
  return {
    token: report.token,
    taskId: report.taskId,
    kind: reportKinds.to(report.kind),
    exitCode: report.exitCode ?? 0,
    reason: report.reason,
    message: report.message.slice(0, LIMITS.messageLength),
    result: report.result === null ? NO_BYTES : bufferOf(report.result),
    resultType: report.resultType,
    final: report.final,
    deferral: report.deferral === undefined ? undefined : deferralOf(report.deferral),
    startedAt: report.startedAtMs === null ? undefined : new Date(report.startedAtMs),
    endedAt: new Date(report.endedAtMs),
  };
}

const NO_BYTES = Buffer.alloc(0);

/** The same bytes, not a copy of them. */
const bufferOf = ({ buffer, byteOffset, length }: Uint8Array): Buffer =>
  Buffer.from(buffer, byteOffset, length);

export function welcomeOf(welcome: proto.Welcome): Welcome {
  return {
    epoch: welcome.epoch as Epoch,
    heartbeatMs: millisOf(welcome.heartbeatInterval) ?? 0,
    leaseMs: millisOf(welcome.lease) ?? 0,
    gateMs: millisOf(welcome.gate) ?? 0,
    verdicts: welcome.verdicts.map(verdictOf),
    acknowledgements: welcome.acknowledgements.map(acknowledgementOf),
    directive: directiveOf(welcome.directive) ?? { cordoned: false, draining: false, drainTimeoutMs: null },
  };
}

/** An unknown verdict keeps a run and forbids a start: the safe reading, by the proto's comment. */
function verdictOf(verdict: proto.Verdict): Verdict {
  const token = verdict.token as Token;
  const nonce = verdict.nonce as Nonce;
  switch (verdictKinds.from(verdict.kind)) {
    case 'keep':
      return { kind: 'keep' };
    case 'stop':
      return { kind: 'stop', token, reason: stopReasons.from(verdict.reason) ?? 'superseded' };
    case 'recorded':
      return { kind: 'recorded', token };
    case 'never_start':
      return { kind: 'never_start', token, nonce };
    case undefined:
      return nonce === 0n ? { kind: 'keep' } : { kind: 'never_start', token, nonce };
  }
}

function acknowledgementOf({ token, disposition }: proto.Acknowledgement): Ack['acknowledgements'][number] {
  return { token: token as Token, disposition: dispositions.from(disposition) ?? 'recorded' };
}

function directiveOf(directive: proto.Directive | undefined): Directive | null {
  if (directive === undefined) return null;
  const { cordoned, draining, drainTimeout } = directive;
  return { cordoned, draining, drainTimeoutMs: millisOf(drainTimeout) ?? null };
}

/** An acknowledgement from its parts: one, or several with the same number. */
export function ackOf(parts: readonly proto.HeartbeatAck[]): Ack {
  const whole = parts.length === 1 ? (parts[0] as proto.HeartbeatAck) : joined(parts);
  return {
    number: Number(whole.number),
    received: Number(whole.received),
    stops: whole.stops.map(stopOf),
    cancellations: whole.cancellations.map(stopOf),
    acknowledgements: whole.acknowledgements.map(acknowledgementOf),
    permits: whole.permits.map(permitOf),
    refusals: whole.refusals.map(({ nonce, reason }) => ({
      nonce: nonce as Nonce,
      reason: refusalReasons.from(reason) ?? 'not_offered',
    })),
    voidTokens: whole.voidTokens as readonly Token[],
    offers: whole.offers as readonly { taskId: TaskId; queue: string }[],
    withdrawals: whole.withdrawals as readonly TaskId[],
    directive: directiveOf(whole.directive),
    sendFullInventory: whole.sendFullInventory,
    triggerStarts: whole.triggerStarts.map(triggerStartOf),
    triggerStops: whole.triggerStops,
    triggerAcks: whole.triggerAcks,
  };
}

/** The parts as the one message that was too large; where it was cut is the coordinator's to choose. */
function joined(parts: readonly proto.HeartbeatAck[]): proto.HeartbeatAck {
  return {
    ...(parts[0] as proto.HeartbeatAck),
    stops: parts.flatMap(({ stops }) => stops),
    cancellations: parts.flatMap(({ cancellations }) => cancellations),
    acknowledgements: parts.flatMap(({ acknowledgements }) => acknowledgements),
    permits: parts.flatMap(({ permits }) => permits),
    refusals: parts.flatMap(({ refusals }) => refusals),
    voidTokens: parts.flatMap(({ voidTokens }) => voidTokens),
    offers: parts.flatMap(({ offers }) => offers),
    withdrawals: parts.flatMap(({ withdrawals }) => withdrawals),
    directive: parts.findLast(({ directive }) => directive !== undefined)?.directive,
    sendFullInventory: parts.some(({ sendFullInventory }) => sendFullInventory),
    triggerStarts: parts.flatMap(({ triggerStarts }) => triggerStarts),
    triggerStops: parts.flatMap(({ triggerStops }) => triggerStops),
    triggerAcks: parts.flatMap(({ triggerAcks }) => triggerAcks),
  };
}

function stopOf({ token, reason }: proto.Stop): Ack['stops'][number] {
  return { token: token as Token, reason: stopReasons.from(reason) ?? 'superseded' };
}

function permitOf(permit: proto.Permit): Permit {
  return {
    nonce: permit.nonce as Nonce,
    token: permit.token as Token,
    epoch: permit.epoch as Epoch,
    taskId: permit.taskId as TaskId,
    tryNumber: permit.tryNumber,
    queue: permit.queue,
    // A policy that we do not know is treated as the strictest that we do: it ends with the gate.
    partitionPolicy: partitionPolicies.from(permit.partitionPolicy) ?? 'single_run',
    executionTimeoutMs: millisOf(permit.executionTimeout) ?? null,
    killGraceMs: millisOf(permit.killGrace) ?? 10_000,
    work: workOf(permit.work),
    traceparent: permit.traceparent,
    resumption: permit.resumption === undefined ? null : resumptionOf(permit.resumption),
    instance: permit.instance ?? null,
  };
}

function workOf(work: proto.Permit['work']): Work | null {
  switch (work?.work?.$case) {
    case 'command': {
      const { argv, env, workingDirectory, memoryLimitBytes, cpuLimitMillis } = work.work.value;
      const memory = Number(memoryLimitBytes);
      return {
        kind: 'command',
        argv,
        env: Object.fromEntries(env),
        workingDirectory,
        memoryLimitBytes: memory === 0 ? null : memory,
        cpuLimitMillis: cpuLimitMillis === 0 ? null : cpuLimitMillis,
      };
    }
    case 'handler': {
      const { name, input, inputType } = work.work.value;
      return { kind: 'handler', name, input, inputType };
    }
    case undefined:
      return null;
  }
}

export function uploadOf({ state, nextOffset, ...rest }: proto.BundleAck): BundleTold {
  const { bundle, sequence, message } = rest;
  const known = snapshotStates.from(state) ?? 'receiving';
  return { kind: 'upload', bundle, sequence, message, nextOffset: Number(nextOffset), state: known };
}

export function holdOf({ bundle, held, lastSha256 }: proto.BundleHold): BundleTold {
  return { kind: 'hold', bundle, held, hash: Buffer.from(lastSha256).toString('hex') };
}

export function refusedOf(refused: proto.Refused): Refused {
  return {
    reason: helloRefusals.from(refused.reason) ?? 'unavailable',
    message: refused.message,
    delayMs: millisOf(refused.delay) ?? 0,
    acknowledgements: refused.acknowledgements.map(acknowledgementOf),
  };
}
