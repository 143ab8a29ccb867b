import type { AgentId } from '../kit/ids.js';
import { between, later } from '../kit/time.js';
import type { Crowding } from './admission.js';
import { cancelTask } from './ask.js';
import { decideDagCall } from './dag/calls.js';
import { retryFault } from './dag/clear.js';
import type { Draft } from './draft.js';
import { releaseLostTry } from './failure.js';
import type { Directive } from './frames.js';
import type { CallFault, CallInput, NewTask } from './inputs.js';
import { limitQueue } from './queues.js';
import { rankOf } from './rank.js';
import { about, lostOutcome } from './requests.js';
import { type AgentRow, isFinal, type TaskRow } from './rows.js';
import { releaseOf, steer, steerMany } from './steer.js';
import { move, UNTRIED } from './task.js';

type Call<K extends CallInput['kind']> = Extract<CallInput, { kind: K }>;

/** What a call of the public API leads to; its reply leaves once all of it is durable. */
export function decideCall(draft: Draft, call: CallInput): void {
  switch (call.kind) {
    case 'submit':
      return submit(draft, call);
    case 'cancel':
      return cancel(draft, call);
    case 'resolve':
      return resolve(draft, call);
    case 'retry':
      return retry(draft, call);
    case 'steer':
      return steerMany(draft, call);
    case 'limit_queue':
      return limitQueue(draft, call);
    case 'dag':
      return decideDagCall(draft, call.callId, call.call);
    case 'cordon':
      return steerAgent(draft, call.callId, call.agentId, { cordoned: true });
    case 'uncordon':
      return steerAgent(draft, call.callId, call.agentId, {
        cordoned: false,
        draining: false,
        drainUntil: null,
      });
    case 'drain': {
      const drainUntil = call.timeoutMs === null ? null : later(draft.ctx.service, call.timeoutMs);
      return steerAgent(draft, call.callId, call.agentId, { cordoned: true, draining: true, drainUntil });
    }
  }
}

function refuse(draft: Draft, callId: number, fault: CallFault): void {
  draft.reply(callId, { kind: 'refused', fault });
}

/** All tasks of the batch, or none: a key that is known with other content, or too many lanes, refuses all of it. */
function submit(draft: Draft, call: Call<'submit'>): void {
  const fresh: NewTask[] = [];
  // Content by key, of what came earlier in the same call.
  const inCall = new Map<string, string>();
  for (const task of call.tasks) {
    const { idempotencyKey: key } = task;
    const known = key === '' ? undefined : (inCall.get(key) ?? draft.taskByKey(key)?.contentHash);
    if (key !== '') inCall.set(key, task.contentHash);
    if (known !== undefined && known !== task.contentHash) {
      return refuse(draft, call.callId, {
        code: 'IDEMPOTENCY_CONFLICT',
        what: `idempotency key ${JSON.stringify(task.idempotencyKey)} was used for another task`,
        because: 'the same key must always come with the same content',
        try: 'use a new key for a new task',
      });
    }
    if (known !== undefined) continue;
    fresh.push(task);
    const { startBefore } = task;
    // Only here, and not for a known key: a submission that is repeated because its answer was lost is never too late.
    if (startBefore !== null && startBefore <= draft.ctx.wall) {
      return refuse(draft, call.callId, {
        code: 'START_BEFORE_PASSED',
        what: `start_before is ${new Date(startBefore).toISOString()}`,
        because: `it is ${new Date(draft.ctx.wall).toISOString()} by the coordinator's clock, so the task could only fail`,
        try: 'name a later instant, or leave it out',
      });
    }
  }
  const crowding = draft.admission.admit(fresh);
  if (crowding !== null) return refuse(draft, call.callId, crowdingFault(draft, crowding));
  const tasks = call.tasks.map((task) => accept(draft, task));
  draft.reply(call.callId, { kind: 'submitted', tasks });
}

function crowdingFault({ admission, ctx }: Draft, crowding: Crowding): CallFault {
  const { limits } = ctx.policy;
  switch (crowding) {
    case 'too_many_lanes':
      return {
        code: 'TOO_MANY_LANES',
        what: `tasks wait in ${admission.lanes} combinations of queue, required labels and handler`,
        because: `the limit is ${limits.lanes}`,
        try: 'use fewer queues, labels or handlers, or wait for tasks to end',
      };
    case 'too_many_keys':
      return {
        code: 'TOO_MANY_KEYS',
        what: `tasks of ${admission.keys} concurrency keys wait`,
        because: `the limit is ${limits.keys}`,
        try: 'use fewer keys, or wait for tasks to end',
      };
  }
}

function accept(draft: Draft, task: NewTask): { taskId: TaskRow['taskId']; existing: boolean } {
  const known = task.idempotencyKey === '' ? undefined : draft.taskByKey(task.idempotencyKey);
  if (known !== undefined) return { taskId: known.taskId, existing: true };
  const row = newRow(draft, task);
  draft.specs.push(task.spec);
  draft.put(row, { event: 'submitted', reason: row.state === 'scheduled' ? 'scheduled' : '' });
  return { taskId: task.taskId, existing: false };
}

/** One literal in the order of the store's: merging two objects of this size takes longer than all else here. */
function newRow({ ctx }: Draft, task: NewTask): TaskRow {
  const { service, wall, policy } = ctx;
  const waits = task.startAfter !== null && task.startAfter > wall;
  return {
    taskId: task.taskId,
    version: 0,
    queue: task.queue,
    priority: task.priority,
    rank: rankOf(task.priority, service, policy),
    idempotencyKey: task.idempotencyKey,
    requiredLabels: task.requiredLabels,
    partitionPolicy: task.partitionPolicy,
    retries: task.retries,
    retryBackoff: task.retryBackoff,
    executionTimeoutMs: task.executionTimeoutMs,
    queuedTimeoutMs: task.queuedTimeoutMs,
    killGraceMs: task.killGraceMs,
    holdTimeoutMs: task.holdTimeoutMs,
    contentHash: task.contentHash,
    submittedAt: wall,
    handler: task.handler,
    startAfter: task.startAfter,
    startBefore: task.startBefore,
    concurrencyKey: task.concurrencyKey,
    concurrencyLimit: task.concurrencyLimit,
    state: waits ? 'scheduled' : 'queued',
    reason: UNTRIED.reason,
    message: UNTRIED.message,
    tryNumber: UNTRIED.tryNumber,
    retriesUsed: UNTRIED.retriesUsed,
    queuedSince: waits ? null : service,
    queuedMs: UNTRIED.queuedMs,
    notBefore: UNTRIED.notBefore,
    neverStarted: UNTRIED.neverStarted,
    open: UNTRIED.open,
    losses: UNTRIED.losses,
    stopRequest: UNTRIED.stopRequest,
    lastToken: UNTRIED.lastToken,
    lastAgentId: UNTRIED.lastAgentId,
    exitCode: UNTRIED.exitCode,
    resultType: UNTRIED.resultType,
    endedAt: UNTRIED.endedAt,
    historyCount: UNTRIED.historyCount,
    retried: UNTRIED.retried,
    releaseAt: UNTRIED.releaseAt,
    instance: null,
    resume: UNTRIED.resume,
    result: UNTRIED.result,
  };
}

function cancel(draft: Draft, call: Call<'cancel'>): void {
  const task = draft.task(call.taskId);
  if (task === undefined) return refuse(draft, call.callId, notFound(call.taskId));
  if (!isFinal(task.state)) cancelTask(draft, task, call.reason);
  draft.reply(call.callId, { kind: 'task', task: draft.task(call.taskId) ?? task });
}

function retry(draft: Draft, call: Call<'retry'>): void {
  const task = draft.task(call.taskId);
  if (task === undefined) return refuse(draft, call.callId, notFound(call.taskId));
  if (!isFinal(task.state)) {
    return refuse(draft, call.callId, {
      code: 'TASK_NOT_ENDED',
      what: `task ${call.taskId} is not tried again`,
      because: `it has not ended: its state is ${task.state}`,
      try: 'cancel it first, or wait for its end',
    });
  }
  const fault = retryFault(draft, task);
  if (fault !== null) return refuse(draft, call.callId, fault);
  const crowding = task.instance === null ? draft.admission.admit([task]) : null;
  if (crowding !== null) return refuse(draft, call.callId, crowdingFault(draft, crowding));
  steer(draft, task, { action: 'retry' }, call.reason);
  draft.reply(call.callId, { kind: 'task', task: draft.task(call.taskId) ?? task });
}

/** P15: the operator's verdict on a lost try is final at once. */
function resolve(draft: Draft, call: Call<'resolve'>): void {
  const task = draft.task(call.taskId);
  if (task === undefined) return refuse(draft, call.callId, notFound(call.taskId));
  const { open } = task;
  if (!open?.lost) {
    return refuse(draft, call.callId, {
      code: 'NO_LOST_TRY',
      what: `task ${call.taskId} has no lost try to rule on`,
      because: `its state is ${task.state}`,
      try: 'use `task explain` to see what it waits for, or `task cancel` to end it',
    });
  }
  const happening = {
    event: 'resolved',
    ...about(open),
    reason: call.verdict,
    message: call.reason,
  } as const;
  const end = {
    endedAt: draft.ctx.wall,
    reason: 'resolved',
    message: call.reason,
    releaseAt: releaseOf(task),
  };
  switch (call.verdict) {
    case 'reassign': {
      const noted = draft.put(task, happening);
      // P11: under single_run the run is provably dead before the next permit, whatever the operator believes.
      if (noted.state === 'running' && noted.partitionPolicy !== 'single_run') releaseLostTry(draft, noted);
      break;
    }
    case 'fail':
      draft.put(move(task, 'failTask', end), ...lostOutcome(task), happening);
      break;
    case 'succeed':
      draft.put(move(task, 'succeedTask', end), ...lostOutcome(task), happening);
      break;
  }
  draft.reply(call.callId, { kind: 'task', task: draft.task(call.taskId) ?? task });
}

/** P6: cordon and drain block offers and permits, never heartbeats; the agent hears of it at once. */
function steerAgent(draft: Draft, callId: number, agentId: AgentId, change: Partial<AgentRow>): void {
  const agent = draft.agent(agentId);
  if (agent === undefined) {
    return refuse(draft, callId, {
      code: 'AGENT_NOT_FOUND',
      what: `no agent ${agentId} is known`,
      because: 'it has never connected to this coordinator, or has been away so long that it was forgotten',
      try: 'use `agent list` to see the agents',
    });
  }
  const row = draft.putAgent({ ...agent, ...change });
  const ack = draft.sayTo(agent.epoch);
  if (ack !== null) ack.directive = directiveOf(draft, row);
  draft.reply(callId, { kind: 'agent', agentId });
}

/** Cordon and drain as the agent is told them, the deadline counted from now. */
export function directiveOf(draft: Pick<Draft, 'ctx'>, agent: AgentRow | undefined): Directive {
  const until = agent?.drainUntil ?? null;
  return {
    cordoned: agent?.cordoned ?? false,
    draining: agent?.draining ?? false,
    drainTimeoutMs: until === null ? null : Math.max(0, between(draft.ctx.service, until)),
  };
}

function notFound(taskId: string): CallFault {
  return {
    code: 'TASK_NOT_FOUND',
    what: `no task ${taskId}`,
    because: 'it was never submitted here, or has been removed by retention',
    try: 'use `task list` to see the tasks',
  };
}
