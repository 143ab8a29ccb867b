// What happens to the agents: the DAG processor is stopped, the shore (a worker and a triggerer) is cut from the network
// and comes back, another worker is killed. Each waits for its moment (something must be there that can be lost) by
// looking, never by guessing how fast this machine is.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SLOWEST } from './pace.mjs';
import { waitUntil } from './stage.mjs';
import { aliveOf, descendantsOf, markedOf } from './survivors.mjs';

/** If a moment does not come within this, the show goes on without it, and the checks at the end say so. */
const MOMENT_LIMIT_MS = 12_000;
/** No process of a killed worker's runs is alive a second later. */
const GONE_LIMIT_MS = 1_000;

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

/** Cuts the shore off as soon as its worker runs something of every policy, and its triggerer waits for something. */
export async function cutShore(stage) {
  const { story, footprints, work, signal, client } = stage;
  let [running, waits] = [[], []];
  const moment = async () => {
    waits = (await all(client.triggers.list())).filter(({ agentId }) => agentId === 'triggerer-2');
    // Looked at last, and cut at once: what runs for a moment only would be over by then.
    running = footprints.refresh().openOn('worker-3');
    const each = ['hold', 'single_run', 'reassign'].every((policy) => countOf(running, policy, work) > 0);
    const known = waits.length > 0 && waits.every(({ taskId }) => work.book.has(taskId));
    return each && running.length >= 5 && known;
  };
  await waitUntil(moment, MOMENT_LIMIT_MS, signal);
  stage.proxy.cut();
  const waiting = waits.map(({ taskId }) => work.nameOf(taskId)).join(', ') || 'nothing';
  story.tell('demo', `network of the shore CUT while worker-3 runs ${namesOf(running, work)}`, 'act');
  story.tell('demo', `and triggerer-2 waits for ${waiting}`, 'act');
  return { running, waits };
}

/** Heals the network once the loss has had its consequences: the agents failed, their work ended or given to others. */
export async function healShore(stage, { running, waits }) {
  const { story, footprints, work, signal } = stage;
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
    const failed = ['worker-3', 'triggerer-2'].every((name) => stage.failureOf(name) !== undefined);
    return failed && moved.size === waits.length && running.every(settled);
  };
  await waitUntil(ripe, MOMENT_LIMIT_MS, signal);
  const finished = running.filter(({ token }) => footprints.runs.get(token).end === 'end');
  stage.proxy.heal();
  const still = namesOf(footprints.openOn('worker-3'), work);
  story.tell(
    'demo',
    `network of the shore HEALED; cut off, worker-3 finished ${namesOf(finished, work)}; still runs ${still}`,
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
      `MOVED: waits at ${agentId} now (token ${before.fencingToken} -> ${fencingToken}); no worker's slot is taken`,
      'good',
    );
  }
}

/** kill -9 of a worker while it runs something; what of it survives is looked up in the system's table of processes. */
export async function killWorker(stage, name) {
  const { story, footprints, work, signal } = stage;
  const worker = stage.agents.get(name);
  const { pid, instanceId } = worker;
  const moment = () => {
    const runs = footprints.refresh().openOn(name);
    return runs.length >= 4 && countOf(runs, 'single_run', work) > 0;
  };
  await waitUntil(moment, MOMENT_LIMIT_MS, signal);
  const running = footprints.refresh().openOn(name);
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
  return { leftBehind: async () => left + aliveOf(processes) + (await markedOf(instanceId)) };
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
