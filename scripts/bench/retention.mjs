// Retention beside the work: finished tasks are removed while lifecycles go on, and what a start waits for it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { connect } from '../../dist/client/index.js';
import { openSqliteStore } from '../../dist/store/sqlite/open.js';
import { median, percentile } from './figures.mjs';
import { startAgents, startCoordinator, until } from './processes.mjs';

const BATCH = 1_000;

/** The same load without retention: before and after, so that a change of the machine shows. */
const BASELINE_MS = 15_000;

/**
 * `n` finished tasks are removed while `perSecond` lifecycles a second go on, between two stretches of the same load on the
 * same database without retention. Throws when some of them stay, unless `limitMs` was over before.
 */
export async function pruning(n, perSecond, limitMs = 600_000, nodeOptions = []) {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  const database = join(directory, 'holdfast.db');
  try {
    await fill(database, n);
    const before = await under(database, perSecond, BASELINE_MS, Number.POSITIVE_INFINITY);
    const pruned = await under(database, perSecond, limitMs, n, ['--retention-count', '0'], nodeOptions);
    const after = await under(database, perSecond, BASELINE_MS, Number.POSITIVE_INFINITY);
    return {
      ...{ finishedTasks: n, removed: pruned.removed, removedPerS: pruned.removed / pruned.seconds },
      ...{ lifecyclesPerS: pruned.lifecyclesPerS, startP50Ms: pruned.p50, startP99Ms: pruned.p99 },
      ...{ startP50BeforeMs: before.p50, startP99BeforeMs: before.p99 },
      ...{ startP50AfterMs: after.p50, startP99AfterMs: after.p99 },
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** An agent of its own each time: one that comes back under a name that is taken waits for a lease first. */
let rounds = 0;

/** Lifecycles on this database, until `n` tasks were removed or `limitMs` is over. */
async function under(
  database,
  perSecond,
  limitMs,
  n,
  flags = ['--retention-count', '1000000000'],
  options = [],
) {
  const coordinator = await startCoordinator('5s', options, false, { database, flags });
  const workers = startAgents(coordinator.address, `bench-${++rounds}`, 100, 1, { tell: 'starts' });
  await workers.connected;
  const startedAt = new Map();
  workers.child.on('message', ({ started, at }) => started && startedAt.set(started, at));
  const client = connect(coordinator.address);
  const removedNow = async () => Number((await client.coordinator()).counters.tasksRemoved);
  const begin = performance.now();
  const submittedAt = new Map();
  let removed = 0;
  let over = false;
  const asking = until(
    async () => {
      removed = await removedNow();
      return removed >= n || performance.now() - begin > limitMs;
    },
    2 * limitMs,
    'the coordinator did not answer',
  ).finally(() => (over = true));
  // Several at a time: a single submission per turn could not keep up the pace.
  const perTurn = Math.max(1, Math.round(perSecond / 50));
  let next = performance.now();
  const underWay = new Set();
  while (!over) {
    const at = performance.timeOrigin + performance.now();
    const specs = Array.from({ length: perTurn }, () => ({ queue: 'bench', command: ['true'] }));
    const call = client.tasks.submit(specs).then((tasks) => {
      for (const { taskId } of tasks) submittedAt.set(taskId, at);
      underWay.delete(call);
    });
    underWay.add(call);
    next += 1000 * (perTurn / perSecond);
    await wait(Math.max(0, next - performance.now()));
  }
  await asking;
  const seconds = (performance.now() - begin) / 1000;
  await Promise.all(underWay);
  await until(() => startedAt.size >= submittedAt.size, 30_000, 'a task was not started');
  client.close();
  await workers.stop();
  (await coordinator.stop()).remove();
  const waits = [...submittedAt].map(([taskId, at]) => startedAt.get(taskId) - at);
  const lifecyclesPerS = submittedAt.size / seconds;
  return { removed, seconds, lifecyclesPerS, p50: median(waits), p99: percentile(waits, 0.99) };
}

/** Tasks as a coordinator leaves them when they succeeded, written to the store directly. */
export async function fill(file, n) {
  const store = openSqliteStore({ file });
  for (let from = 0; from < n; from += BATCH) {
    const rows = Array.from({ length: Math.min(BATCH, n - from) }, (_, i) => finished(from + i));
    await store.commit({
      removals: [],
      tasks: rows.map((row) => ({ row, lane: null, dueAt: null, wallDueAt: null, finishedAt: loose(from) })),
      specs: rows.map(({ taskId }) => ({ taskId, work: WORK, traceparent: '' })),
      history: rows.flatMap(({ taskId }) =>
        EVENTS.map((event, number) => ({ taskId, n: number, event, ...HAPPENED })),
      ),
      agents: [],
      agentRemovals: [],
      sessions: [],
      queues: [],
      notifications: [],
      counters: null,
      dags: null,
    });
  }
  await store.close();
}

/** Brands and names of states are the compiler's alone; whether a row has every field, it shall see. */
const loose = (value) => value;

const WORK = {
  ...{ kind: loose('command'), argv: ['true'], env: {}, workingDirectory: '' },
  ...{ memoryLimitBytes: null, cpuLimitMillis: null },
};
const EVENTS = ['submitted', 'permitted', 'success'].map(loose);
const HAPPENED = {
  ...{
    at: loose(1_700_000_000_000),
    agentId: loose('bench'),
    tryNumber: 1,
    token: loose(1n),
    epoch: loose(1n),
  },
  ...{ reason: '', message: '', offeredAt: null },
};

const finished = (n) => ({
  ...{
    taskId: loose(`0000000000${String(n).padStart(11, '0')}`),
    version: 1,
    queue: 'bench',
    priority: 0,
    rank: 0,
  },
  ...{ requiredLabels: {}, partitionPolicy: loose('reassign'), retries: 0 },
  ...{
    retryBackoff: { initialMs: 1_000, maxMs: 60_000 },
    executionTimeoutMs: null,
    queuedTimeoutMs: 600_000,
  },
  ...{ killGraceMs: 10_000, holdTimeoutMs: 86_400_000, idempotencyKey: '', contentHash: 'bench' },
  ...{ concurrencyKey: '', concurrencyLimit: 1, retried: 0, releaseAt: null },
  ...{ startAfter: null, startBefore: null },
  ...{
    submittedAt: loose(1_700_000_000_000),
    handler: '',
    state: loose('success'),
    reason: '',
    message: '',
    tryNumber: 1,
  },
  ...{
    retriesUsed: 0,
    queuedSince: null,
    queuedMs: 0,
    notBefore: null,
    neverStarted: 0,
    open: null,
    losses: [],
  },
  ...{
    stopRequest: null,
    lastToken: loose(1n),
    lastAgentId: loose('bench'),
    exitCode: 0,
    result: null,
    resultType: '',
  },
  ...{ endedAt: loose(1_700_000_000_000), historyCount: 3, instance: null, resume: null },
});
