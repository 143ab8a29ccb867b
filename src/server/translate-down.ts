import type { BundleHold } from '../core/dag/draft.js';
import type { Ack, Directive, Frame, Permit, Verdict, Welcome } from '../core/frames.js';
import type { TaskSpecRow, Work } from '../core/rows.js';
import { NO_NONCE, type TaskId } from '../kit/ids.js';
import { mapped } from '../kit/lists.js';
import type * as proto from '../wire/gen/holdfast/v1/agent_service.js';
import { StopReason } from '../wire/gen/holdfast/v1/agent_service.js';
import type { Work as ProtoWork } from '../wire/gen/holdfast/v1/types.js';
import { LIMITS, PROTOCOL_VERSION } from '../wire/limits.js';
import {
  dispositions,
  helloRefusals,
  partitionPolicies,
  refusalReasons,
  snapshotStates,
  stopReasons,
  verdictKinds,
} from '../wire/names.js';
import { durationOf } from '../wire/time.js';
import type { UploadState } from './bundle-intake.js';
import { instanceOf, resumptionOf, triggerStartOf } from './translate-triggers.js';

export type Specs = ReadonlyMap<TaskId, TaskSpecRow>;

/** What the coordinator says of itself in a Welcome. */
export interface Coordinates {
  readonly coordinatorId: string;
  readonly software: string;
  readonly maxInventory: number;
}

export function welcomeOf(welcome: Welcome, coordinates: Coordinates): proto.ConnectResponse {
  const { epoch, heartbeatMs, leaseMs, gateMs, verdicts, acknowledgements, directive } = welcome;
  const value: proto.Welcome = {
    epoch,
    heartbeatInterval: durationOf(heartbeatMs),
    lease: durationOf(leaseMs),
    gate: durationOf(gateMs),
    limits: {
      maxMessageBytes: LIMITS.messageBytes,
      maxResultBytes: LIMITS.resultBytes,
      maxLogChunkBytes: LIMITS.logChunkBytes,
      logWindowBytes: LIMITS.logWindowBytes,
      maxInventoryEntries: coordinates.maxInventory,
    },
    verdicts: verdicts.map(verdictOf),
    acknowledgements: acknowledgements.map(acknowledgementOf),
    coordinatorId: coordinates.coordinatorId,
    software: coordinates.software,
    protocolVersion: PROTOCOL_VERSION,
    capabilities: [],
    directive: directiveOf(directive),
  };
  return { message: { $case: 'welcome', value } };
}

function verdictOf(verdict: Verdict): proto.Verdict {
  return {
    kind: verdictKinds.to(verdict.kind),
    token: verdict.token,
    nonce: 'nonce' in verdict ? verdict.nonce : NO_NONCE,
    reason: verdict.kind === 'stop' ? stopReasons.to(verdict.reason) : StopReason.UNSPECIFIED,
  };
}

function acknowledgementOf({ token, disposition }: Ack['acknowledgements'][number]): proto.Acknowledgement {
  return { token, disposition: dispositions.to(disposition) };
}

function directiveOf(directive: Directive): proto.Directive {
  const { cordoned, draining, drainTimeoutMs } = directive;
  return {
    cordoned,
    draining,
    drainTimeout: drainTimeoutMs === null ? undefined : durationOf(drainTimeoutMs),
  };
}

/** An acknowledgement as one message, or as several with one number when its permits would make it too large. */
export function ackOf(ack: Ack, specs: Specs): proto.ConnectResponse[] {
  const groups = groupBySize(ack.permits, specs);
  const whole: proto.HeartbeatAck = {
    number: BigInt(ack.number),
    received: BigInt(ack.received),
    stops: mapped(ack.stops, stopOf),
    cancellations: mapped(ack.cancellations, stopOf),
    acknowledgements: mapped(ack.acknowledgements, acknowledgementOf),
    permits: groups[0] ?? EMPTY.permits,
    refusals: mapped(ack.refusals, ({ nonce, reason }) => ({ nonce, reason: refusalReasons.to(reason) })),
    voidTokens: ack.voidTokens,
    offers: ack.offers,
    withdrawals: ack.withdrawals,
    directive: ack.directive === null ? undefined : directiveOf(ack.directive),
    sendFullInventory: ack.sendFullInventory,
    triggerStarts: mapped(ack.triggerStarts, triggerStartOf),
    triggerStops: ack.triggerStops,
    triggerAcks: ack.triggerAcks,
    more: groups.length > 1,
  };
  const messages: proto.ConnectResponse[] = [{ message: { $case: 'ack', value: whole } }];
  for (let i = 1; i < groups.length; i++) {
    const rest = { permits: groups[i] ?? EMPTY.permits, more: i < groups.length - 1 };
    messages.push({ message: { $case: 'ack', value: { ...EMPTY, ...only(whole), ...rest } } });
  }
  return messages;
}

const EMPTY = {
  stops: [],
  cancellations: [],
  acknowledgements: [],
  permits: [],
  refusals: [],
  voidTokens: [],
  offers: [],
  withdrawals: [],
  directive: undefined,
  sendFullInventory: false,
  triggerStarts: [],
  triggerStops: [],
  triggerAcks: [],
} as const;

function only({ number, received }: proto.HeartbeatAck) {
  return { number, received };
}

function stopOf({ token, reason }: Ack['stops'][number]): proto.Stop {
  return { token, reason: stopReasons.to(reason) };
}

function permitOf(permit: Permit, specs: Specs): proto.Permit | null {
  const spec = specs.get(permit.taskId);
  // Without its spec a permit cannot be started; it is told again, or voided (P13), rather than sent half.
  if (spec === undefined) return null;
  const { nonce, token, epoch, taskId, tryNumber, queue, executionTimeoutMs, killGraceMs } = permit;
  return {
    nonce,
    token,
    epoch,
    taskId,
    tryNumber,
    queue,
    work: workOf(spec.work),
    partitionPolicy: partitionPolicies.to(permit.partitionPolicy),
    executionTimeout: executionTimeoutMs === null ? undefined : durationOf(executionTimeoutMs),
    killGrace: durationOf(killGraceMs),
    traceparent: spec.traceparent,
    resumption: permit.resumption === null ? undefined : resumptionOf(permit.resumption),
    instance: permit.instance === null ? undefined : instanceOf(permit.instance),
  };
}

export function bundleAckOf({ nextOffset, state, ...rest }: UploadState): proto.ConnectResponse {
  const value = { ...rest, nextOffset: BigInt(nextOffset), state: snapshotStates.to(state) };
  return { message: { $case: 'bundleAck', value } };
}

export function bundleHoldOf({ bundle, held, hash }: BundleHold): proto.ConnectResponse {
  return { message: { $case: 'bundleHold', value: { bundle, held, lastSha256: Buffer.from(hash, 'hex') } } };
}

export function workOf(work: Work): ProtoWork {
  switch (work.kind) {
    case 'command': {
      const { argv, env, workingDirectory, memoryLimitBytes, cpuLimitMillis } = work;
      const limits = { memoryLimitBytes: BigInt(memoryLimitBytes ?? 0), cpuLimitMillis: cpuLimitMillis ?? 0 };
      const value = { argv, env: new Map(Object.entries(env)), workingDirectory, ...limits };
      return { work: { $case: 'command', value } };
    }
    case 'handler': {
      const { name, input, inputType } = work;
      return { work: { $case: 'handler', value: { name, input: Buffer.from(input), inputType } } };
    }
  }
}

/** Permits in groups that each fit into a message with room to spare for the rest of it. */
function groupBySize(permits: readonly Permit[], specs: Specs): proto.Permit[][] {
  const groups: proto.Permit[][] = [];
  let bytes = 0;
  for (const told of permits) {
    const permit = permitOf(told, specs);
    if (permit === null) continue;
    const size = sizeOf(permit);
    const last = groups.at(-1);
    if (last !== undefined && bytes + size <= LIMITS.messageBytes / 2) {
      last.push(permit);
      bytes += size;
    } else {
      groups.push([permit]);
      bytes = size;
    }
  }
  return groups;
}

/** An upper estimate of a permit's bytes: at most three for each character of its text. */
function sizeOf({ work, resumption }: proto.Permit): number {
  const resumed = (resumption?.event.length ?? 0) + (resumption?.state.length ?? 0);
  return resumed + sizeOfWork(work);
}

function sizeOfWork(work: proto.Permit['work']): number {
  let characters = 0;
  if (work?.work?.$case === 'handler') return 1_024 + work.work.value.input.length;
  if (work?.work?.$case === 'command') {
    const { argv, env, workingDirectory } = work.work.value;
    for (const word of argv) characters += word.length + 4;
    for (const [name, value] of env) characters += name.length + value.length + 8;
    characters += workingDirectory.length;
  }
  return 512 + 3 * characters;
}

export function refusedOf(frame: Extract<Frame, { kind: 'refused' }>): proto.ConnectResponse {
  const { reason, message, delayMs, acknowledgements } = frame.refused;
  const value: proto.Refused = {
    reason: helloRefusals.to(reason),
    message,
    delay: durationOf(delayMs),
    acknowledgements: acknowledgements.map(acknowledgementOf),
  };
  return { message: { $case: 'refused', value } };
}

/** A refusal of the edge itself: the Hello never reached the core. */
export function refusalOf(
  reason: 'invalid' | 'unsupported' | 'unavailable' | 'denied',
  message: string,
  delayMs: number,
) {
  const value: proto.Refused = {
    reason: helloRefusals.to(reason),
    message,
    delay: durationOf(delayMs),
    acknowledgements: [],
  };
  return { message: { $case: 'refused', value } } satisfies proto.ConnectResponse;
}

export function reconnectOf(reason: string, delayMs: number): proto.ConnectResponse {
  return { message: { $case: 'reconnect', value: { reason, delay: durationOf(delayMs), addresses: [] } } };
}

export const FAREWELL: proto.ConnectResponse = { message: { $case: 'farewell', value: {} } };

export function logAckOf(
  token: bigint,
  nextOffset: number,
  closed: boolean,
  resend: boolean,
): proto.ConnectResponse {
  return { message: { $case: 'logAck', value: { token, nextOffset: BigInt(nextOffset), closed, resend } } };
}
