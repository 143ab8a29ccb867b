// DAGs: what thousands of them cost that have nothing to do, how late the runs of a thousand are that are due at once, and
// what a run of many tasks adds to the tasks themselves. Definitions are put into a fresh database; all else is the program.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { connect } from '../../dist/client/index.js';
import { openSqliteStore } from '../../dist/store/sqlite/open.js';
import { median, percentile } from './figures.mjs';
import { cpuSeconds, startAgents, startCoordinator, until } from './processes.mjs';

/** Brands are the compiler's alone; whether a row has every field, it shall see. */
const loose = (value) => value;

/** A task that a bare agent ends at once. */
const task = (taskId, needs = []) => ({
  ...{ taskId, needs, triggerRule: 'all_success', when: '', shortCircuit: false, expand: '', wait: null },
  work: {
    ...{ kind: 'command', argv: ['true'], env: {}, workingDirectory: '' },
    ...{ memoryLimitBytes: null, cpuLimitMillis: null },
  },
  ...{ retries: 0, retryBackoff: { initialMs: 1_000, maxMs: 1_000 }, executionTimeoutMs: null },
  ...{ queuedTimeoutMs: null, killGraceMs: 1_000, queue: 'bench', priority: 0, requiredLabels: {} },
  ...{ pool: 'default_pool', poolSlots: 1, partitionPolicy: 'reassign', holdTimeoutMs: 60_000 },
  ...{ inlets: [], outlets: [] },
});

const dag = (dagId, tasks, schedule, nextInstant) => ({
  definition: {
    ...{ dagId, description: '', tags: [], schedule, startDate: null, endDate: null, catchup: false },
    ...{ maxActiveRuns: 16, maxActiveTasks: 1_000, pausedUponCreation: false, params: {}, tasks },
  },
  nextInstant,
});

/** A database in which these DAGs are in force. */
async function holding(dags, measure) {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  const database = join(directory, 'holdfast.db');
  try {
    const store = openSqliteStore({ file: database });
    for (let from = 0; from < dags.length; from += 1_000) await put(store, dags.slice(from, from + 1_000));
    await store.close();
    return await measure(database);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function put(store, dags) {
  const seenAt = loose(Date.now());
  await store.commit({
    ...{ removals: [], tasks: [], specs: [], history: [], agents: [], agentRemovals: [], sessions: [] },
    ...{ queues: [], notifications: [], counters: null },
    dags: {
      dags: dags.map(({ definition, nextInstant }) => ({
        ...{ dagId: definition.dagId, version: 1, bundle: 'bench', file: 'bench.yaml', definitionVersion: 1 },
        ...{ definitionHash: 'bench', schedule: loose(definition.schedule), startDate: null, endDate: null },
        ...{ catchup: false, maxActiveRuns: 16, description: '', tags: [] },
        ...{ taskCount: definition.tasks.length, defaultParams: '{}', active: true, paused: false },
        ...{ importError: null, firstSeenAt: seenAt, changedAt: seenAt, lastInstant: null },
        ...{ nextInstant: loose(nextInstant), pendingAssets: [] },
      })),
      versions: dags.map(({ definition }) => ({
        ...{ dagId: definition.dagId, definitionVersion: 1, hash: 'bench', createdAt: seenAt },
        definition: JSON.stringify(definition),
      })),
      ...{ runs: [], pools: [], poolRemovals: [], assets: [], assetEvents: [], assetEventsUpTo: 0 },
      ...{ triggers: [], triggerRemovals: [], bundles: [], backfills: [], runRemovals: [] },
      ...{ backfillRemovals: [], versionRemovals: [] },
    },
  });
}

const named = (n, make) => Array.from({ length: n }, (_, i) => make(`dag-${i}`));

/** `measure` with a database in which `n` DAGs are in force that are due in a month. */
export async function besideIdleDags(n, measure) {
  const cron = { kind: 'cron', expression: '0 0 1 * *', timezone: 'UTC' };
  const inAMonth = Date.now() + 30 * 86_400_000;
  return await holding(
    named(n, (dagId) => dag(dagId, [task('a')], cron, inAMonth)),
    measure,
  );
}

/** `n` DAGs that are due in a month, watched for `seconds`, beside the same coordinator without any. */
export async function idleDags(n, seconds) {
  const cpuOf = async (dags) =>
    await besideIdleDags(dags, async (database) => {
      const coordinator = await startCoordinator('5s', [], false, { database });
      await wait(5_000);
      const before = cpuSeconds(coordinator.pid);
      await wait(seconds * 1_000);
      const cpu = cpuSeconds(coordinator.pid) - before;
      (await coordinator.stop()).remove();
      return (100 * cpu) / seconds;
    });
  const without = await cpuOf(0);
  const cpuPercent = await cpuOf(n);
  return { cpuPercent, cpuPercentWithout: without };
}

/** `n` DAGs that are all due in the same second: how long after it the last of their runs is there. */
export async function dueDags(n) {
  const due = Math.ceil((Date.now() + 12_000) / 1_000) * 1_000;
  const at = new Date(due);
  const expression = `${at.getUTCSeconds()} ${at.getUTCMinutes()} ${at.getUTCHours()} * * *`;
  const cron = { kind: 'cron', expression, timezone: 'UTC' };
  return await holding(
    named(n, (dagId) => dag(dagId, [task('a')], cron, due)),
    async (database) => {
      const coordinator = await startCoordinator('5s', [], false, { database });
      const client = connect(coordinator.address);
      const count = async () => {
        let runs = 0;
        for await (const _ of client.runs.list({}, { limit: n })) runs++;
        return runs;
      };
      await until(() => Date.now() >= due, 60_000, 'the clock stands still');
      await until(async () => (await count()) >= n, 60_000, 'not all runs were created');
      const seenMs = Date.now() - due;
      client.close();
      (await coordinator.stop()).remove();
      const store = openSqliteStore({ file: database });
      const late = (await store.listRuns({}, null, n)).map(({ createdAt }) => createdAt - due);
      await store.close();
      return { runs: late.length, createdP50Ms: median(late), createdLastMs: Math.max(...late), seenMs };
    },
  );
}

/** One run: a task, `wide` beside one another behind it, and `deep` one behind the other behind them all. */
export async function runOfMany(wide, deep) {
  const beside = Array.from({ length: wide }, (_, i) => task(`wide-${i}`, ['first']));
  const names = beside.map(({ taskId }) => taskId);
  const behind = Array.from({ length: deep }, (_, i) =>
    task(`deep-${i}`, i === 0 ? names : [`deep-${i - 1}`]),
  );
  const tasks = [task('first'), ...beside, ...behind];
  return await holding([dag('many', tasks, { kind: 'none' }, null)], async (database) => {
    const coordinator = await startCoordinator('5s', [], false, { database });
    const workers = startAgents(coordinator.address, 'bench', 100);
    await workers.connected;
    const client = connect(coordinator.address);
    const cpuBefore = cpuSeconds(coordinator.pid);
    const { runId } = await client.dags.trigger('many');
    let changes = 0;
    for await (const _ of client.runs.watch('many', runId)) changes++;
    const cpu = cpuSeconds(coordinator.pid) - cpuBefore;
    client.close();
    await workers.stop();
    (await coordinator.stop()).remove();
    return { tasks: tasks.length, changesSeen: changes, ...(await figuresOf(database, tasks, cpu)) };
  });
}

/** From a task's end to the permit of the one behind it, by the coordinator's clock. */
async function figuresOf(database, tasks, cpu) {
  const store = openSqliteStore({ file: database });
  const [run] = await store.listRuns({}, null, 1);
  if (run?.state !== 'success') throw new Error(`the run ended as ${run?.state}: ${run?.reason}`);
  const at = new Map();
  for (const row of await store.readInstances(run.run)) {
    const history = await store.readHistory(row.taskId);
    const when = (event) => history.find((one) => one.event === event)?.at ?? Number.NaN;
    at.set(row.instance?.task, { start: when('permitted'), end: when('success') });
  }
  await store.close();
  const gaps = tasks
    .filter(({ taskId }) => taskId.startsWith('deep-'))
    .map(({ taskId, needs }) => at.get(taskId).start - Math.max(...needs.map((need) => at.get(need).end)));
  const runMs = (run.endedAt ?? Number.NaN) - run.createdAt;
  return {
    runMs,
    msPerTask: runMs / tasks.length,
    coordinatorMsPerTask: (1_000 * cpu) / tasks.length,
    endToStartP50Ms: median(gaps),
    endToStartP99Ms: percentile(gaps, 0.99),
  };
}
