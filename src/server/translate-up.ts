import type { Health, Heartbeat, Hello, Report, StartRequest } from '../core/inputs.js';
import type { AgentKind } from '../core/rows.js';
import type { AgentId, Epoch, InstanceId, Nonce, TaskId, Token } from '../kit/ids.js';
import type { Entry } from '../kit/inventory.js';
import { mapped, recordOf } from '../kit/lists.js';
import type * as proto from '../wire/gen/holdfast/v1/agent_service.js';
import { LIMITS } from '../wire/limits.js';
import { agentKinds, phases, reportKinds } from '../wire/names.js';
import { millisOf } from '../wire/time.js';
import { counterOf, Malformed, nameOf, textOf, tokenOf } from './fields.js';
import { deferralOf, eventOf } from './translate-triggers.js';

/** Checks a Hello with its chunks put together, field by field, and gives it in the core's words. Throws Malformed. */
export function helloOf(
  hello: proto.Hello,
  entries: readonly proto.InventoryEntry[],
  reports: readonly proto.Report[],
  maxSlots: number,
  maxInventory: number,
): Hello {
  const kind = agentKinds.from(hello.kind);
  if (kind === undefined)
    throw new Malformed('kind is unspecified or unknown: say WORKER, TRIGGERER or DAG_PROCESSOR');
  if (hello.protocolVersion < 1)
    throw new Malformed('protocol_version is 0: this coordinator speaks version 1', true);
  if (hello.streamNo < 1n) throw new Malformed('stream_no is 0: draw it increasing, from 1');
  checkKind(kind, hello, maxSlots);
  if (entries.length > maxInventory) {
    throw new Malformed(`the inventory has ${entries.length} entries, more than ${maxInventory}`);
  }
  if (hello.instanceId.length < 16)
    throw new Malformed('instance_id is too short: draw at least 16 characters at random');
  return {
    agentId: nameOf('agent_id', hello.agentId) as AgentId,
    instanceId: nameOf('instance_id', hello.instanceId) as InstanceId,
    streamNo: hello.streamNo,
    kind,
    queues: [...new Set(hello.queues.map((queue) => nameOf('queues', queue)))],
    slots: hello.slots,
    labels: labelsOf(hello.labels),
    handlers: handlersOf(hello.handlers),
    bundles: [...new Set(hello.bundles.map((bundle) => nameOf('bundles', bundle)))],
    triggerKinds: [...new Set(hello.triggerKinds.map((name) => nameOf('trigger_kinds', name)))],
    software: textOf(hello.software, LIMITS.nameLength),
    hostname: textOf(hello.hostname, LIMITS.nameLength),
    highestToken: counterOf('highest_token', hello.highestToken) as Token,
    highestEpoch: counterOf('highest_epoch', hello.highestEpoch) as Epoch,
    inventory: entries.map(entryOf),
    reports: reports.map(reportOf),
    process: {
      bootId: textOf(hello.process?.bootId ?? '', LIMITS.nameLength),
      lockDevice: counterOf('lock_device', hello.process?.lockDevice ?? 0n),
      lockInode: counterOf('lock_inode', hello.process?.lockInode ?? 0n),
      pid: hello.process?.pid ?? 0,
    },
    proof: proofOf(hello.proof),
  };
}

/** What an agent serves belongs to its kind. Throws Malformed. */
function checkKind(kind: AgentKind, hello: proto.Hello, maxSlots: number): void {
  const { queues, slots, bundles, triggerKinds } = hello;
  const count = (field: string, has: number, of: AgentKind, most: number) => {
    const [from, to] = kind === of ? [1, most] : [0, 0];
    if (has < from || has > to)
      throw new Malformed(`${field} has ${has} entries: a ${kind} has ${from} to ${to}`);
  };
  count('queues', queues.length, 'worker', LIMITS.queues);
  count('bundles', bundles.length, 'dag_processor', LIMITS.bundles);
  count('trigger_kinds', triggerKinds.length, 'triggerer', LIMITS.triggerKinds);
  const most = { worker: maxSlots, triggerer: LIMITS.triggers, dag_processor: 0 }[kind];
  if (slots < Math.min(1, most) || slots > most)
    throw new Malformed(`slots is ${slots}: a ${kind} has ${Math.min(1, most)} to ${most}`);
}

function handlersOf(handlers: readonly string[]): string[] {
  if (handlers.length > LIMITS.handlers) {
    throw new Malformed(`handlers has ${handlers.length} entries: a worker has at most ${LIMITS.handlers}`);
  }
  return [...new Set(handlers.map((name) => nameOf('handlers', name)))];
}

function proofOf(proof: proto.PredecessorProof | undefined): Hello['proof'] {
  if (proof === undefined || proof.bootId === '') return null;
  return {
    instanceId: nameOf('proof.instance_id', proof.instanceId) as InstanceId,
    bootId: textOf(proof.bootId, LIMITS.nameLength),
    lockDevice: counterOf('proof.lock_device', proof.lockDevice),
    lockInode: counterOf('proof.lock_inode', proof.lockInode),
  };
}

/** Checks a heartbeat. `full` is its full inventory with its chunks, when it has one. Throws Malformed. */
export function heartbeatOf(beat: proto.Heartbeat, full: readonly proto.InventoryEntry[] | null): Heartbeat {
  return {
    seq: safeNumber('seq', beat.seq),
    applied: safeNumber('applied', beat.applied),
    reports: mapped(beat.reports, reportOf),
    inventoryChanges: mapped(beat.inventoryChanges, entryOf),
    inventoryCount: beat.inventoryCount,
    inventoryHash: beat.inventoryHash,
    startRequests: mapped(beat.startRequests, startRequestOf),
    freeSlots: beat.freeSlots,
    health: healthOf(beat.health),
    fullInventory: full === null ? null : full.map(entryOf),
    triggerEvents: mapped(beat.triggerEvents, eventOf),
  };
}

function startRequestOf({ nonce, taskId }: proto.StartRequest): StartRequest {
  return { nonce: nonceOf(nonce), taskId: idOf('start_requests.task_id', taskId) };
}

function healthOf(health: proto.Health | undefined): Health | null {
  if (health === undefined) return null;
  return { loopLagMs: millisOf(health.loopLag) ?? 0, rttMs: millisOf(health.rtt) ?? 0 };
}

function entryOf(entry: proto.InventoryEntry): Entry {
  const phase = phases.from(entry.phase);
  if (phase === undefined) throw new Malformed(`an inventory entry has the unknown phase ${entry.phase}`);
  const taskId = entry.taskId === '' ? ('' as TaskId) : idOf('inventory.task_id', entry.taskId);
  if (phase === 'asked') return { phase, nonce: nonceOf(entry.nonce), taskId };
  return { phase, token: tokenOf('inventory.token', entry.token), taskId };
}

function reportOf(report: proto.Report): Report {
  const kind = reportKinds.from(report.kind);
  if (kind === undefined) {
    throw new Malformed(
      `a report has the kind ${report.kind}, which this version of the coordinator does not know`,
      true,
    );
  }
  if (report.result.length > LIMITS.resultBytes) {
    throw new Malformed(`a result has ${report.result.length} bytes, more than ${LIMITS.resultBytes}`);
  }
  const hasResult = report.result.length > 0 || report.resultType !== '';
  const deferred = kind === 'deferred' ? deferralOf(report.deferral) : null;
  return {
    token: tokenOf('reports.token', report.token),
    taskId: report.taskId === '' ? ('' as TaskId) : idOf('reports.task_id', report.taskId),
    kind,
    exitCode: kind === 'success' || report.reason === 'exit_code' ? report.exitCode : null,
    reason: textOf(report.reason, LIMITS.nameLength),
    message: textOf(report.message, LIMITS.messageLength),
    // A copy: the decoded bytes are a view of the whole message, which must not be kept alive by it.
    result: hasResult ? new Uint8Array(report.result) : null,
    resultType: textOf(report.resultType, LIMITS.nameLength),
    final: report.final,
    ranMs: ranMsOf(report),
    ...deferred,
  };
}

/** The two instants are of one clock, which makes their distance mean something; each alone is for people. */
function ranMsOf({ startedAt, endedAt }: proto.Report): number | undefined {
  if (startedAt === undefined || endedAt === undefined) return undefined;
  return Math.max(0, endedAt.getTime() - startedAt.getTime());
}

function idOf(field: string, id: string): TaskId {
  return nameOf(field, id) as TaskId;
}

function nonceOf(nonce: bigint): Nonce {
  if (nonce < 1n) throw new Malformed('nonce is 0: draw it greater than 0, and never twice');
  return counterOf('nonce', nonce) as Nonce;
}

const MOST = BigInt(Number.MAX_SAFE_INTEGER);

function safeNumber(field: string, value: bigint): number {
  if (value < 1n || value > MOST) throw new Malformed(`${field} is ${value}: count from 1`);
  return Number(value);
}

/** Labels, names and values checked. Throws Malformed. */
export function labelsOf(labels: ReadonlyMap<string, string>): Readonly<Record<string, string>> {
  if (labels.size > LIMITS.labels)
    throw new Malformed(`there are ${labels.size} labels, more than ${LIMITS.labels}`);
  for (const [name, value] of labels) {
    if (name === '' || name.length > LIMITS.nameLength || value.length > LIMITS.nameLength) {
      throw new Malformed(
        `label ${JSON.stringify(name.slice(0, 140))} is empty or longer than ${LIMITS.nameLength}`,
      );
    }
  }
  return recordOf(labels);
}
