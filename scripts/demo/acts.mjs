// The two misfortunes: one worker is cut from the network and comes back, another is killed. Each waits for its moment
// (something must be running that can be lost) by looking, never by guessing how fast this machine is.
import { waitUntil } from './stage.mjs';
import { aliveOf, descendantsOf, markedOf } from './survivors.mjs';

/** If a moment does not come within this, the show goes on without it, and the checks at the end say so. */
const MOMENT_LIMIT_MS = 8_000;
/** No process of a killed worker's commands is alive a second later. */
const GONE_LIMIT_MS = 1_000;

/** Cuts a worker off as soon as it runs something of every policy. Returns what it runs. */
export async function cutWorker(stage, name) {
  const { story, footprints, tasks, signal } = stage;
  const moment = () => {
    const runs = footprints.refresh().openOn(name);
    return (
      ['hold', 'single_run', 'reassign'].every((policy) => countOf(runs, policy, tasks) > 0) &&
      runs.length >= 5
    );
  };
  await waitUntil(moment, MOMENT_LIMIT_MS, signal);
  const running = footprints.refresh().openOn(name);
  stage.proxy.cut();
  story.tell(
    'demo',
    `network of ${name} CUT (its process goes on) while it runs ${namesOf(running, tasks)}`,
    'act',
  );
  return running;
}

/** Heals the network once the loss has had its consequences: the worker failed, its work ended or given to others. */
export async function healWorker(stage, name, running) {
  const { story, footprints, tasks, signal } = stage;
  const over = ({ token }) => footprints.runs.get(token).end !== '';
  const settled = (run) => {
    if (tasks.questionOf(run.taskId).policy !== 'hold') return over(run) && tasks.isSuperseded(run);
    // One of them ends during the cut, the other is to be running still at the return.
    return over(run) || tasks.questionOf(run.taskId).durationMs > MOMENT_LIMIT_MS;
  };
  const ripe = () => {
    footprints.refresh();
    return stage.failureOf(name) !== undefined && running.every(settled);
  };
  await waitUntil(ripe, MOMENT_LIMIT_MS, signal);
  const finished = running.filter(({ token }) => footprints.runs.get(token).end === 'end');
  stage.proxy.heal();
  const still = namesOf(footprints.openOn(name), tasks);
  story.tell(
    'demo',
    `network of ${name} HEALED; cut off, it finished ${namesOf(finished, tasks)}; still runs ${still}`,
    'act',
  );
  await waitUntil(() => running.some(({ taskId }) => tasks.has(taskId, 'adopted')), MOMENT_LIMIT_MS, signal);
}

/** kill -9 of a worker while its commands run; what of it survives is looked up in the system's table of processes. */
export async function killWorker(stage, name) {
  const { story, footprints, tasks, signal } = stage;
  const worker = stage.workers.get(name);
  const { pid, instanceId } = worker;
  const moment = () => {
    const runs = footprints.refresh().openOn(name);
    return runs.length >= 4 && countOf(runs, 'single_run', tasks) > 0;
  };
  await waitUntil(moment, MOMENT_LIMIT_MS, signal);
  const running = footprints.refresh().openOn(name);
  const processes = descendantsOf(pid);
  stage.processes.kill(worker);
  const killedAt = performance.now();
  story.tell('demo', `kill -9 of ${name} (pid ${pid}) while it runs ${namesOf(running, tasks)}`, 'act');
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

const countOf = (runs, policy, tasks) =>
  runs.filter(({ taskId }) => tasks.questionOf(taskId).policy === policy).length;

function namesOf(runs, tasks) {
  return runs.length === 0 ? 'nothing' : runs.map(({ taskId }) => tasks.nameOf(taskId)).join(', ');
}
