// What happens to the agents: the DAG processor is stopped, a worker and a triggerer are cut from the network and come
// back, another worker is killed. Each waits for its moment (something must be there that can be lost) by looking, never
// by guessing how fast this machine is.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SLOWEST } from './pace.mjs';
import { waitUntil } from './stage.mjs';
import { aliveOf, descendantsOf, markedOf } from './survivors.mjs';

/** If a moment does not come within this, the show goes on without it, and the checks at the end say so. */
const MOMENT_LIMIT_MS = 12_000;
/** No process of a killed worker's runs is alive a second later. */
const GONE_LIMIT_MS = 1_000;

const MONTH = /^\d{4}-\d{2}$/;

/** The DAG that is written while nobody reads. */
const UNREAD = 'late';

/** Stops the DAG processor once its DAGs are in force, and writes a file that nobody reads then. */
export async function stopProcessor(stage) {
  const { client, story } = stage;
  await stage.comes('the DAGs', async () => (await idsOf(client.dags.list())).length === 4);
  const inForce = await idsOf(client.dags.list());
  const stoppedWell = await stage.stopAgent('processor');
  const tide = readFileSync(join(stage.bundle, 'tide.dag.yaml'), 'utf8');
  writeFileSync(join(stage.bundle, `${UNREAD}.dag.yaml`), tide.replace('dag_id: tide', `dag_id: ${UNREAD}`));
  story.tell(
    'demo',
    `the DAG processor is STOPPED; in force stay ${inForce.join(', ')}; a new file is not read`,
    'act',
  );
  return { inForce, stoppedWell, at: new Date() };
}

/** Starts the DAG processor again; what was in force until then, and whether it reads the new file now. */
export async function restartProcessor(stage) {
  const { client, signal, story } = stage;
  const until = await idsOf(client.dags.list());
  stage.startProcessor();
  story.tell('demo', 'the DAG processor is STARTED again', 'act');
  const read = async () => (await idsOf(client.dags.list())).includes(UNREAD);
  return { until, seen: await waitUntil(read, MOMENT_LIMIT_MS, signal) };
}

/** Cuts worker-3 off as soon as it runs something of every policy, and with it a triggerer that waits for something. */
export async function cutAgents(stage) {
  const { story, footprints, work, signal, client, proxies } = stage;
  let [running, waits] = [[], []];
  const moment = async () => {
    waits = (await all(client.triggers.list())).filter(({ agentId }) => agentId !== '');
    // Looked at last, and cut at once: what runs for a moment only would be over by then.
    running = footprints.refresh().openOn('worker-3');
    // Of those that may be reassigned the months take a while.
    const isMonth = running.some(({ taskId }) => MONTH.test(work.nameOf(taskId)));
    const each = isMonth && ['hold', 'single_run'].every((policy) => countOf(running, policy, work) > 0);
    const known = waits.length > 0 && waits.every(({ taskId }) => work.book.has(taskId));
    return each && running.length >= 5 && known;
  };
  await waitUntil(moment, MOMENT_LIMIT_MS, signal);
  const triggerer = waits[0]?.agentId ?? 'triggerer-1';
  proxies.get('worker-3').cut();
  proxies.get(triggerer).cut();
  const cutOff = waits.filter(({ agentId }) => agentId === triggerer);
  const names = cutOff.map(({ taskId }) => work.nameOf(taskId)).join(', ') || 'nothing';
  story.tell(
    'demo',
    `network of worker-3 CUT (its process goes on) while it runs ${namesOf(running, work)}`,
    'act',
  );
  story.tell('demo', `network of ${triggerer} CUT while it waits for ${names}`, 'act');
  return { running, triggerer, waits: cutOff };
}

/** Heals the network once the losses have had their consequences: the agents failed, their work ended or given to others. */
export async function healAgents(stage, { running, triggerer, waits }) {
  const { story, footprints, work, signal, proxies } = stage;
  const over = ({ token }) => footprints.runs.get(token).end !== '';
  const settled = (run) => {
    if (work.policyOf(run.taskId) !== 'hold') return over(run) && work.isSuperseded(run);
    // One of them ends during the cut, the other is to be running still at the return.
    return over(run) || work.nameOf(run.taskId) === SLOWEST;
  };
  const moved = new Map();
  const ripe = async () => {
    footprints.refresh();
    await followWaits(stage, waits, moved);
    const failed = ['worker-3', triggerer].every((name) => stage.failureOf(name) !== undefined);
    return failed && moved.size === waits.length && running.every(settled);
  };
  await waitUntil(ripe, MOMENT_LIMIT_MS, signal);
  const finished = running.filter(({ token }) => footprints.runs.get(token).end === 'end');
  for (const name of ['worker-3', triggerer]) proxies.get(name).heal();
  const still = namesOf(footprints.openOn('worker-3'), work);
  story.tell(
    'demo',
    `both networks HEALED; cut off, worker-3 finished ${namesOf(finished, work)}; it still runs ${still}`,
    'act',
  );
  await waitUntil(() => running.some(({ taskId }) => work.has(taskId, 'adopted')), MOMENT_LIMIT_MS, signal);
  return moved.size;
}

/** Takes note of waits that another triggerer has been given. */
async function followWaits({ client, story, work }, waits, moved) {
  if (moved.size === waits.length) return;
  for (const { triggerId, taskId, agentId, fencingToken } of await all(client.triggers.list())) {
    const before = waits.find((wait) => wait.triggerId === triggerId);
    if (before === undefined || moved.has(triggerId) || agentId === '') continue;
    if (agentId === before.agentId || fencingToken <= before.fencingToken) continue;
    moved.set(triggerId, agentId);
    story.tell(
      work.nameOf(taskId),
      `MOVED: waits at ${agentId} now (token ${before.fencingToken} -> ${fencingToken})`,
      'good',
    );
  }
}

/**
 * kill -9 of the first of these workers that is busy, with work of which no two copies may run; what of it survives is
 * looked up in the system's table of processes.
 */
export async function killWorker(stage, names) {
  const { story, footprints, work, signal } = stage;
  const isBusy = (name) => {
    const runs = footprints.openOn(name);
    return runs.length >= 4 && countOf(runs, 'single_run', work) > 0;
  };
  await waitUntil(() => footprints.refresh() && names.some(isBusy), MOMENT_LIMIT_MS, signal);
  const name = names.find(isBusy) ?? names[0];
  const worker = stage.agents.get(name);
  const { pid, instanceId } = worker;
  const running = footprints.openOn(name);
  const processes = descendantsOf(pid);
  stage.processes.kill(worker);
  const killedAt = performance.now();
  story.tell('demo', `kill -9 of ${name} (pid ${pid}) while it runs ${namesOf(running, work)}`, 'act');
  await waitUntil(() => aliveOf(processes) === 0, GONE_LIMIT_MS, signal);
  const afterMs = Math.round(performance.now() - killedAt);
  const left = aliveOf(processes);
  if (left === 0)
    story.tell(
      'demo',
      `the ${processes.length} processes below it died with it, within ${afterMs} ms`,
      'good',
    );
  else
    story.tell(
      'demo',
      `${left} of the ${processes.length} processes below it are alive ${afterMs} ms later`,
      'bad',
    );
  const wasBusy = running.length > 0;
  return { name, wasBusy, leftBehind: async () => left + aliveOf(processes) + (await markedOf(instanceId)) };
}

const countOf = (runs, policy, work) => runs.filter(({ taskId }) => work.policyOf(taskId) === policy).length;

function namesOf(runs, work) {
  return runs.length === 0 ? 'nothing' : runs.map(({ taskId }) => work.nameOf(taskId)).join(', ');
}

async function idsOf(dags) {
  return (await all(dags)).map(({ dagId }) => dagId);
}

async function all(items) {
  return await Array.fromAsync(items);
}
