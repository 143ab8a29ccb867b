// `npm run chaos -- [--profile pr|nightly] [--seed N] [--rounds N]`: real processes under a steady load while agents and
// coordinator are killed, stopped and cut off and the disk runs full; then one judge over everything that was recorded.
// Exits 1 when a promise was broken, with the story around it. The last line counts rounds.
// `-- --herd [--agents N]` and `-- --soak MINUTES` ask how much instead of what breaks: see herd.mjs and soak.mjs.
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { judge } from '../../dist/testing/checker/index.js';
import { readFlags } from '../flags.mjs';
import { monoMs } from './clock.mjs';
import { HERD_AGENTS, herd } from './herd.mjs';
import { detections, Load } from './load.mjs';
import { planOf, profileNames } from './profiles.mjs';
import { Random } from './random.mjs';
import { recordRun } from './record.mjs';
import { printDetections, printFigures, printRounds, printStarved, printStory, tell } from './report.mjs';
import { ROUNDS } from './rounds.mjs';
import { HEARTBEAT_MS, Site } from './site.mjs';
import { SOAK_AGENTS, soak } from './soak.mjs';
import { withoutStarved } from './starved.mjs';
import { historyFileOf } from './workload.mjs';
import { goFirst, possibleWorld, preparedWorld, runInside } from './world.mjs';

/** After the faults everything must come to its end within this (K11, K17). */
const SETTLE_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 10_000;
const DETECTED_WITHIN_MS = 1_000;
const MOST_STORIES = 5;
const BETWEEN_MS = 300;
/** Before the first fault, so that it finds something running. */
const WARM_UP_MS = 2_000;

const { values } = readFlags(
  'chaos',
  'Real processes under steady load while agents and coordinator are killed, stopped and cut off, and the disk runs full.',
  {
    profile: {
      type: 'string',
      of: 'NAME',
      among: profileNames,
      default: 'pr',
      says: profileNames.join(' or '),
    },
    seed: { type: 'string', of: 'N', whole: 0, default: '1', says: 'the same rounds again' },
    rounds: { type: 'string', of: 'N', whole: 1, says: "only so many of the profile's" },
    only: { type: 'string', of: 'KIND', says: 'only rounds of this kind' },
    proxy: { type: 'boolean', default: false, says: 'as if namespaces for the network could not be made' },
    herd: { type: 'boolean', default: false, says: 'many agents lose the coordinator at once' },
    soak: { type: 'string', of: 'MINUTES', says: 'steady work and random kills' },
    agents: { type: 'string', of: 'N', whole: 1, says: 'of a herd or a soak' },
    record: { type: 'boolean', default: false, says: 'adds the run to the track record of docs/safety.md' },
    keep: { type: 'string', of: 'FOLDER', says: 'keeps the history and all logs there' },
  },
);
const seed = Number(values.seed);
const ending = new AbortController();
process.exitCode = await chosen();
// A run that broke off leaves its load trying to reach what is gone.
process.exit();

async function chosen() {
  const isMeasured = values.herd || values.soak !== undefined;
  const world = preparedWorld();
  if (world === undefined) return runInside(possibleWorld(values.proxy || isMeasured));
  return isMeasured ? measured() : playIn(world);
}

function endOnSignals() {
  const abort = (why) => ending.abort(new Error(why));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => abort(`ended by ${signal}`));
  process.on('disconnect', () => abort('the process around this one is gone'));
}

async function measured() {
  endOnSignals();
  goFirst();
  const { signal } = ending;
  const agents = values.agents === undefined ? undefined : Number(values.agents);
  const rounds = Number(values.rounds ?? Number.POSITIVE_INFINITY);
  try {
    if (values.herd) return await herd({ agents: agents ?? HERD_AGENTS, rounds, signal });
    return await soak({ agents: agents ?? SOAK_AGENTS, minutes: Number(values.soak), seed, signal });
  } catch (thrown) {
    console.log(signal.aborted ? signal.reason.message : thrown.stack);
    return signal.aborted ? 130 : 1;
  } finally {
    if (process.connected) process.disconnect();
  }
}

async function playIn(prepared) {
  const startedAt = monoMs();
  endOnSignals();
  const isFirst = goFirst();
  const site = new Site(prepared, new Random(seed), ending.signal);
  try {
    await site.start(prepared);
    site.workload.start();
    introduce(site, prepared, isFirst);
    return await play(site, startedAt);
  } catch (thrown) {
    if (ending.signal.aborted) {
      console.log(ending.signal.reason.message);
      return 130;
    }
    console.log(thrown.stack);
    console.log(site.fleet?.tails() ?? '');
    return 1;
  } finally {
    await site.close();
    if (process.connected) process.disconnect();
  }
}

function introduce({ network, disk, leaseMs, slackMs, fleet }, prepared, isFirst) {
  console.log(`Holdfast under real faults: profile ${values.profile}, seed ${seed}`);
  console.log(`${fleet.agents.size} agents, heartbeats every ${HEARTBEAT_MS} ms, L = ${leaseMs} ms`);
  console.log(`  network    ${network.name}`);
  console.log(`  disk       ${disk === null ? 'no mounts here: SKIPPED' : 'a small tmpfs of its own'}`);
  console.log(`  scheduling ${isFirst ? 'ahead of the machine’s other work' : 'as everybody else'}`);
  console.log(`  isolation  ${prepared.net ? 'network and mount namespace of its own' : 'none'}`);
  console.log(
    `  detection  [L, L + 1 s] since the last heartbeat; a busy machine may add ${slackMs} ms to the upper bound`,
  );
}

async function play(site, startedAt) {
  const plan = planOf(values.profile, site.random)
    .filter(({ kind }) => values.only === undefined || kind === values.only)
    .slice(0, Number(values.rounds ?? Number.POSITIVE_INFINITY));
  const rounds = [];
  const load = new Load(() => site.fleet.coordinator.pid, site.fleet.agents);
  await site.sleep(WARM_UP_MS);
  for (const [index, round] of plan.entries()) {
    await site.sleep(BETWEEN_MS);
    rounds.push(await playRound(site, round));
    const { from, words, problems, tookMs } = rounds.at(-1);
    const back = tookMs > 0 ? `; all back after ${Math.round(tookMs)} ms` : '';
    tell(startedAt, from, `${index + 1}/${plan.length}  ${round.kind}: ${words}${back}`);
    for (const problem of problems) tell(startedAt, monoMs(), `PROBLEM ${problem}`);
  }
  const end = await settle(site);
  rounds.push(end);
  tell(startedAt, end.from, `faults stop: ${end.words}`);
  const history = await site.history();
  await stopAll(site, end);
  if (values.keep !== undefined) keep(site, values.keep);
  load.close();
  return conclude(site, rounds, history, load, startedAt);
}

async function playRound(site, round) {
  const from = monoMs();
  const problems = [];
  site.tookMs = 0;
  let words = '';
  try {
    words = await ROUNDS[round.kind](site, round);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    problems.push(error.message);
    words = 'broke off';
    await site.mend();
    for (const fault of site.faults) fault.to = Math.min(fault.to, monoMs());
  }
  const skipped = words === null;
  if (skipped) words = `${round.cut ?? ''} SKIPPED: not possible here`;
  return { ...round, from, words, problems, skipped, tookMs: site.tookMs };
}

/** No more faults and no more tasks: what was accepted must end, agents and coordinator must be well. */
async function settle(site) {
  const from = monoMs();
  const problems = [];
  await site.mend();
  await site.workload.stop();
  const isOver = async () => {
    await site.workload.release().catch(() => {});
    await site.workload.look().catch(() => {});
    return site.workload.openCount === 0 && (await site.areHealthy());
  };
  if (!(await site.until(isOver, SETTLE_LIMIT_MS))) {
    problems.push(
      `K17: ${site.workload.openCount} tasks have not ended ${SETTLE_LIMIT_MS} ms after the last fault`,
    );
  }
  const words = `everything has ended after ${Math.round(monoMs() - from)} ms`;
  return { kind: 'settle', from, words, problems, skipped: false, tookMs: 0 };
}

/** Drained and ended in good order, with nothing left alive. */
async function stopAll(site, end) {
  const agents = [...site.fleet.agents.values()];
  const codes = await Promise.all(agents.map((agent) => agent.end(STOP_LIMIT_MS)));
  codes.push(await site.fleet.coordinator.end(STOP_LIMIT_MS));
  if (codes.some((code) => code !== 0)) end.problems.push(`exit codes at the end: ${codes.join(', ')}`);
  const left = await site.leftovers();
  if (left.length > 0) end.problems.push(`commands that are alive after the end: ${left.join(', ')}`);
}

function keep({ folder, fleet }, target) {
  mkdirSync(target, { recursive: true });
  copyFileSync(historyFileOf(folder), join(target, 'history.jsonl'));
  for (const { name, log } of fleet.members) {
    writeFileSync(join(target, `${name}.log`), log.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
  }
}

function conclude(site, rounds, history, load, startedAt) {
  // Beyond the fixed slack only what was measured: the judge's upper bounds move with it, its lower ones do not.
  const waitedMs = Math.round(load.worst(site.leaseMs + DETECTED_WITHIN_MS));
  const verdict = judge({ ...history, slackMs: history.slackMs + waitedMs });
  const detected = detections(history, load);
  const waits = (...span) => load.waitedByPair(...span);
  const judged = withoutStarved(verdict.violations, history, waits);
  const violations = [...site.accidents, ...judged.violations, ...detected.violations];
  for (const violation of violations) {
    // A violation belongs to the round that ran; what has no time belongs to the end.
    const round = rounds.findLast(({ from }) => from <= violation.at) ?? rounds[0];
    round.problems.push(`${violation.rule}: ${violation.what}`);
  }
  for (const violation of violations.slice(0, MOST_STORIES)) printStory(violation, history, startedAt);
  if (violations.length > MOST_STORIES)
    console.log(`\n… and ${violations.length - MOST_STORIES} more violations`);
  printRounds(rounds);
  printFigures(verdict, site);
  printDetections(detected, waitedMs);
  printStarved(judged.excused);
  const failed = rounds.filter(({ problems }) => problems.length > 0).length;
  const skipped = rounds.filter((round) => round.skipped).length;
  const again = `npm run chaos -- --profile ${values.profile} --seed ${seed}`;
  console.log(
    `\n${violations.length} violations, ${skipped} rounds skipped; the same faults again: ${again}`,
  );
  console.log(`${rounds.length - skipped - failed} passed, ${failed} failed`);
  if (values.record) recordRun({ rounds, skipped, history, counts: verdict.counts, detected, violations });
  return failed > 0 ? 1 : 0;
}
