// The demo: a real pipeline on real data while its DAG processor is away, a worker and a triggerer are cut from the
// network, and another worker is killed. `npm run demo` builds first; this file only leads through the acts and says at the end whether all went well.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cutAgents, healAgents, killWorker, restartProcessor, stopProcessor } from './acts.mjs';
import { summarize, tableOf, verdictsOf } from './checks.mjs';
import { HEARTBEAT_MS, Stage, waitUntil } from './stage.mjs';
import { Story } from './story.mjs';
import { answerDirectly, isChartRight, readDays, years } from './weather.mjs';

const LIMIT_MS = 85_000;

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
  introduce(days.length);
  await stage.startCoordinator();
  await stage.startAgents();
  const stopped = await stopProcessor(stage);

  const { ended } = await startRuns();
  const cut = await cutAgents(stage);
  const moved = await healAgents(stage, cut);
  const killed = await killWorker(stage, ['worker-1', 'worker-2']);

  const runs = await ended;
  const announcements = await watchAnnouncements();
  story.tell('demo', `all ${runs.length + announcements.length} runs have ended`, 'act');
  const back = await restartProcessor(stage);
  await stage.work.refreshAll();
  const seen = {
    ...{ runs: [...runs, ...announcements], processor: { ...stopped, ...back } },
    announced: await judgeAnnouncements(announcements),
    tides: (await tidesSince(stopped.at)).length,
    cut: {
      ...{ moved, waits: cut.waits.length, triggerer: cut.triggerer },
      stopped: stage.entryOf(cut.triggerer, 'triggers_stopped') !== undefined,
    },
    killed: { name: killed.name, wasBusy: killed.wasBusy, leftBehind: await killed.leftBehind() },
  };
  story.tell('demo', 'the agents and the coordinator are asked to end', 'act');
  const left = [...stage.agents.keys()].filter((name) => name !== killed.name);
  const stoppedWell = (await stage.stop(left)) && stopped.stoppedWell;
  return conclude(answerDirectly(days), { ...seen, stoppedWell });
}

/** One run of the weather DAG for each year, and the records; all of them, once they have ended. */
async function startRuns() {
  const { work } = stage;
  await stage.comes('the agents', () => stage.allHealthy());
  const started = [await work.trigger('records', '', {}, ending.signal)];
  for (const year of years) {
    const params = { year, folder: stage.charts, patience: '8s' };
    started.push(await work.trigger('weather', String(year), params, ending.signal));
  }
  story.tell(
    'demo',
    `${started.length} runs made by hand: records, and weather for ${years.join(', ')}`,
    'act',
  );
  const ended = Promise.all(started.map((run) => run.ended));
  // Told at once when it fails, not when it is waited for.
  ended.catch((error) => ending.abort(error));
  return { ended };
}

/** The runs that the reports have made, once they have ended. */
async function watchAnnouncements() {
  const { client, work, signal } = stage;
  const announced = () => Array.fromAsync(client.runs.list({ dagId: 'announce' }));
  await waitUntil(async () => eventsTaken(await announced()) >= years.length, 5_000, signal);
  const runs = await announced();
  return await Promise.all(runs.map(({ runId }) => work.watch('announce', runId, '', signal)));
}

function eventsTaken(runs) {
  return runs.flatMap(({ consumed }) => consumed).reduce((total, { count }) => total + count, 0);
}

async function judgeAnnouncements(runs) {
  const events = await Array.fromAsync(stage.client.assets.events('weather/report'));
  const byAssets = runs.every(({ type }) => type === 'asset_triggered');
  return { isOnce: byAssets && events.length === years.length && eventsTaken(runs) === events.length };
}

async function tidesSince(at) {
  const runs = await Array.fromAsync(stage.client.runs.list({ dagId: 'tide' }));
  return runs.filter(({ createdAt }) => createdAt > at);
}

function introduce(days) {
  story.say();
  story.say(
    'Holdfast: a real pipeline on real data, while agents are stopped, cut from the network and killed',
    'title',
  );
  story.say(
    `The data: ${days} days of Seattle weather. The pipeline: examples/weather, a DAG file. Each task runs in a process`,
  );
  story.say(
    'of one of three workers, waits are kept by two triggerers, a DAG processor reads the DAG files. An agent that',
  );
  story.say(
    'is silent for three heartbeats is failed; every permit to start bears a fencing token, and only what bears an',
  );
  story.say('open token is accepted. Every answer is compared with a direct computation.');
  story.say();
}

/** Years whose chart is not there, or says something else. */
function wrongCharts(answers) {
  return years.filter((year) => {
    const file = join(stage.charts, `weather-${year}.svg`);
    return !existsSync(file) || !isChartRight(year, readFileSync(file, 'utf8'), answers);
  });
}

function conclude(answers, seen) {
  const { work, footprints } = stage;
  const sum = summarize([...work.book.values()], [...footprints.refresh().runs.values()], answers);
  const leaseMs = 3 * HEARTBEAT_MS;
  const failures = [seen.killed.name, 'worker-3', seen.cut.triggerer].map((name) => ({
    silentMs: stage.failureOf(name)?.silentMs,
    leaseMs,
  }));
  story.say();
  for (const [label, value, meaning] of tableOf(sum, seen))
    story.say(`  ${label.padEnd(24)} ${value.padStart(4)}  ${meaning}`);
  story.say();
  const verdicts = verdictsOf(sum, { ...seen, failures, charts: wrongCharts(answers) });
  for (const [claim, holds] of verdicts)
    story.say(`  ${holds ? 'yes' : 'NO '}  ${claim}`, holds ? 'good' : 'bad');
  const well = verdicts.every(([, holds]) => holds);
  story.say();
  if (well) {
    story.say(
      'What was guaranteed: nothing starts without a durable permit, every task has exactly one accepted outcome,',
    );
    story.say(
      'a lost agent costs at most a repetition, no two copies of single_run or hold work ran at once, and what the',
    );
    story.say('DAG files said stayed in force while nobody read them.');
  } else {
    story.say(`Something is not as it must be.\n${stage.processes.tails()}`, 'bad');
  }
  return well;
}
