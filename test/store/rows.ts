import type {
  AgentRow,
  HistoryRow,
  NotificationRow,
  OpenPermit,
  SessionRow,
  TaskRow,
  TaskSpecRow,
} from '../../src/core/rows.js';
import { wallDueAt } from '../../src/core/task.js';
import type { AgentId, Epoch, InstanceId, Nonce, TaskId, Token } from '../../src/kit/ids.js';
import type { ServiceMs, WallMs } from '../../src/kit/time.js';
import type { Puts, TaskPut } from '../../src/store/store.js';

const FINAL = ['success', 'failed', 'upstream_failed', 'skipped', 'cancelled'];

/** The largest 64-bit integer that is not a JSON number by far. */
export const HUGE = 9_223_372_036_854_775_807n;

export const taskId = (n: number): TaskId => `task-${String(n).padStart(8, '0')}` as TaskId;

/** A queued task in its first version. */
export function task(n: number, changes: Partial<TaskRow> = {}): TaskRow {
  return {
    taskId: taskId(n),
    version: 1,
    queue: 'default',
    priority: 0,
    rank: 0,
    requiredLabels: {},
    handler: '',
    partitionPolicy: 'reassign',
    retries: 0,
    retryBackoff: { initialMs: 1_000, maxMs: 60_000 },
    executionTimeoutMs: null,
    queuedTimeoutMs: 600_000,
    killGraceMs: 10_000,
    holdTimeoutMs: 86_400_000,
    concurrencyKey: '',
    concurrencyLimit: 1,
    startAfter: null,
    startBefore: null,
    idempotencyKey: '',
    contentHash: 'a1b2',
    submittedAt: 1_700_000_000_000 as WallMs,
    state: 'queued',
    reason: '',
    message: '',
    tryNumber: 0,
    retriesUsed: 0,
    retried: 0,
    releaseAt: null,
    queuedSince: 0 as ServiceMs,
    queuedMs: 0,
    notBefore: null,
    neverStarted: 0,
    open: null,
    losses: [],
    stopRequest: null,
    lastToken: 0n as Token,
    lastAgentId: '',
    exitCode: null,
    result: null,
    resultType: '',
    endedAt: null,
    historyCount: 0,
    instance: null,
    resume: null,
    ...changes,
  };
}

export const permit = (token: bigint, changes: Partial<OpenPermit> = {}): OpenPermit => ({
  token: token as Token,
  tryNumber: 1,
  agentId: 'agent-1' as AgentId,
  instanceId: 'instance-of-agent-1' as InstanceId,
  epoch: 7n as Epoch,
  nonce: 1n as Nonce,
  permittedAt: 1_700_000_000_001 as WallMs,
  permittedAtService: 12.5 as ServiceMs,
  lost: null,
  ...changes,
});

/** The next version of a task. */
export const next = (row: TaskRow, changes: Partial<TaskRow>): TaskRow => ({
  ...row,
  version: row.version + 1,
  ...changes,
});

/** A finished task has ended at `finishedAt` of the service clock. */
export const put = (
  row: TaskRow,
  lane: string | null = null,
  dueAt: number | null = null,
  finishedAt = 0,
): TaskPut => ({
  row,
  lane,
  dueAt: dueAt as ServiceMs | null,
  wallDueAt: wallDueAt(row),
  finishedAt: FINAL.includes(row.state) ? (finishedAt as ServiceMs) : null,
});

export const spec = (n: number): TaskSpecRow => ({
  taskId: taskId(n),
  work: {
    kind: 'command',
    argv: ['/bin/echo', 'a b', '"ü"'],
    env: { A: '1', ['__proto__']: 'x' },
    workingDirectory: '',
    memoryLimitBytes: n % 2 === 0 ? null : 2 ** 40,
    cpuLimitMillis: n % 3 === 0 ? null : 500,
  },
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
});

export const history = (n: number, number: number, changes: Partial<HistoryRow> = {}): HistoryRow => ({
  taskId: taskId(n),
  n: number,
  at: 1_700_000_000_000 as WallMs,
  event: 'submitted',
  agentId: '',
  tryNumber: 0,
  token: 0n as Token,
  epoch: 0n as Epoch,
  reason: '',
  message: '',
  offeredAt: null,
  ...changes,
});

export const agent = (id: string, changes: Partial<AgentRow> = {}): AgentRow => ({
  agentId: id as AgentId,
  version: 1,
  kind: 'worker',
  epoch: 1n as Epoch,
  cordoned: false,
  draining: false,
  drainUntil: null,
  ...changes,
});

export const session = (epoch: bigint, changes: Partial<SessionRow> = {}): SessionRow => ({
  epoch: epoch as Epoch,
  version: 1,
  agentId: 'agent-1' as AgentId,
  instanceId: 'instance-of-agent-1' as InstanceId,
  state: 'live',
  heartbeatMs: 5_000,
  leaseMs: 15_000,
  holder: 'coordinator-1',
  streamNo: 3n,
  kind: 'worker',
  queues: ['default', 'gpu'],
  slots: 4,
  labels: { zone: 'a' },
  handlers: ['resize'],
  bundles: [],
  triggerKinds: [],
  process: { bootId: 'b00t', lockDevice: 2_049n, lockInode: 18_446_744_073_709_551_615n, pid: 4_711 },
  hostname: 'host',
  software: 'holdfast 0.1.0',
  grantedAt: 1_700_000_000_000 as WallMs,
  endedAt: null,
  endReason: '',
  ...changes,
});

export const notification = (id: string, changes: Partial<NotificationRow> = {}): NotificationRow => ({
  id,
  event: 'task.failed',
  at: 1_700_000_000_000 as WallMs,
  atService: 12.5 as ServiceMs,
  subject: 'task:t1',
  data: { taskId: 't1', exitCode: null, tryNumber: 2, agentIds: ['a', 'b'] },
  ...changes,
});

export const puts = (changes: Partial<Puts>): Puts => ({
  removals: [],
  tasks: [],
  specs: [],
  history: [],
  agents: [],
  agentRemovals: [],
  sessions: [],
  queues: [],
  notifications: [],
  counters: null,
  dags: null,
  ...changes,
});
