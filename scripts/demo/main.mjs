// The demo: real work on real data while one worker is killed and another is cut from the network.
// `npm run demo` builds first; this file only leads through the acts and says at the end whether all went well.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cutWorker, healWorker, killWorker } from './acts.mjs';
import { summarize, tableOf, verdictsOf } from './checks.mjs';
import { HEARTBEAT_MS, Stage } from './stage.mjs';
import { Story } from './story.mjs';
import { answerDirectly, questions, readDays } from './weather.mjs';

const LIMIT_MS = 55_000;

const ending = new AbortController();
const timer = setTimeout(
  () => ending.abort(new Error(`the demo takes longer than ${LIMIT_MS} ms`)),
  LIMIT_MS,
);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () =>
    ending.abort(Object.assign(new Error(`ended by ${signal}`), { interrupted: true })),
  );
}

const folder = mkdtempSync(join(tmpdir(), 'holdfast-demo-'));
const story = new Story();
const stage = new Stage(folder, story, ending);
try {
  process.exitCode = (await play()) ? 0 : 1;
} catch (thrown) {
  // What was interrupted complains in its own words: the cause is what counts.
  const error = ending.signal.aborted ? ending.signal.reason : thrown;
  process.exitCode = error.interrupted ? 130 : 1;
  story.tell('demo', error.interrupted ? error.message : String(error.stack), 'bad');
  if (!error.interrupted) story.say(stage.processes.tails());
} finally {
  clearTimeout(timer);
  await stage.close();
  // Commands of a worker that was killed just now may write their last line while the folder goes.
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}

/** The whole piece; true if everything that must hold did. */
async function play() {
  const days = readDays();
  const expected = answerDirectly(days);
  introduce(days.length);
  await stage.startCoordinator();
  await stage.startWorkers();

  const { tasks } = stage;
  const taskIds = await tasks.submit(questions);
  story.tell('demo', `${taskIds.length} tasks submitted: ${countsOf(questions)}`, 'act');
  const watching = tasks.watch(taskIds, ending.signal);
  // Told at once when it fails, not when it is waited for.
  watching.catch((error) => ending.abort(error));

  const running = await cutWorker(stage, 'worker-3');
  await healWorker(stage, 'worker-3', running);
  const killed = await killWorker(stage, 'worker-2');

  await watching;
  await tasks.refreshAll();
  story.tell(
    'demo',
    `all ${tasks.book.size} tasks are done; the workers and the coordinator are asked to end`,
    'act',
  );
  const stoppedWell = await stage.stop(['worker-1', 'worker-3']);
  return conclude(expected, { leftBehind: await killed.leftBehind(), stoppedWell });
}

function countsOf(all) {
  const groups = [...Map.groupBy(all, ({ policy }) => policy)];
  return groups.map(([policy, group]) => `${group.length} ${policy}`).join(', ');
}

function introduce(days) {
  story.say();
  story.say(
    'Holdfast: real work on real data, while one worker is killed and one is cut from the network',
    'title',
  );
  story.say(
    `The data: ${days} days of Seattle weather. Each task is a command, run in a process of its own by one of three`,
  );
  story.say(
    'workers; its answer is compared with a direct computation. A worker that is silent for three heartbeats is',
  );
  story.say(
    'failed; every permit to start bears a fencing token, and only what bears an open token is accepted.',
  );
  story.say();
}

function conclude(expected, { leftBehind, stoppedWell }) {
  const { tasks, footprints } = stage;
  const sum = summarize([...tasks.book.values()], [...footprints.refresh().runs.values()], expected);
  const leaseMs = 3 * HEARTBEAT_MS;
  const failures = ['worker-2', 'worker-3'].map((name) => ({
    silentMs: stage.failureOf(name)?.silentMs,
    leaseMs,
  }));
  story.say();
  for (const [label, value, meaning] of tableOf(sum))
    story.say(`  ${label.padEnd(24)} ${value.padStart(4)}  ${meaning}`);
  story.say();
  const verdicts = verdictsOf(sum, { leftBehind, failures, stoppedWell });
  for (const [claim, holds] of verdicts)
    story.say(`  ${holds ? 'yes' : 'NO '}  ${claim}`, holds ? 'good' : 'bad');
  const well = verdicts.every(([, holds]) => holds);
  story.say();
  if (well) {
    story.say(
      'What was guaranteed: nothing starts without a durable permit, every task has exactly one accepted outcome,',
    );
    story.say(
      'a lost worker costs at most a repetition, and no two copies of single_run or hold work ran at once.',
    );
  } else {
    story.say(`Something is not as it must be.\n${stage.processes.tails()}`, 'bad');
  }
  return well;
}
