import { dagIdOf, type Instance } from '../core/dag/rows.js';
import type { Presence } from '../core/presence.js';
import type { HistoryRow, SessionRow, TaskRow, TaskSpecRow, Work } from '../core/rows.js';
import type { State } from '../core/state.js';
import type { AgentId } from '../kit/ids.js';
import { between, type MonoMs, type ServiceMs, type WallMs } from '../kit/time.js';
import type { Agent, HeldRun } from '../wire/gen/holdfast/v1/fleet_service.js';
import type {
  HistoryEvent,
  InstanceName,
  LostTry,
  Task,
  TaskProgress,
} from '../wire/gen/holdfast/v1/task_service.js';
import { agentKinds, agentStates, partitionPolicies, taskStates } from '../wire/names.js';
import { durationOf } from '../wire/time.js';
import { workOf } from './translate-down.js';

/** How much of a task is shown. */
export interface Shown {
  readonly spec: TaskSpecRow | undefined;
  readonly history: readonly HistoryRow[];
  readonly result: boolean;
  /** Leaves a handler's input out: lists of tasks would grow too large with it. */
  readonly brief?: boolean;
  readonly progress?: TaskProgress | undefined;
}

/** A task row as the public API shows it. */
export function taskOf(row: TaskRow, service: ServiceMs, shown: Shown): Task {
  return {
    taskId: row.taskId,
    spec: {
      queue: row.queue,
      work: shown.spec && workOf(shown.brief ? briefly(shown.spec.work) : shown.spec.work),
      priority: row.priority,
      retries: row.retries,
      retryBackoff: {
        initial: durationOf(row.retryBackoff.initialMs),
        max: durationOf(row.retryBackoff.maxMs),
      },
      executionTimeout: row.executionTimeoutMs === null ? undefined : durationOf(row.executionTimeoutMs),
      queuedTimeout: durationOf(row.queuedTimeoutMs),
      partitionPolicy: partitionPolicies.to(row.partitionPolicy),
      killGrace: durationOf(row.killGraceMs),
      holdTimeout: row.partitionPolicy === 'hold' ? durationOf(row.holdTimeoutMs) : undefined,
      requiredLabels: new Map(Object.entries(row.requiredLabels)),
      idempotencyKey: row.idempotencyKey,
      traceparent: shown.spec?.traceparent ?? '',
      concurrencyKey: row.concurrencyKey,
      concurrencyLimit: row.concurrencyKey === '' ? 0 : row.concurrencyLimit,
      startAfter: row.startAfter === null ? undefined : dateOf(row.startAfter),
      startBefore: row.startBefore === null ? undefined : dateOf(row.startBefore),
    },
    state: taskStates.to(row.state),
    tryNumber: row.tryNumber,
    fencingToken: row.lastToken,
    agentId: row.lastAgentId,
    reason: row.reason,
    message: row.message,
    result: shown.result ? Buffer.from(row.result ?? []) : Buffer.alloc(0),
    resultType: row.resultType,
    exitCode: row.exitCode ?? undefined,
    submittedAt: dateOf(row.submittedAt),
    endedAt: row.endedAt === null ? undefined : dateOf(row.endedAt),
    lost: lostOf(row, service),
    cancelRequested: row.stopRequest?.kind === 'cancel',
    history: shown.history.map(eventOf),
    lostTries: row.losses.length,
    progress: shown.progress,
    instance: row.instance === null ? undefined : instanceNameOf(row.instance),
  };
}

export function instanceNameOf({
  run,
  task,
  mapIndex,
}: Pick<Instance, 'run' | 'task' | 'mapIndex'>): InstanceName {
  const dagId = dagIdOf(run);
  const runId = run.slice(dagId.length + 1);
  return { dagId, runId, task, mapIndex: mapIndex < 0 ? undefined : mapIndex };
}

function briefly(work: Work): Work {
  return work.kind === 'handler' ? { ...work, input: new Uint8Array() } : work;
}

function lostOf(row: TaskRow, service: ServiceMs): LostTry | undefined {
  const lost = row.open?.lost;
  if (!row.open || !lost) return undefined;
  const heldMs = lost.heldUntil === null ? 0 : Math.max(0, between(service, lost.heldUntil));
  return { at: dateOf(lost.at), heldFor: durationOf(heldMs), agentId: row.open.agentId };
}

function eventOf(row: HistoryRow): HistoryEvent {
  return {
    at: dateOf(row.at),
    event: row.event,
    agentId: row.agentId,
    tryNumber: row.tryNumber,
    fencingToken: row.token,
    reason: row.reason,
    message: row.message,
    offeredAt: row.offeredAt === null ? undefined : dateOf(row.offeredAt),
    sessionEpoch: row.epoch,
  };
}

/** An agent as the public API shows it; undefined when none of that name is known. */
export function agentOf(state: State, agentId: AgentId, now: MonoMs): Agent | undefined {
  const agent = state.agents.get(agentId);
  const session = state.newestSession(agentId);
  if (agent === undefined || session === undefined) return undefined;
  const presence = state.presences.get(session.epoch);
  const remaining = presence === undefined ? 0 : Math.max(0, between(now, presence.leaseEnds));
  return {
    agentId,
    kind: agentKinds.to(agent.kind),
    state: agentStates.to(healthOf(state, session)),
    instanceId: session.instanceId,
    sessionEpoch: session.epoch,
    leaseRemaining: durationOf(session.state === 'live' ? remaining : 0),
    queues: session.queues,
    slots: session.slots,
    running: presence === undefined ? 0 : takenOf(state, session, presence),
    labels: new Map(Object.entries(session.labels)),
    cordoned: agent.cordoned,
    draining: agent.draining,
    hostname: session.hostname,
    software: session.software,
    connectedAt: dateOf(session.grantedAt),
    rtt: presence?.health ? durationOf(presence.health.rttMs) : undefined,
    loopLag: presence?.health ? durationOf(presence.health.loopLagMs) : undefined,
    streamNo: session.streamNo,
    handlers: session.handlers,
  };
}

/** Slots that are taken: by runs, or in a triggerer by triggers. */
const takenOf = (state: State, { kind, epoch }: SessionRow, presence: Presence): number =>
  kind === 'triggerer' ? state.dags.triggers.of(epoch).size : state.occupied(presence);

function healthOf(state: State, session: SessionRow): 'healthy' | 'suspect' | 'failed' | 'gone' {
  if (session.state === 'failed') return 'failed';
  if (session.state === 'ended') return 'gone';
  return state.presences.get(session.epoch)?.streamId == null ? 'suspect' : 'healthy';
}

/** Everything that an agent holds by open tokens, and what still stops. */
export function runsOf(state: State, agentId: AgentId): HeldRun[] {
  const runs: HeldRun[] = [];
  for (const token of state.openByAgent.get(agentId) ?? []) {
    const task = state.open.get(token);
    if (!task?.open) continue;
    const phase =
      task.open.lost === null ? state.presences.get(task.open.epoch)?.inventory.phase(token) : 'lost';
    runs.push({
      taskId: task.taskId,
      fencingToken: token,
      tryNumber: task.open.tryNumber,
      phase: phase ?? 'permitted',
    });
  }
  return runs;
}

export function dateOf(at: WallMs | number): Date {
  return new Date(at);
}
